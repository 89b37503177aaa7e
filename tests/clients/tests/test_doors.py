"""The same request has the same result through every interface."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from doors import ANSWER_SECONDS, Door, built
from doors.emulator import FUNCTION, Emulator
from doors.environment import environment
from doors.golden import CANDIDATES, EVENT, QUERY, SCORE_TOLERANCE, SCORES, Vectors
from doors.server import Server

# Between two processes, or between a score and a product of vectors that were read from JSON.
TOLERANCE = 1e-6

HTML = "text/html,application/xhtml+xml"


def post(url: str, body: object, **headers: str) -> httpx.Response:
    response = httpx.post(url, json=body, headers=headers, timeout=ANSWER_SECONDS)
    assert response.status_code == 200, response.text
    return response


def invoked(emulator: Emulator, event: object) -> bytes:
    """The answer to a direct event, an error of the function included."""
    url = f"{emulator.invoke_url}/2015-03-31/functions/{FUNCTION}/invocations"
    response = httpx.post(url, json=event, timeout=ANSWER_SECONDS)
    # For an error of the function, Lambda answers 200, and the emulator 500.
    assert response.status_code in (200, 500), response.text
    return response.content


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command line, in the environment of the interfaces."""
    program = built("target/debug/semblance", "test-clients")
    return subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def printed(*arguments: str, cwd: Path | None = None) -> Any:
    """What the command line prints as JSON; a list for JSON lines."""
    ran = command(*arguments, cwd=cwd)
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return lines if arguments[0] == "embed" else lines[0]


def enveloped(emulator: Emulator, request: dict[str, Any]) -> dict[str, Any]:
    """The results of a request in the events of other services; an error as in a list."""
    text = json.dumps(request)
    sns = {"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": text}}
    bus = {"detail-type": "request", "source": "my.app", "detail": request}
    (item,) = json.loads(invoked(emulator, [request]))
    (written,) = json.loads(invoked(emulator, [text]))
    found = {"list": item, "list of texts": written}
    for name, event in (("SNS", {"Records": [sns]}), ("EventBridge", bus)):
        result = json.loads(invoked(emulator, event))
        # Records are answered with a list.
        found[name] = result[0] if name == "SNS" and isinstance(result, list) else result
    return found


def sqs(emulator: Emulator, *bodies: str) -> list[str]:
    """The ids of the failed records, which are the indices of their bodies."""
    records = [
        {"eventSource": "aws:sqs", "messageId": str(number), "body": body}
        for number, body in enumerate(bodies)
    ]
    failures = json.loads(invoked(emulator, {"Records": records}))["batchItemFailures"]
    return [failure["itemIdentifier"] for failure in failures]


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
        ("predict", {"inputs": QUERY}),
        ("predict", {"inputs": [[QUERY], [QUERY, CANDIDATES[0]]]}),
        ("predict", {"inputs": [QUERY, CANDIDATES[0]]}),
        ("predict", {"inputs": [[QUERY, text] for text in CANDIDATES], "raw_scores": True}),
        ("embed", {"inputs": [[101, 2414, 102], [101, 2103, 102]]}),
        ("embed", {"inputs": QUERY, "encoding_format": "float"}),
        ("tokenize", {"inputs": [QUERY, *CANDIDATES]}),
        ("tokenize", {"inputs": "Zürich 東京", "add_special_tokens": False}),
    ],
)
def test_a_request_has_one_answer(
    server: Server, emulator: Emulator, route: str, body: dict[str, Any]
) -> None:
    direct = json.loads(invoked(emulator, {"operation": route, **body}))
    by_function = post(f"{emulator.url}/{route}", body).json()
    assert by_function == direct
    assert_alike(post(f"{server.url}/{route}", body).json(), direct)


