//! The operations on a whole small corpus: the events `mine`, `cluster`, `map` and `indexes`, and their
//! routes.

use axum::http::Method;
use semblance::corpus::{ClusterOptions, MineOptions, Pair, Row};
use serde::Serialize;
use serde_json::Error;
use utoipa::ToSchema;

use super::{Route, RouteSchema, tei};
use crate::Limits;
use crate::body::{
    Body as _, Choice, Count, Direction, Fields, Flag, IndexName, Input, OnError, Optional,
    PromptName, Score, Vectors, body, truncation,
};
use crate::operation::{
    Call, ClusterRequest, ClusterResult, Corpus, CorpusRequest, FoundCluster, IndexesRequest,
    ItemError, MapRequest, MapResult, MineRequest, MineResult, Reply,
};
use crate::request::{Field, RequestError};
use crate::service::Service;

/// Number of pairs by default, and at most.
const MAX_PAIRS: usize = 1_000;
const MOST_PAIRS: usize = 10_000;

/// The least score of a cluster of a map by default. It is lower than that of a cluster: a map shows
/// themes.
const MAP_THRESHOLD: f32 = 0.6;

/// Memory for the pairs of clusters.
const PAIR_BYTES: usize = 8 << 20;

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/mine",
        summary: "Find the pairs of a small corpus with the highest scores",
        decode: mine,
        errors: &tei::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<MineReply>();
            RouteSchema::post(schemas.body::<MineBody>(), reply).with_missing()
        },
    },
    Route {
        method: Method::POST,
        path: "/cluster",
        summary: "Find the groups of near rows of a small corpus",
        decode: cluster,
        errors: &tei::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<ClusterReply>();
            RouteSchema::post(schemas.body::<ClusterBody>(), reply).with_missing()
        },
    },
    Route {
        method: Method::POST,
        path: "/map",
        summary: "Arrange the rows of a small corpus in the plane",
        decode: map,
        errors: &tei::ERRORS,
        schema: |schemas| {
            let reply = schemas.reply::<MapReply>();
            RouteSchema::post(schemas.body::<MapBody>(), reply).with_missing()
        },
    },
    Route {
        method: Method::GET,
        path: "/indexes",
        summary: "List the indexes",
        decode: indexes,
        errors: &tei::ERRORS,
        schema: |schemas| RouteSchema::get(schemas.reply::<IndexesReply>()).with_missing(),
    },
];

