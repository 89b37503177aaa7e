//! The parts of a long text that rerank scores one at a time.

use super::Model;
use crate::error::ModelError;
use crate::options::{Prompts, TextOptions};
use crate::tokenizer::{Reading, Tokenizer, TokenizerError};

impl Model {
    /// Returns the parts of each text that [`Model::rerank_with`] can read one at a time with a query: at
    /// most `count`, each with as many tokens as fit. The last part is the rest of the text, which can be
    /// longer.
    ///
    /// # Errors
    /// - [`ModelError::UnknownPrompt`] if the model has no such prompt.
    /// - [`ModelError::Tokenize`] if the tokenizer fails on a text.
    pub fn rerank_parts<'t>(
        &self,
        query: &str,
        texts: &[&'t str],
        count: usize,
        options: &TextOptions,
    ) -> Result<Vec<Vec<&'t str>>, ModelError> {
        let failed = |source| ModelError::Tokenize { index: 0, source };
        let cross_encoder = self.parts.cross_encoder.as_ref().filter(|(one, _)| one.ranks());
        let limit = options.text_tokens.unwrap_or(usize::MAX);
        let (tokenizer, room) = match cross_encoder {
            Some((one, _)) => {
                let tokenizer = one.tokenizer();
                let room = (one.max_tokens() - tokenizer.pair_special_tokens()).min(limit);
                let reading = Reading { text_tokens: Some(room), ..Reading::DEFAULT };
                let query = tokenizer.first_tokens(query, reading).map_err(failed)?.len();
                // A pair of long texts is truncated to the same number of tokens of each.
                (tokenizer, room.saturating_sub(query).max(room / 2))
            }
            None => {
                let tokenizer = self.encoder()?.tokenizer();
                let name = match &options.prompts {
                    Prompts::ByRole => self.parts.info.document_prompt(),
                    prompts => self.parts.info.text_prompt(prompts),
                };
                let special = tokenizer.special_tokens();
                let room = (tokenizer.max_tokens() - special).min(limit);
                let prompt = self.prompt(name)?.tokens.saturating_sub(special);
                (tokenizer, room.saturating_sub(prompt))
            }
        };
        let parts = |text: &&'t str| parts(tokenizer, text, room.max(1), count);
        let parts = texts
            .iter()
            .enumerate()
            .map(|(index, text)| parts(text).map_err(|error| failed(error).at_index(|_| index)));
        parts.collect()
    }
}

/// Returns the parts of a text, each of `room` tokens.
fn parts<'t>(
    tokenizer: &Tokenizer,
    text: &'t str,
    room: usize,
    count: usize,
) -> Result<Vec<&'t str>, TokenizerError> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while parts.len() + 1 < count {
        let Some(characters) = tokenizer.characters_of(rest, room)? else { break };
        let end = rest.char_indices().nth(characters).map_or(rest.len(), |(end, _)| end);
        if end == 0 {
            break;
        }
        let (part, others) = rest.split_at(end);
        parts.push(part);
        rest = others;
    }
    parts.push(rest);
    Ok(parts)
}
