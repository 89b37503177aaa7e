//! Text to token ids.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use tokenizers::{
    DecoderWrapper, Model as _, NormalizerWrapper, PostProcessor as _, PostProcessorWrapper,
    PreTokenizerWrapper, TokenizerImpl,
};

use super::boundaries::Boundaries;
use super::model::Model;
use super::rules::Rules;
use super::turns::Turns;
use super::{Count, Encoding, Reading, Side, Token, TokenizerError};

/// The first part of a text that is tokenized, in bytes for each token of the limit. A token of ordinary
/// text has 2 to 6 bytes.
const BYTES_PER_TOKEN: usize = 16;

/// How much larger each further part is.
const GROWTH: usize = 8;

/// The pipeline of the tokenizers library with the [`Model`] of this crate.
pub(super) type Inner = TokenizerImpl<
    Model,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A tokenizer that truncates to the limit of its model.
pub struct Tokenizer {
    inner: Inner,
    pub(super) max_tokens: usize,
    special_tokens: usize,
    /// Ids of the special tokens around a text.
    special_ids: Vec<u32>,
    pub(super) pair_special_tokens: usize,
    turns: Turns,
    /// Where long texts can be split.
    boundaries: OnceLock<Option<Boundaries>>,
}

/// The tokens of a text without special tokens, not truncated.
#[derive(Clone)]
pub struct TextTokens {
    pub(super) encoding: tokenizers::Encoding,
    /// Whether these are all tokens of the text. Otherwise, they are more than the limit.
    pub(super) is_whole: bool,
}

impl TextTokens {
    /// Number of the tokens.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.encoding.len()
    }
}

/// Limits of the model that reads the token ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerLimits {
    /// Maximum number of tokens of one text, special tokens included.
    pub max_tokens: usize,
    /// Number of rows of the embedding table. Every token id is less than this.
    pub vocabulary_size: usize,
}

