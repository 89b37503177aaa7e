"""boto3's `lambda.invoke`, against the emulator's Invoke API."""

import json
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from doors.emulator import FUNCTION, Emulator
from doors.golden import (
    CANDIDATES,
    ELEMENT_TOLERANCE,
    EVENT,
    QUERY,
    SCORE_TOLERANCE,
    SCORES,
    WHOLE,
    largest_difference,
    stacked,
)


@pytest.fixture
def functions(emulator: Emulator) -> Any:
    """The SDK's client, which does not try again."""
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("lambda", endpoint_url=emulator.invoke_url, config=config)


def invoke(functions: Any, event: object) -> Any:
    answer = functions.invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
    assert answer["StatusCode"] == 200 and "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


def test_the_event_has_the_golden_scores(functions: Any) -> None:
    scores = invoke(functions, EVENT)["Scores"]
    assert [text for text, _ in scores] == CANDIDATES
    assert [score for _, score in scores] == pytest.approx(SCORES, abs=SCORE_TOLERANCE)
    assert invoke(functions, {"operation": "similarity", **EVENT})["Scores"] == scores


def test_embed_has_the_golden_embeddings(functions: Any) -> None:
    rows = invoke(functions, {"operation": "embed", "inputs": [item.text for item in WHOLE]})
    vectors = np.array(rows, dtype=np.float32)
    assert largest_difference(vectors, stacked(WHOLE)) <= ELEMENT_TOLERANCE


def test_rerank_predict_and_tokenize_are_answered(functions: Any) -> None:
    ranks = invoke(functions, {"operation": "rerank", "query": QUERY, "texts": CANDIDATES})
    pairs = [[QUERY, text] for text in CANDIDATES]
    labels = invoke(functions, {"operation": "predict", "inputs": pairs})
    for rank in ranks:
        assert rank["score"] == pytest.approx(labels[rank["index"]][0]["score"], abs=1e-6)
    tokens = invoke(functions, {"operation": "tokenize", "inputs": WHOLE[0].text})
    assert len(tokens[0]) == WHOLE[0].tokens


def test_info_tells_model_and_limits(functions: Any) -> None:
    info = invoke(functions, {"operation": "info"})
    assert info["model_id"] == "all-minilm-l6-v2" and info["dimensions"] == 384
    assert info["max_input_length"] == 256
    assert info["cross_encoder"] is not None


@pytest.mark.parametrize(
    "event",
    [
        {"operation": "warmup"},
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
    ],
)
def test_a_schedule_and_a_warm_up_are_answered_at_once(functions: Any, event: Any) -> None:
    assert invoke(functions, event) == {"status": "warm"}


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({**EVENT, "query_from_app": ""}, "request.empty_text"),
        ({"operation": "embed"}, "request.missing_field"),
        ({"unheard": "of"}, "request.unknown_event"),
    ],
)
def test_an_error_has_its_code(functions: Any, event: Any, code: str) -> None:
    bodies: list[bytes] = []
    functions.meta.events.register(
        "response-received.lambda.Invoke",
        lambda response_dict, **_: bodies.append(response_dict["body"]),
    )
    # Lambda answers 200 and X-Amz-Function-Error, which tests/cloud shows; the emulator 500 and
    # no such header, which the SDK takes for a failure of the service.
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert json.loads(bodies[0])["errorType"] == code
