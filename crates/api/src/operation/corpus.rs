//! What the operations on a whole corpus share: its rows, which are texts, vectors or those of an index.

use std::sync::Arc;

use semblance::corpus::{
    Cluster, ClusterLabel, ClusterOptions, CorpusError, Index, MineOptions, Pair, Row, cluster,
    labels, map, mine,
};
use semblance::{Cost, EmbedOptions, Prompts, Truncation};

use super::kept::{ItemError, Kept};
use super::{encoding_bytes, in_fields};
use crate::body::PromptName;
use crate::error::ApiError;
use crate::request::{Field, RequestError, Texts};
use crate::service::Service;

/// A corpus of a request.
pub(crate) enum Corpus {
    Texts(Texts),
    Vectors(Vec<Vec<f32>>),
    /// The name of an index.
    Index(String),
}

/// A corpus, and how its texts are embedded.
pub(crate) struct CorpusRequest {
    /// The corpus.
    pub(crate) corpus: Corpus,
    /// How to handle a text beyond the model's limit.
    pub(crate) truncation: Truncation,
    /// The prompt that is put before each text. If absent, that of the model for a document.
    pub(crate) prompt_name: PromptName,
}

impl CorpusRequest {
    /// Returns how many bytes the comparison of all rows needs, with this many for each row. More rows
    /// than the limit need none: they are refused.
    pub(crate) fn memory_bytes(&self, service: &Service, row_bytes: usize, limit: usize) -> usize {
        let info = service.model().info();
        let (rows, encodings) = match &self.corpus {
            Corpus::Vectors(vectors) => (vectors.len(), 0),
            Corpus::Texts(texts) => {
                let texts = texts.as_slice();
                (texts.len(), encoding_bytes(texts.iter().map(String::as_str), info.max_tokens))
            }
            // A missing index is an error later.
            Corpus::Index(name) => {
                let index = service.indexes().and_then(|indexes| indexes.get(name).ok());
                (index.map_or(0, |index| index.len()), 0)
            }
        };
        let rows = if rows > limit { 0 } else { rows };
        // The vectors, normalized ones, and codes.
        let vector_bytes = info.dimensions.saturating_mul(2 * size_of::<f32>() + 1);
        encodings.saturating_add(rows.saturating_mul(vector_bytes.saturating_add(row_bytes)))
    }

    /// Returns the rows, at most this number.
    pub(crate) fn rows(&self, service: &Service, limit: usize) -> Result<(Rows, Cost), ApiError> {
        let (rows, cost) = match &self.corpus {
            Corpus::Vectors(vectors) => {
                check_count("vectors", vectors.len(), limit)?;
                (Rows::Vectors(vectors.clone()), Cost::default())
            }
            Corpus::Texts(texts) => {
                check_count("texts", texts.as_slice().len(), limit)?;
                let (vectors, kept, cost) = self.embed(service, texts)?;
                let texts = kept.texts(texts).into_iter().map(str::to_owned).collect();
                (Rows::Texts { vectors, texts, kept }, cost)
            }
            Corpus::Index(name) => {
                let index = service.indexes().ok_or(ApiError::NoIndexes)?.get(name)?;
                check_count("index", index.len(), limit)?;
                (Rows::Index(index), Cost::default())
            }
        };
        Ok((rows, cost))
    }

    /// Returns the vectors of the valid texts.
    fn embed(
        &self,
        service: &Service,
        texts: &Texts,
    ) -> Result<(Vec<Vec<f32>>, Kept, Cost), ApiError> {
        let model = service.model();
        let options = EmbedOptions {
            truncation: self.truncation,
            prompts: match &self.prompt_name {
                PromptName::Absent => Prompts::named(model.info().document_prompt()),
                given => given.clone().prompts(),
            },
            normalize: Some(true),
            ..EmbedOptions::default()
        };
        let field_of = |index| texts.field_of(index);
        let kept = Kept::new(texts.into(), field_of, |items| {
            let texts: Vec<_> = items.iter().map(|&item| &texts.as_slice()[item]).collect();
            let prompt = model.info().text_prompt(&options.prompts);
            model.text_faults(&texts, prompt, options.truncation)
        })?;
        let embedded = model.embed_with(&kept.texts(texts), &options);
        let mut embedded =
            embedded.map_err(|error| in_fields(error, |item| field_of(kept.items[item])))?;
        let vectors = embedded.vectors.outer_iter().map(|row| row.to_vec()).collect();
        kept.restore(&mut embedded.cost, 0, texts.cut());
        Ok((vectors, kept, embedded.cost))
    }
}

