//! Pairs of texts to token ids.

use tokenizers::{TruncationParams, TruncationStrategy, truncate_encodings};

use super::{Count, Encoding, Reading, Side, TextTokens, Tokenizer, TokenizerError};

impl Tokenizer {
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
        count: Count,
    ) -> Result<Encoding, TokenizerError> {
        let reading = Reading { side, count, text_tokens: None };
        let first_tokens = self.first_tokens(first, reading)?;
        self.encode_second((first, first_tokens), second, reading)
    }

    /// Returns the tokens of the first text of a pair, for [`encode_second`](Self::encode_second).
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on the text.
    pub fn first_tokens(
        &self,
        first: &str,
        reading: Reading,
    ) -> Result<TextTokens, TokenizerError> {
        self.text_tokens(first, reading.side, self.pair_room(reading), reading.count)
    }

    /// As [`encode_pair`](Self::encode_pair), with the first text and its tokens, and with a limit on the
    /// tokens of the pair.
    ///
    /// # Errors
    /// - [`TokenizerError::Encode`] if the library fails on a text.
    pub fn encode_second(
        &self,
        (first, first_tokens): (&str, TextTokens),
        second: &str,
        reading: Reading,
    ) -> Result<Encoding, TokenizerError> {
        let (Reading { side, count, .. }, room) = (reading, self.pair_room(reading));
        let mut first_tokens = first_tokens;
        let mut second_tokens = self.text_tokens(second, side, room, count)?;
        // If both texts exceed the limit, the longer one gets the odd token.
        if room % 2 == 1 && first_tokens.encoding.len().min(second_tokens.encoding.len()) > room {
            for (tokens, text) in [(&mut first_tokens, first), (&mut second_tokens, second)] {
                if !tokens.is_whole {
                    *tokens = self.text_tokens(text, side, room, Count::All)?;
                }
            }
        }
        let is_counted = first_tokens.is_whole && second_tokens.is_whole;
        let (first, second) = (first_tokens.encoding, second_tokens.encoding);
        let empty_text = [&first, &second].into_iter().position(|text| text.is_empty());
        let total_tokens = first.len() + second.len() + self.pair_special_tokens;
        let limit = TruncationParams {
            direction: side.into(),
            max_length: room,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        let (first, second) =
            truncate_encodings(first, Some(second), &limit).map_err(TokenizerError::Encode)?;
        let encoding = self.with_special_tokens(first, second, total_tokens)?;
        Ok(Encoding { empty_text, is_counted, ..encoding })
    }

    /// Number of special tokens around the texts of a pair.
    #[must_use]
    pub fn pair_special_tokens(&self) -> usize {
        self.pair_special_tokens
    }

    /// Maximum number of tokens of a pair, special tokens excluded.
    fn pair_room(&self, reading: Reading) -> usize {
        let room = self.max_tokens.saturating_sub(self.pair_special_tokens);
        reading.text_tokens.map_or(room, |tokens| room.min(tokens))
    }
}
