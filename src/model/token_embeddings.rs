//! Embedding the tokens of texts.

use std::hash::Hash;
use std::time::Instant;

use super::texts::{limit_tokens, reading};
use super::{Model, characters};
use crate::cost::Cost;
use crate::error::ModelError;
use crate::options::{EmbedOptions, TextOptions};
use crate::outcome::TokenEmbeddings;
use crate::tokenizer::{Encoding, Reading};
use crate::unique::{TokenCounts, Unique};

impl Model {
    /// Returns the embedding of each token of each text, special tokens included: the output of the
    /// transformer, not pooled and not normalized. A repeated text is embedded once.
    ///
    /// # Errors
    /// - As [`Model::similarity_with`].
    pub fn embed_tokens_with<T: AsRef<str>>(
        &self,
        texts: &[T],
        options: &TextOptions,
    ) -> Result<TokenEmbeddings, ModelError> {
        let prompt = self.prompt(self.parts.info.text_prompt(&options.prompts))?;
        let texts: Vec<_> = texts.iter().map(|text| prompt.before(text.as_ref())).collect();
        // These errors are those of every other call.
        let faults = self.faults(&texts, options.truncation, options.text_tokens)?;
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        let started = Instant::now();
        let unique = Unique::new(texts.iter().map(|text| text.whole.as_ref()));
        let encoder = self.encoder()?;
        let reading = Reading { text_tokens: options.text_tokens, ..reading(options.truncation) };
        let encode = |(item, text): (usize, &&str)| {
            self.cancel.check()?;
            let failed = |source| ModelError::Tokenize { index: unique.first(item), source };
            encoder.tokenizer().read(text, reading).map_err(failed)
        };
        let encodings = unique.items.iter().enumerate().map(encode);
        let encodings: Vec<Encoding> = encodings.collect::<Result<_, ModelError>>()?;
        let tokenize_time = started.elapsed();
        let characters = characters(texts.iter().map(|text| text.whole.as_ref()));
        let mut embedded = self.token_rows(&unique, encodings, reading)?;
        embedded.cost = Cost { characters, tokenize_time, ..embedded.cost };
        Ok(embedded)
    }

    /// As [`Model::embed_tokens_with`], of texts that are given as token ids, which are read as
    /// [`Model::embed_ids_with`] reads them.
    ///
    /// # Errors
    /// - As [`Model::embed_ids_with`].
    pub fn embed_tokens_of_ids_with(
        &self,
        texts: &[&[u32]],
        options: &TextOptions,
    ) -> Result<TokenEmbeddings, ModelError> {
        let TextOptions { truncation, text_tokens, .. } = *options;
        let of_texts = EmbedOptions { truncation, text_tokens, ..EmbedOptions::default() };
        if let Some(fault) = self.id_faults(texts, &of_texts)?.into_iter().next() {
            return Err(fault);
        }
        let unique = Unique::new(texts.iter().copied());
        let (tokenizer, reading) =
            (self.encoder()?.tokenizer(), Reading { text_tokens, ..reading(truncation) });
        let encodings = unique.items.iter().map(|ids| tokenizer.read_ids(ids, reading)).collect();
        self.token_rows(&unique, encodings, reading)
    }

    /// Returns the embedding of each token of the distinct texts.
    fn token_rows<T: Copy + Eq + Hash>(
        &self,
        unique: &Unique<T>,
        encodings: Vec<Encoding>,
        reading: Reading,
    ) -> Result<TokenEmbeddings, ModelError> {
        let encoder = self.encoder()?;
        let tokens = TokenCounts {
            counts: encodings.iter().map(|it| (it.total_tokens, it.is_truncated())).collect(),
            empty: vec![None; encodings.len()],
            limit_tokens: limit_tokens(encoder, reading),
        };
        let (rows, cost) = encoder.token_embeddings(encodings, &self.cancel)?;
        let cost = Cost {
            texts: unique.members.len(),
            unique_texts: unique.items.len(),
            prompt_tokens: unique.read_tokens(&tokens),
            truncated: unique.truncated(&tokens),
            ..cost
        };
        let texts = unique.members.iter().map(|&text| rows[text].clone()).collect();
        Ok(TokenEmbeddings { texts, cost })
    }
}
