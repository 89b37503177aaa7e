//! Texts with their prompts.

use std::borrow::Cow;

/// A prompt of a model, or an empty one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prompt<'a> {
    /// The prefix.
    pub(crate) text: &'a str,
    /// Its number of tokens, special tokens included; 0 for an empty prompt.
    pub(crate) tokens: usize,
}

/// A text with its prompt.
#[derive(Clone, Debug)]
pub(crate) struct Prompted<'a> {
    /// The prompt followed by the text.
    pub(crate) whole: Cow<'a, str>,
    /// The text alone.
    pub(crate) own: &'a str,
    /// Number of tokens of the prompt alone; 0 without a prompt.
    pub(crate) prompt_tokens: usize,
}

impl Prompt<'_> {
    /// Returns a text with this prompt.
    pub(crate) fn before<'t>(&self, own: &'t str) -> Prompted<'t> {
        match self.text {
            "" => Prompted { whole: own.into(), own, prompt_tokens: 0 },
            prompt => {
                Prompted { whole: format!("{prompt}{own}").into(), own, prompt_tokens: self.tokens }
            }
        }
    }
}
