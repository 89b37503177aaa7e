//! The rules of a tokenizer: `tokenizer.json` of a bundle, without the vocabulary.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
};

use super::charsmap;
use super::rule_types::{DECODERS, NORMALIZERS, POST_PROCESSORS, PRE_TOKENIZERS};

/// Maximum length of a word that the model splits, in characters. The time for a word is quadratic.
/// `transformers` uses 100.
const MAX_WORD_CHARACTERS: usize = 1_000;

/// Maximum length of a prefix and of an added token, in bytes.
const MAX_TOKEN_BYTES: usize = 1_024;

/// Maximum factor by which the replacements of the normalizers can lengthen a text.
const MAX_GROWTH: usize = 16;

/// The rules, in the format of the tokenizers library except for `model`. Instead of `vocab`, it has
/// `words`, the size of the vocabulary, and instead of `merges` their number. Other readers therefore
/// reject the file instead of loading a
/// tokenizer with an empty vocabulary.
///
/// `truncation` and `padding` are not read: the manifest has the limit, and passes have no padding.
#[derive(Deserialize)]
pub(super) struct Rules {
    #[serde(rename = "version")]
    _version: Version,
    pub(super) added_tokens: Vec<NumberedToken>,
    #[serde(default, deserialize_with = "normalizer")]
    pub(super) normalizer: Option<NormalizerWrapper>,
    #[serde(default, deserialize_with = "pre_tokenizer")]
    pub(super) pre_tokenizer: Option<PreTokenizerWrapper>,
    #[serde(default, deserialize_with = "post_processor")]
    pub(super) post_processor: Option<PostProcessorWrapper>,
    #[serde(default, deserialize_with = "decoder")]
    pub(super) decoder: Option<DecoderWrapper>,
    pub(super) model: ModelRules,
}

impl Rules {
    /// Parses the bytes of a `tokenizer.json`. An error includes the path of its field.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, (String, serde_json::Error)> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut json)
            .map_err(|error| (error.path().to_string(), error.into_inner()))
    }
}

/// The version of the format.
#[derive(Deserialize)]
enum Version {
    #[serde(rename = "1.0")]
    One,
}

/// An added token. It is matched in a text before normalization and splitting.
#[derive(Deserialize)]
pub(super) struct NumberedToken {
    pub(super) id: u32,
    #[serde(flatten, deserialize_with = "added_token")]
    pub(super) token: AddedToken,
}

/// The model that splits words into pieces.
#[derive(Deserialize)]
#[serde(tag = "type")]
pub(super) enum ModelRules {
    WordPiece {
        unk_token: String,
        #[serde(deserialize_with = "prefix")]
        continuing_subword_prefix: String,
        #[serde(deserialize_with = "word_characters")]
        max_input_chars_per_word: usize,
        /// Number of entries of the vocabulary.
        words: usize,
    },
    Unigram {
        unk_id: Option<u32>,
        #[serde(default)]
        byte_fallback: bool,
        /// Number of pieces.
        words: usize,
    },
    #[serde(rename = "BPE")]
    Bpe {
        unk_token: Option<String>,
        continuing_subword_prefix: Option<String>,
        end_of_word_suffix: Option<String>,
        #[serde(default)]
        fuse_unk: bool,
        #[serde(default)]
        byte_fallback: bool,
        #[serde(default)]
        ignore_merges: bool,
        /// Number of pieces.
        words: usize,
        /// Number of merges.
        merges: usize,
    },
}

fn at_most<E: de::Error>(what: &str, found: usize, limit: usize) -> Result<(), E> {
    if found <= limit {
        return Ok(());
    }
    Err(E::custom(format!("{what} is {found}; the limit is {limit}")))
}

fn word_characters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let characters = usize::deserialize(deserializer)?;
    at_most("max_input_chars_per_word", characters, MAX_WORD_CHARACTERS)?;
    Ok(characters)
}

fn prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let prefix = String::deserialize(deserializer)?;
    at_most("the length of continuing_subword_prefix", prefix.len(), MAX_TOKEN_BYTES)?;
    Ok(prefix)
}

fn added_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AddedToken, D::Error> {
    let token = AddedToken::deserialize(deserializer)?;
    at_most("the length of an added token", token.content.len(), MAX_TOKEN_BYTES)?;
    Ok(token)
}