body! {
    /// A search for pairs. It has one of `texts`, `vectors` and `index`.
    pub(super) MineBody = {
        "texts": ["How do I reset my password?", "I forgot my password", "What does it cost?"],
        "max_pairs": 1
    } {
        /// The texts.
        texts: Optional<Input>,
        /// Vectors instead of texts. They are normalized.
        vectors: Vectors,
        /// Name of an index of at most 10,000 rows instead.
        index: Optional<IndexName>,
        /// Number of nearest rows of each row that are considered: 100 by default.
        top_k: Count,
        /// Maximum number of pairs: 1,000 by default, at most 10,000.
        max_pairs: Count,
        /// The least score of a pair: -1 by default.
        min_score: Score,
        /// Name of the model's prompt to put before each text. Absent: the model's prompt for a document.
        /// Null: no prompt.
        prompt_name: PromptName,
        /// Whether to truncate a text beyond the model's limit (default). Otherwise it is an error.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// What to do with an invalid text: `error` refuses the request (default); `null` compares the
        /// others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// A search for clusters. It has one of `texts`, `vectors` and `index`.
    pub(super) ClusterBody = {
        "texts": ["How do I reset my password?", "I forgot my password", "What does it cost?"],
        "threshold": 0.5, "min_size": 2
    } {
        /// The texts.
        texts: Optional<Input>,
        /// Vectors instead of texts. They are normalized.
        vectors: Vectors,
        /// Name of an index of at most 10,000 rows instead.
        index: Optional<IndexName>,
        /// The least score of a row with the center of its cluster: 0.75 by default.
        threshold: Score,
        /// Minimum number of rows of a cluster: 10 by default.
        min_size: Count,
        /// Name of the model's prompt to put before each text. Absent: the model's prompt for a document.
        /// Null: no prompt.
        prompt_name: PromptName,
        /// Whether to truncate a text beyond the model's limit (default). Otherwise it is an error.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// What to do with an invalid text: `error` refuses the request (default); `null` compares the
        /// others.
        on_error: Choice<OnError>,
    }
}

body! {
    /// A request for a map. It has one of `texts`, `vectors` and `index`.
    pub(super) MapBody = { "index": "docs" } {
        /// The texts.
        texts: Optional<Input>,
        /// Vectors instead of texts. They are normalized.
        vectors: Vectors,
        /// Name of an index of at most 5,000 rows instead.
        index: Optional<IndexName>,
        /// The least score of a row with the center of its cluster: 0.6 by default.
        threshold: Score,
        /// Minimum number of rows of a cluster: 10 by default.
        min_size: Count,
        /// Name of the model's prompt to put before each text. Absent: the model's prompt for a document.
        /// Null: no prompt.
        prompt_name: PromptName,
        /// Whether to truncate a text beyond the model's limit (default). Otherwise it is an error.
        truncate: Flag,
        /// The side of a text from which tokens are removed.
        truncation_direction: Choice<Direction>,
        /// What to do with an invalid text: `error` refuses the request (default); `null` compares the
        /// others.
        on_error: Choice<OnError>,
    }
}

/// Returns the corpus of a body: one of texts, vectors and an index.
fn corpus(
    texts: Optional<Input>,
    vectors: Vectors,
    index: Optional<IndexName>,
) -> Result<Corpus, RequestError> {
    match (texts.0, vectors.0, index.0) {
        (Some(input), None, None) => Ok(Corpus::Texts(input.0)),
        (None, Some(vectors), None) if !vectors.is_empty() => Ok(Corpus::Vectors(vectors)),
        (None, None, Some(index)) => Ok(Corpus::Index(index.0)),
        _ => {
            let expected = "one of texts, vectors and index, with at least one row";
            Err(RequestError::WrongFields { expected })
        }
    }
}

/// Decodes a search for pairs.
pub(super) fn mine(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let body = MineBody::decode(fields, limits)?;
    let max_pairs = body.max_pairs.0.unwrap_or(MAX_PAIRS);
    if max_pairs > MOST_PAIRS {
        return Err(RequestError::OutOfRange {
            field: Field::new("max_pairs"),
            minimum: 1,
            maximum: Some(MOST_PAIRS as u64),
            found: max_pairs.to_string(),
        });
    }
    let defaults = MineOptions::default();
    let options = MineOptions {
        top_k: body.top_k.0.unwrap_or(defaults.top_k),
        max_pairs,
        min_score: body.min_score.0.unwrap_or(defaults.min_score),
        ..defaults
    };
    let truncation = truncation(&body.truncate, &body.truncation_direction, true);
    let corpus = corpus(body.texts, body.vectors, body.index)?;
    let corpus = CorpusRequest { corpus, truncation, prompt_name: body.prompt_name };
    Ok(Call::new(MineRequest { corpus, options }, mined))
}

/// Decodes a search for clusters.
pub(super) fn cluster(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let body = ClusterBody::decode(fields, limits)?;
    let options = clusters(&body.threshold, &body.min_size, ClusterOptions::default().threshold);
    let truncation = truncation(&body.truncate, &body.truncation_direction, true);
    let corpus = corpus(body.texts, body.vectors, body.index)?;
    let corpus = CorpusRequest { corpus, truncation, prompt_name: body.prompt_name };
    Ok(Call::new(ClusterRequest { corpus, options }, clustered))
}

/// Decodes a request for a map.
pub(super) fn map(fields: &mut Fields, limits: &Limits) -> Result<Call, RequestError> {
    fields.read_texts(true);
    let body = MapBody::decode(fields, limits)?;
    let options = clusters(&body.threshold, &body.min_size, MAP_THRESHOLD);
    let truncation = truncation(&body.truncate, &body.truncation_direction, true);
    let corpus = corpus(body.texts, body.vectors, body.index)?;
    let corpus = CorpusRequest { corpus, truncation, prompt_name: body.prompt_name };
    Ok(Call::new(MapRequest { corpus, options }, arranged))
}

/// Decodes a request for the names of the indexes.
pub(super) fn indexes(_: &mut Fields, _: &Limits) -> Result<Call, RequestError> {
    Ok(Call::new(IndexesRequest, |_, indexes, _| {
        let items = indexes.len();
        Reply::new(&IndexesReply { indexes }, items)
    }))
}

fn clusters(threshold: &Score, min_size: &Count, by_default: f32) -> ClusterOptions {
    let defaults = ClusterOptions { pair_bytes: PAIR_BYTES, ..ClusterOptions::default() };
    ClusterOptions {
        threshold: threshold.0.unwrap_or(by_default),
        min_size: min_size.0.unwrap_or(defaults.min_size),
        ..defaults
    }
}

/// The pairs with the highest scores.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct MineReply {
    /// Digest of the version of the index; absent for texts and vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The pairs, highest score first.
    pairs: Vec<MinedPair>,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// Two rows and their score.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct MinedPair {
    /// Their cosine similarity.
    score: f32,
    /// Number of the first row, from 0.
    a: usize,
    /// Number of the second row.
    b: usize,
    /// Their ids, if the corpus is an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<String>>,
    /// Their texts, if the corpus is an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Vec<String>>,
}

