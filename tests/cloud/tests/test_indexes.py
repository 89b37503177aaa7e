"""Indexes in the local cloud: searched, updated and rolled back on one version of the function.

The tests run in the order they stand in, each on what the former left behind.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Report
from tests.deployment import BUNDLE, Deployment, contents
from tests.terraform import REPOSITORY

pytestmark = [pytest.mark.apply, pytest.mark.xdist_group("indexes")]

SEMBLANCE = REPOSITORY / "target/debug/semblance"
DOCUMENTS = [
    {"id": "password", "text": "Open the settings and choose Reset password.", "product": "app"},
    {
        "id": "invoice",
        "text": "Invoices are sent on the first day of each month.",
        "product": "app",
    },
    {"id": "battery", "text": "Charge the battery for two hours.", "product": "device"},
    {"id": "return", "text": "Send the device back within 30 days.", "product": "device"},
]
# Added before the deployment.
FIRST_ADDED = [
    {"id": "parcel", "text": "Parcels leave the warehouse within two days.", "product": "shop"},
    {
        "id": "warehouse",
        "text": "A parcel leaves our warehouse after two days.",
        "product": "shop",
    },
]
ADDED = [{"id": "login", "text": "How to get a new password for your login", "product": "web"}]
QUERY = "I forgot my password"


@pytest.fixture(scope="module")
def indexes(built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of a few documents."""
    folder = tmp_path_factory.mktemp("indexes")
    command("build", folder / "docs", rows(folder / "docs.jsonl", DOCUMENTS))
    return folder


