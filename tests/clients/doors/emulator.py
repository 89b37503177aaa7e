"""The function under the Lambda emulator, `cargo lambda watch`."""

import httpx

from doors import OPENING_SECONDS, Door
from doors.environment import environment
from launcher import Launched

FUNCTION = "similarity"


class Emulator(Launched):
    """An emulator that runs the function for as long as the `with` block."""

    def __init__(self) -> None:
        super().__init__("emulator", environment=environment())
        try:
            self._start_function()
        except BaseException:
            self.stop()
            raise

    @property
    def invoke_url(self) -> str:
        """The endpoint of AWS SDKs."""
        return str(self.ready["url"])

    @property
    def url(self) -> str:
        """The function URL."""
        return f"{self.invoke_url}/lambda-url/{FUNCTION}"

    @property
    def door(self) -> Door:
        """Where clients go in."""
        return Door("function URL", self.url)

    def _start_function(self) -> None:
        # The first event starts the function. Clients wait less than Cargo may take.
        health = httpx.post(
            str(self.ready["invoke_url"]), json={"operation": "health"}, timeout=OPENING_SECONDS
        )
        assert health.status_code == 200, health.text
