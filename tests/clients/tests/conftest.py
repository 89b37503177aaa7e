"""The browser, which only these tests need."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from doors import PAGE_MILLISECONDS


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    path = shutil.which("chromium")
    assert path, "chromium is not on the PATH: apt-get install chromium"
    expect.set_options(timeout=PAGE_MILLISECONDS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path)
        yield running
        running.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: SEMBLANCE_SCREENSHOTS, else the test's own folder."""
    folder = Path(os.environ.get("SEMBLANCE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