def rows(path: Path, documents: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def command(name: str, *arguments: Path | str) -> str:
    """Run a command on an index."""
    return semblance("index", name, *arguments)


def semblance(*arguments: Path | str) -> str:
    """Run the command line."""
    library = REPOSITORY / "build/lib/libonnxruntime.so"
    environment = {"SEMBLANCE_BUNDLE": str(BUNDLE), "SEMBLANCE_ORT_LIBRARY": str(library)}
    done = subprocess.run(
        [SEMBLANCE, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def version_of(index: Path) -> str:
    return (index / "CURRENT").read_text().strip()


def variables(indexes: Path) -> dict[str, Any]:
    return {"indexes": {"docs": str(indexes / "docs")}}


def search(deployment: Deployment, **fields: Any) -> dict[str, Any]:
    answer = deployment.operate("search", index="docs", query=QUERY, **fields)
    assert answer.function_error is None, answer.payload
    return dict(answer.payload)


def ids(answer: dict[str, Any]) -> list[str]:
    (results,) = answer["results"]
    return [row["id"] for row in results]


def copied(deployment: Deployment) -> Path:
    return deployment.models() / ".indexes" / "docs"


def test_an_index_is_searched_changed_and_compared_before_it_is_deployed(
    indexes: Path, report: Report
) -> None:
    docs = indexes / "docs"

    def run(*arguments: Path | str) -> list[str]:
        lines = semblance(*arguments).splitlines()
        shown = " ".join(part.name if isinstance(part, Path) else part for part in arguments)
        report(f"$ semblance {shown}")
        for line in lines:
            report(f"  {line}")
        return lines

    run("index", "info", docs)
    found = run("search", docs, "sending things back", "--filter", '{"product": "device"}')
    assert found[-1] == "2 rows searched, exact" and "return" in found[0]
    run("index", "append", docs, rows(indexes / "first.jsonl", FIRST_ADDED))
    found = run("search", docs, "When is my parcel sent?", "--top-k", "2")
    assert found[-1] == "6 rows searched, exact"
    assert {line.split()[1] for line in found[:2]} == {"parcel", "warehouse"}
    pair = json.loads(run("mine", docs, "--max-pairs", "1")[0])
    assert {pair["a"], pair["b"]} == {"parcel", "warehouse"}
    (cluster,) = run("cluster", docs, "--threshold", "0.7", "--min-size", "2")
    assert json.loads(cluster)["size"] == 2
    picture = indexes / "map.svg"
    run("map", docs, "--threshold", "0.7", "--min-size", "2", "--output", picture)
    assert picture.read_text().count("<circle") == 6
    # One version, which is the one that is deployed.
    run("index", "compact", docs, "--grace-hours", "0")


def test_one_apply_delivers_model_and_index(
    deployment: Deployment, indexes: Path, report: Report
) -> None:
    apply = deployment.apply(variables(indexes))
    found = deployment.outputs()["indexes"]["docs"]
    report(f"index: apply {apply.seconds:.0f} s; {json.dumps(found)}")
    assert found["digest"] == version_of(indexes / "docs")
    assert found["sync_result"]["copied"] is True
    local = {
        path: digest
        for path, digest in contents(indexes / "docs").items()
        if not path.startswith(".staging")
    }
    delivered = contents(copied(deployment))
    del delivered[".staging/lock"]
    assert delivered == local
    assert deployment.variables()["SEMBLANCE_INDEX_DIR"] == "/mnt/models/.indexes"


def test_the_function_searches_it(deployment: Deployment, indexes: Path, report: Report) -> None:
    answer = search(deployment, top_k=2)
    report(f"search: {json.dumps(answer)}")
    assert answer["version"] == version_of(indexes / "docs")
    assert answer["exact"] is True and ids(answer)[0] == "password"
    filtered = search(deployment, top_k=2, filter={"product": "device"})
    report(f"search with a filter: {json.dumps(filtered)}")
    assert set(ids(filtered)) == {"battery", "return"} and filtered["searched"] == 2


def test_with_an_index_a_second_plan_is_empty(deployment: Deployment, indexes: Path) -> None:
    plan = deployment.plan(variables(indexes))
    assert plan.status == 0, plan.output


def test_the_similarity_function_can_only_read_it(deployment: Deployment) -> None:
    files = deployment.cloud.files(deployment.file_system)
    found = {
        path: entry
        for path, entry in files.items()
        if path.startswith("models/.indexes/") and ".staging" not in path
    }
    assert {entry["uid"] for entry in found.values()} == {deployment.cloud.uid(1000)}
    assert all(entry["mode"] & 0o044 == 0o044 for entry in found.values())
    assert not [path for path, entry in found.items() if entry["mode"] & 0o022]


def test_an_update_is_searched_by_the_same_version_of_the_function(
    deployment: Deployment, indexes: Path, report: Report
) -> None:
    before = search(deployment)
    environment = deployment.score().version
    started = len(deployment.cloud.logs("/aws/lambda/semblance"))
    output = command("append", indexes / "docs", rows(indexes / "more.jsonl", ADDED))
    report(f"append: {' | '.join(output.splitlines())}")
    apply = deployment.apply(variables(indexes))
    result = deployment.outputs()["indexes"]["docs"]["sync_result"]
    report(f"update: apply {apply.seconds:.0f} s; {json.dumps(result)}")
    time.sleep(1.1)  # Readers look for a new version at most once a second.
    after = search(deployment)
    report(f"search again: {json.dumps(after)}")
    assert after["version"] == version_of(indexes / "docs") != before["version"]
    assert "login" in ids(after) and "login" not in ids(before)
    answer = deployment.score()
    assert answer.version == environment == "1", "no new version of the function"
    lines = deployment.cloud.logs("/aws/lambda/semblance")[started:]
    kinds = {json.loads(line).get("type") for line in lines}
    assert "platform.initStart" not in kinds, "the environment that was warm answered"
    # Only the new segment, with its 12 files, and the manifest moved.
    assert result["files"] == 13 and result["bytes"] < 20_000
    assert deployment.plan(variables(indexes)).status == 0


def test_a_roll_back_copies_nothing(deployment: Deployment, indexes: Path, report: Report) -> None:
    newest = version_of(indexes / "docs")
    manifest = json.loads((indexes / "docs/manifests" / f"{newest}.json").read_text())
    command("use", indexes / "docs", manifest["parent"])
    apply = deployment.apply(variables(indexes))
    result = deployment.outputs()["indexes"]["docs"]["sync_result"]
    report(f"roll back: apply {apply.seconds:.0f} s; {json.dumps(result)}")
    assert result["copied"] is False
    time.sleep(1.1)
    answer = search(deployment)
    assert answer["version"] == manifest["parent"] and "login" not in ids(answer)
    assert deployment.score().version == "1"
    # The replaced version stays for the grace period.
    assert (copied(deployment) / "manifests" / f"{newest}.json").is_file()


def test_the_schedule_copies_what_is_missing_and_replaces_nothing(
    deployment: Deployment, indexes: Path, report: Report
) -> None:
    current = version_of(indexes / "docs")
    answers = deployment.cloud.fire("semblance-model-sync-keep-awake")
    results = {answer.payload["path"]: answer.payload["copied"] for answer in answers}
    report(f"schedule: {json.dumps(results)}")
    assert results["/mnt/models/.indexes/docs"] is False
    (copied(deployment) / "CURRENT").unlink()
    deployment.cloud.fire("semblance-model-sync-keep-awake")
    assert (copied(deployment) / "CURRENT").read_text().strip() == current


def test_a_corrupted_object_fails_the_apply_and_the_version_stays(
    deployment: Deployment, indexes: Path, report: Report
) -> None:
    before = search(deployment)["version"]
    source = indexes / "damaged"
    command("build", source, rows(indexes / "other.jsonl", DOCUMENTS[:2]))
    (vectors,) = source.glob("segments/*/vectors.npy")
    body = bytearray(vectors.read_bytes())
    body[200] ^= 1
    vectors.write_bytes(bytes(body))
    plan = deployment.plan({"indexes": {"docs": str(source)}})
    said = " ".join(plan.output.replace("│", " ").split())
    report(f"damaged: {said[said.find('vectors.npy does') :][:90]}")
    assert plan.status == 1 and "vectors.npy does not match its sha256" in said, plan.output
    assert search(deployment)["version"] == before


def test_an_index_in_s3_is_copied_from_where_it_is(
    deployment: Deployment, indexes: Path, report: Report
) -> None:
    s3 = deployment.cloud.aws("s3")
    where = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket="corpora", CreateBucketConfiguration=where)
    for path in contents(indexes / "docs"):
        if not path.startswith(".staging"):
            body = (indexes / "docs" / path).read_bytes()
            s3.put_object(Bucket="corpora", Key=f"team/indexes/docs/{path}", Body=body)
    versions = sorted(path.stem for path in (indexes / "docs/manifests").iterdir())
    (other,) = [digest for digest in versions if digest != version_of(indexes / "docs")]
    reference = f"s3://corpora/team/indexes/docs/manifests/{other}.json"
    apply = deployment.apply({"indexes": {"docs": reference}})
    report(f"from S3: apply {apply.seconds:.0f} s")
    time.sleep(1.1)
    assert search(deployment)["version"] == other
    assert deployment.score().version == "1"
    assert deployment.plan({"indexes": {"docs": reference}}).status == 0
    for listed in s3.list_objects_v2(Bucket="corpora")["Contents"]:
        s3.delete_object(Bucket="corpora", Key=listed["Key"])
    s3.delete_bucket(Bucket="corpora")


def test_a_clean_checkout_plans_nothing_and_destroys(
    deployment: Deployment, indexes: Path, report: Report
) -> None:
    deployment.apply(variables(indexes))
    aside = indexes / "aside"
    (indexes / "docs").rename(aside)
    plan = deployment.plan(variables(indexes))
    assert plan.status == 0, plan.output
    destroy = deployment.destroy(variables(indexes))
    report(f"destroy without the index: {destroy.seconds:.0f} s")
    assert deployment.resources() == []
