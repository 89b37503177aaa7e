"""The page to try it on, in a real browser."""

import base64
import hashlib
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    Route,
    ViewportSize,
    expect,
)

from doors import ANSWER_SECONDS, PAGE_MILLISECONDS

LONDON = "How many people live in London?"
CANDIDATES = [
    "London is known for its financial district",
    "Segmentation fault (core dumped)",
    "Around 9 Million people live in London",
    "L'été, it's 30 °C & sunny in “Zürich” \\ 🦀",
]
PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}

# What the page waits after a key, and for an answer, in milliseconds.
DEBOUNCE_MS = 250
TIMEOUT_MS = 30_000


class Opened(Protocol):
    """A server: the prefix of every route, without a trailing slash."""

    @property
    def url(self) -> str:
        """Where clients go in."""


class Visit:
    """A page, and what it asked for and complained about."""

    def __init__(self, page: Page):
        self.page = page
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        # Playwright sets an attribute on a handler, which a builtin function does not allow.
        page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._complain)

    def _complain(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, url: str) -> Page:
        """Opens the page and waits for the scores of its example."""
        self.page.goto(url)
        settle(self.page)
        return self.page

    def asked(self, route: str) -> list[Request]:
        """The requests to one route."""
        return [request for request in self.requests if request.url.endswith(f"/{route}")]


# The page converts colors by drawing them, because they can be in another color space.
RGBA = """
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
"""

# Red, green and blue of each cell of the matrix.
CELL_COLOURS = f"""() => {{{RGBA}
  return [...document.querySelectorAll("#matrix td")]
    .map((cell) => rgba(getComputedStyle(cell).backgroundColor).slice(0, 3));
}}"""


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport=DESK, locale="en-GB")
    context.set_default_timeout(PAGE_MILLISECONDS)
    visit = Visit(context.new_page())
    yield visit
    context.close()


def settle(page: Page) -> None:
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def score(page: Page, query: str, candidates: list[str]) -> None:
    """Types both fields and asks for the scores at once."""
    page.get_by_label("Query", exact=True).fill(query)
    page.get_by_label("Candidates, one per line").fill("\n".join(candidates))
    page.keyboard.press("Control+Enter")
    settle(page)


def shown(page: Page) -> list[tuple[int, str, str]]:
    """The rows as they stand: index of the candidate, text, score."""
    rows = page.locator("#bars > li[data-index]")
    return [
        (
            int(row.get_attribute("data-index") or -1),
            row.locator(".sentence").get_attribute("title") or "",
            row.locator(".score").inner_text(),
        )
        for row in rows.all()
    ]


def inputs(request: Request) -> dict[str, Any]:
    """What a request of the page asked POST /similarity for."""
    body: dict[str, Any] = request.post_data_json or {}
    asked: dict[str, Any] = body["inputs"]
    return asked


def similarity(url: str, query: str, candidates: list[str]) -> list[float]:
    answer = httpx.post(
        f"{url}/similarity",
        json={
            "inputs": {"source_sentence": query, "sentences": candidates},
            "parameters": {"truncate": True},
        },
        timeout=ANSWER_SECONDS,
    )
    assert answer.status_code == 200, answer.text
    scores: list[float] = answer.json()
    return scores


def tokens(url: str, texts: list[str]) -> list[list[dict[str, Any]]]:
    answer = httpx.post(f"{url}/tokenize", json={"inputs": texts}, timeout=ANSWER_SECONDS)
    assert answer.status_code == 200, answer.text
    split: list[list[dict[str, Any]]] = answer.json()
    return split


def expected_rows(url: str, query: str, candidates: list[str]) -> list[tuple[int, str, float]]:
    """Candidates with their scores, best first."""
    scores = similarity(url, query, candidates)
    rows = [
        (index, text, value)
        for index, (text, value) in enumerate(zip(candidates, scores, strict=True))
    ]
    return sorted(rows, key=lambda row: -row[2])