def test_every_operation_has_one_answer_through_every_door(
    server: Server, emulator: Emulator, tmp_path: Path, record_property: Any
) -> None:
    texts = [QUERY, *CANDIDATES]
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n")
    embedded_lines = printed("embed", "in.txt", cwd=tmp_path)
    pairs = [[QUERY, text] for text in CANDIDATES]
    requests: dict[str, tuple[dict[str, Any], Any]] = {
        "similarity": (EVENT, printed("score", "--json", QUERY, *CANDIDATES)),
        "embed": ({"inputs": texts}, [line["embedding"] for line in embedded_lines]),
        "rerank": (
            {"query": QUERY, "texts": CANDIDATES, "return_text": True},
            printed("rerank", "--json", QUERY, *CANDIDATES),
        ),
        "predict": ({"inputs": pairs}, printed("predict", "--json", QUERY, *CANDIDATES)),
        "predict of a text": ({"inputs": [[QUERY]]}, printed("predict", "--json", QUERY)),
        "tokenize": ({"inputs": texts}, printed("tokenize", "--json", *texts)),
        # The command line does not have it.
        "embed_all": ({"inputs": texts}, None),
    }
    lines = []
    for name, (body, by_command) in requests.items():
        operation = name.split()[0]
        request = {"operation": operation, **body}
        route = "/" if operation == "similarity" else f"/{operation}"
        expected = post(f"{server.url}{route}", body).json()
        found = {
            "serve /invocations": post(f"{server.url}/invocations", request).json(),
            "function URL": post(f"{emulator.url}{route}", body).json(),
            "function URL /invocations": post(f"{emulator.url}/invocations", request).json(),
            "direct event": json.loads(invoked(emulator, request)),
            **enveloped(emulator, request),
            **({} if by_command is None else {"command line": by_command}),
        }
        for door, answer in found.items():
            try:
                assert_alike(answer, expected)
            except AssertionError as error:
                raise AssertionError(f"{name} by {door}: {answer}") from error
        assert sqs(emulator, json.dumps(request)) == []
        lines.append(f"{name:17} equal through serve, {', '.join(found)}; SQS: no failure")
    record_property("every operation through every interface", "\n".join(lines))


LONG = "word " * 300

# A request, its code, and the command with the same fault, if the command line can have it.
FAULTS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({**EVENT, "actual_queries": ["a", " "]}, "request.empty_text", ["score", QUERY, "a", " "]),
    (
        {**EVENT, "actual_queries": [LONG], "truncate": False},
        "request.too_many_tokens",
        ["score", "--no-truncate", QUERY, LONG],
    ),
    ({"query_from_app": QUERY}, "request.missing_field", []),
    ({"operation": "embed", "inputs": ["a", ""]}, "request.empty_text", []),
    ({"operation": "embed", "inputs": "a", "dimensions": 0}, "request.out_of_range", []),
    ({"operation": "embed", "inputs": "a", "dimensions": 385}, "request.out_of_range", []),
    ({"operation": "embed", "inputs": 7}, "request.wrong_type", []),
    ({"operation": "embed", "inputs": "a", "prompt_name": "none"}, "request.unknown_value", []),
    ({"operation": "nothing"}, "request.unknown_value", []),
    (
        {"operation": "rerank", "query": "", "texts": ["a"]},
        "request.empty_text",
        ["rerank", "", "a"],
    ),
    (
        {"operation": "predict", "inputs": [["a", LONG]], "truncate": False},
        "request.too_many_tokens",
        ["predict", "--no-truncate", "a", LONG],
    ),
    (
        {"query": "a", "documents": ["b"], "return_embeddings": True},
        "request.unsupported_option",
        [],
    ),
    ({"input": ["a"], "late_chunking": True}, "request.unsupported_option", []),
    ({"operation": "embed", "inputs": "a", "top_n": 1}, "request.unsupported_option", []),
    ({**EVENT, "topK": 1}, "request.unsupported_option", []),
    ({"input": "a", "dimensions": 8, "output_dimension": 9}, "request.wrong_fields", []),
    ({"operation": "embed", "inputs": [101, 30522]}, "request.out_of_range", []),
    (
        {"operation": "predict", "inputs": ""},
        "request.empty_text",
        ["predict", ""],
    ),
    ({"operation": "embed_sparse", "inputs": "a"}, "request.no_sparse_embeddings", []),
]


def test_every_error_has_one_code_through_every_door(
    server: Server, emulator: Emulator, record_property: Any
) -> None:
    lines = []
    for request, code, arguments in FAULTS:
        found: dict[str, Any] = {}
        for name, url in (("serve", server.url), ("function URL", emulator.url)):
            answer = httpx.post(f"{url}/invocations", json=request)
            assert 400 <= answer.status_code < 500
            found[name] = answer.json()["error_type"]
        found["direct event"] = json.loads(invoked(emulator, request))["errorType"]
        for name, answer in enveloped(emulator, request).items():
            found[name] = answer["errorType"]
        if arguments:
            ran = command(*arguments)
            assert ran.returncode == 1
            found["command line"] = ran.stderr.removeprefix("error: ").split(": ")[0]
        assert found == dict.fromkeys(found, code)
        # A record fails alone.
        assert sqs(emulator, json.dumps(EVENT), json.dumps(request), json.dumps(EVENT)) == ["1"]
        lines.append(f"{code:28} by {', '.join(found)}; SQS: that record alone")
    record_property("every error through every interface", "\n".join(lines))


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
