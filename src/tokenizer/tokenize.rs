//! Text to token ids.

use std::path::Path;
use std::{fs, io};

use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessor as _, PostProcessorWrapper,
    PreTokenizerWrapper, TokenizerImpl, TruncationParams, TruncationStrategy, truncate_encodings,
};

use super::rules::{ModelRules, Rules};
use super::turns::Turns;
use super::word_piece::WordPiece;
use super::{Encoding, Side, Token, Vocabulary, VocabularyError};

/// The pipeline of the tokenizers library with the [`WordPiece`] model of this crate.
type Inner = TokenizerImpl<
    WordPiece,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A tokenizer that truncates to the limit of its model.
pub struct Tokenizer {
    inner: Inner,
    max_tokens: usize,
    special_tokens: usize,
    pair_special_tokens: usize,
    turns: Turns,
}

/// Limits of the model that reads the token ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerLimits {
    /// Maximum number of tokens of one text, special tokens included.
    pub max_tokens: usize,
    /// Number of rows of the embedding table. Every token id is less than this.
    pub vocabulary_size: usize,
}

/// Why a tokenizer could not be loaded, or failed on a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file is missing or the file system failed.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The rules do not have the format of a bundle's `tokenizer.json`.
    #[error("{path} is invalid: field {field}")]
    Rules {
        /// The file.
        path: String,
        /// Path of the field; `.` is the document.
        field: String,
        /// The error of the parser.
        source: serde_json::Error,
    },
    /// The vocabulary does not have the format of a bundle's `vocabulary.txt`.
    #[error("{path} is invalid")]
    Vocabulary {
        /// The file.
        path: String,
        /// The line and the reason.
        source: VocabularyError,
    },
    /// The vocabulary does not belong to the rules.
    #[error("{path} has {found_words} entries; tokenizer.json declares {expected_words}")]
    WordCount {
        /// The vocabulary file.
        path: String,
        /// Number of lines of the file.
        found_words: usize,
        /// `model.words` in the rules.
        expected_words: usize,
    },
    /// The token for unknown words is not in the vocabulary.
    #[error("{path} does not contain the unknown token {token:?}")]
    NoUnknownToken {
        /// The vocabulary file.
        path: String,
        /// `model.unk_token` in the rules.
        token: String,
    },
    /// The id of a token in the rules differs from its id in the vocabulary.
    #[error("{path} declares the id {id} for the token {token:?}; {}", describe(*.found_id))]
    TokenId {
        /// The rules file.
        path: String,
        /// The token.
        token: String,
        /// Its id in the rules.
        id: u32,
        /// Its id in the vocabulary, including added tokens.
        found_id: Option<u32>,
    },
    /// A token has no row in the embedding table.
    #[error("{path} has the token id {id}; the embedding table has {vocabulary_size} rows")]
    IdTooLarge {
        /// The rules file.
        path: String,
        /// The highest id.
        id: usize,
        /// Number of rows of the embedding table.
        vocabulary_size: usize,
    },
    /// The tokenizers library rejects the rules.
    #[error("the tokenizers library rejects {path}")]
    Unusable {
        /// The rules file.
        path: String,
        /// The error of the library.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The limit does not exceed the number of special tokens.
    #[error("max_tokens is {max_tokens}; the tokenizer adds {special_tokens} special tokens")]
    NoRoom {
        /// The limit.
        max_tokens: usize,
        /// Number of special tokens that are added to each text.
        special_tokens: usize,
    },
    /// The library failed on a text.
    #[error("the text cannot be tokenized")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Describes the id of a token in the vocabulary.
fn describe(id: Option<u32>) -> String {
    id.map_or_else(
        || "the vocabulary does not contain the token".to_owned(),
        |id| format!("its id in the vocabulary is {id}"),
    )
}

impl Tokenizer {
    /// Reads the rules (`tokenizer.json`) and the vocabulary (`vocabulary.txt`) of a bundle. Checks
    /// that they are consistent with each other and with the limits of the model.
    ///
    /// # Errors
    /// - [`TokenizerError::Read`] if a file cannot be read.
    /// - [`TokenizerError::Rules`] if the rules are invalid; names the field.
    /// - [`TokenizerError::Vocabulary`] if the vocabulary is invalid; names the line.
    /// - [`TokenizerError::WordCount`] if the size of the vocabulary differs from the rules.
    /// - [`TokenizerError::NoUnknownToken`] if the vocabulary does not contain the unknown token.
    /// - [`TokenizerError::TokenId`] if the id of an added or special token in the rules differs from
    ///   its id in the vocabulary.
    /// - [`TokenizerError::IdTooLarge`] if an id has no row in the embedding table.
    /// - [`TokenizerError::Unusable`] if the tokenizers library rejects the rules.
    /// - [`TokenizerError::NoRoom`] if `max_tokens` does not exceed the number of special tokens.
    pub fn from_files(
        rules: &Path,
        vocabulary: &Path,
        limits: TokenizerLimits,
    ) -> Result<Self, TokenizerError> {
        let path = || rules.display().to_string();
        let unusable = |source| TokenizerError::Unusable { path: path(), source };
        let Rules { added_tokens, normalizer, pre_tokenizer, post_processor, model, .. } =
            Rules::parse(&read(rules)?).map_err(|(field, source)| TokenizerError::Rules {
                path: path(),
                field,
                source,
            })?;
        let mut inner = Inner::new(word_piece(model, vocabulary)?);
        inner.with_normalizer(normalizer).map_err(unusable)?;
        inner.with_pre_tokenizer(pre_tokenizer).with_post_processor(post_processor);
        let added = added_tokens.iter().map(|added| added.token.clone());
        inner.add_tokens(added).map_err(unusable)?;
        let around =
            inner.post_process(tokenizers::Encoding::default(), None, true).map_err(unusable)?;
        let around = around.get_tokens().iter().zip(around.get_ids().iter().copied());
        let added = added_tokens.iter().map(|added| (&added.token.content, added.id));
        for (token, id) in added.clone().chain(around) {
            let found_id = inner.token_to_id(token);
            if found_id != Some(id) {
                let token = token.clone();
                return Err(TokenizerError::TokenId { path: path(), token, id, found_id });
            }
        }
        let ids = added.map(|(_, id)| id as usize + 1).max().unwrap_or_default();
        let ids = ids.max(inner.get_model().vocabulary.len());
        if ids > limits.vocabulary_size {
            let (id, vocabulary_size) = (ids - 1, limits.vocabulary_size);
            return Err(TokenizerError::IdTooLarge { path: path(), id, vocabulary_size });
        }
        let max_tokens = limits.max_tokens;
        let special_tokens = inner.get_post_processor().map_or(0, |post| post.added_tokens(false));
        if max_tokens <= special_tokens {
            return Err(TokenizerError::NoRoom { max_tokens, special_tokens });
        }
        let pair_special_tokens =
            inner.get_post_processor().map_or(0, |post| post.added_tokens(true));
        Ok(Self { inner, max_tokens, special_tokens, pair_special_tokens, turns: Turns::default() })
    }

    /// Returns this tokenizer if its limit is large enough for pairs.
    ///
    /// # Errors
    /// - [`TokenizerError::NoRoom`] if the limit does not exceed the number of special tokens of a
    ///   pair.
    pub fn for_pairs(self) -> Result<Self, TokenizerError> {
        let (max_tokens, special_tokens) = (self.max_tokens, self.pair_special_tokens);
        if max_tokens <= special_tokens {
            return Err(TokenizerError::NoRoom { max_tokens, special_tokens });
        }
        Ok(self)
    }

    /// Returns the token ids of `text`, truncated to the model's limit on `side`. On the right, the
    /// result is that of sentence-transformers: `[CLS]`, the first `max_tokens - 2` tokens of the
    /// text, `[SEP]`. On the left, it contains the last tokens of the text.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn encode(&self, text: &str, side: Side) -> Result<Encoding, TokenizerError> {
        let _turn = self.turns.take();
        let mut encoding = self.inner.encode_fast(text, false).map_err(TokenizerError::Encode)?;
        let total_tokens = encoding.len() + self.special_tokens;
        if total_tokens > self.max_tokens {
            let room = self.max_tokens - self.special_tokens;
            encoding.truncate(room, 0, side.into());
        }
        self.with_special_tokens(encoding, None, total_tokens)
    }

    /// Returns the token ids of a pair, `[CLS] first [SEP] second [SEP]`, truncated to the model's
    /// limit with the strategy `longest_first` of `transformers`. It truncates the longer text only,
    /// unless both are longer than half of the limit: then each is truncated to half. An odd token
    /// goes to the longer text, or to the second text if their lengths are equal.
    ///
    /// Check the tokenizer with [`for_pairs`](Self::for_pairs) first. Otherwise truncation can remove
    /// both texts entirely.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on a text.
    pub fn encode_pair(
        &self,
        first: &str,
        second: &str,
        side: Side,
    ) -> Result<Encoding, TokenizerError> {
        let _turn = self.turns.take();
        let encode = |text| self.inner.encode_fast(text, false).map_err(TokenizerError::Encode);
        let (first, second) = (encode(first)?, encode(second)?);
        let total_tokens = first.len() + second.len() + self.pair_special_tokens;
        let limit = TruncationParams {
            direction: side.into(),
            max_length: self.max_tokens.saturating_sub(self.pair_special_tokens),
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        let (first, second) =
            truncate_encodings(first, Some(second), &limit).map_err(TokenizerError::Encode)?;
        self.with_special_tokens(first, second, total_tokens)
    }

    /// Adds the special tokens to truncated encodings.
    fn with_special_tokens(
        &self,
        first: tokenizers::Encoding,
        second: Option<tokenizers::Encoding>,
        total_tokens: usize,
    ) -> Result<Encoding, TokenizerError> {
        let encoding =
            self.inner.post_process(first, second, true).map_err(TokenizerError::Encode)?;
        let i32s = |ids: &[u32]| ids.iter().map(|&id| id as i32).collect();
        Ok(Encoding {
            input_ids: i32s(encoding.get_ids()),
            token_type_ids: i32s(encoding.get_type_ids()),
            total_tokens,
        })
    }

    /// Returns the tokens of the whole text, without truncation; `None` if there are more than
    /// `limit_tokens`. `special` includes the special tokens around it.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn tokens(
        &self,
        text: &str,
        special: bool,
        limit_tokens: usize,
    ) -> Result<Option<Vec<Token>>, TokenizerError> {
        let _turn = self.turns.take();
        let encoding =
            self.inner.encode_char_offsets(text, special).map_err(TokenizerError::Encode)?;
        if encoding.len() > limit_tokens {
            return Ok(None);
        }
        let characters: Vec<char> = text.chars().collect();
        let rows = encoding.get_ids().iter().zip(encoding.get_tokens());
        let rows = rows.zip(encoding.get_offsets()).zip(encoding.get_special_tokens_mask());
        let tokens = rows
            .map(|(((&id, name), &(start, end)), &is_special)| {
                let characters = (is_special == 0).then(|| characters.get(start..end)).flatten();
                Token {
                    id,
                    text: characters.map_or_else(|| name.clone(), |text| text.iter().collect()),
                    characters: characters.map(|_| start..end),
                }
            })
            .collect();
        Ok(Some(tokens))
    }

    /// The maximum number of tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }
}

/// Reads the vocabulary and checks it against the rules.
fn word_piece(rules: ModelRules, path: &Path) -> Result<WordPiece, TokenizerError> {
    let bytes = read(path)?;
    let path = path.display().to_string();
    let vocabulary = match Vocabulary::parse(bytes) {
        Ok(vocabulary) => vocabulary,
        Err(source) => return Err(TokenizerError::Vocabulary { path, source }),
    };
    let ModelRules::WordPiece {
        unk_token,
        continuing_subword_prefix,
        max_input_chars_per_word,
        words,
    } = rules;
    let found_words = vocabulary.len();
    if found_words != words {
        return Err(TokenizerError::WordCount { path, found_words, expected_words: words });
    }
    let Some(unknown) = vocabulary.id(&unk_token) else {
        return Err(TokenizerError::NoUnknownToken { path, token: unk_token });
    };
    Ok(WordPiece {
        vocabulary,
        unknown,
        continuing_prefix: continuing_subword_prefix,
        max_word_chars: max_input_chars_per_word,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    fs::read(path)
        .map_err(|source| TokenizerError::Read { path: path.display().to_string(), source })
}
