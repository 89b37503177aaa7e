"""Terraform on a copy of the configuration, with the provider found where it lies."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from tests import provider

REPOSITORY = Path(__file__).resolve().parents[3]
MODULES = [".", *sorted(f"modules/{p.name}" for p in (REPOSITORY / "terraform/modules").iterdir())]
EXAMPLES = sorted(path.name for path in (REPOSITORY / "terraform/examples").iterdir())

_PROVIDER = Path("registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64")
_SEARCHED_DEPTH = 3
_SHOWN_LINES = 60
_NOT_SEARCHED = {"proc", "sys", "dev", "run", "boot", "lost+found"}


class TerraformError(Exception):
    """A terraform command failed, or cannot be run at all."""


@dataclass(frozen=True)
class Run:
    """One command: what it printed, how it ended and how long it took."""

    status: int
    output: str
    seconds: float


class Terraform:
    """Commands in a copy of the configuration, so that nothing is left in the original.

    Commands with the same folder and environment share a provider; without `attach`, each starts
    its own.
    """

    def __init__(self, scratch: Path, *, attach: bool = True):
        self._attach = attach
        self._providers: dict[tuple[Path, tuple[tuple[str, str], ...]], provider.Provider] = {}
        self.binary = shutil.which("terraform")
        if self.binary is None:
            raise TerraformError("terraform is not on the PATH; version 1.10 or later is needed")
        self.folder = scratch / "terraform"
        left_out = shutil.ignore_patterns(".terraform", "*.tfstate*", "terraform.tfvars")
        shutil.copytree(REPOSITORY / "terraform", self.folder, ignore=left_out)
        # The defaults name the zips and the bundle from where the configuration lies.
        for built in ("target", "build"):
            (scratch / built).symlink_to(REPOSITORY / built)
        self._types = _types_in(self.folder)
        self._config = scratch / "cli.tfrc"
        self._config.write_text(_cli_configuration(provider_mirror()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._providers.values():
            running.stop()

    @contextmanager
    def clean_checkout(self) -> Iterator[None]:
        """Without what was built, as in a clone of the repository."""
        built = [self.folder.parent / name for name in ("target", "build")]
        for link in built:
            link.unlink()
        try:
            yield
        finally:
            for link in built:
                link.symlink_to(REPOSITORY / link.name)

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        expect: Sequence[int] = (0,),
    ) -> Run:
        """Run one command; another status than those expected is an error with its output."""
        assert self.binary is not None
        folder = folder or self.folder
        complete = {
            **_without_terraform(os.environ),
            "TF_CLI_CONFIG_FILE": str(self._config),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            # A 500 of the local cloud is a bug to see now, not to retry for minutes.
            "AWS_MAX_ATTEMPTS": "3",
            # Less garbage collection: a command takes three quarters of the CPU time.
            "GOGC": "400",
            **(environment or {}),
        }
        if self._attach and arguments[0] != "init":
            complete |= self._attached(folder, complete)
        started = time.monotonic()
        done = subprocess.run(
            [self.binary, *arguments],
            cwd=folder,
            env=complete,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        run = Run(done.returncode, _plain(done.stdout), time.monotonic() - started)
        if done.returncode not in expect:
            end = "\n".join(run.output.splitlines()[-_SHOWN_LINES:])
            raise TerraformError(f"terraform {' '.join(arguments)}: {run.status}\n{end}")
        return run

    def _attached(self, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
        """Returns the variable that attaches a command to a provider with its environment."""
        program = provider.installed_in(folder)
        if program is None:
            return {}
        # A provider that is configured twice with a CA bundle fails. The local cloud is plain HTTP.
        environment = {k: v for k, v in environment.items() if k != "AWS_CA_BUNDLE"}
        key = (folder, tuple(sorted(environment.items())))
        if key not in self._providers:
            self._providers[key] = provider.Provider(program, folder, environment, self._types)
        return {provider.ATTACH: self._providers[key].attachment}

    def init(self, folder: Path | None = None) -> Run:
        """Install the provider, holding the lock file to its hashes."""
        lock = ["-lockfile=readonly"] if folder is None else []
        return self.run("init", "-input=false", "-no-color", *lock, folder=folder)


@cache
def provider_mirror() -> Path | None:
    """Folder that holds the provider as terraform lays mirrors out; None to use the registry."""
    for candidate in _usual_mirrors():
        if (candidate / _PROVIDER).is_dir():
            return candidate
    return _searched_mirror()


def _usual_mirrors() -> Iterator[Path]:
    home = Path.home()
    configuration = Path(os.environ.get("TF_CLI_CONFIG_FILE", home / ".terraformrc"))
    if configuration.is_file():
        for path in re.findall(r'path\s*=\s*"([^"]+)"', configuration.read_text()):
            yield Path(path)
    if cache_dir := os.environ.get("TF_PLUGIN_CACHE_DIR"):
        yield Path(cache_dir)
    data_home = Path(os.environ.get("XDG_DATA_HOME", home / ".local/share"))
    data_dirs = os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(":")
    yield home / ".terraform.d" / "plugins"
    yield home / ".terraform.d" / "plugin-cache"
    for folder in [data_home, *map(Path, data_dirs)]:
        yield folder / "terraform" / "plugins"


def _searched_mirror() -> Path | None:
    """A bounded search: few levels deep, and never into what the kernel makes up."""
    level = [Path("/")]
    for _ in range(_SEARCHED_DEPTH):
        deeper: list[Path] = []
        for folder in level:
            try:
                children = [c for c in folder.iterdir() if c.is_dir() and not c.is_symlink()]
            except OSError:
                continue
            for child in children:
                if child.name in _NOT_SEARCHED:
                    continue
                if (child / _PROVIDER).is_dir():
                    return child
                deeper.append(child)
        level = deeper
    return None


def _types_in(folder: Path) -> frozenset[str]:
    """Types of resources and data sources that the files of a configuration name."""
    texts = (path.read_text() for path in folder.rglob("*") if path.suffix in {".tf", ".hcl"})
    return frozenset(name for text in texts for name in re.findall(r"\baws_[a-z0-9_]+", text))


def _cli_configuration(mirror: Path | None) -> str:
    if mirror is None:
        return "disable_checkpoint = true\n"
    return (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path    = "{mirror}"\n'
        '    include = ["registry.terraform.io/hashicorp/*"]\n  }\n}\n'
    )


def _without_terraform(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would reach another account or change terraform's ways."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("TF_", "AWS_")) or name == "AWS_CA_BUNDLE"
    }


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
