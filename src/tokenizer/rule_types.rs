//! The types of the rules of a tokenizer. The tokenizers library parses rules whose type it does not
//! know, or that have none, by their fields. The checks of this crate go by the type, so these rules
//! would escape them.

use serde_json::Value;

/// A kind of rules.
pub(super) struct RuleKind {
    /// The field of a sequence that has other rules of this kind.
    list: &'static str,
    types: &'static [&'static str],
}

/// Source of the names: the tokenizers library, 0.23.2.
pub(super) const NORMALIZERS: RuleKind = RuleKind {
    list: "normalizers",
    types: &[
        "BertNormalizer",
        "ByteLevel",
        "Lowercase",
        "NFC",
        "NFD",
        "NFKC",
        "NFKD",
        "Nmt",
        "Precompiled",
        "Prepend",
        "Replace",
        "Sequence",
        "Strip",
        "StripAccents",
    ],
};

pub(super) const PRE_TOKENIZERS: RuleKind = RuleKind {
    list: "pretokenizers",
    types: &[
        "BertPreTokenizer",
        "ByteLevel",
        "CharDelimiterSplit",
        "Digits",
        "FixedLength",
        "Metaspace",
        "Punctuation",
        "Sequence",
        "Split",
        "UnicodeScripts",
        "Whitespace",
        "WhitespaceSplit",
    ],
};

pub(super) const POST_PROCESSORS: RuleKind = RuleKind {
    list: "processors",
    types: &["BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"],
};

pub(super) const DECODERS: RuleKind = RuleKind {
    list: "decoders",
    types: &[
        "BPEDecoder",
        "ByteFallback",
        "ByteLevel",
        "CTC",
        "Fuse",
        "Metaspace",
        "Replace",
        "Sequence",
        "Strip",
        "WordPiece",
    ],
};

impl RuleKind {
    /// Checks that rules, and those in a sequence, are objects of a known type.
    ///
    /// # Errors
    /// - A message with the type, if it is not known.
    pub(super) fn check(&self, rules: &Value) -> Result<(), String> {
        let name = rules.get("type").and_then(Value::as_str);
        if !name.is_some_and(|name| self.types.contains(&name)) {
            let found = name.map_or_else(|| "no type".to_owned(), |name| format!("type {name:?}"));
            return Err(format!("{found}; expected one of {}", self.types.join(", ")));
        }
        let inner = rules.get(self.list).and_then(Value::as_array);
        inner.into_iter().flatten().try_for_each(|rules| self.check(rules))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_without_a_known_type_are_refused() {
        let kinds = [NORMALIZERS, PRE_TOKENIZERS, POST_PROCESSORS, DECODERS];
        for kind in kinds {
            for name in kind.types {
                assert_eq!(kind.check(&json!({"type": name})), Ok(()));
            }
            let bad = [json!({"type": "Unknown"}), json!({"content": ""}), json!([]), json!(1)];
            for rules in bad {
                assert!(kind.check(&rules).is_err(), "{rules}");
                let nested = json!({"type": "Sequence", kind.list: [{"type": "ByteLevel"}, rules]});
                assert!(kind.check(&nested).is_err(), "{nested}");
            }
        }
    }

    #[test]
    fn a_message_names_the_type() {
        let error = POST_PROCESSORS.check(&json!({"type": "Template"})).unwrap_err();
        assert!(
            error.starts_with("type \"Template\"; expected one of BertProcessing, "),
            "{error}"
        );
    }
}