fn check_count(field: &'static str, count: usize, limit: usize) -> Result<(), RequestError> {
    match count > limit {
        true => Err(RequestError::TooManyRows { field: Field::new(field), count, limit }),
        false => Ok(()),
    }
}

/// The rows of a corpus.
pub(crate) enum Rows {
    Vectors(Vec<Vec<f32>>),
    /// The valid texts of a request.
    Texts {
        vectors: Vec<Vec<f32>>,
        texts: Vec<String>,
        kept: Kept,
    },
    Index(Arc<Index>),
}

impl Rows {
    /// The version of the index, if they are those of one.
    pub(crate) fn version(&self) -> Option<String> {
        match self {
            Self::Vectors(_) | Self::Texts { .. } => None,
            Self::Index(index) => Some(index.digest().to_owned()),
        }
    }

    /// Returns the number of a row in the request.
    pub(crate) fn number(&self, row: usize) -> usize {
        match self {
            Self::Texts { kept, .. } => kept.items[row],
            Self::Vectors(_) | Self::Index(_) => row,
        }
    }

    /// Returns the values of the rows as those of the rows of the request; `None` for an invalid text.
    pub(crate) fn listed<T>(&self, values: Vec<T>) -> Vec<Option<T>> {
        let Self::Texts { kept, .. } = self else {
            return values.into_iter().map(Some).collect();
        };
        let count = kept.items.len() + kept.errors.as_ref().map_or(0, Vec::len);
        let mut all: Vec<Option<T>> = (0..count).map(|_| None).collect();
        for (&item, value) in kept.items.iter().zip(values) {
            all[item] = Some(value);
        }
        all
    }

    /// The errors of the invalid texts; `None` if an invalid text refuses the request.
    pub(crate) fn errors(&self) -> Option<Vec<ItemError>> {
        match self {
            Self::Texts { kept, .. } => kept.errors.clone(),
            Self::Vectors(_) | Self::Index(_) => None,
        }
    }

    pub(crate) fn mine(&self, options: &MineOptions) -> Result<Vec<Pair>, CorpusError> {
        match self {
            Self::Vectors(vectors) | Self::Texts { vectors, .. } => mine(vectors, options),
            Self::Index(index) => index.mine(options),
        }
    }

    pub(crate) fn cluster(&self, options: &ClusterOptions) -> Result<Vec<Cluster>, CorpusError> {
        match self {
            Self::Vectors(vectors) | Self::Texts { vectors, .. } => cluster(vectors, options),
            Self::Index(index) => index.cluster(options),
        }
    }

    pub(crate) fn map(&self) -> Result<Vec<[f32; 2]>, CorpusError> {
        match self {
            Self::Vectors(vectors) | Self::Texts { vectors, .. } => map(vectors),
            Self::Index(index) => index.map(),
        }
    }

    /// Returns the labels of clusters, or none if the rows have no texts.
    pub(crate) fn labels(
        &self,
        clusters: &[Cluster],
    ) -> Result<Option<Vec<ClusterLabel>>, CorpusError> {
        match self {
            Self::Vectors(_) => Ok(None),
            Self::Texts { vectors, texts, .. } => labels(vectors, texts, clusters).map(Some),
            Self::Index(index) => index.labels(clusters).map(Some),
        }
    }

    /// Returns rows by their numbers, or none if they are not those of an index.
    pub(crate) fn read(
        &self,
        numbers: impl IntoIterator<Item = usize>,
    ) -> Result<Option<Vec<Row>>, CorpusError> {
        match self {
            Self::Vectors(_) | Self::Texts { .. } => Ok(None),
            Self::Index(index) => {
                let reader = index.reader();
                numbers.into_iter().map(|row| reader.row(row)).collect::<Result<_, _>>().map(Some)
            }
        }
    }
}
