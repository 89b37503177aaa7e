"""The interfaces, started once for all tests."""

from collections.abc import Iterator

import pytest

from doors import Door
from doors.emulator import Emulator
from doors.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """`semblance serve` with both models; it has to end with status 0."""
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The function under `cargo lambda watch` with both models."""
    with Emulator() as running:
        yield running


@pytest.fixture(params=["server", "emulator"], ids=["serve", "function-url"])
def door(request: pytest.FixtureRequest) -> Door:
    """Each interface."""
    running: Server | Emulator = request.getfixturevalue(request.param)
    return running.door


@pytest.fixture(autouse=True)
def keys_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake keys: the tests call only the interfaces."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anything")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests reported, whether they passed or not."""
    for outcome in ("passed", "failed"):
        for result in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(result, "user_properties", []):
                if result.when == "call":
                    terminalreporter.section(str(name))
                    terminalreporter.write_line(str(value))
