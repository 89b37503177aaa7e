"""A file system that keeps after a crash only what was synced, and any part of the rest.

A file has its content, and the content of its last fsync. A folder has its entries, and those of
its last fsync. After a crash, an entry or a content that was not synced may be there or not, each
on its own: POSIX promises no order. A rename within a folder is one change; between folders it is
two.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from crashes.trace import REFUSED, Call, TraceError, number, text


@dataclass(eq=False)
class File:
    """A file, with the content that survives."""

    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    @property
    def is_synced(self) -> bool:
        """Whether the content survives as it is."""
        return bytes(self.content) == self.synced


@dataclass(eq=False)
class Folder:
    """A folder, with the entries that survive and the changes that may."""

    entries: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)


Node = File | Folder


@dataclass(eq=False)
class Change:
    """A change of a folder: name => what it is afterwards, or None if it is gone."""

    entries: dict[str, Node | None]


Tree = dict[str, bytes | None]  # path => content; None is a folder


@dataclass
class Descriptor:
    """An open file or folder."""

    node: Node
    path: PurePosixPath
    position: int = 0


class FileSystem:
    """The files below a root, driven by system calls."""

    def __init__(self, root: Path):
        self.root = PurePosixPath(root)
        self.top = Folder()
        self.descriptors: dict[int, Descriptor] = {}
        for path in sorted(root.rglob("*")):
            node = Folder() if path.is_dir() else File()
            if isinstance(node, File):
                node.content = bytearray(path.read_bytes())
                node.synced = bytes(node.content)
            folder, name = self._place(PurePosixPath(path))
            folder.entries[name] = folder.synced[name] = node

    # --- Calls ---------------------------------------------------------------------------

    def apply(self, call: Call) -> bool:
        """Apply a call. Returns whether it made something durable."""
        arguments = call.arguments
        match call.name:
            case "openat":
                self._open(self._path(*arguments[:2]), arguments[2], call.result)
            case "open":
                self._open(self._path("AT_FDCWD", arguments[0]), arguments[1], call.result)
            case "close":
                self.descriptors.pop(number(arguments[0]), None)
            case "write" | "pwrite64" | "lseek" | "ftruncate":
                self._write(call)
            case "rename":
                source, target = (self._path("AT_FDCWD", path) for path in arguments)
                self._rename(source, target)
            case "renameat" | "renameat2":
                self._rename(self._path(*arguments[:2]), self._path(*arguments[2:4]))
            case "unlink" | "rmdir" | "mkdir":
                node = Folder() if call.name == "mkdir" else None
                self._change(self._path("AT_FDCWD", arguments[0]), node)
            case "unlinkat" | "mkdirat":
                node = Folder() if call.name == "mkdirat" else None
                self._change(self._path(*arguments[:2]), node)
            case "fsync" | "fdatasync":
                return self._sync(number(arguments[0]))
            case _:
                self._other(call)
        return False

    def is_of(self, call: Call, kind: type[Node]) -> bool:
        """Whether a call is one on a descriptor of a node of this kind."""
        opened = self.descriptors.get(number(call.arguments[0]))
        return opened is not None and isinstance(opened.node, kind)

    def _other(self, call: Call) -> None:
        """Follow a duplicated descriptor, and refuse what is not modeled."""
        if call.name in REFUSED and any(self._is_ours(part) for part in call.arguments):
            raise TraceError(f"the model does not know {call.name}")
        is_duplicate = call.name == "dup" or (call.name == "fcntl" and "DUPFD" in call.arguments[1])
        opened = self.descriptors.get(number(call.arguments[0])) if is_duplicate else None
        if opened is not None:
            self.descriptors[call.result] = opened

    def _is_ours(self, argument: str) -> bool:
        if argument.isdigit():
            return int(argument) in self.descriptors
        return argument.startswith('"') and self._below(text(argument).decode()) is not None

    def _below(self, path: str) -> PurePosixPath | None:
        found = PurePosixPath(path)
        return found if found.is_relative_to(self.root) and found != self.root else None

    def _path(self, folder: str, name: str) -> PurePosixPath | None:
        path = text(name).decode()
        if not path.startswith("/"):
            opened = self.descriptors.get(number(folder))
            if opened is None:
                return None
            path = str(opened.path / path)
        return self._below(path) or (self.root if PurePosixPath(path) == self.root else None)

    def _node(self, path: PurePosixPath) -> Node | None:
        node: Node = self.top
        for name in path.relative_to(self.root).parts:
            if not isinstance(node, Folder) or name not in node.entries:
                return None
            node = node.entries[name]
        return node

    def _place(self, path: PurePosixPath) -> tuple[Folder, str]:
        folder = self._node(path.parent)
        if not isinstance(folder, Folder):
            raise TraceError(f"the folder of {path} is unknown")
        return folder, path.name

    def _open(self, path: PurePosixPath | None, flags: str, descriptor: int) -> None:
        self.descriptors.pop(descriptor, None)
        if path is None:
            return
        node = self._node(path)
        if node is None:
            if "O_CREAT" not in flags:
                raise TraceError(f"{path} is unknown")
            node = File()
            self._change(path, node)
        if isinstance(node, File) and "O_TRUNC" in flags:
            node.content.clear()
        self.descriptors[descriptor] = Descriptor(node, path)

    def _write(self, call: Call) -> None:
        opened = self.descriptors.get(number(call.arguments[0]))
        if opened is None or not isinstance(opened.node, File):
            return
        content = opened.node.content
        if call.name == "lseek":
            opened.position = call.result
        elif call.name == "ftruncate":
            size = number(call.arguments[1])
            del content[size:]
            content.extend(bytes(size - len(content)))
        else:
            data = text(call.arguments[1])[: call.result]
            start = opened.position if call.name == "write" else number(call.arguments[3])
            content.extend(bytes(max(0, start - len(content))))
            content[start : start + len(data)] = data
            if call.name == "write":
                opened.position += len(data)

    def _change(self, path: PurePosixPath | None, node: Node | None) -> None:
        if path is None:
            return
        folder, name = self._place(path)
        self._enter(folder, {name: node})

    def _enter(self, folder: Folder, entries: dict[str, Node | None]) -> None:
        folder.pending.append(Change(entries))
        folder.entries = changed(folder.entries, entries)

    def _rename(self, source: PurePosixPath | None, target: PurePosixPath | None) -> None:
        if source is None and target is None:
            return
        if source is None or target is None:
            raise TraceError("a rename across the root")
        node = self._node(source)
        (old, old_name), (new, new_name) = self._place(source), self._place(target)
        if old is new:
            self._enter(old, {old_name: None, new_name: node})
        else:
            self._enter(new, {new_name: node})
            self._enter(old, {old_name: None})

    def _sync(self, descriptor: int) -> bool:
        opened = self.descriptors.get(descriptor)
        if opened is None:
            return False
        if isinstance(opened.node, File):
            opened.node.synced = bytes(opened.node.content)
        else:
            opened.node.synced = dict(opened.node.entries)
            opened.node.pending.clear()
        return True

    # --- Crashes -------------------------------------------------------------------------

    def crashes(self) -> Iterator[Tree]:
        """What may be on the disk after a crash now.

        The loss of everything unsynced, of nothing, and the loss or the survival of every one and
        of every two unsynced changes and contents.
        """
        changes, files = self._unsynced()
        unsynced: list[Change | File] = [*changes, *files]
        few = [
            *itertools.combinations(unsynced, 1),
            *itertools.combinations(unsynced, 2),
        ]
        yield self._tree(set())
        yield self._tree(set(map(id, unsynced)))
        for lost in few:
            yield self._tree(set(map(id, unsynced)) - set(map(id, lost)))
        for kept in few:
            yield self._tree(set(map(id, kept)))

    def _unsynced(self) -> tuple[list[Change], list[File]]:
        """All unsynced changes, and files with unsynced content, also of removed folders."""
        changes: list[Change] = []
        files: list[File] = []
        seen: set[int] = set()
        nodes: list[Node] = [self.top]
        while nodes:
            node = nodes.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, File):
                files += [] if node.is_synced else [node]
                continue
            changes += node.pending
            nodes += [*node.entries.values(), *node.synced.values()]
            nodes += [n for change in node.pending for n in change.entries.values() if n]
        return changes, files

    def _tree(self, kept: set[int]) -> Tree:
        """The files if of what is unsynced only `kept` survives."""
        tree: Tree = {}

        def walk(folder: Folder, path: str) -> None:
            entries = folder.synced
            for change in folder.pending:
                if id(change) in kept:
                    entries = changed(entries, change.entries)
            for name, node in entries.items():
                below = f"{path}{name}"
                if isinstance(node, Folder):
                    tree[below] = None
                    walk(node, f"{below}/")
                elif node.is_synced or id(node) not in kept:
                    tree[below] = node.synced
                else:
                    tree[below] = bytes(node.content)

        walk(self.top, "")
        return tree


def changed(entries: dict[str, Node], changes: dict[str, Node | None]) -> dict[str, Node]:
    """The entries of a folder after a change."""
    after = dict(entries)
    for name, node in changes.items():
        if node is None:
            after.pop(name, None)
        else:
            after[name] = node
    return after


def write(tree: Tree, folder: Path) -> None:
    """Write files to an empty folder."""
    for path, content in tree.items():
        if content is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).write_bytes(content)
