//! Text to token ids.

use std::path::Path;
use std::{fs, io};

use tokenizers::{
    DecoderWrapper, NormalizerWrapper, PostProcessor as _, PostProcessorWrapper,
    PreTokenizerWrapper, TokenizerImpl, TruncationParams, TruncationStrategy, truncate_encodings,
};

use super::rules::{ModelRules, Rules};
use super::word_piece::WordPiece;
use super::{Encoding, Side, Token, Vocabulary, VocabularyError};

/// The tokenizers library with a model of our own.
type Inner = TokenizerImpl<
    WordPiece,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A tokenizer with the limit of its model.
pub struct Tokenizer {
    inner: Inner,
    max_tokens: usize,
    special_tokens: usize,
    pair_special_tokens: usize,
}

/// What the model that reads the ids can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerLimits {
    /// Most tokens of one text, special tokens included.
    pub max_tokens: usize,
    /// Rows of the table of words: every id is below.
    pub vocabulary_size: usize,
}

/// Why a tokenizer could not be loaded or could not encode.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file is missing or the file system failed.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// The rules are not of the form of a bundle's `tokenizer.json`.
    #[error("{path} is not understood: field {field}")]
    Rules {
        /// The file.
        path: String,
        /// Where, as a path; `.` is the document.
        field: String,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// The words are not of the form of a bundle's `vocabulary.txt`.
    #[error("{path} is not understood")]
    Vocabulary {
        /// The file.
        path: String,
        /// Which line, and why.
        source: VocabularyError,
    },
    /// The files do not belong together.
    #[error("{path} has {found_words} words, its rules say {expected_words}")]
    WordCount {
        /// The vocabulary's file.
        path: String,
        /// Lines of the file.
        found_words: usize,
        /// `model.words` of the rules.
        expected_words: usize,
    },
    /// What an unknown word becomes is no word itself.
    #[error("{path} lacks the unknown token {token:?}")]
    NoUnknownToken {
        /// The vocabulary's file.
        path: String,
        /// `model.unk_token` of the rules.
        token: String,
    },
    /// The rules number a token otherwise than the words do.
    #[error("{path} gives the token {token:?} the id {id}, but its words {}", shown(*.found_id))]
    TokenId {
        /// The rules' file.
        path: String,
        /// The token.
        token: String,
        /// Its id by the rules.
        id: u32,
        /// Its id by the words and the tokens added to them.
        found_id: Option<u32>,
    },
    /// A token has no embedding.
    #[error("{path} has the id {id}, but the table of words has {vocabulary_size} rows")]
    IdTooLarge {
        /// The rules' file.
        path: String,
        /// The highest id.
        id: usize,
        /// Rows of the table of words.
        vocabulary_size: usize,
    },
    /// The tokenizers library refuses the rules.
    #[error("{path} cannot be carried out")]
    Unusable {
        /// The rules' file.
        path: String,
        /// What the library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The limit leaves no room for text beside the special tokens.
    #[error("max_tokens is {max_tokens}, but the tokenizer adds {special_tokens} special tokens")]
    NoRoom {
        /// The limit.
        max_tokens: usize,
        /// Tokens added to each text.
        special_tokens: usize,
    },
    /// The library failed on a text.
    #[error("a text cannot be tokenised")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An id that is found, or none.
fn shown(id: Option<u32>) -> String {
    id.map_or_else(|| "do not have it".to_owned(), |id| format!("say {id}"))
}

impl Tokenizer {
    /// Reads the rules (`tokenizer.json`) and the words (`vocabulary.txt`) of a bundle, and checks
    /// that they belong together and to a model with these limits.
    ///
    /// # Errors
    /// - [`TokenizerError::Read`] if a file cannot be read.
    /// - [`TokenizerError::Rules`] if the rules are not understood; names the field.
    /// - [`TokenizerError::Vocabulary`] if the words are not understood; names the line.
    /// - [`TokenizerError::WordCount`] if there are more or fewer words than the rules say.
    /// - [`TokenizerError::NoUnknownToken`] if the token for unknown words is not among the words.
    /// - [`TokenizerError::TokenId`] if an added token, or one that is put around each text, has
    ///   another id than the rules say.
    /// - [`TokenizerError::IdTooLarge`] if an id has no row in the table of words.
    /// - [`TokenizerError::Unusable`] if the tokenizers library refuses the rules.
    /// - [`TokenizerError::NoRoom`] if `max_tokens` does not exceed the special tokens.
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
        Ok(Self { inner, max_tokens, special_tokens, pair_special_tokens })
    }

    /// Returns the same tokenizer, checked for pairs.
    ///
    /// # Errors
    /// - [`TokenizerError::NoRoom`] if the limit does not exceed the special tokens of a pair.
    pub fn for_pairs(self) -> Result<Self, TokenizerError> {
        let (max_tokens, special_tokens) = (self.max_tokens, self.pair_special_tokens);
        if max_tokens <= special_tokens {
            return Err(TokenizerError::NoRoom { max_tokens, special_tokens });
        }
        Ok(self)
    }

    /// Returns the ids of `text`, cut to the model's limit as sentence-transformers cuts on the
    /// right: `[CLS]`, the first `max_tokens - 2` tokens of the text, `[SEP]`; on the left it keeps
    /// the last.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn encode(&self, text: &str, side: Side) -> Result<Encoding, TokenizerError> {
        let mut encoding = self.inner.encode_fast(text, false).map_err(TokenizerError::Encode)?;
        let total_tokens = encoding.len() + self.special_tokens;
        if total_tokens > self.max_tokens {
            let room = self.max_tokens - self.special_tokens;
            encoding.truncate(room, 0, side.into());
        }
        self.framed(encoding, None, total_tokens)
    }

    /// Returns the ids of a pair, `[CLS] first [SEP] second [SEP]`, cut to the model's limit as
    /// `longest_first` of `transformers` cuts: only the longer text, or both to halves if both are
    /// longer than that; an odd token is the longer text's, the second's if they are as long.
    ///
    /// A tokenizer that is not one [for pairs](Self::for_pairs) may leave nothing of either text.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on a text.
    pub fn encode_pair(
        &self,
        first: &str,
        second: &str,
        side: Side,
    ) -> Result<Encoding, TokenizerError> {
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
        self.framed(first, second, total_tokens)
    }

    /// Puts the special tokens around what was cut.
    fn framed(
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

    /// Returns the tokens of the whole text, not cut, with or without those that the model wants
    /// around it.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn tokens(&self, text: &str, special: bool) -> Result<Vec<Token>, TokenizerError> {
        let encoding =
            self.inner.encode_char_offsets(text, special).map_err(TokenizerError::Encode)?;
        let characters: Vec<char> = text.chars().collect();
        let rows = encoding.get_ids().iter().zip(encoding.get_tokens());
        let rows = rows.zip(encoding.get_offsets()).zip(encoding.get_special_tokens_mask());
        Ok(rows
            .map(|(((&id, name), &(start, end)), &is_special)| {
                let characters = (is_special == 0).then(|| characters.get(start..end)).flatten();
                Token {
                    id,
                    text: characters.map_or_else(|| name.clone(), |text| text.iter().collect()),
                    characters: characters.map(|_| start..end),
                }
            })
            .collect())
    }

    /// The most tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }
}

/// Reads the words, for the rules that come with them.
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
