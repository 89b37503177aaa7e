"""Every key of every configuration file is read, refused, or in a list of keys without effect."""

from typing import Any

import pytest

from checkpoint import Checkpoint
from conftest import Build
from semblance_model.keys import (
    CONFIG,
    MODULE,
    POOLING,
    SENTENCE_BERT,
    SENTENCE_TRANSFORMERS,
    TOKENIZER,
    Keys,
)
from semblance_model.refusal import Refusal

FILES: dict[str, Keys] = {
    "config.json": CONFIG,
    "config_sentence_transformers.json": SENTENCE_TRANSFORMERS,
    "sentence_bert_config.json": SENTENCE_BERT,
    "tokenizer_config.json": TOKENIZER,
    "1_Pooling/config.json": POOLING,
}

# Files of published models: bert-base-uncased, all-MiniLM-L6-v2, all-mpnet-base-v2,
# multi-qa-MiniLM-L6-cos-v1, bge-small-en-v1.5, gte-small, e5-small-v2, multilingual-e5-small,
# snowflake-arctic-embed-s, ms-marco-MiniLM-L-6-v2, distilbert, and files that sentence-transformers
# 6.2 writes.
SEEN: dict[str, str] = {
    "config.json": """
        _name_or_path architectures attention_probs_dropout_prob classifier_dropout
        gradient_checkpointing hidden_act hidden_dropout_prob hidden_size id2label
        initializer_range intermediate_size label2id layer_norm_eps max_position_embeddings
        model_type num_attention_heads num_hidden_layers pad_token_id position_embedding_type
        torch_dtype dtype transformers_version type_vocab_size use_cache vocab_size bos_token_id
        eos_token_id sbert_ce_default_activation_function sentence_transformers directionality
        pooler_fc_size output_past relative_attention_num_buckets is_decoder add_cross_attention
        tie_word_embeddings attention_dropout dropout dim hidden_dim n_heads n_layers
        qa_dropout seq_classif_dropout sinusoidal_pos_embds activation
    """,
    "config_sentence_transformers.json": """
        __version__ prompts default_prompt_name similarity_fn_name model_type activation_fn
    """,
    "sentence_bert_config.json": """
        max_seq_length do_lower_case transformer_task modality_config module_output_name
    """,
    "tokenizer_config.json": """
        added_tokens_decoder additional_special_tokens clean_up_tokenization_spaces cls_token
        do_basic_tokenize do_lower_case mask_token max_length model_max_length never_split
        pad_to_multiple_of pad_token pad_token_type_id padding_side sep_token stride strip_accents
        tokenize_chinese_chars tokenizer_class truncation_side truncation_strategy unk_token
        special_tokens_map_file name_or_path extra_special_tokens model_input_names backend
        is_local sp_model_kwargs
    """,
    "1_Pooling/config.json": """
        word_embedding_dimension pooling_mode_cls_token pooling_mode_mean_tokens
        pooling_mode_max_tokens pooling_mode_mean_sqrt_len_tokens
        pooling_mode_weightedmean_tokens pooling_mode_lasttoken include_prompt
        embedding_dimension pooling_mode
    """,
}


@pytest.mark.parametrize("file", SEEN)
def test_every_key_of_published_models_is_known(file: str) -> None:
    keys = FILES[file]
    known = keys.read | keys.without_effect | set(keys.refused)
    assert [key for key in SEEN[file].split() if key not in known] == []


@pytest.mark.parametrize("file", FILES)
def test_a_key_is_in_one_list(file: str) -> None:
    keys = FILES[file]
    assert not keys.read & keys.without_effect
    assert not (keys.read | keys.without_effect) & set(keys.refused)


@pytest.mark.parametrize("file", FILES)
def test_an_unknown_key_is_refused_by_name(make: Build, file: str) -> None:
    model = Checkpoint()
    model.files[file] = model.files.get(file, {}) | {"scale_by": 2}
    with pytest.raises(Refusal) as caught:
        make(model)
    assert caught.value.code == "model.unsupported_field"
    assert f"{file}: field scale_by is unknown" in caught.value.message


@pytest.mark.parametrize(
    ("file", "key"), [(file, key) for file, keys in FILES.items() for key in keys.refused]
)
def test_a_key_that_a_bundle_cannot_express_is_refused(make: Build, file: str, key: str) -> None:
    model = Checkpoint()
    model.files[file] = model.files.get(file, {}) | {key: "another"}
    with pytest.raises(Refusal) as caught:
        make(model)
    assert f"field {key} is" in caught.value.message


def test_the_off_values_are_accepted(make: Build) -> None:
    model = Checkpoint()
    for file, keys in FILES.items():
        off: dict[str, Any] = {key: values[0] for key, values in keys.refused.items()}
        model.files[file] = model.files.get(file, {}) | off
    assert make(model).manifest["task"] == "embedding"


@pytest.mark.parametrize("file", FILES)
def test_keys_without_effect_are_accepted(make: Build, file: str) -> None:
    model = Checkpoint()
    extra = dict.fromkeys(FILES[file].without_effect, "x")
    model.files[file] = model.files.get(file, {}) | extra
    assert make(model).manifest == make(Checkpoint()).manifest


def test_a_module_with_arguments_is_refused(make: Build) -> None:
    assert "kwargs" in MODULE.refused
    model = Checkpoint()
    model.files["modules.json"][0]["kwargs"] = ["task"]
    with pytest.raises(Refusal, match="kwargs"):
        make(model)


@pytest.mark.parametrize("function", ["dot", "euclidean", "manhattan"])
def test_the_similarity_function_is_in_the_manifest(make: Build, function: str) -> None:
    model = Checkpoint(normalize=False)
    model.files["config_sentence_transformers.json"] = {"similarity_fn_name": function}
    assert make(model).manifest["similarity"] == function


@pytest.mark.parametrize("function", [None, "cosine"])
def test_cosine_similarity_is_the_default_of_a_manifest(make: Build, function: Any) -> None:
    model = Checkpoint()
    model.files["config_sentence_transformers.json"] = {"similarity_fn_name": function}
    assert "similarity" not in make(model).manifest


def test_another_similarity_function_is_refused(make: Build) -> None:
    model = Checkpoint()
    model.files["config_sentence_transformers.json"] = {"similarity_fn_name": "maxsim"}
    with pytest.raises(Refusal) as caught:
        make(model)
    assert caught.value.code == "model.similarity"
    assert 'similarity_fn_name is "maxsim"' in caught.value.message
