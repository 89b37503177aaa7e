//! Boundaries of a text: places where the tokens before do not depend on the text after, and the tokens
//! after do not depend on the text before.

use std::collections::HashSet;

use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::{Model as _, NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::Side;
use super::bpe::Bpe;
use super::model::Model;
use super::tokenize::Inner;
use super::unigram::Unigram;

/// The patterns of byte-level tokenizers. None of them matches across a space after a letter or a digit.
///
/// Source: `tokenizer.json` of Qwen 3 and of Llama 3.
const SPLIT_PATTERNS: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// The character that represents a space in pieces.
const SPACE_OF_PIECES: char = '\u{2581}';

/// The boundaries of a tokenizer.
///
/// Every tokenizer that has boundaries has one between a letter or digit and a space that another letter or
/// digit follows. The tokenizer of BERT also has boundaries around punctuation, white space and ideographs.
pub(super) struct Boundaries {
    /// Whether the tokenizer is that of BERT, and if so whether ideographs are words.
    bert: Option<bool>,
    /// Whether a text can lose its start.
    left: bool,
    /// The pairs of adjacent characters of added tokens. There is no boundary within such a pair.
    added: HashSet<(char, char)>,
}

impl Boundaries {
    /// Returns the boundaries of a tokenizer, or `None` if its rules are not known to have any.
    pub(super) fn new(tokenizer: &Inner) -> Option<Self> {
        let normalizer = tokenizer.get_normalizer();
        let rules = normalizer.map_or(Some(Normalization::default()), Normalization::new)?;
        let pre_tokenizer = tokenizer.get_pre_tokenizer();
        let mut splits = Splits { has_space: !rules.replaces_space, at_space: false };
        if let Some(pre_tokenizer) = pre_tokenizer {
            splits.add(pre_tokenizer, rules.replaces_space)?;
        }
        if !splits.at_space && crosses_words(tokenizer.get_model()) {
            return None;
        }
        let mut added = HashSet::new();
        let mut has_words = false;
        for token in tokenizer.get_added_vocabulary().get_added_tokens_decoder().values() {
            has_words |= token.single_word;
            if token.normalized && !token.content.chars().all(|char| char.is_ascii_graphic()) {
                return None;
            }
            for (first, second) in token.content.chars().zip(token.content.chars().skip(1)) {
                // A normalizer can change the case.
                for first in [first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                    added.insert((first, second.to_ascii_lowercase()));
                    added.insert((first, second.to_ascii_uppercase()));
                }
            }
        }
        let is_bert = matches!(pre_tokenizer, Some(PreTokenizerWrapper::BertPreTokenizer(_)));
        // Whether an added token matches can depend on the characters around it.
        let bert = match normalizer {
            Some(NormalizerWrapper::BertNormalizer(BertNormalizer {
                handle_chinese_chars,
                ..
            })) if is_bert && !has_words => Some(*handle_chinese_chars),
            _ => None,
        };
        Some(Self { bert, left: !rules.changes_start, added })
    }

    /// Returns at most `bytes` of a longer text without those on `side`, or `None` if there is no boundary in
    /// the outer half of them.
    pub(super) fn part<'a>(&self, text: &'a str, bytes: usize, side: Side) -> Option<&'a str> {
        match side {
            Side::Right => {
                let mut boundaries = (bytes / 2..=bytes).rev();
                boundaries.find(|&at| self.is_boundary(text, at)).map(|at| &text[..at])
            }
            Side::Left => {
                let mut boundaries = text.len() - bytes..=text.len() - bytes / 2;
                let boundary = if self.left {
                    boundaries.find(|&at| self.is_boundary(text, at))
                } else {
                    None
                };
                boundary.map(|at| &text[at..])
            }
        }
    }

    fn is_boundary(&self, text: &str, at: usize) -> bool {
        let Some((before, after)) = text.split_at_checked(at) else { return false };
        let mut after = after.chars();
        let (Some(last), Some(next)) = (before.chars().next_back(), after.next()) else {
            return false;
        };
        if self.added.contains(&(last, next)) {
            return false;
        }
        let is_between_words = is_word(last) && next == ' ' && after.next().is_some_and(is_word);
        is_between_words
            || self.bert.is_some_and(|splits_ideographs| {
                is_separator(next)
                    || (is_separator(last) && is_word(next))
                    || (splits_ideographs && is_ideograph(last) && is_ideograph(next))
            })
    }
}

/// What matters of a normalizer.
#[derive(Default)]
struct Normalization {
    /// Whether spaces become [`SPACE_OF_PIECES`].
    replaces_space: bool,
    /// Whether it treats the start of a text in another way than the rest.
    changes_start: bool,
}