fn normalizer<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NormalizerWrapper>, D::Error> {
    let Some(rules) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    NORMALIZERS.check(&rules).map_err(de::Error::custom)?;
    at_most("the growth of a text by its replacements", growth(&rules), MAX_GROWTH)?;
    check_charsmaps(&rules).map_err(de::Error::custom)?;
    serde_json::from_value(rules).map(Some).map_err(de::Error::custom)
}

fn pre_tokenizer<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PreTokenizerWrapper>, D::Error> {
    let Some(rules) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    PRE_TOKENIZERS.check(&rules).map_err(de::Error::custom)?;
    serde_json::from_value(rules).map(Some).map_err(de::Error::custom)
}

fn post_processor<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PostProcessorWrapper>, D::Error> {
    let Some(rules) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    POST_PROCESSORS.check(&rules).map_err(de::Error::custom)?;
    check_templates(&rules).map_err(de::Error::custom)?;
    serde_json::from_value(rules).map(Some).map_err(de::Error::custom)
}

/// Reads the decoder from a value, because the library panics on a syntax error.
fn decoder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DecoderWrapper>, D::Error> {
    let Some(rules) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    DECODERS.check(&rules).map_err(de::Error::custom)?;
    serde_json::from_value(rules).map(Some).map_err(de::Error::custom)
}

/// Checks the rewrite rules of SentencePiece in normalizers.
fn check_charsmaps(rules: &Value) -> Result<(), &'static str> {
    for inner in rules["normalizers"].as_array().into_iter().flatten() {
        check_charsmaps(inner)?;
    }
    match rules["precompiled_charsmap"].as_str() {
        Some(charsmap) => charsmap::check(charsmap),
        None if rules["type"] == "Precompiled" => Err("precompiled_charsmap is missing"),
        None => Ok(()),
    }
}

/// Checks the templates of a post-processor. The library panics on a special token without an entry,
/// and on a second text in the template of a single text.
fn check_templates(rules: &Value) -> Result<(), String> {
    for inner in rules["processors"].as_array().into_iter().flatten() {
        check_templates(inner)?;
    }
    if rules["type"] != "TemplateProcessing" {
        return Ok(());
    }
    for name in ["single", "pair"] {
        for piece in rules[name].as_array().into_iter().flatten() {
            let token = piece.pointer("/SpecialToken/id").and_then(Value::as_str);
            if token.is_some_and(|token| rules["special_tokens"].get(token).is_none()) {
                return Err(format!("{name} has a special token without an entry"));
            }
            if name == "single" && piece.pointer("/Sequence/id").is_some_and(|id| *id == "B") {
                return Err("single has a second text".to_owned());
            }
        }
    }
    Ok(())
}

