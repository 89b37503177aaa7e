//! The options of all routes.

use serde_json::Value;

/// Their names. A route refuses those that it does not declare, because they would change the response of
/// another one. A test compares the list with docs/http.md.
const OPTIONS: &[&str] = &[
    "activation",
    "add_special_tokens",
    "dimensions",
    "embed_dtype",
    "embedding_type",
    "embedding_types",
    "encoding_format",
    "encoding_type",
    "endianness",
    "exact",
    "filter",
    "input_type",
    "late_chunking",
    "max_chunks_per_doc",
    "max_pairs",
    "max_tokens",
    "max_tokens_per_doc",
    "min_score",
    "min_size",
    "normalize",
    "normalized",
    "num_ctx",
    "on_error",
    "output_dimension",
    "output_dtype",
    "parameters",
    "prompt_name",
    "rank_fields",
    "raw_scores",
    "rerank",
    "return_documents",
    "return_embeddings",
    "return_multivector",
    "return_text",
    "skip_special_tokens",
    "task",
    "threshold",
    "top_k",
    "top_n",
    "truncate",
    "truncate_prompt_tokens",
    "truncation",
    "truncation_direction",
    "use_activation",
];

/// The options that are true by default.
const TRUE_BY_DEFAULT: &[&str] = &[
    "activation",
    "add_special_tokens",
    "normalize",
    "normalized",
    "skip_special_tokens",
    "truncate",
    "truncation",
    "use_activation",
];

/// The names of default values, in lower case.
const DEFAULT_NAMES: &[&str] = &["end", "error", "float", "float32", "little", "native", "right"];

/// Whether a value of an option changes no response: it is null, empty or the default of the routes that
/// have the option.
pub(crate) fn is_default(option: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => *value == TRUE_BY_DEFAULT.contains(&option),
        Value::String(name) => DEFAULT_NAMES.contains(&name.to_ascii_lowercase().as_str()),
        Value::Array(items) => {
            items.iter().all(|item| item.is_string() && is_default(option, item))
        }
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    }
}

/// Number of letters from which a name can differ from an option in one letter.
const LONG_NAME: usize = 8;

/// Returns the option that a name means. Case and separators are ignored, so `topN` means `top_n`. A long
/// name can have one letter more, less or changed, so `normalise` means `normalize`.
pub(crate) fn known(name: &str) -> Option<&'static str> {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let written = letters(name);
    let same = OPTIONS.iter().copied().find(|option| letters(option) == written);
    let is_near = |option: &&str| {
        let option = letters(option);
        option.len() >= LONG_NAME && written.len() >= LONG_NAME && are_near(&option, &written)
    };
    same.or_else(|| OPTIONS.iter().copied().find(is_near))
}

/// Whether two names differ in one letter: changed, or missing in one of them.
fn are_near(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one.as_bytes(), other.as_bytes())
    } else {
        (other.as_bytes(), one.as_bytes())
    };
    let start = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        0 => short.get(start + 1..) == long.get(start + 1..),
        1 => short[start..] == long[start + 1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use semblance_test_support::option_rows;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_has_every_option() {
        // What a request is about is not an option; the value of `modality` is the same everywhere; `options`
        // contains options of Ollama on two routes, and of Hugging Face on others.
        let content = [
            "documents",
            "images",
            "index",
            "inputs",
            "modality",
            "options",
            "query",
            "texts",
            "vectors",
        ];
        let rows = option_rows().into_iter().filter(|row| {
            row.effect != "no effect" && !row.is_required && !content.contains(&row.field.as_str())
        });
        let documented: BTreeSet<String> =
            rows.map(|row| row.field.rsplit('.').next().unwrap_or_default().to_owned()).collect();
        let listed: BTreeSet<String> = OPTIONS.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(listed, documented);
    }

    #[test]
    fn a_default_value_changes_nothing() {
        let cases = [
            ("truncate", json!(true), true),
            ("truncate", json!(false), false),
            ("truncate", json!("END"), true),
            ("truncate", json!("NONE"), false),
            ("return_text", json!(false), true),
            ("return_text", json!(true), false),
            ("embedding_types", json!(["float"]), true),
            ("embedding_types", json!(["float", "int8"]), false),
            ("rank_fields", json!([]), true),
            ("top_n", json!(null), true),
            ("top_n", json!(1), false),
            ("parameters", json!({}), true),
            ("parameters", json!({"top_n": 1}), false),
        ];
        for (option, value, expected) in cases {
            assert_eq!(is_default(option, &value), expected, "{option} {value}");
        }
    }

    #[test]
    fn case_and_separators_do_not_matter() {
        assert_eq!(known("topN"), Some("top_n"));
        assert_eq!(known("Truncation-Direction"), Some("truncation_direction"));
        assert_eq!(known("top_m"), None);
    }

    #[test]
    fn a_long_name_can_differ_in_one_letter() {
        for (name, option) in [
            ("normalise", "normalize"),
            ("dimension", "dimensions"),
            ("input_types", "input_type"),
            ("treshold", "threshold"),
            ("returnDocument", "return_documents"),
        ] {
            assert_eq!(known(name), Some(option), "{name}");
        }
        for name in ["normal", "denormalise", "tasks", "filters", "top_p", "modality", "user", "é"]
        {
            assert_eq!(known(name), None, "{name}");
        }
    }
}
