"""The command line that runs a function's bootstrap in its own file tree."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud.mount import Mount

_SCRIPT = Path(__file__).with_name("sandbox.sh")
TASK_ROOT = "/var/task"

# Lambda's own user is an unprivileged one.
_LAMBDA_UID = 993


def command(
    root: Path,
    task: Path,
    mounts: Sequence[Mount],
    environment: Mapping[str, str],
    tmp_mb: int,
    exposed: Sequence[Path] = (),
) -> list[str]:
    """Arguments that run `/var/task/bootstrap`, seeing only its own tree.

    `exposed` are further folders that it sees, read-only, where they are.
    """
    arguments = [str(root), str(task), str(tmp_mb), _user(mounts)]
    arguments.extend(f"ro:{folder}:{folder}" for folder in exposed)
    arguments.extend(
        f"{'rw' if mount.writable else 'ro'}:{mount.source}:{mount.target}" for mount in mounts
    )
    bootstrap = [
        "/usr/bin/env",
        "-i",
        f"--chdir={TASK_ROOT}",
        *(f"{name}={value}" for name, value in environment.items()),
        f"{TASK_ROOT}/bootstrap",
    ]
    return ["unshare", "--mount", "sh", str(_SCRIPT), *arguments, "--", *bootstrap]


def _user(mounts: Sequence[Mount]) -> str:
    # EFS squashes every access to the access point's user; running as that user has the
    # same effect. In a user namespace there is only one user.
    if not has_users():
        return "-"
    for mount in mounts:
        if mount.uid is not None and mount.gid is not None:
            return f"{mount.uid}:{mount.gid}"
    return f"{_LAMBDA_UID}:{_LAMBDA_UID}"


def has_users() -> bool:
    """Whether there is more than one user, which a user namespace does not have."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return os.geteuid() == 0 and any(int(line.split()[2]) > 65534 for line in lines)
