//! The models of this crate as one model of the tokenizers library.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::Token;
use tokenizers::models::wordpiece::WordPieceTrainer;

use super::bpe::Bpe;
use super::rules::ModelRules;
use super::tokenize::read;
use super::unigram::Unigram;
use super::word_piece::WordPiece;
use super::{Pieces, PiecesError, TokenizerError, Vocabulary};

/// The model of a bundle's tokenizer: splits a word into pieces of the vocabulary.
pub(super) enum Model {
    WordPiece(WordPiece),
    Unigram(Unigram),
    Bpe(Bpe),
}

impl Model {
    /// Reads the vocabulary and checks it against the rules.
    pub(super) fn from_files(rules: ModelRules, path: &Path) -> Result<Self, TokenizerError> {
        match rules {
            ModelRules::WordPiece {
                unk_token,
                continuing_subword_prefix,
                max_input_chars_per_word,
                words,
            } => {
                let vocabulary = Vocabulary::parse(read(path)?).map_err(|source| {
                    TokenizerError::Vocabulary { path: path.display().to_string(), source }
                })?;
                check_count(path, vocabulary.len(), words)?;
                let unknown = unknown_token(path, unk_token, |token| vocabulary.id(token))?;
                Ok(Self::WordPiece(WordPiece {
                    vocabulary,
                    unknown,
                    continuing_prefix: continuing_subword_prefix,
                    max_word_chars: max_input_chars_per_word,
                }))
            }
            ModelRules::Unigram { unk_id, byte_fallback, words } => {
                let pieces = pieces(path, words, 0, true)?;
                if let Some(id) = unk_id.filter(|&id| id as usize >= words) {
                    let path = path.display().to_string();
                    return Err(TokenizerError::NoUnknownId { path, id });
                }
                Ok(Self::Unigram(Unigram { pieces, unknown: unk_id, byte_fallback }))
            }
            ModelRules::Bpe {
                unk_token,
                continuing_subword_prefix,
                end_of_word_suffix,
                fuse_unk,
                byte_fallback,
                ignore_merges,
                words,
                merges,
            } => {
                let pieces = pieces(path, words, merges, false)?;
                let unknown =
                    unk_token.map(|token| unknown_token(path, token, |token| pieces.id(token)));
                Ok(Self::Bpe(Bpe {
                    unknown: unknown.transpose()?,
                    pieces,
                    fuse_unknown: fuse_unk,
                    byte_fallback,
                    ignore_merges,
                    continuing_prefix: continuing_subword_prefix.unwrap_or_default(),
                    end_suffix: end_of_word_suffix.unwrap_or_default(),
                }))
            }
        }
    }
}

/// Opens a vocabulary of pieces and checks it against the rules.
fn pieces(
    path: &Path,
    words: usize,
    merges: usize,
    has_scores: bool,
) -> Result<Pieces, TokenizerError> {
    let name = || path.display().to_string();
    let pieces = Pieces::open(path).map_err(|source| match source {
        PiecesError::Map(source) => TokenizerError::Read { path: name(), source },
        source => TokenizerError::Pieces { path: name(), source },
    })?;
    check_count(path, pieces.len(), words)?;
    let found_merges = pieces.merges();
    if found_merges != merges {
        let (path, expected_merges) = (name(), merges);
        return Err(TokenizerError::MergeCount { path, found_merges, expected_merges });
    }
    if pieces.has_scores() != has_scores {
        return Err(TokenizerError::Scores { path: name(), expected: has_scores });
    }
    Ok(pieces)
}

fn check_count(path: &Path, found_words: usize, words: usize) -> Result<(), TokenizerError> {
    if found_words == words {
        return Ok(());
    }
    let path = path.display().to_string();
    Err(TokenizerError::WordCount { path, found_words, expected_words: words })
}

fn unknown_token(
    path: &Path,
    token: String,
    id: impl Fn(&str) -> Option<u32>,
) -> Result<u32, TokenizerError> {
    match id(&token) {
        Some(id) => Ok(id),
        None => Err(TokenizerError::NoUnknownToken { path: path.display().to_string(), token }),
    }
}

impl tokenizers::Model for Model {
    type Trainer = WordPieceTrainer;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        match self {
            Self::WordPiece(model) => Ok(model.tokenize(word)),
            Self::Unigram(model) => model.tokenize(word),
            Self::Bpe(model) => Ok(model.tokenize(word)),
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        match self {
            Self::WordPiece(model) => model.vocabulary.id(token),
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => {
                pieces.id(token)
            }
        }
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        let token = match self {
            Self::WordPiece(model) => model.vocabulary.word(id),
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => {
                pieces.piece(id)
            }
        };
        token.map(str::to_owned)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match self {
            Self::WordPiece(model) => {
                model.vocabulary.words().map(str::to_owned).zip(0..).collect()
            }
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => {
                pieces.iter().map(str::to_owned).zip(0..).collect()
            }
        }
    }

    fn get_vocab_size(&self) -> usize {
        match self {
            Self::WordPiece(model) => model.vocabulary.len(),
            Self::Unigram(Unigram { pieces, .. }) | Self::Bpe(Bpe { pieces, .. }) => pieces.len(),
        }
    }

    /// Returns an error: a bundle is immutable.
    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("the vocabulary of a bundle is read-only".into())
    }

    fn get_trainer(&self) -> WordPieceTrainer {
        WordPieceTrainer::default()
    }
}
