"""`semblance serve` as a process."""

from collections.abc import Mapping

from doors import Door
from doors.environment import cross_encoder_bundle, environment
from launcher import Launched


class Server(Launched):
    """A server that listens on a free port for as long as the `with` block."""

    def __init__(
        self, *arguments: str, cross_encoder: bool = True, settings: Mapping[str, str] | None = None
    ):
        if cross_encoder:
            arguments = ("--cross-encoder", cross_encoder_bundle(), *arguments)
        variables = {**environment(cross_encoder=False), **(settings or {})}
        super().__init__("server", "--", *arguments, environment=variables)

    @property
    def door(self) -> Door:
        """Where clients go in."""
        return Door("serve", self.url)
