"""EFS: a folder for each file system, and who may mount it where.

Also the operations that moto lacks: PutBackupPolicy and DeleteFileSystemPolicy.
"""

import contextlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from moto.efs.models import AccessPoint, efs_backends
from moto.efs.responses import EFSResponse

from cloud import network
from cloud.mount import Mount
from cloud.policies import Verdict, evaluate, role_documents

NFS_PORT = 2049
_JSON = {"Content-Type": "application/json"}


class MountRefusedError(Exception):
    """A file system that a function cannot mount, as the Invoke API says it."""

    def __init__(self, error_type: str, status: int, message: str):
        super().__init__(message)
        self.error_type = error_type
        self.status = status
        self.message = message


class FileSystems:
    """The folders behind the file systems, under one folder of the cloud's state."""

    def __init__(self, root: Path):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, file_system_id: str) -> Path:
        """The folder of a file system, created on first use."""
        folder = self.root / file_system_id
        folder.mkdir(exist_ok=True)
        return folder

    def mount(
        self,
        account_id: str,
        region: str,
        role_arn: str,
        access_point_arn: str,
        target: str,
        subnet_ids: Iterable[str],
        security_group_ids: Iterable[str],
    ) -> Mount:
        """The mount that a function gets, or `MountRefusedError` with what AWS would say."""
        access_point = self._access_point(account_id, region, access_point_arn)
        file_system_id = access_point.file_system_id
        self._check_reachable(account_id, region, file_system_id, subnet_ids, security_group_ids)
        if not self._permits(account_id, region, role_arn, access_point, "ClientMount"):
            raise MountRefusedError(
                "EFSMountFailureException",
                403,
                f"The function's role may not mount the access point {access_point_arn}: "
                "it has no elasticfilesystem:ClientMount.",
            )
        user = access_point.posix_user or {}
        return Mount(
            source=self._root_directory(access_point),
            target=target,
            writable=self._permits(account_id, region, role_arn, access_point, "ClientWrite"),
            uid=user.get("Uid"),
            gid=user.get("Gid"),
        )

    def files(self, file_system_id: str) -> list[dict[str, Any]]:
        """Every file and folder below a file system's root, in order."""
        folder = self.folder(file_system_id)
        entries = []
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            entries.append(
                {
                    "path": str(path.relative_to(folder)),
                    "folder": stat.S_ISDIR(status.st_mode),
                    "bytes": status.st_size,
                    "mode": stat.S_IMODE(status.st_mode),
                    "uid": status.st_uid,
                }
            )
        return entries

    def limit(self, file_system_id: str, size_bytes: int | None) -> None:
        """Let a file system hold at most `size_bytes`; None lifts the limit.

        Its folder is replaced by one of that size with the same content, so nothing may
        be running on it: the caller stops the functions first.
        """
        folder = self.folder(file_system_id)
        former = folder.with_name(f"{folder.name}.former")
        mounted = os.path.ismount(folder)
        if mounted:
            subprocess.run(["cp", "-a", f"{folder}/.", _new_folder(former)], check=True)
            subprocess.run(["umount", folder], check=True)
            folder.rmdir()
            former.rename(folder)
        if size_bytes is not None:
            folder.rename(former)
            folder.mkdir()
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder], check=True
            )
            shutil.copystat(former, folder)
            subprocess.run(["cp", "-a", f"{former}/.", folder], check=True)
            shutil.rmtree(former)

    def _access_point(self, account_id: str, region: str, arn: str) -> AccessPoint:
        access_point = efs_backends[account_id][region].access_points.get(
            arn.rsplit("/", maxsplit=1)[-1]
        )
        if access_point is None:
            raise MountRefusedError(
                "EFSMountFailureException", 403, f"The access point {arn} does not exist."
            )
        return access_point

    def _check_reachable(
        self,
        account_id: str,
        region: str,
        file_system_id: str,
        subnet_ids: Iterable[str],
        security_group_ids: Iterable[str],
    ) -> None:
        targets = {
            target.availability_zone_name: target
            for target in efs_backends[account_id][region].mount_targets_by_id.values()
            if target.file_system_id == file_system_id
        }
        for subnet_id in subnet_ids:
            zone = network.zone_of_subnet(account_id, region, subnet_id)
            target = targets.get(zone)
            if target is None:
                raise MountRefusedError(
                    "EFSMountConnectivityException",
                    408,
                    f"The file system {file_system_id} has no mount target in {zone}.",
                )
            groups = target.security_groups or []
            if not network.lets_through(account_id, region, security_group_ids, groups, NFS_PORT):
                raise MountRefusedError(
                    "EFSMountConnectivityException",
                    408,
                    f"The security groups let no NFS through to {file_system_id} in {zone}.",
                )

    def _permits(
        self, account_id: str, region: str, role_arn: str, access_point: AccessPoint, verb: str
    ) -> bool:
        """Whether role and file-system policy together allow `elasticfilesystem:<verb>`."""
        file_system = efs_backends[account_id][region].file_systems_by_id[
            access_point.file_system_id
        ]
        context = {
            "aws:SecureTransport": "true",  # Lambda always mounts over TLS.
            "aws:PrincipalArn": role_arn,
            "elasticfilesystem:AccessPointArn": access_point.access_point_arn,
            "elasticfilesystem:AccessedViaMountTarget": "true",
        }
        action = f"elasticfilesystem:{verb}"
        arn = file_system.file_system_arn
        of_role = evaluate(role_documents(account_id, region, role_arn), action, arn, context)
        policy = file_system.file_system_policy
        if not policy:
            # EFS documents its default policy: every client that can connect may do all.
            return of_role is not Verdict.DENIED
        of_resource = evaluate([json.loads(policy)], action, arn, context, principal=role_arn)
        verdicts = {of_role, of_resource}
        return Verdict.DENIED not in verdicts and Verdict.ALLOWED in verdicts

    def _root_directory(self, access_point: AccessPoint) -> Path:
        described: dict[str, Any] = access_point.root_directory
        path: Path = self.folder(access_point.file_system_id) / described["Path"].lstrip("/")
        if not path.is_dir():
            creation = described.get("CreationInfo")
            if creation is None:
                raise MountRefusedError(
                    "EFSMountFailureException",
                    403,
                    f"The access point's root directory {described['Path']} does not exist.",
                )
            path.mkdir(parents=True)
            path.chmod(int(creation["Permissions"], 8))
            # In a user namespace there is one user, who owns everything.
            with contextlib.suppress(OSError):
                os.chown(path, int(creation["OwnerUid"]), int(creation["OwnerGid"]))
        return path


