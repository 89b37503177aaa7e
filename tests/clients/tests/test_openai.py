"""The `openai` SDK: embeddings as numbers and as base64, models, and its typed exceptions."""

import base64
import concurrent.futures

import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse

from doors import Door
from doors.golden import (
    ELEMENT_TOLERANCE,
    GOLDEN,
    MAX_TOKENS,
    TOO_LONG,
    WHOLE,
    Vectors,
    largest_difference,
    shortened,
    stacked,
)
from doors.server import Server

MODEL = "all-minilm-l6-v2"


def client(door: Door, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(api_key="anything", base_url=f"{door.url}/v1", max_retries=retries)


def rows(response: CreateEmbeddingResponse) -> Vectors:
    """The embeddings in the order in which they came, which has to be that of the request."""
    assert [item.index for item in response.data] == list(range(len(response.data)))
    return np.array([item.embedding for item in response.data], dtype=np.float32)


def test_golden_texts_have_the_golden_embeddings_in_input_order(door: Door) -> None:
    # Not sorted by length, as the function batches them.
    texts = [item.text for item in reversed(GOLDEN)]
    response = client(door).embeddings.create(model=MODEL, input=texts)
    assert response.object == "list" and response.model == MODEL
    golden = stacked(list(reversed(GOLDEN)))
    assert largest_difference(rows(response), golden) <= ELEMENT_TOLERANCE
    read = sum(min(item.tokens, MAX_TOKENS) for item in GOLDEN)
    assert (response.usage.prompt_tokens, response.usage.total_tokens) == (read, read)


def test_numbers_and_base64_are_the_same_vectors(door: Door) -> None:
    texts = [item.text for item in WHOLE[:20]]
    embeddings = client(door).embeddings
    # Without a format the SDK asks for base64 and decodes it, with one it passes on what came.
    decoded = rows(embeddings.create(model=MODEL, input=texts))
    numbers = rows(embeddings.create(model=MODEL, input=texts, encoding_format="float"))
    coded = embeddings.create(model=MODEL, input=texts, encoding_format="base64")
    bytes_of = [base64.b64decode(str(item.embedding), validate=True) for item in coded.data]
    raw = np.array([np.frombuffer(content, dtype="<f4") for content in bytes_of])
    assert raw.shape == (20, 384)
    assert np.array_equal(decoded, numbers) and np.array_equal(decoded, raw)


def test_one_string_is_one_embedding(door: Door) -> None:
    response = client(door).embeddings.create(model="any name", input=WHOLE[0].text)
    assert largest_difference(rows(response), stacked(WHOLE[:1])) <= ELEMENT_TOLERANCE
    assert response.usage.prompt_tokens == WHOLE[0].tokens


def test_dimensions_are_the_first_ones_at_unit_length(door: Door) -> None:
    texts = [item.text for item in WHOLE[:5]]
    response = client(door).embeddings.create(model=MODEL, input=texts, dimensions=64, user="u")
    golden = shortened(stacked(WHOLE[:5]), 64)
    assert largest_difference(rows(response), golden) <= ELEMENT_TOLERANCE


def test_what_was_cut_is_said_in_a_header(door: Door) -> None:
    texts = [WHOLE[0].text, TOO_LONG.text, WHOLE[1].text]
    raw = client(door).embeddings.with_raw_response.create(model=MODEL, input=texts)
    assert raw.headers["x-semblance-truncated"] == "1"
    golden = stacked([WHOLE[0], TOO_LONG, WHOLE[1]])
    assert largest_difference(rows(raw.parse()), golden) <= ELEMENT_TOLERANCE
    whole = client(door).embeddings.with_raw_response.create(model=MODEL, input=texts[0])
    assert "x-semblance-truncated" not in whole.headers


@pytest.mark.parametrize(
    ("texts", "code", "param"),
    [
        ("", "request.empty_text", "input"),
        (["a", " \n"], "request.empty_text", "input[1]"),
        (["a", "\0"], "request.empty_text", "input[1]"),
        (["b"] * 2_049, "request.too_many_texts", "input"),
    ],
)
def test_a_bad_request_is_the_sdks_error_with_the_stable_code(
    door: Door, texts: str | list[str], code: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(door).embeddings.create(model=MODEL, input=texts)
    error = caught.value
    assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
    assert error.request_id


def test_token_ids_are_those_of_the_model(door: Door) -> None:
    create = client(door).embeddings.create
    # What /tokenize returns for the text.
    ids = create(model=MODEL, input=[[101, 2129, 102]], encoding_format="float").data[0].embedding
    text = create(model=MODEL, input=["how"], encoding_format="float").data[0].embedding
    assert ids == pytest.approx(text, abs=1e-6)
    with pytest.raises(openai.BadRequestError) as caught:
        create(model=MODEL, input=[[101, 99_999, 102]])
    assert caught.value.param is not None and "99999" in str(caught.value)


def test_a_request_id_comes_back(door: Door) -> None:
    headers = {"x-request-id": "request-of-a-test"}
    raw = client(door).embeddings.with_raw_response.create(
        model=MODEL, input="a", extra_headers=headers
    )
    assert raw.headers["x-request-id"] == "request-of-a-test"


def test_an_unknown_route_is_not_found(door: Door) -> None:
    elsewhere = client(door).with_options(base_url=f"{door.url}/v1/nowhere")
    with pytest.raises(openai.NotFoundError) as caught:
        elsewhere.embeddings.create(model=MODEL, input="a")
    assert caught.value.code == "http.not_found"


def test_models_lists_the_bundle(door: Door) -> None:
    models = client(door).models.list().data
    assert MODEL in [model.id for model in models]
    assert all(model.object == "model" and model.owned_by for model in models)
    assert all(isinstance(model.created, int) for model in models)
    assert client(door).models.retrieve(MODEL) in models
    with pytest.raises(openai.NotFoundError) as caught:
        client(door).models.retrieve("somebody/elses")
    assert caught.value.code == "http.unknown_model"


def test_too_many_requests_at_a_time_are_the_sdks_error_and_it_tries_again() -> None:
    # Each of them is new, and takes a while.
    long = [f"{number} {TOO_LONG.text}" for number in range(20)]
    with (
        Server("--max-concurrent-requests", "1", cross_encoder=False) as server,
        concurrent.futures.ThreadPoolExecutor(1) as executor,
    ):
        busy = executor.submit(client(server.door).embeddings.create, model=MODEL, input=long)
        refused: openai.RateLimitError | None = None
        while refused is None and not busy.done():
            try:
                client(server.door).embeddings.create(model=MODEL, input="a")
            except openai.RateLimitError as error:
                refused = error
        assert refused is not None and refused.code == "http.overloaded"
        assert int(refused.response.headers["retry-after"]) >= 1
        patient = client(server.door, retries=100).embeddings.create(model=MODEL, input="a")
        assert len(patient.data) == 1
        assert len(busy.result().data) == len(long)