/// Returns an upper bound of the factor by which the replacements of normalizers lengthen a text.
fn growth(rules: &Value) -> usize {
    let length = |pointer: &str| rules.pointer(pointer).and_then(Value::as_str).map(str::len);
    let own = match rules["type"].as_str() {
        Some("Replace") => {
            let added = length("/content").unwrap_or_default();
            // A regular expression can match the empty string, before each byte.
            match length("/pattern/String").filter(|&pattern| pattern > 0) {
                Some(pattern) => added.div_ceil(pattern).max(1),
                None => added.saturating_add(1),
            }
        }
        Some("Prepend") => length("/prepend").unwrap_or_default().saturating_add(1),
        _ => 1,
    };
    let inner = rules["normalizers"].as_array().into_iter().flatten();
    inner.map(growth).fold(own, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules() -> Value {
        json!({
            "version": "1.0",
            "added_tokens": [{"id": 0, "content": "[UNK]", "single_word": false, "lstrip": false,
                              "rstrip": false, "normalized": false, "special": true}],
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                           "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "words": 1,
                      "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
        })
    }

    fn error(pointer: &str, value: Value) -> Option<String> {
        let mut rules = rules();
        *rules.pointer_mut(pointer).unwrap() = value;
        let parsed = Rules::parse(rules.to_string().as_bytes());
        parsed.err().map(|(field, error)| format!("{field}: {error}"))
    }

    fn replace(pattern: Value, content: &str) -> Value {
        json!({"type": "Replace", "pattern": pattern, "content": content})
    }

    #[test]
    fn ordinary_rules_are_accepted() {
        assert_eq!(error("/normalizer", json!(null)), None);
        assert_eq!(error("/model/max_input_chars_per_word", json!(1_000)), None);
        let normalizers = json!({"type": "Sequence", "normalizers": [
            {"type": "NFKC"}, replace(json!({"String": " "}), "\u{2581}"),
            replace(json!({"Regex": " {2,}"}), " "), {"type": "Prepend", "prepend": "a"}]});
        assert_eq!(error("/normalizer", normalizers), None);
    }

    #[test]
    fn rules_that_take_too_much_time_or_memory_are_refused() {
        let doubled = replace(json!({"String": "a"}), "aa");
        let cases = [
            ("/model/max_input_chars_per_word", json!(1_001), "the limit is 1000"),
            ("/model/max_input_chars_per_word", json!(1_u64 << 40), "the limit is 1000"),
            ("/model/continuing_subword_prefix", json!("#".repeat(1_025)), "the limit is 1024"),
            ("/added_tokens/0/content", json!("x".repeat(1_025)), "the limit is 1024"),
            ("/normalizer", replace(json!({"String": "a"}), &"x".repeat(200_000)), "growth"),
            ("/normalizer", replace(json!({"Regex": ""}), &"x".repeat(17)), "growth"),
            ("/normalizer", json!({"type": "Prepend", "prepend": "x".repeat(200_000)}), "growth"),
            (
                "/normalizer",
                json!({"type": "Sequence", "normalizers": vec![doubled.clone(); 30]}),
                "growth",
            ),
            (
                "/normalizer",
                json!({"type": "Sequence", "normalizers": [
                    {"type": "Sequence", "normalizers": vec![doubled; 30]}]}),
                "growth",
            ),
        ];
        for (pointer, value, reason) in cases {
            let error = error(pointer, value).unwrap();
            assert!(error.contains(reason), "{pointer}: {error:.300}");
        }
    }

    #[test]
    fn normalizers_and_decoders_on_which_the_library_panics_are_refused() {
        let nested = |rules: Value| json!({"type": "Sequence", "normalizers": [rules]});
        for charsmap in [json!(null), json!(7), json!("%"), json!(""), json!("AAAA\n")] {
            let rules = json!({"type": "Precompiled", "precompiled_charsmap": charsmap});
            for rules in [nested(rules.clone()), rules] {
                let error = error("/normalizer", rules).unwrap();
                assert!(error.contains("precompiled_charsmap"), "{error}");
            }
        }
        let text = rules().to_string();
        let with_decoder = |decoder: &str| {
            let text = text.replacen('{', &format!("{{\"decoder\": {decoder}, "), 1);
            Rules::parse(text.as_bytes()).err()
        };
        assert!(
            with_decoder(r#"{"type": "WordPiece", "prefix": "\u00e9", "cleanup": true}"#).is_none()
        );
        for decoder in
            [r#"{"type": "\udfff"}"#, "{\"type\": \"a\nb\"}", "{7: 1}", "{\"type\" 1}", "nul"]
        {
            assert!(with_decoder(decoder).is_some(), "{decoder}");
        }
    }

    #[test]
    fn templates_on_which_the_library_panics_are_refused() {
        let (text, token) = (
            |id: &str| json!({"Sequence": {"id": id, "type_id": 0}}),
            json!({"SpecialToken": {"id": "[UNK]", "type_id": 0}}),
        );
        let template = |single: Vec<Value>, pair: Vec<Value>, special: Value| {
            json!({"type": "TemplateProcessing", "single": single, "pair": pair,
                   "special_tokens": special})
        };
        let known = json!({"[UNK]": {"id": "[UNK]", "ids": [0], "tokens": ["[UNK]"]}});
        let both = || vec![text("A"), text("B")];
        let good = template(vec![token.clone(), text("A")], both(), known.clone());
        assert_eq!(error("/post_processor", good), None);
        let mut renamed = template(vec![token.clone(), text("A")], both(), json!({}));
        renamed["type"] = json!("Template");
        let cases = [
            (renamed, "type \"Template\""),
            (template(vec![token.clone(), text("A")], both(), json!({})), "without an entry"),
            (template(vec![text("A")], vec![text("A"), token, text("B")], json!({})), "pair has"),
            (template(both(), both(), known), "a second text"),
        ];
        for (rules, reason) in cases {
            let nested = json!({"type": "Sequence", "processors": [rules]});
            for rules in [&nested, &nested["processors"][0]] {
                let error = error("/post_processor", rules.clone()).unwrap_or_default();
                assert!(error.contains(reason), "{error}");
            }
        }
    }
}