def _new_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


_backup_status: dict[str, str] = {}
_moto_describe_backup_policy = EFSResponse.describe_backup_policy


def _put_backup_policy(self: EFSResponse) -> tuple[str, dict[str, str]]:
    file_system_id = self._get_param("FileSystemId")
    _backup_status[file_system_id] = self._get_param("BackupPolicy")["Status"]
    return json.dumps({"BackupPolicy": {"Status": _backup_status[file_system_id]}}), _JSON


def _describe_backup_policy(self: EFSResponse) -> tuple[str, dict[str, Any]]:
    status = _backup_status.get(self._get_param("FileSystemId"))
    if status is None:
        return _moto_describe_backup_policy(self)
    return json.dumps({"BackupPolicy": {"Status": status}}), dict(_JSON)


def _delete_file_system_policy(self: EFSResponse) -> tuple[str, dict[str, Any]]:
    file_system = self.efs_backend.file_systems_by_id[self._get_param("FileSystemId")]
    file_system.file_system_policy = None
    return "{}", {**_JSON, "status": 200}


def mend() -> None:
    """Add the operations that moto lacks."""
    EFSResponse.describe_backup_policy = _describe_backup_policy  # type: ignore[method-assign]
    for name, operation in (
        ("put_backup_policy", _put_backup_policy),
        ("delete_file_system_policy", _delete_file_system_policy),
    ):
        setattr(EFSResponse, name, operation)
