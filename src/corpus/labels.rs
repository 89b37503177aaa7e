//! Labels of clusters: a text and a few words.
//!
//! The text is that of the row nearest to the mean of the cluster. The words are those with the highest
//! c-TF-IDF, the frequency in the cluster times `log(1 + A / f)`, with the mean number of words of a
//! cluster `A` and the frequency `f` in all clusters.
//! Source: BERTopic, <https://arxiv.org/abs/2203.05794>, section 3.3.

use std::collections::HashMap;

use super::cluster::Cluster;
use super::error::CorpusError;
use super::index::Index;
use super::unit_rows::{ArrayRows, LiveRows, UnitRows};

/// The label of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterLabel {
    /// The text nearest to the mean of the cluster.
    pub text: String,
    /// The words that distinguish it from the others, at most 5.
    pub words: Vec<String>,
}

/// Number of words of a label.
const WORDS: usize = 5;

/// The shortest word that can be in a label.
const MIN_CHARACTERS: usize = 3;

/// Returns the label of each cluster of texts. `rows` are their vectors `[dim]`, f32; they are normalized.
///
/// # Errors
/// - [`CorpusError::WrongDimensions`], [`CorpusError::DegenerateVector`] if a row is invalid.
pub fn labels<R: AsRef<[f32]>, T: AsRef<str>>(
    rows: &[R],
    texts: &[T],
    clusters: &[Cluster],
) -> Result<Vec<ClusterLabel>, CorpusError> {
    let text = |row: usize| Ok(texts.get(row).map_or("", AsRef::as_ref).to_owned());
    labels_of(&ArrayRows::new(rows)?, &text, clusters)
}

impl Index {
    /// Returns the label of each cluster of live rows, as [`labels`].
    ///
    /// # Errors
    /// - [`CorpusError`] if the index is damaged.
    pub fn labels(&self, clusters: &[Cluster]) -> Result<Vec<ClusterLabel>, CorpusError> {
        let reader = self.reader();
        labels_of(&LiveRows::new(self), &|row| Ok(reader.row(row)?.text), clusters)
    }
}

fn labels_of(
    rows: &dyn UnitRows,
    text: &dyn Fn(usize) -> Result<String, CorpusError>,
    clusters: &[Cluster],
) -> Result<Vec<ClusterLabel>, CorpusError> {
    let mut total: HashMap<String, usize> = HashMap::new();
    let (mut texts, mut counts) = (Vec::new(), Vec::new());
    for members in clusters {
        let mut mean = vec![0.0f32; rows.dim()];
        let mut words: HashMap<String, usize> = HashMap::new();
        for &row in members {
            mean.iter_mut().zip(rows.get(row).iter()).for_each(|(sum, x)| *sum += x);
            for word in words_of(&text(row)?) {
                *total.entry(word.clone()).or_default() += 1;
                *words.entry(word).or_default() += 1;
            }
        }
        let mut nearest = (f32::NEG_INFINITY, 0);
        for &row in members {
            let mut score = [0.0];
            rows.kernels().dots(&mean, &rows.get(row), &mut score)?;
            if score[0] > nearest.0 {
                nearest = (score[0], row);
            }
        }
        texts.push(text(nearest.1)?);
        counts.push(words);
    }
    let all: usize = total.values().sum();
    let mean_words = all as f64 / clusters.len().max(1) as f64;
    let words = counts.into_iter().map(|words| {
        let weight = |(word, count): (String, usize)| {
            let frequency = total.get(&word).copied().unwrap_or(1) as f64;
            (count as f64 * (1.0 + mean_words / frequency).ln(), word)
        };
        let mut weighted: Vec<(f64, String)> = words.into_iter().map(weight).collect();
        weighted.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut chosen: Vec<String> = Vec::new();
        for (_, word) in weighted {
            if chosen.len() == WORDS {
                break;
            }
            if !chosen.iter().any(|known| differ_by_s(known, &word)) {
                chosen.push(word);
            }
        }
        chosen
    });
    Ok(texts.into_iter().zip(words).map(|(text, words)| ClusterLabel { text, words }).collect())
}

/// The commonest English words, which say nothing about a cluster.
const COMMON: [&str; 65] = [
    "about",
    "all",
    "also",
    "and",
    "any",
    "are",
    "been",
    "being",
    "but",
    "can",
    "could",
    "does",
    "for",
    "from",
    "had",
    "has",
    "have",
    "her",
    "him",
    "his",
    "how",
    "into",
    "its",
    "may",
    "more",
    "new",
    "not",
    "one",
    "only",
    "other",
    "others",
    "our",
    "out",
    "she",
    "should",
    "some",
    "someone",
    "something",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "use",
    "used",
    "was",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whose",
    "will",
    "with",
    "would",
    "you",
    "your",
];

/// Whether one of two words is the other with an `s`, as the plural of most English words.
fn differ_by_s(a: &str, b: &str) -> bool {
    a.strip_suffix('s') == Some(b) || b.strip_suffix('s') == Some(a)
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= MIN_CHARACTERS)
        .filter(|word| word.chars().any(char::is_alphabetic))
        .map(str::to_lowercase)
        .filter(|word| !COMMON.contains(&word.as_str()))
}
