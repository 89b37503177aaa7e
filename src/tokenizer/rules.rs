//! `tokenizer.json` of a bundle: every rule of its tokenizer, without the words.

use serde::Deserialize;
use tokenizers::{AddedToken, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

/// The rules, in the form of the tokenizers library but for `model`, which has `words`, their
/// number, in place of `vocab`: no other reader takes it for a tokenizer that knows no word.
///
/// `truncation`, `padding` and `decoder` are not read: the limit is the model's, batches are padded
/// to their own longest text, and nothing is decoded.
#[derive(Deserialize)]
pub(super) struct Rules {
    #[serde(rename = "version")]
    _version: Version,
    pub(super) added_tokens: Vec<NumberedToken>,
    pub(super) normalizer: Option<NormalizerWrapper>,
    pub(super) pre_tokenizer: Option<PreTokenizerWrapper>,
    pub(super) post_processor: Option<PostProcessorWrapper>,
    pub(super) model: ModelRules,
}

impl Rules {
    /// Parses the bytes of a `tokenizer.json`; an error comes with the path of its field.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, (String, serde_json::Error)> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut json)
            .map_err(|error| (error.path().to_string(), error.into_inner()))
    }
}

/// The version of the form.
#[derive(Deserialize)]
enum Version {
    #[serde(rename = "1.0")]
    One,
}

/// A token that is found in a text before anything else is.
#[derive(Deserialize)]
pub(super) struct NumberedToken {
    pub(super) id: u32,
    #[serde(flatten)]
    pub(super) token: AddedToken,
}

/// How words become pieces.
#[derive(Deserialize)]
#[serde(tag = "type")]
pub(super) enum ModelRules {
    WordPiece {
        unk_token: String,
        continuing_subword_prefix: String,
        max_input_chars_per_word: usize,
        /// How many words the vocabulary has.
        words: usize,
    },
}