/// The groups of near rows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct ClusterReply {
    /// Digest of the version of the index; absent for texts and vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The clusters, largest first.
    clusters: Vec<ClusterOfRows>,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// A group of near rows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct ClusterOfRows {
    /// Number of its rows.
    size: usize,
    /// The text nearest to its mean; absent for vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The words that distinguish it from the others; absent for vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<String>>,
    /// Numbers of its rows, from 0: its center, then the others by their score with it.
    members: Vec<usize>,
    /// Their ids, if the corpus is an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<String>>,
}

/// The rows in the plane.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct MapReply {
    /// Digest of the version of the index; absent for texts and vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// A point for each row; near rows are near each other. Null for an invalid text.
    points: Vec<Option<[f32; 2]>>,
    /// The ids of the rows, if the corpus is an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<String>>,
    /// The texts of the rows, if the corpus is an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Vec<String>>,
    /// The clusters, largest first.
    clusters: Vec<ClusterOfRows>,
    /// The errors of the invalid texts, with `"on_error": "null"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<ItemError>>,
}

/// The names of the indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct IndexesReply {
    /// The names, in order.
    indexes: Vec<String>,
}

/// Returns the ids and the texts of rows.
fn parts(rows: Option<Vec<Row>>) -> (Option<Vec<String>>, Option<Vec<String>>) {
    rows.map(|rows| rows.into_iter().map(|row| (row.id, row.text)).unzip()).unzip()
}

fn mined(_: &MineRequest, found: MineResult, _: &Service) -> Result<Reply, Error> {
    let pair = |(Pair { score, a, b }, rows)| {
        let (ids, texts) = parts(rows);
        MinedPair { score, a, b, ids, texts }
    };
    let pairs: Vec<MinedPair> = found.pairs.into_iter().map(pair).collect();
    let items = pairs.len();
    Reply::new(&MineReply { version: found.version, pairs, errors: found.errors }, items)
}

fn clustered(_: &ClusterRequest, found: ClusterResult, _: &Service) -> Result<Reply, Error> {
    let clusters: Vec<ClusterOfRows> = found.clusters.into_iter().map(of_rows).collect();
    let (items, version, errors) = (clusters.len(), found.version, found.errors);
    Reply::new(&ClusterReply { version, clusters, errors }, items)
}

fn arranged(_: &MapRequest, found: MapResult, _: &Service) -> Result<Reply, Error> {
    let (ids, texts) = parts(found.rows);
    let clusters = found.clusters.into_iter().map(of_rows).collect();
    let (version, points, errors) = (found.version, found.points, found.errors);
    let items = points.len();
    Reply::new(&MapReply { version, points, ids, texts, clusters, errors }, items)
}

fn of_rows(cluster: FoundCluster) -> ClusterOfRows {
    let FoundCluster { members, ids, label } = cluster;
    let (label, words) = label.map(|label| (label.text, label.words)).unzip();
    ClusterOfRows { size: members.len(), label, words, members, ids }
}
