"""The keys of every configuration file of a model folder.

A key is read, refused, or in a list of keys without effect on what a bundle computes. An unknown
key is refused by name, because it could change the results.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from semblance_model.field import Fields, read_json, shown
from semblance_model.refusal import Refusal
from semblance_model.source import Source


@dataclass(frozen=True)
class Keys:
    """The keys of one configuration file.

    `refused` maps a key to the values that mean "off"; another value is refused.
    """

    read: frozenset[str]
    without_effect: frozenset[str] = frozenset()
    refused: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Training, generation and library settings do not matter for a forward pass in evaluation mode.
CONFIG = Keys(
    read=_names(
        """
        architectures model_type is_decoder add_cross_attention position_embedding_type hidden_act
        num_hidden_layers num_attention_heads hidden_size intermediate_size vocab_size
        max_position_embeddings type_vocab_size layer_norm_eps num_labels id2label
        sbert_ce_default_activation_function sentence_transformers
        activation dim embedding_size hidden_dim n_heads n_layers output_layer_norm pad_token_id
        relative_attention_num_buckets sa_layer_norm
        """
    ),
    without_effect=_names(
        """
        _name_or_path name_or_path transformers_version torch_dtype dtype use_cache label2id
        problem_type finetuning_task task_specific_params tokenizer_class auto_map
        adapters adapter_map language license
        attention_probs_dropout_prob hidden_dropout_prob classifier_dropout classifier_dropout_prob
        attention_dropout dropout qa_dropout seq_classif_dropout summary_last_dropout
        initializer_range initializer_factor layerdrop gradient_checkpointing pooler_fc_size
        pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
        summary_activation summary_first_dropout summary_type summary_use_proj directionality
        output_past output_attentions output_hidden_states return_dict torchscript
        tie_word_embeddings tie_encoder_decoder tf_legacy_loss pruned_heads prefix
        is_encoder_decoder cross_attention_hidden_size chunk_size_feed_forward bos_token_id
        eos_token_id sep_token_id cls_token_id mask_token_id decoder_start_token_id
        max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty
        temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
        encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores
        return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values
        exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
        gpu_memory_mb model_max_length total_flos _attn_implementation_autoset nsp_loss
        sinusoidal_pos_embds_trained hidden_states_output emb_size vocab_file
        """
    ),
    refused={
        "quantization_config": (None,),
        "sinusoidal_pos_embds": (False,),
        "use_bfloat16": (False,),
        "num_hidden_groups": (None,),
        "rope_scaling": (None,),
        "text_config": (None,),
        "vision_config": (None,),
    },
)

SENTENCE_TRANSFORMERS = Keys(
    read=_names("prompts default_prompt_name similarity_fn_name activation_fn"),
    without_effect=_names("__version__"),
    refused={
        "model_type": (None, "SentenceTransformer", "CrossEncoder"),
        "truncate_dim": (None,),
    },
)

SENTENCE_BERT = Keys(
    read=_names("max_seq_length do_lower_case transformer_task"),
    without_effect=_names("config_args"),
    refused={
        "model_args": (None, {}),
        "tokenizer_args": (None, {}),
        "model_kwargs": (None, {}),
        "processor_kwargs": (None, {}),
        "config_kwargs": (None, {}),
        "unpad_inputs": (None, False, True),
        "method_output_name": (None, "last_hidden_state", "logits"),
        "module_output_name": (None, "token_embeddings", "scores"),
        "modality_config": (
            None,
            {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            {"text": {"method": "forward", "method_output_name": "logits"}},
        ),
    },
)

POOLING = Keys(
    read=_names(
        """
        word_embedding_dimension embedding_dimension pooling_mode include_prompt
        pooling_mode_cls_token pooling_mode_max_tokens pooling_mode_mean_tokens
        pooling_mode_mean_sqrt_len_tokens pooling_mode_weightedmean_tokens pooling_mode_lasttoken
        """
    ),
)

TOKENIZER = Keys(
    read=_names(
        """
        do_lower_case strip_accents tokenize_chinese_chars padding_side truncation_side
        model_max_length model_input_names chat_template
        """
    ),
    # The bundle takes tokens and rules from tokenizer.json, which these keys repeat.
    without_effect=_names(
        """
        tokenizer_class processor_class backend auto_map name_or_path tokenizer_file
        special_tokens_map_file vocab_file merges_file do_basic_tokenize never_split
        clean_up_tokenization_spaces added_tokens_decoder additional_special_tokens
        extra_special_tokens bos_token eos_token unk_token sep_token pad_token cls_token mask_token
        max_length max_len stride pad_to_multiple_of pad_token_type_id truncation_strategy
        add_prefix_space trim_offsets errors local_files_only is_local full_tokenizer_file
        use_fast sp_model_kwargs keep_accents wordpieces_prefix lowercase handle_chinese_chars
        add_special_tokens transformers_version
        """
    ),
    refused={"split_special_tokens": (None, False)},
)

MODULE = Keys(
    read=_names("type path"), without_effect=_names("idx name"), refused={"kwargs": (None, [])}
)

DENSE = Keys(
    read=_names(
        """
        in_features out_features bias activation_function module_input_name module_output_name
        use_residual
        """
    ),
)

# A bundle sets truncation and padding itself.
TOKENIZER_RULES = Keys(
    read=_names("normalizer pre_tokenizer model post_processor decoder added_tokens"),
    without_effect=_names("version truncation padding"),
)

#: The configuration files of a model folder and their keys. A path with a folder represents the
#: same file of each module of this kind.
FILES: Mapping[str, Keys] = {
    "config.json": CONFIG,
    "modules.json": MODULE,
    "config_sentence_transformers.json": SENTENCE_TRANSFORMERS,
    "sentence_bert_config.json": SENTENCE_BERT,
    "1_Pooling/config.json": POOLING,
    "2_Dense/config.json": DENSE,
    "tokenizer.json": TOKENIZER_RULES,
    "tokenizer_config.json": TOKENIZER,
}

#: Files of which no key has an effect. The tokens and their ids are in `tokenizer.json`.
UNREAD_FILES = ("special_tokens_map.json",)


def check_config(source: Source, transformer: str) -> None:
    """Refuses unknown keys of the `config.json` of a checkpoint.

    That of an export is not checked: its graph does not depend on it.
    """
    _check_file(source, str(PurePosixPath(transformer) / "config.json"), CONFIG)


def check_keys(
    source: Source, transformer: str, pooling: str | None, dense: Iterable[str] = ()
) -> None:
    """Refuses the keys that the builder does not know, and the values that a bundle cannot express.

    `transformer`, `pooling` and `dense` are the folders of these modules.
    """
    files = {
        "config_sentence_transformers.json": SENTENCE_TRANSFORMERS,
        str(PurePosixPath(transformer) / "sentence_bert_config.json"): SENTENCE_BERT,
        str(PurePosixPath(transformer) / "tokenizer_config.json"): TOKENIZER,
    }
    if pooling is not None:
        files[str(PurePosixPath(pooling) / "config.json")] = POOLING
    for folder in dense:
        files[str(PurePosixPath(folder) / "config.json")] = DENSE
    for name, keys in files.items():
        _check_file(source, name, keys)


def check_tokenizer(tokenizer: Fields) -> None:
    """Refuses unknown keys of `tokenizer.json`."""
    _check(tokenizer.file, tokenizer.values, TOKENIZER_RULES)


def check_module(entry: Fields) -> None:
    """Refuses unknown keys of an entry of `modules.json`."""
    _check(entry.file, entry.values, MODULE)


def _check_file(source: Source, name: str, keys: Keys) -> None:
    path = source.path(name)
    if path is not None:
        values = read_json(name, path)
        if isinstance(values, dict):
            _check(name, values, keys)


def _check(file: str, values: Mapping[str, Any], keys: Keys) -> None:
    for key, value in values.items():
        if key in keys.refused:
            off = keys.refused[key]
            if not any(type(value) is type(one) and value == one for one in off):
                raise Refusal(
                    "model.unsupported_field",
                    f"{file}: field {key} is {shown(value)}, expected "
                    f"{' or '.join(shown(one) for one in off)}: a bundle cannot express it",
                )
        elif key not in keys.read and key not in keys.without_effect:
            raise Refusal(
                "model.unsupported_field",
                f"{file}: field {key} is unknown; remove it if it does not change the results",
            )