impl Tokenizer {
    /// Reads the rules (`tokenizer.json`) and the vocabulary of a bundle: `vocabulary.txt` for
    /// WordPiece, `vocabulary.bin` for Unigram and BPE. Checks that they are consistent with each other
    /// and with the limits of the model.
    ///
    /// # Errors
    /// - [`TokenizerError::Read`] if a file cannot be read.
    /// - [`TokenizerError::Rules`] if the rules are invalid; names the field.
    /// - [`TokenizerError::Vocabulary`] if the vocabulary is invalid; names the line.
    /// - [`TokenizerError::Pieces`] if the vocabulary of a Unigram or BPE tokenizer is invalid.
    /// - [`TokenizerError::WordCount`], [`TokenizerError::MergeCount`] if the size of the vocabulary or
    ///   the number of its merges differs from the rules.
    /// - [`TokenizerError::Scores`] if the vocabulary of a Unigram tokenizer has no scores, or that of a
    ///   BPE tokenizer has some.
    /// - [`TokenizerError::NoUnknownToken`], [`TokenizerError::NoUnknownId`] if the vocabulary does not
    ///   contain the unknown token.
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
        let Rules {
            added_tokens, normalizer, pre_tokenizer, post_processor, decoder, model, ..
        } = Rules::parse(&read(rules)?).map_err(|(field, source)| TokenizerError::Rules {
            path: path(),
            field,
            source,
        })?;
        let mut inner = Inner::new(Model::from_files(model, vocabulary)?);
        inner.with_normalizer(normalizer).map_err(unusable)?;
        inner.with_pre_tokenizer(pre_tokenizer).with_post_processor(post_processor);
        inner.with_decoder(decoder);
        let added = added_tokens.iter().map(|added| added.token.clone());
        inner.add_tokens(added).map_err(unusable)?;
        let around =
            inner.post_process(tokenizers::Encoding::default(), None, true).map_err(unusable)?;
        let special_ids = around.get_ids().to_vec();
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
        let ids = ids.max(inner.get_model().get_vocab_size());
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
        let (turns, boundaries) = (Turns::default(), OnceLock::new());
        Ok(Self {
            inner,
            max_tokens,
            special_tokens,
            special_ids,
            pair_special_tokens,
            turns,
            boundaries,
        })
    }

    /// Returns the token ids of `text`, truncated to the model's limit on `side`. On the right, the
    /// result is that of sentence-transformers: `[CLS]`, the first `max_tokens - 2` tokens of the
    /// text, `[SEP]`. On the left, it contains the last tokens of the text.
    ///
    /// Without [`Count::All`], only a part of a long text is tokenized, if the tokenizer has boundaries. The
    /// token ids are the same.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn encode(&self, text: &str, side: Side, count: Count) -> Result<Encoding, TokenizerError> {
        self.read(text, Reading { side, count, text_tokens: None })
    }

    /// As [`encode`](Self::encode), with a limit on the tokens of the text.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn read(&self, text: &str, reading: Reading) -> Result<Encoding, TokenizerError> {
        let Reading { side, count, text_tokens } = reading;
        let room = self.max_tokens - self.special_tokens;
        let room = text_tokens.map_or(room, |tokens| room.min(tokens));
        let TextTokens { mut encoding, is_whole } = self.text_tokens(text, side, room, count)?;
        let empty_text = encoding.is_empty().then_some(0);
        let total_tokens = encoding.len() + self.special_tokens;
        if encoding.len() > room {
            encoding.truncate(room, 0, side.into());
        }
        let encoding = self.with_special_tokens(encoding, None, total_tokens)?;
        Ok(Encoding { empty_text, is_counted: is_whole, ..encoding })
    }

    /// Returns token ids as they are, truncated to the limit on a side. Special tokens at both ends are
    /// kept.
    #[must_use]
    pub fn read_ids(&self, ids: &[u32], reading: Reading) -> Encoding {
        let own = reading.text_tokens.map(|tokens| tokens.saturating_add(self.special_tokens));
        let limit = self.max_tokens.min(own.unwrap_or(usize::MAX));
        let is_special = |id: Option<&u32>| id.is_some_and(|id| self.special_ids.contains(id));
        let own = ids.iter().filter(|id| !self.special_ids.contains(id)).count();
        let (mut start, mut end) = (0..0, ids.len()..ids.len());
        let mut kept = 0..ids.len();
        if ids.len() > limit {
            start.end = usize::from(is_special(ids.first()));
            end.start -= usize::from(is_special(ids.last()));
            let room = limit.saturating_sub(start.len() + end.len());
            kept = match reading.side {
                Side::Right => start.end..start.end + room,
                Side::Left => end.start - room..end.start,
            };
        }
        let parts = [&ids[start], &ids[kept], &ids[end]];
        let input_ids: Vec<i32> = parts.concat().into_iter().map(|id| id as i32).collect();
        Encoding {
            token_type_ids: vec![0; input_ids.len()],
            input_ids,
            total_tokens: ids.len(),
            is_counted: true,
            empty_text: (own == 0).then_some(0),
        }
    }

    /// Number of special tokens around a text.
    #[must_use]
    pub fn special_tokens(&self) -> usize {
        self.special_tokens
    }

    /// Returns the tokens of a text, or with [`Count::UpToLimit`] those of a part of the text that has
    /// more than `room` tokens. The part is at the end of the text that stays.
    pub(super) fn text_tokens(
        &self,
        text: &str,
        side: Side,
        room: usize,
        count: Count,
    ) -> Result<TextTokens, TokenizerError> {
        self.beyond(text, side, room, count, |part| self.inner.encode_fast(part, false))
    }

    /// Tokenizes larger and larger parts of a text, until one has more than `room` tokens.
    fn beyond<'a>(
        &self,
        text: &'a str,
        side: Side,
        room: usize,
        count: Count,
        encode: impl Fn(&'a str) -> tokenizers::Result<tokenizers::Encoding>,
    ) -> Result<TextTokens, TokenizerError> {
        let _turn = self.turns.take();
        let mut part_bytes = room.saturating_add(1).saturating_mul(BYTES_PER_TOKEN);
        while count == Count::UpToLimit && part_bytes <= text.len() / 2 {
            let Some(boundaries) = self.boundaries.get_or_init(|| Boundaries::new(&self.inner))
            else {
                break;
            };
            if let Some(part) = boundaries.part(text, part_bytes, side) {
                let encoding = encode(part).map_err(TokenizerError::Encode)?;
                if encoding.len() > room {
                    return Ok(TextTokens { encoding, is_whole: false });
                }
            }
            part_bytes = part_bytes.saturating_mul(GROWTH);
        }
        let encoding = encode(text).map_err(TokenizerError::Encode)?;
        Ok(TextTokens { encoding, is_whole: true })
    }

    /// Returns the number of characters that the first `tokens` tokens of a text cover, or `None` if it
    /// has no more tokens.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn characters_of(
        &self,
        text: &str,
        tokens: usize,
    ) -> Result<Option<usize>, TokenizerError> {
        let encode = |part| self.inner.encode_char_offsets(part, false);
        let found = self.beyond(text, Side::Right, tokens, Count::UpToLimit, encode)?;
        Ok(found.encoding.get_offsets().get(tokens).map(|&(start, _)| start))
    }

    /// Adds the special tokens to truncated encodings.
    pub(super) fn with_special_tokens(
        &self,
        mut first: tokenizers::Encoding,
        mut second: Option<tokenizers::Encoding>,
        total_tokens: usize,
    ) -> Result<Encoding, TokenizerError> {
        // The library splits the truncated tokens into parts of the limit and attaches them. For a pair, it
        // would combine each part of one text with each part of the other. For two long texts, this takes
        // gigabytes.
        for encoding in [Some(&mut first), second.as_mut()].into_iter().flatten() {
            drop(encoding.take_overflowing());
        }
        let encoding =
            self.inner.post_process(first, second, true).map_err(TokenizerError::Encode)?;
        let i32s = |ids: &[u32]| ids.iter().map(|&id| id as i32).collect();
        Ok(Encoding {
            input_ids: i32s(encoding.get_ids()),
            token_type_ids: i32s(encoding.get_type_ids()),
            total_tokens,
            is_counted: true,
            empty_text: None,
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

    /// Returns the text of token ids. Ids that are not in the vocabulary are omitted.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the ids.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        self.inner.decode(ids, skip_special).map_err(TokenizerError::Encode)
    }

    /// Whether the vocabulary has a token of this id.
    #[must_use]
    pub fn has_token(&self, id: u32) -> bool {
        self.inner.id_to_token(id).is_some()
    }

    /// Number of tokens of the vocabulary, including added tokens.
    #[must_use]
    pub fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The maximum number of tokens of one text, special tokens included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    fs::read(path)
        .map_err(|source| TokenizerError::Read { path: path.display().to_string(), source })
}
