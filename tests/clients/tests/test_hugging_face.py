"""`huggingface_hub.InferenceClient` with a URL as its model."""

from typing import Any

import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from doors import Door
from doors.golden import (
    CANDIDATES,
    ELEMENT_TOLERANCE,
    MAX_TOKENS,
    QUERY,
    SCORE_TOLERANCE,
    SCORES,
    TOO_LONG,
    WHOLE,
    largest_difference,
    shortened,
    stacked,
)


@pytest.fixture(params=["", "/", "/embed"], ids=["root", "slash", "embed"])
def embedder(door: Door, request: pytest.FixtureRequest) -> InferenceClient:
    """The client posts to the unchanged URL for every task."""
    return InferenceClient(model=f"{door.url}{request.param}")


@pytest.fixture(params=["", "/similarity"], ids=["root", "similarity"])
def scorer(door: Door, request: pytest.FixtureRequest) -> InferenceClient:
    return InferenceClient(base_url=f"{door.url}{request.param}")


def test_feature_extraction_of_a_list_gives_the_golden_embeddings(
    embedder: InferenceClient,
) -> None:
    vectors = embedder.feature_extraction([item.text for item in WHOLE])
    assert vectors.dtype == np.float32
    assert largest_difference(vectors, stacked(WHOLE)) <= ELEMENT_TOLERANCE


def test_feature_extraction_of_a_string_is_one_row(embedder: InferenceClient) -> None:
    vectors = embedder.feature_extraction(WHOLE[3].text)
    assert largest_difference(vectors, stacked(WHOLE[3:4])) <= ELEMENT_TOLERANCE


def test_feature_extraction_obeys_its_parameters(embedder: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        embedder.feature_extraction(TOO_LONG.text, truncate=False)
    answer = caught.value.response
    assert (answer.status_code, answer.json()["error_type"]) == (413, "request.too_many_tokens")

    cut = embedder.feature_extraction(TOO_LONG.text, truncate=True, normalize=True)
    assert largest_difference(cut, stacked([TOO_LONG])) <= ELEMENT_TOLERANCE

    # Each word is a token, and [CLS] and [SEP] are two more.
    rivers, bridges = "river " * (MAX_TOKENS - 2), "bridge " * (MAX_TOKENS - 2)
    for side, kept in (("right", rivers), ("left", bridges)):
        direction: Any = side
        cut = embedder.feature_extraction(
            rivers + bridges, truncate=True, truncation_direction=direction
        )
        assert largest_difference(cut, embedder.feature_extraction(kept)) <= ELEMENT_TOLERANCE

    few = embedder.feature_extraction(WHOLE[0].text, dimensions=32)
    assert largest_difference(few, shortened(stacked(WHOLE[:1]), 32)) <= ELEMENT_TOLERANCE
    raw = embedder.feature_extraction(WHOLE[0].text, normalize=False)
    length = float(np.linalg.norm(raw))
    assert abs(length - 1) > 0.1, "not at unit length"
    assert (
        largest_difference((raw / length).astype(np.float32), stacked(WHOLE[:1]))
        <= ELEMENT_TOLERANCE
    )


def test_sentence_similarity_gives_the_golden_scores_in_input_order(
    scorer: InferenceClient,
) -> None:
    assert scorer.sentence_similarity(QUERY, CANDIDATES) == pytest.approx(
        SCORES, abs=SCORE_TOLERANCE
    )
    backwards = scorer.sentence_similarity(QUERY, CANDIDATES[::-1])
    assert backwards == pytest.approx(SCORES[::-1], abs=SCORE_TOLERANCE)


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [("", 422, "request.empty_text"), ("\u200b", 422, "request.empty_text")],
)
def test_a_bad_text_is_the_sdks_error_with_the_stable_code(
    embedder: InferenceClient, text: str, status: int, code: str
) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        embedder.feature_extraction(text)
    answer = caught.value.response
    assert answer.status_code == status
    assert answer.json()["error_type"] == code
    assert answer.json()["error"] in str(caught.value)
