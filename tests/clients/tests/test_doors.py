"""The same request has the same result through every interface."""

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from doors import Door
from doors.emulator import FUNCTION, Emulator
from doors.golden import CANDIDATES, EVENT, QUERY, SCORE_TOLERANCE, SCORES, Vectors
from doors.server import Server

# Between two processes, or between a score and a product of vectors that were read from JSON.
TOLERANCE = 1e-6

HTML = "text/html,application/xhtml+xml"


def post(url: str, body: object, **headers: str) -> httpx.Response:
    response = httpx.post(url, json=body, headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    return response


def invoked(emulator: Emulator, event: object) -> bytes:
    url = f"{emulator.invoke_url}/2015-03-31/functions/{FUNCTION}/invocations"
    return post(url, event).content


def scores_of_event(answer: bytes) -> list[float]:
    """The scores of the event's answer, which must hold the unchanged candidates."""
    scores = json.loads(answer)["Scores"]
    assert [text for text, _ in scores] == CANDIDATES
    return [float(score) for _, score in scores]


def products(rows: Vectors) -> list[float]:
    """The first row's dot products with the others."""
    return [float(score) for score in rows[1:].astype(np.float64) @ rows[0].astype(np.float64)]


def embedded(door: Door) -> dict[str, Vectors]:
    """The query and the candidates, [3, dim], by each route that embeds."""
    texts = [QUERY, *CANDIDATES]
    rows = {
        f"{route} {door.name}": np.array(post(f"{door.url}{route}", body).json(), np.float32)
        for route, body in {
            "/embed": {"inputs": texts},
            "/": {"inputs": texts},
            "/invocations": {"operation": "embed", "inputs": texts},
        }.items()
    }
    for route in ("/v1/embeddings", "/embeddings"):
        body: dict[str, Any] = {"input": texts, "model": "any"}
        data = post(f"{door.url}{route}", body).json()["data"]
        rows[f"{route} float {door.name}"] = np.array(
            [item["embedding"] for item in data], np.float32
        )
        body["encoding_format"] = "base64"
        data = post(f"{door.url}{route}", body).json()["data"]
        decoded = [base64.b64decode(item["embedding"], validate=True) for item in data]
        rows[f"{route} base64 {door.name}"] = np.array(
            [np.frombuffer(content, "<f4") for content in decoded]
        )
    return rows


def test_the_event_has_one_answer(server: Server, emulator: Emulator) -> None:
    direct = invoked(emulator, EVENT)
    by_function = {
        "operation": invoked(emulator, {"operation": "similarity", **EVENT}),
        "POST /": post(emulator.url, EVENT).content,
        "POST /invocations": post(f"{emulator.url}/invocations", EVENT).content,
    }
    # One process, so not a bit may differ.
    assert by_function == dict.fromkeys(by_function, direct)
    by_server = {
        "POST /": post(server.url, EVENT).content,
        "POST /invocations": post(f"{server.url}/invocations", EVENT).content,
    }
    assert by_server["POST /"] == by_server["POST /invocations"]

    expected = scores_of_event(direct)
    assert expected == pytest.approx(SCORES, abs=SCORE_TOLERANCE)
    assert scores_of_event(by_server["POST /"]) == pytest.approx(expected, abs=TOLERANCE)


def test_every_dialect_has_the_scores_of_the_event(
    server: Server, emulator: Emulator, record_property: Any
) -> None:
    expected = scores_of_event(invoked(emulator, EVENT))
    tei = {"inputs": {"source_sentence": QUERY, "sentences": CANDIDATES}}
    found: dict[str, list[float]] = {
        "direct similarity": json.loads(invoked(emulator, {"operation": "similarity", **tei})),
        "direct embed": products(
            np.array(
                json.loads(
                    invoked(emulator, {"operation": "embed", "inputs": [QUERY, *CANDIDATES]})
                ),
                np.float32,
            )
        ),
    }
    for door in (server.door, emulator.door):
        own = scores_of_event(post(door.url, EVENT).content)
        found[f"POST / {door.name}"] = own
        for route in ("/similarity", "/", "/invocations"):
            scores = post(f"{door.url}{route}", tei).json()
            assert scores == own, (door.name, route)
            found[f"{route} tei {door.name}"] = scores
        rows = embedded(door)
        reference = next(iter(rows.values()))
        for name, vectors in rows.items():
            assert np.array_equal(vectors, reference), name
            found[name] = products(vectors)
    for name, scores in found.items():
        assert scores == pytest.approx(expected, abs=TOLERANCE), name
    width = max(map(len, found))
    lines = [f"{name:{width}} {scores}" for name, scores in found.items()]
    record_property("the same request through every interface", "\n".join(lines))


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("rerank", {"query": QUERY, "texts": CANDIDATES, "return_text": True}),
        ("rerank", {"query": QUERY, "texts": CANDIDATES, "raw_scores": True}),
        ("predict", {"inputs": [QUERY, CANDIDATES[0]]}),
        ("predict", {"inputs": [[QUERY, text] for text in CANDIDATES], "raw_scores": True}),
        ("tokenize", {"inputs": [QUERY, *CANDIDATES]}),
        ("tokenize", {"inputs": "Zürich 東京", "add_special_tokens": False}),
    ],
)
def test_rerank_predict_and_tokenize_have_one_answer(
    server: Server, emulator: Emulator, route: str, body: dict[str, Any]
) -> None:
    direct = json.loads(invoked(emulator, {"operation": route, **body}))
    by_function = post(f"{emulator.url}/{route}", body).json()
    assert by_function == direct
    assert_alike(post(f"{server.url}/{route}", body).json(), direct)


@pytest.mark.parametrize(
    ("route", "body", "status", "code"),
    [
        ("/", {**EVENT, "top_k": 0}, 422, "request.out_of_range"),
        ("/similarity", {"inputs": {"sentences": ["a"]}}, 422, "request.missing_field"),
        ("/embed", {"inputs": 7}, 422, "request.wrong_type"),
        ("/embed", {"inputs": ["a"] * 1_001}, 413, "request.too_many_texts"),
        ("/v1/embeddings", {"input": 7}, 400, "request.wrong_type"),
        ("/v1/rerank", {"query": "a"}, 400, "request.missing_field"),
        ("/nowhere", {}, 404, "http.not_found"),
        ("/info", {}, 405, "http.method_not_allowed"),
    ],
)
def test_an_error_is_the_same_through_both_doors(
    server: Server, emulator: Emulator, route: str, body: object, status: int, code: str
) -> None:
    answers = [httpx.post(f"{url}{route}", json=body) for url in (server.url, emulator.url)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].json() == answers[1].json()
    error = answers[0].json()
    found = error["error"]["code"] if route.startswith("/v1/") else error["error_type"]
    assert found == code


def test_the_documents_are_the_same_through_both_doors(server: Server, emulator: Emulator) -> None:
    for path, accepted in (
        ("/v1/models", "*/*"),
        ("/health", "*/*"),
        ("/ping", "*/*"),
        ("/", HTML),
    ):
        answers = [
            httpx.get(f"{url}{path}", headers={"accept": accepted})
            for url in (server.url, emulator.url)
        ]
        assert [answer.status_code for answer in answers] == [200, 200], path
        assert answers[0].content == answers[1].content, path
    for url in (server.url, emulator.url):
        assert httpx.get(f"{url}/").json() == httpx.get(f"{url}/info").json()


def assert_alike(found: Any, expected: Any) -> None:
    """One shape, one text, and numbers that differ by no more than the tolerance."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_alike(found[name], expected[name])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=TOLERANCE)
    else:
        assert found == expected
