"""After any crash an index is the old one or the new one, and the command can be repeated."""

from pathlib import Path

import pytest

from crashes.corpus import COMMANDS, REPOSITORY, Corpus, CrashError
from crashes.file_system import File, FileSystem, Folder, Node
from crashes.kinds import at_points, killed, unsynced
from crashes.trace import Call


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(REPOSITORY / "target/debug/semblance", tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_crash_at_a_named_point_leaves_the_old_or_the_new_index(
    corpus: Corpus, command: str
) -> None:
    result = at_points(corpus, command)
    assert sum(result.states.values()) >= (2 if command == "prune" else 6), result


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_command_can_be_repeated(corpus: Corpus, command: str) -> None:
    killed(corpus, command, times=4, seed=1)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_depends_on_data_that_was_not_synced(corpus: Corpus, command: str) -> None:
    result = unsynced(corpus, command, states_limit=60, converging=3)
    assert result.states["new"] >= 1


@pytest.mark.parametrize("kind", [File, Folder])
def test_the_index_would_be_lost_without_the_syncs(corpus: Corpus, kind: type[Node]) -> None:
    with pytest.raises(CrashError):
        unsynced(corpus, "append", states_limit=200, converging=1, ignored=kind)


def hexadecimal(text: str) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'


def test_the_model_loses_what_was_not_synced(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    disk = FileSystem(tmp_path)
    path = hexadecimal(f"{tmp_path}/new")

    def call(name: str, *arguments: str, result: int = 0) -> bool:
        return disk.apply(Call(name, list(arguments), result))

    call("openat", "AT_FDCWD", path, "O_WRONLY|O_CREAT|O_TRUNC", "0666", result=3)
    call("write", "3", hexadecimal("new"), "3", result=3)
    expected = [
        {"old": b"old"},
        {"old": b"old", "new": b""},
        {"old": b"old", "new": b"new"},
    ]
    assert all(tree in expected for tree in disk.crashes())
    assert all(tree in list(disk.crashes()) for tree in expected)
    assert call("fsync", "3")
    assert {"old": b"old", "new": b""} not in list(disk.crashes())
    call("rename", path, hexadecimal(f"{tmp_path}/old"))
    trees = list(disk.crashes())
    assert {"old": b"new"} in trees and {"old": b"old"} in trees
    assert {} not in trees, "a rename replaces; it never removes both"
    call("openat", "AT_FDCWD", hexadecimal(str(tmp_path)), "O_RDONLY|O_CLOEXEC", result=4)
    assert call("fsync", "4")
    assert list(disk.crashes()) == [{"old": b"new"}] * 2