impl Normalization {
    /// Returns `None` if the result for a character can depend on others that are far away.
    fn new(normalizer: &NormalizerWrapper) -> Option<Self> {
        let mut rules = Self::default();
        match normalizer {
            NormalizerWrapper::BertNormalizer(_)
            | NormalizerWrapper::StripAccents(_)
            | NormalizerWrapper::NFC(_)
            | NormalizerWrapper::NFD(_)
            | NormalizerWrapper::NFKC(_)
            | NormalizerWrapper::NFKD(_)
            | NormalizerWrapper::Lowercase(_)
            | NormalizerWrapper::Nmt(_)
            | NormalizerWrapper::Precompiled(_) => {}
            NormalizerWrapper::StripNormalizer(strip) => rules.changes_start = strip.strip_left,
            NormalizerWrapper::Prepend(_) => rules.changes_start = true,
            NormalizerWrapper::Replace(replace) => {
                let json = serde_json::to_value(replace).ok()?;
                let pattern = &json["pattern"];
                if pattern["String"] == " " && replace.content.chars().eq([SPACE_OF_PIECES]) {
                    rules.replaces_space = true;
                } else if pattern["Regex"] != " {2,}" || replace.content != " " {
                    return None;
                }
            }
            NormalizerWrapper::Sequence(inner) => {
                for normalizer in inner.as_ref() {
                    let inner = Self::new(normalizer)?;
                    rules.replaces_space |= inner.replaces_space;
                    rules.changes_start |= inner.changes_start;
                }
            }
            NormalizerWrapper::ByteLevel(_) => return None,
        }
        Some(rules)
    }
}

/// Whether a pre-tokenizer splits before a space between words.
struct Splits {
    /// Whether spaces are still spaces.
    has_space: bool,
    at_space: bool,
}

impl Splits {
    /// Returns `None` if a split can depend on characters that are far away.
    fn add(&mut self, pre_tokenizer: &PreTokenizerWrapper, replaces_space: bool) -> Option<()> {
        match pre_tokenizer {
            PreTokenizerWrapper::BertPreTokenizer(_)
            | PreTokenizerWrapper::Whitespace(_)
            | PreTokenizerWrapper::WhitespaceSplit(_) => self.at_space |= self.has_space,
            PreTokenizerWrapper::Punctuation(_) | PreTokenizerWrapper::Digits(_) => {}
            PreTokenizerWrapper::Metaspace(metaspace) => {
                let is_usual = metaspace.get_replacement() == SPACE_OF_PIECES;
                self.at_space |= metaspace.get_split() && (is_usual || self.has_space);
                self.has_space = false;
            }
            PreTokenizerWrapper::ByteLevel(byte_level) => {
                self.at_space |= byte_level.use_regex && self.has_space;
                self.has_space = false;
            }
            PreTokenizerWrapper::Split(split) => match &split.pattern {
                SplitPattern::Regex(pattern)
                    if SPLIT_PATTERNS.contains(&pattern.as_str())
                        && split.behavior == SplitDelimiterBehavior::Isolated
                        && !split.invert =>
                {
                    self.at_space |= self.has_space;
                }
                // There is nothing to split.
                SplitPattern::String(space) if space == " " && replaces_space => {}
                _ => return None,
            },
            PreTokenizerWrapper::Sequence(inner) => {
                for pre_tokenizer in inner.as_ref() {
                    self.add(pre_tokenizer, replaces_space)?;
                }
            }
            PreTokenizerWrapper::Delimiter(_)
            | PreTokenizerWrapper::UnicodeScripts(_)
            | PreTokenizerWrapper::FixedLength(_) => return None,
        }
        Some(())
    }
}

/// Whether a piece can contain a letter or digit followed by a space, in a text that is one word.
fn crosses_words(model: &Model) -> bool {
    let pieces = match model {
        Model::WordPiece(_) => return true,
        Model::Unigram(Unigram { pieces, .. }) => pieces,
        Model::Bpe(Bpe { pieces, continuing_prefix, end_suffix, .. }) => {
            if !continuing_prefix.is_empty() || !end_suffix.is_empty() {
                return true;
            }
            pieces
        }
    };
    // Adjacent unknown characters are one token.
    let is_known = model.token_to_id(&SPACE_OF_PIECES.to_string()).is_some();
    let crosses = |piece: &str| {
        let mut pairs = piece.chars().zip(piece.chars().skip(1));
        pairs.any(|(last, next)| is_word(last) && [' ', SPACE_OF_PIECES].contains(&next))
    };
    !is_known || pieces.iter().any(crosses)
}

/// Whether a character is a letter or a digit that never joins with the next character.
fn is_word(char: char) -> bool {
    let is_known = matches!(char,
        // Latin, Greek, Cyrillic, Hebrew, Arabic, kana, ideographs, Hangul.
        '0'..='9' | 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}'
        | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    is_known && char.is_alphanumeric()
}

/// Whether BERT's tokenizer splits around a character: white space and punctuation, here of ASCII, the
/// general punctuation and that of East Asia.
fn is_separator(char: char) -> bool {
    char.is_ascii_punctuation()
        || matches!(char, ' ' | '\t' | '\n' | '\r' | '\u{2010}'..='\u{2027}'
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{ff01}'..='\u{ff03}'
            | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}')
}

/// Whether BERT's normalizer puts spaces around a character: one of the block of unified ideographs.
fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{4e00}'..='\u{9fff}')
}