def assert_rows(actual: list[tuple[int, str, str]], wanted: list[tuple[int, str, float]]) -> None:
    assert [row[:2] for row in actual] == [row[:2] for row in wanted]
    for (_, _, text), (_, _, value) in zip(actual, wanted, strict=True):
        assert re.fullmatch(r"-?\d\.\d{4}", text), text
        # Half of the last digit, and what one forward pass differs from another.
        assert abs(float(text) - value) <= 0.5e-4 + 1e-6


def test_it_scores_as_the_server_does_best_first(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    score(page, LONDON, CANDIDATES)
    assert_rows(shown(page), expected_rows(door.url, LONDON, CANDIDATES))
    expect(page.locator("#status")).to_have_text(re.compile(r"^4 candidates scored in \d+ ms$"))
    expect(page.locator("#alert")).to_be_empty()

    page.get_by_label("Keep input order").check()
    assert [index for index, _, _ in shown(page)] == [0, 1, 2, 3]
    page.get_by_label("Keep input order").uncheck()
    assert shown(page)[0][0] == 2


@pytest.mark.parametrize("end", ["", "/"], ids=["no slash", "slash"])
def test_it_stays_below_its_own_url(door: Opened, visit: Visit, end: str) -> None:
    page = visit.open(door.url + end)
    score(page, LONDON, CANDIDATES)
    assert visit.requests[0].is_navigation_request()
    # The icon is in the page itself.
    asked = {request.url for request in visit.requests[1:] if not request.url.startswith("data:")}
    routes = ("similarity", "info", "tokenize", "embed")
    assert asked == {f"{door.url}/{route}" for route in routes}
    for name, route in (("OpenAPI", "openapi.json"), ("Info", "info"), ("Health", "health")):
        link = page.get_by_role("link", name=name)
        expect(link).to_have_attribute("href", f"{door.url}/{route}")
    assert visit.complaints == []


def test_it_needs_no_more_than_its_own_script_and_style(server: Opened, visit: Visit) -> None:
    def strict(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        hashes = {
            name: base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
            for name, body in re.findall(r"<(script|style)>(.*?)</\1>", text, re.DOTALL)
        }
        policy = (
            f"default-src 'none'; script-src 'sha256-{hashes['script']}'; "
            f"style-src 'sha256-{hashes['style']}'; connect-src 'self'; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )
        headers = {**answer.headers, "content-security-policy": policy}
        route.fulfill(response=answer, headers=headers, body=text)

    visit.page.route(f"{server.url}/", strict)
    page = visit.open(f"{server.url}/")
    score(page, LONDON, CANDIDATES)
    assert len(shown(page)) == len(CANDIDATES)
    bar = page.locator(".bar").first.bounding_box()
    assert bar is not None
    assert bar["width"] > 50, "the style applies, and so do widths that the script sets"
    assert visit.complaints == []


def test_it_scores_while_one_types_and_once_for_all_keys(server: Opened, visit: Visit) -> None:
    page = visit.page
    page.clock.install()
    visit.open(server.url)
    page.clock.pause_at(page.evaluate("Date.now() + 60000"))
    before = len(visit.asked("similarity"))
    page.get_by_label("Query", exact=True).press("End")
    page.keyboard.type(" And in Paris?")
    page.clock.run_for(DEBOUNCE_MS - 10)
    assert len(visit.asked("similarity")) == before
    with page.expect_response("**/similarity"):
        page.clock.run_for(20)
    settle(page)
    assert len(visit.asked("similarity")) == before + 1
    asked = inputs(visit.asked("similarity")[-1])
    assert asked["source_sentence"] == f"{LONDON} And in Paris?"
    assert_rows(
        shown(page),
        expected_rows(server.url, asked["source_sentence"], asked["sentences"]),
    )


def test_an_answer_that_comes_late_is_not_shown(server: Opened, visit: Visit) -> None:
    # While its clock is stopped, the page sends no request by itself, however long a step takes.
    page = visit.page
    page.clock.install()
    visit.open(server.url)
    page.clock.pause_at(page.evaluate("Date.now() + 60000"))
    held: list[Route] = []
    aborted: list[Request] = []
    page.on("requestfailed", lambda request: aborted.append(request))  # noqa: PLW0108

    def hold(route: Route) -> None:
        if inputs(route.request)["source_sentence"] == "first":
            held.append(route)
        else:
            route.continue_()

    page.route("**/similarity", hold)
    page.get_by_label("Query", exact=True).fill("first")
    with page.expect_request("**/similarity"):
        page.keyboard.press("Control+Enter")
    expect(page.locator("#scores-panel")).to_have_attribute("aria-busy", "true")
    # A new request, then another one: each cancels the run in progress.
    with page.expect_event("requestfailed"), page.expect_request("**/similarity"):
        page.keyboard.press("Control+Enter")
    with page.expect_event("requestfailed"):
        page.get_by_label("Query", exact=True).fill("second")
    assert [inputs(request)["source_sentence"] for request in aborted] == ["first", "first"]
    assert held, "the server has not answered them"
    score(page, "second", CANDIDATES)
    assert_rows(shown(page), expected_rows(server.url, "second", CANDIDATES))
    expect(page.locator("#alert")).to_be_empty()
    assert visit.complaints == []


def test_bars_are_as_long_as_scores_and_negative_ones_lie_left(
    server: Opened, visit: Visit
) -> None:
    page = visit.open(server.url)
    score(page, LONDON, CANDIDATES)
    track = page.locator(".track").first.bounding_box()
    assert track is not None
    scores = [float(value) for _, _, value in shown(page)]
    assert min(scores) < 0 < max(scores), "the candidates have scores of both signs"
    origin = page.locator(".origin").first.bounding_box()
    assert origin is not None
    unit = track["x"] + track["width"] - origin["x"]
    for value, bar in zip(scores, page.locator(".bar").all(), strict=True):
        box = bar.bounding_box()
        assert box is not None
        assert math.isclose(box["width"], abs(value) * unit, abs_tol=1.5)
        start = box["x"] if value >= 0 else box["x"] + box["width"]
        assert math.isclose(start, origin["x"], abs_tol=1.5)


def test_tokens_are_the_servers(server: Opened, visit: Visit) -> None:
    page = visit.open(server.url)
    score(page, LONDON, CANDIDATES)
    rows = page.locator("#tokens > li")
    for row, split in zip(rows.all(), tokens(server.url, [LONDON, *CANDIDATES]), strict=True):
        assert row.locator(".chip").all_text_contents() == [token["text"] for token in split]
        expect(row.locator(".counted")).to_contain_text(f"{len(split)} tokens")
    expect(page.locator(".gone")).to_have_count(0)
    expect(page.locator("#truncation")).to_be_empty()


def test_what_the_model_does_not_read_is_shown_as_cut(
    door: Opened, visit: Visit, pictures: Path
) -> None:
    page = visit.open(door.url)
    limit = httpx.get(f"{door.url}/info", timeout=ANSWER_SECONDS).json()["max_input_length"]
    long = "river " * (limit + 30) + "end"
    score(page, LONDON, ["short", long])
    notice = page.locator("#truncation")
    expect(notice).to_contain_text("candidate 2.")
    expect(notice).to_contain_text(f"the first {limit} tokens")
    expect(page.locator("#bars > li[data-index='1'] .tag")).to_have_text("truncated")
    expect(page.locator("#bars > li[data-index='0'] .tag")).to_have_count(0)
    page.screenshot(path=pictures / f"truncated-{'/' in door.url[8:]}.png", full_page=True)

    row = page.locator("#tokens > li[data-index='2']")
    (split,) = tokens(door.url, [long])
    while row.get_by_role("button").count():
        row.get_by_role("button").first.click()
    assert row.locator(".chip").all_text_contents() == [token["text"] for token in split]
    gone = row.locator(".gone")
    assert gone.count() == len(split) - limit
    expect(gone.last).to_have_text("end")
    expect(row.locator(".chip").last).to_have_text("[SEP]")
    expect(row.locator(".chip").last).not_to_have_class(re.compile("gone"))
    expect(row.locator(".counted")).to_contain_text(f"{len(split) - limit} of them truncated")

    score(page, long, ["short"])
    expect(notice).to_contain_text("the query.")


def test_timings_are_those_of_the_response(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    page.get_by_label("Query", exact=True).fill("Timed")
    with page.expect_response("**/similarity") as answer:
        page.keyboard.press("Control+Enter")
    settle(page)
    headers = answer.value.headers
    said = dict(
        zip(
            page.locator("#timings dt").all_text_contents(),
            page.locator("#timings dd").all_text_contents(),
            strict=True,
        )
    )
    assert re.fullmatch(r"\d+\.\d ms", said.pop("Round trip"))
    assert said == {
        "In the server": f"{headers['x-total-time']} ms",
        "Tokenization": f"{headers['x-tokenization-time']} ms",
        "Inference": f"{headers['x-inference-time']} ms",
        "Tokens": headers["x-compute-tokens"],
    }


def test_the_matrix_holds_every_pair(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    score(page, LONDON, CANDIDATES)
    texts = [LONDON, *CANDIDATES]
    cells = page.locator("#matrix td").evaluate_all(
        "cells => cells.map(({dataset, textContent, title}) => "
        "[+dataset.row, +dataset.column, dataset.value, textContent, title])"
    )
    assert len(cells) == len(texts) ** 2
    value = {(row, column): float(exact) for row, column, exact, _, _ in cells}
    text = {(row, column): short for row, column, _, short, _ in cells}
    for row in range(len(texts)):
        assert text[row, row] == "1.00"
        wanted = similarity(door.url, texts[row], texts)
        for column in range(len(texts)):
            assert value[row, column] == value[column, row]
            assert abs(value[row, column] - wanted[column]) <= 0.5e-4 + 1e-6
    heads = page.locator("#matrix thead th[title]")
    assert heads.all_text_contents() == ["Q", "1", "2", "3", "4"]
    titles = [head.get_attribute("title") for head in heads.all()]
    assert titles == texts
    assert cells[1][4] == f"{value[0, 1]:.4f}: query and candidate 1"

    # Blue is alike, orange opposed, and the paler the nearer to zero.
    painted = [
        (exact, colour)
        for exact, colour in zip(
            (float(cell[2]) for cell in cells), page.evaluate(CELL_COLOURS), strict=True
        )
        if abs(exact) > 0.01
    ]
    assert min(painted)[0] < 0
    for exact, (red, _, blue) in painted:
        assert (blue > red) == (exact > 0)
    by_score = sorted((exact, blue - red) for exact, (red, _, blue) in painted if exact > 0)
    assert [depth for _, depth in by_score] == sorted(depth for _, depth in by_score)

    page.locator("#matrix td[data-row='0'][data-column='3']").hover()
    expect(page.locator("#readout")).to_contain_text(f"“{LONDON}” and “{CANDIDATES[2]}”")


def test_many_candidates_are_all_scored_and_the_first_detailed(
    server: Opened, visit: Visit
) -> None:
    page = visit.open(server.url)
    candidates = [f"{number} bottles of beer on the wall" for number in range(60)]
    score(page, LONDON, candidates)
    assert_rows(sorted(shown(page)), sorted(expected_rows(server.url, LONDON, candidates)))
    expect(page.locator("#matrix td")).to_have_count(32 * 32)
    expect(page.locator("#tokens > li")).to_have_count(32)
    for hint in ("#matrix-hint", "#tokens-hint"):
        expect(page.locator(hint)).to_contain_text("The first 32 of 61 texts are shown.")


def test_the_curl_command_runs_as_it_is_copied(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    score(page, LONDON, CANDIDATES)
    page.get_by_role("button", name="Copy curl").click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    command = page.evaluate("navigator.clipboard.readText()")
    assert command == page.locator("#curl").text_content()
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    wanted = similarity(door.url, LONDON, CANDIDATES)
    assert json.loads(ran.stdout) == pytest.approx(wanted, abs=1e-6)


def test_the_lambda_event_is_the_functions_own(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    score(page, LONDON, CANDIDATES)
    event = json.loads(page.locator("#event").text_content() or "")
    assert event == {"query_from_app": LONDON, "actual_queries": CANDIDATES}
    answer = httpx.post(f"{door.url}/", json=event, timeout=ANSWER_SECONDS)
    assert answer.status_code == 200, answer.text
    pairs = answer.json()["Scores"]
    assert_rows(shown(page), [(CANDIDATES.index(text), text, value) for text, value in pairs])
    invoke = page.locator("#invoke").text_content() or ""
    assert invoke.startswith("aws lambda invoke --function-name ")
    assert "--payload file://event.json" in invoke


def test_the_model_is_named(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    info = httpx.get(f"{door.url}/info", timeout=ANSWER_SECONDS).json()
    facts = page.locator("#facts").inner_text().replace("\n", " ")
    for fact in ("model_id", "dimensions", "max_input_length", "version"):
        assert str(info[fact]) in facts
    assert f"{info['max_client_batch_size']:,}" in facts


OVERLOADED = json.dumps({"error": "32 requests are in progress", "error_type": "http.overloaded"})
FAILED = json.dumps({"error": "the forward pass failed", "error_type": "model.inference_failed"})
REFUSALS: dict[str, tuple[dict[str, Any] | None, list[str]]] = {
    "overloaded": (
        {"status": 429, "body": OVERLOADED, "headers": {"retry-after": "2"}},
        ["HTTP 429 http.overloaded", "32 requests are in progress", "retry after 2 s"],
    ),
    "failed": (
        {"status": 500, "body": FAILED},
        ["HTTP 500 model.inference_failed", "the forward pass failed"],
    ),
    "gateway": (
        {"status": 502, "body": "<h1>Bad\n gateway</h1>", "content_type": "text/html"},
        ["HTTP 502", "<h1>Bad gateway</h1>"],
    ),
    "forbidden": (
        {"status": 403, "body": '{"Message":"Forbidden"}'},
        ["HTTP 403", "Forbidden"],
    ),
    "openai": (
        {"status": 400, "body": '{"error":{"message":"no such model","code":"a.code"}}'},
        ["HTTP 400 a.code", "no such model"],
    ),
    "nothing": ({"status": 503, "body": ""}, ["HTTP 503", "an empty body"]),
    "not JSON": ({"status": 200, "body": "hello"}, ["HTTP 200", "is not JSON: hello"]),
    "another shape": ({"status": 200, "body": "[0.5]"}, ["Unexpected response"]),
    "not numbers": ({"status": 200, "body": "[1,2,null,4]"}, ["Unexpected response"]),
    "no connection": (None, ["No connection", "cannot be reached"]),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_error_is_said_and_gone_with_the_next_answer(
    server: Opened, visit: Visit, pictures: Path, case: str
) -> None:
    reply, said = REFUSALS[case]
    page = visit.open(server.url)
    score(page, LONDON, CANDIDATES)
    before = shown(page)
    page.route("**/similarity", lambda route: route.fulfill(**reply) if reply else route.abort())
    score(page, "Another question", CANDIDATES)
    alert = page.get_by_role("alert")
    for words in said:
        expect(alert).to_contain_text(words)
    assert alert.locator("h1").count() == 0
    expect(alert).to_be_in_viewport()
    assert shown(page) == before
    tags = page.locator("h2 .tag")
    assert [tag.is_visible() for tag in tags.all()] == [True, True, True]
    page.screenshot(path=pictures / f"error-{case.replace(' ', '-')}.png")

    page.unroute("**/similarity")
    page.get_by_role("button", name="Score").click()
    settle(page)
    expect(alert).to_be_empty()
    assert [tag.is_visible() for tag in tags.all()] == [False, False, False]
    assert_rows(shown(page), expected_rows(server.url, "Another question", CANDIDATES))


@pytest.mark.parametrize(
    ("route", "old"),
    [
        ("info", ["Tokens", "Similarity of all pairs"]),
        ("tokenize", ["Tokens", "Similarity of all pairs"]),
        ("embed", ["Similarity of all pairs"]),
    ],
)
def test_an_error_behind_the_scores_leaves_the_scores(
    server: Opened, visit: Visit, route: str, old: list[str]
) -> None:
    page = visit.page
    page.route(f"**/{route}", lambda held: held.fulfill(status=500, body=FAILED))
    visit.open(server.url)
    expect(page.get_by_role("alert")).to_contain_text("HTTP 500 model.inference_failed")
    assert len(shown(page)) == 7
    marked = [
        tag for tag in page.locator("h2:has(.tag)").all() if "not updated" in tag.inner_text()
    ]
    assert [heading.inner_text().split("not updated")[0].strip() for heading in marked] == old
    page.unroute(f"**/{route}")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+Enter")
    settle(page)
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#matrix td")).to_have_count(64)
    expect(page.locator("#facts")).to_contain_text("Model")


def test_a_server_that_does_not_answer_is_given_up(server: Opened, visit: Visit) -> None:
    page = visit.page
    page.clock.install()
    visit.open(server.url)
    page.route("**/similarity", lambda _: None)
    page.get_by_label("Query", exact=True).fill("Anybody there?")
    with page.expect_request("**/similarity"):
        page.keyboard.press("Control+Enter")
    page.clock.fast_forward(TIMEOUT_MS + 1000)
    expect(page.get_by_role("alert")).to_contain_text("Timed out")
    expect(page.get_by_role("alert")).to_contain_text("30 s")
    page.unroute("**/similarity")
    page.keyboard.press("Control+Enter")
    settle(page)
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_text_beyond_the_size_limit_is_truncated(door: Opened, visit: Visit) -> None:
    page = visit.open(door.url)
    score(page, LONDON, ["short", "x " * 35_000])
    expect(page.get_by_role("alert")).to_be_empty()
    expect(page.locator("#truncation")).to_contain_text("candidate 2")
    score(page, LONDON, ["short"])
    expect(page.locator("#truncation")).to_be_empty()
    assert_rows(shown(page), expected_rows(door.url, LONDON, ["short"]))


def test_nothing_is_asked_while_a_field_is_empty(server: Opened, visit: Visit) -> None:
    page = visit.open(server.url)
    asked = len(visit.requests)
    for field, empty, hint in (
        ("Query", " ", "Type a query"),
        ("Candidates, one per line", "\n  \n\t\n", "Type at least one candidate"),
    ):
        label = page.get_by_label(field, exact=True)
        typed = label.input_value()
        label.fill(empty)
        page.keyboard.press("Control+Enter")
        expect(page.locator("#bars")).to_contain_text(hint)
        expect(page.locator("#bars > li[data-index]")).to_have_count(0)
        expect(page.locator("#curl")).to_contain_text(hint)
        expect(page.get_by_role("button", name="Copy curl")).to_be_disabled()
        expect(page.locator("#matrix td")).to_have_count(0)
        expect(page.locator("#tokens > li")).to_have_count(0)
        page.wait_for_timeout(2 * DEBOUNCE_MS)
        assert len(visit.requests) == asked
        label.fill(typed)
        page.keyboard.press("Control+Enter")
        settle(page)
        assert len(shown(page)) == 7
        asked = len(visit.requests)
    assert visit.complaints == []


def test_the_example_comes_back(server: Opened, visit: Visit) -> None:
    page = visit.open(server.url)
    example = shown(page)
    score(page, "Something else", ["quite"])
    page.get_by_role("button", name="Example").click()
    expect(page.locator("#bars > li[data-index]")).to_have_count(len(example))
    settle(page)
    assert shown(page) == example
    expect(page.get_by_label("Query", exact=True)).to_have_value(LONDON)


def test_empty_lines_are_left_out(server: Opened, visit: Visit) -> None:
    page = visit.open(server.url)
    score(page, LONDON, ["", CANDIDATES[0], "  ", CANDIDATES[2], ""])
    assert_rows(shown(page), expected_rows(server.url, LONDON, [CANDIDATES[0], CANDIDATES[2]]))
    expect(page.locator("#counted")).to_contain_text("2 candidates")


def test_markup_in_a_text_stays_text(server: Opened, visit: Visit) -> None:
    page = visit.page
    page.route(
        "**/info",
        lambda route: route.fulfill(
            json={**route.fetch().json(), "model_id": "<img src=model onerror='window.hit=1'>"}
        ),
    )
    visit.open(server.url)
    attacks = [
        "<img src=x onerror='window.hit=1'>",
        "<script>window.hit=1</script>",
        "</textarea></pre><svg onload=window.hit=1>",
        "' ; echo hit ; '",
    ]
    score(page, "<b id=bold>query</b>", attacks)
    assert {text for _, text, _ in shown(page)} == set(attacks)
    for text in attacks:
        expect(page.locator("#bars")).to_contain_text(text)
        expect(page.locator("#matrix")).to_contain_text(text)
    expect(page.locator("#facts")).to_contain_text("<img src=model")
    page.locator("#matrix td").nth(1).hover()
    expect(page.locator("#readout")).to_contain_text("<b id=bold>query</b>")

    page.route(
        "**/similarity",
        lambda route: route.fulfill(status=422, json={"error": attacks[0], "error_type": "<b>"}),
    )
    page.keyboard.press("Control+Enter")
    settle(page)
    expect(page.get_by_role("alert")).to_contain_text(attacks[0])

    assert page.locator("main img, main svg, main script, #bold, footer img").count() == 0
    assert page.evaluate("window.hit") is None
    command = page.locator("#curl").text_content() or ""
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert len(json.loads(ran.stdout)) == len(attacks)


def focused(page: Page) -> str:
    """What has the focus; that it can be seen is asserted."""
    name, outline = page.evaluate(
        "() => { const e = document.activeElement; const s = getComputedStyle(e);"
        " return [e.id || e.innerText || e.tagName, s.outlineStyle + ' ' + s.outlineWidth]; }"
    )
    assert outline == "solid 2px", f"the focus on {name} can be seen"
    return str(name).strip()


def test_the_keyboard_is_enough(server: Opened, visit: Visit) -> None:
    page = visit.open(server.url)
    keys = page.keyboard
    keys.press("Tab")
    assert focused(page) == "query"
    keys.press("Control+A")
    keys.type("How tall is the tower?")
    keys.press("Enter")
    settle(page)
    assert shown(page)[0][1] != ""
    keys.press("Tab")
    assert focused(page) == "candidates"
    keys.press("Control+A")
    keys.type("It is 300 metres high")
    keys.press("Enter")
    keys.type("Bread needs salt")
    keys.press("Enter")
    keys.type("A high building")
    keys.press("Control+Enter")
    settle(page)
    texts = ["It is 300 metres high", "Bread needs salt", "A high building"]
    assert_rows(shown(page), expected_rows(server.url, "How tall is the tower?", texts))

    stops = []
    for _ in range(12):
        keys.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        stops.append(focused(page))
        if stops[-1] == "keep":
            keys.press("Space")
            assert [index for index, _, _ in shown(page)] == [0, 1, 2]
        if stops[-1] == "1.00":
            keys.press("ArrowRight")
            keys.press("ArrowRight")
            keys.press("ArrowDown")
            assert page.evaluate(
                "[document.activeElement.dataset.row, document.activeElement.dataset.column]"
            ) == ["1", "2"]
            expect(page.locator("#readout")).to_contain_text(f"“{texts[0]}” and “{texts[1]}”")
            focused(page)
            keys.press("ArrowUp")
            keys.press("Home")
    assert stops == [
        *("Score", "Example", "keep", "1.00", "copy-curl", "curl", "copy-event", "event"),
        *("copy-invoke", "invoke", "to-openapi", "to-info"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(
    server: Opened, browser: Browser, pictures: Path, scheme: Any
) -> None:
    context = browser.new_context(
        viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True, color_scheme=scheme
    )
    page = Visit(context.new_page()).open(server.url)
    for query, candidates in (
        (None, []),
        ("q" * 300, ["w" * 300, "https://example.org/" + "a/" * 100, *CANDIDATES]),
    ):
        if query:
            score(page, query, candidates)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width == PHONE["width"]
        wide = page.evaluate(
            "() => [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroller')"
            " && e.getBoundingClientRect().right > innerWidth + 0.5).map((e) => e.outerHTML)"
        )
        assert wide == []
        box = page.locator(".scroller")
        assert box.evaluate("e => e.scrollWidth > e.clientWidth"), "the matrix scrolls in its box"
        page.screenshot(
            path=pictures / f"phone-{scheme}{'-long' if query else ''}.png", full_page=True
        )
    page.locator("#matrix td").nth(2).tap()
    expect(page.locator("#readout strong")).to_have_text(re.compile(r"-?\d\.\d{4}"))
    page.route("**/similarity", lambda route: route.fulfill(status=429, body=OVERLOADED))
    page.get_by_role("button", name="Score").tap()
    settle(page)
    expect(page.get_by_role("alert")).to_be_in_viewport()
    page.screenshot(path=pictures / f"phone-{scheme}-error.png")
    context.close()


# Every text with its contrast to what is behind it (WCAG 2.2, 1.4.3), lowest first.
CONTRASTS = (
    "() => {"
    + RGBA
    + """
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const back = (element) => rgba(getComputedStyle(element).backgroundColor);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const seen = element.checkVisibility() && !element.closest("script, .hidden");
    if (!node.data.trim() || !seen) continue;
    let behind = element;
    while (back(behind)[3] < 255) behind = behind.parentElement;
    const [a, b] = [rgba(getComputedStyle(element).color), back(behind)]
      .map(luminance).sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), node.data]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in(
    server: Opened, visit: Visit, pictures: Path, scheme: Any
) -> None:
    page = visit.page
    page.emulate_media(color_scheme=scheme)
    visit.open(server.url)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", ground)) / 3
    assert (brightness > 200) if scheme == "light" else (brightness < 50)
    page.screenshot(path=pictures / f"{scheme}.png", full_page=True)
    checked = page.evaluate(CONTRASTS)

    score(page, LONDON, ["word " * 400, *CANDIDATES])
    checked += page.evaluate(CONTRASTS)
    page.screenshot(path=pictures / f"{scheme}-cut.png", full_page=True)
    page.route("**/similarity", lambda route: route.fulfill(status=429, body=OVERLOADED))
    page.keyboard.press("Control+Enter")
    settle(page)
    expect(page.get_by_role("alert")).not_to_be_empty()
    checked += page.evaluate(CONTRASTS)
    page.screenshot(path=pictures / f"{scheme}-error.png", full_page=True)
    assert len(checked) > 400
    assert [(round(ratio, 2), text) for ratio, text in checked if ratio < 4.5] == []


def test_nothing_moves_for_who_asked_so(server: Opened, visit: Visit) -> None:
    page = visit.open(server.url)
    bar = page.locator(".bar").first
    assert bar.evaluate("e => getComputedStyle(e).animationName") == "grow"
    page.emulate_media(reduced_motion="reduce")
    assert bar.evaluate("e => getComputedStyle(e).animationName") == "none"
    moving = page.evaluate(
        "() => [...document.querySelectorAll('*')].filter((e) =>"
        " getComputedStyle(e).transitionDuration !== '0s').length"
    )
    assert moving == 0
