"""The AWS provider as a process that several Terraform commands use.

Terraform starts a provider several times in each command, and each start describes 1,500 types of
resources. With a provider that keeps running, `terraform test` of a module takes a sixth of the CPU
time. The program is the one that `terraform init` installed, with its documented flag `-debug`.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.relay import Relay

ATTACH = "TF_REATTACH_PROVIDERS"

_READY = re.compile(rf"{ATTACH}='(.*)'")
_INSTALLED = (
    ".terraform/providers/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws_v*"
)


class Provider:
    """A running provider; its AWS requests go where its environment says.

    It opens the files of a configuration itself, relative to the configuration's folder.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        environment: Mapping[str, str],
        types: frozenset[str],
    ):
        self._process = subprocess.Popen(
            [program, "-debug"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        attachment = json.loads(self._read_attachment())
        (provider,) = attachment.values()
        self._sockets = tempfile.TemporaryDirectory(prefix="provider-")
        socket = f"{self._sockets.name}/socket"
        self._relay = Relay(provider["Addr"]["String"], socket, types)
        provider["Addr"]["String"] = socket
        self.attachment = json.dumps(attachment)

    def _read_attachment(self) -> str:
        """Returns the value of the variable that attaches Terraform to this process."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := _READY.search(line):
                return found.group(1)
        raise RuntimeError(f"the provider did not start: exit {self._process.wait()}")

    def stop(self) -> None:
        """Ends the process."""
        self._relay.stop()
        self._sockets.cleanup()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def installed_in(folder: Path) -> Path | None:
    """Returns the provider that `terraform init` installed for a configuration, if it did."""
    return next(iter(sorted(folder.glob(_INSTALLED))), None)
