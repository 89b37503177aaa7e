//! The rules of a tokenizer: `tokenizer.json` of a bundle, without the vocabulary.

use serde::Deserialize;
use tokenizers::{AddedToken, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper};

/// The rules, in the format of the tokenizers library except for `model`. Instead of `vocab`, it has
/// `words`, the size of the vocabulary, and instead of `merges` their number. Other readers therefore reject the file instead of loading a
/// tokenizer with an empty vocabulary.
///
/// `truncation`, `padding` and `decoder` are not read: the manifest has the limit, each batch is
/// padded to its longest text, and nothing is decoded.
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
    #[serde(flatten)]
    pub(super) token: AddedToken,
}

/// The model that splits words into pieces.
#[derive(Deserialize)]
#[serde(tag = "type")]
pub(super) enum ModelRules {
    WordPiece {
        unk_token: String,
        continuing_subword_prefix: String,
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
