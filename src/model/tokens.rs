//! The tokens of texts.

use std::time::Instant;

use super::{Model, characters};
use crate::cost::Cost;
use crate::error::ModelError;
use crate::options::TokenizeOptions;
use crate::outcome::{Token, TokenizeOutput};

impl Model {
    /// Returns the tokens of each text, not truncated, with the special tokens of the model.
    ///
    /// # Errors
    /// - As [`Model::tokenize_with`].
    pub fn tokenize<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<Token>>, ModelError> {
        Ok(self.tokenize_with(texts, &TokenizeOptions::default())?.tokens)
    }

    /// Returns the tokens of each text, not truncated.
    ///
    /// # Errors
    /// - [`ModelError::EmptyText`] if a text has no tokens besides special ones.
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    /// - [`ModelError::Canceled`] if the call is canceled.
    pub fn tokenize_with<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &TokenizeOptions,
    ) -> Result<TokenizeOutput, ModelError> {
        self.tokenize_within(texts, options, usize::MAX)
    }

    /// Returns the tokens of each text, not truncated, if they are at most `limit_tokens` in total.
    ///
    /// # Errors
    /// - As [`Model::tokenize_with`].
    /// - [`ModelError::TooManyTokensInTotal`] if there are more. The texts after the one that exceeds
    ///   the limit are not tokenized.
    pub fn tokenize_within<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &TokenizeOptions,
        limit_tokens: usize,
    ) -> Result<TokenizeOutput, ModelError> {
        let started = Instant::now();
        let prompt = self.prompt(self.parts.info.text_prompt(&options.prompts))?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        let tokenizer = self.tokenizer()?;
        let mut tokens: Vec<Vec<Token>> = Vec::with_capacity(texts.len());
        let mut prompt_tokens = 0;
        for (index, text) in texts.iter().enumerate() {
            self.cancel.check()?;
            let failed = |source| ModelError::Tokenize { index, source };
            let limit = limit_tokens - prompt_tokens;
            let found = tokenizer.tokens(&text.whole, options.special_tokens, limit);
            let found = found.map_err(failed)?;
            let found = found.ok_or(ModelError::TooManyTokensInTotal { limit_tokens })?;
            let own = found.iter().filter(|token| token.characters.is_some()).count();
            if own == 0 || Self::is_empty(tokenizer, text, found.len()).map_err(failed)? {
                return Err(ModelError::EmptyText { index, text: 0 });
            }
            prompt_tokens += found.len();
            tokens.push(found);
        }
        let cost = Cost {
            texts: texts.len(),
            characters: characters(texts.iter().map(|text| text.whole.as_ref())),
            prompt_tokens,
            tokenize_time: started.elapsed(),
            ..Cost::default()
        };
        Ok(TokenizeOutput { tokens, cost })
    }

    /// Returns the start of a text that has the first `tokens` tokens, without special tokens, or `None`
    /// if the text has no more tokens.
    ///
    /// # Errors
    /// - [`ModelError::Tokenize`] if the tokenizer fails on the text.
    pub fn first_tokens<'t>(
        &self,
        text: &'t str,
        tokens: usize,
    ) -> Result<Option<&'t str>, ModelError> {
        let failed = |source| ModelError::Tokenize { index: 0, source };
        let characters = self.tokenizer()?.characters_of(text, tokens).map_err(failed)?;
        let end =
            |characters| text.char_indices().nth(characters).map_or(text.len(), |(end, _)| end);
        Ok(characters.map(|characters| &text[..end(characters)]))
    }

    /// Returns the text of token ids, for each text. Whether it equals the text that was tokenized
    /// depends on the tokenizer.
    ///
    /// # Errors
    /// - [`ModelError::UnknownToken`] if an id is not in the vocabulary.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on the ids.
    pub fn decode(
        &self,
        texts: &[Vec<u32>],
        skip_special: bool,
    ) -> Result<Vec<String>, ModelError> {
        let tokenizer = self.tokenizer()?;
        let text = |(index, ids): (usize, &Vec<u32>)| {
            if let Some(id) = ids.iter().copied().find(|&id| !tokenizer.has_token(id)) {
                let count = tokenizer.vocabulary_size();
                return Err(ModelError::UnknownToken { index, id, count });
            }
            let failed = |source| ModelError::Tokenize { index, source };
            tokenizer.decode(ids, skip_special).map_err(failed)
        };
        texts.iter().enumerate().map(text).collect()
    }
}
