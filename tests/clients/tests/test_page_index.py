"""The panel of the page that searches an index and draws its map, in a real browser."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from doors import PAGE_MILLISECONDS, built
from doors.environment import environment
from doors.server import Server

from .test_page import DESK, Visit

ROWS = [
    ("reset", "How do I reset my password?", "account", 2024),
    ("forgot", "I forgot my password, how can I reset it?", "account", 2025),
    ("change", "Can I change my password?", "account", 2020),
    ("new", "Where do I get a new password?", "account", 2021),
    ("mail", "The mail with the new password did not arrive", "account", 2022),
    ("range", "How far does the electric car drive?", "car", 2023),
    ("charge", "What is the range of the electric car with one charge?", "car", 2025),
    ("battery", "How long does the battery of the electric car last?", "car", 2025),
    ("plug", "Which plug does the electric car need to charge?", "car", 2021),
    ("hours", "How many hours does the electric car charge?", "car", 2020),
    ("bread", "Bake the bread for <b>forty</b> minutes", "kitchen", 2001),
]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one index."""
    folder = tmp_path_factory.mktemp("indexes")
    names = ("id", "text", "topic", "year")
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in ROWS]
    rows = folder / "rows.jsonl"
    rows.write_text("\n".join(lines))
    program = built("target/debug/semblance", "test-clients")
    subprocess.run(
        [program, "index", "build", folder / "docs", rows],
        env=environment(cross_encoder=False),
        check=True,
    )
    with Server("--index-dir", str(folder), cross_encoder=False) as running:
        yield running


@pytest.fixture
def opened(browser: Browser, indexed: Server) -> Iterator[tuple[Page, Visit]]:
    """The page with the panel."""
    context = browser.new_context(viewport=DESK, locale="en-GB")
    context.set_default_timeout(PAGE_MILLISECONDS)
    visit = Visit(context.new_page())
    page = visit.open(indexed.url)
    expect(page.locator("#corpus-panel")).to_be_visible()
    yield page, visit
    assert visit.complaints == []
    context.close()


def found(page: Page) -> list[str]:
    """The texts of the rows that were found."""
    return page.locator("#found .sentence").all_inner_texts()


def test_it_searches_with_a_filter(opened: tuple[Page, Visit]) -> None:
    page, visit = opened
    assert page.locator("#index option").all_inner_texts() == ["docs"]
    page.get_by_label("Search for").fill("a forgotten password")
    page.get_by_role("button", name="Search", exact=True).click()
    status = page.locator("#corpus-status")
    expect(status).to_have_text(re.compile(r"^11 rows searched in \d+ ms, exactly$"))
    assert "password" in found(page)[0]
    assert len(found(page)) == 10
    expect(page.locator("#found .facts").first).to_contain_text("topic: account")

    page.get_by_label("Filter on metadata").fill('{"topic": "kitchen"}')
    page.get_by_label("Search for").press("Enter")
    expect(status).to_have_text(re.compile(r"^1 row searched"))
    # A text is never markup.
    assert found(page) == ["Bake the bread for <b>forty</b> minutes"]
    assert len(visit.asked("search")) == 2


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{", "The filter is not JSON"),
        ('{"shape": 1}', "HTTP 422 request.unknown_column"),
        ('{"$x": 1}', "HTTP 422 request.bad_filter"),
    ],
)
def test_an_invalid_filter_is_named(opened: tuple[Page, Visit], written: str, message: str) -> None:
    page, visit = opened
    page.get_by_label("Search for").fill("a forgotten password")
    page.get_by_label("Filter on metadata").fill(written)
    page.get_by_label("Search for").press("Enter")
    expect(page.locator("#corpus-status")).to_contain_text(message)
    # The browser reports a refused request itself.
    visit.complaints = [line for line in visit.complaints if "422" not in line]


def test_it_draws_a_map_with_clusters(opened: tuple[Page, Visit], pictures: Path) -> None:
    page, _ = opened
    page.get_by_label("Score of a cluster").fill("0.5")
    page.get_by_role("button", name="Draw a map").click()
    status = page.locator("#corpus-status")
    expect(status).to_have_text(re.compile(r"^11 rows and 2 clusters in \d+ ms$"))
    themes = page.locator("#themes li").all_inner_texts()
    assert len(themes) == 2
    assert any("car" in theme for theme in themes)
    assert any("password" in theme for theme in themes)
    drawn = page.evaluate("""() => {
      const canvas = document.querySelector("#map");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return data.filter((value, index) => index % 4 === 3 && value > 0).length;
    }""")
    assert drawn > 500, "points and labels have pixels"
    place = page.evaluate("map.at[map.ids.indexOf('bread')]")
    canvas = page.locator("#map").bounding_box()
    assert canvas is not None
    page.mouse.move(canvas["x"] + place[0], canvas["y"] + place[1])
    expect(page.locator("#map-hint")).to_have_text("bread Bake the bread for <b>forty</b> minutes")
    page.get_by_label("Search for").fill("a forgotten password")
    page.get_by_label("Search for").press("Enter")
    expect(status).to_have_text(re.compile("^11 rows searched"))
    assert page.evaluate("map.found.size") == 10
    page.locator("#corpus-panel").screenshot(path=pictures / "index.png")
