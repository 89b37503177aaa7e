//! The similarity operation: a query and candidates in, their scores out; and the event that the
//! function answers first of all.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::decode::{Fields, check_count, check_text};
use super::{Cut, Field, Limits, RequestError, Texts};
use crate::text::Side;
use crate::vector::rank;

/// Name of the query on the wire.
const QUERY: &str = "query_from_app";
/// Name of the candidates on the wire.
const CANDIDATES: &str = "actual_queries";

/// A checked request: score each candidate against the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimilarityRequest {
    pub(super) query: Texts,
    pub(super) candidates: Texts,
    pub(super) top_k: Option<usize>,
    pub(super) cut: Cut,
    pub(super) prompt_name: Option<String>,
}

impl SimilarityRequest {
    /// Decodes and checks an event.
    ///
    /// # Errors
    /// - [`RequestError::NotAnObject`], [`RequestError::MissingField`],
    ///   [`RequestError::WrongType`] if the event has another shape.
    /// - [`RequestError::TooManyTexts`], [`RequestError::TextTooLong`] if a limit is passed.
    /// - [`RequestError::EmptyText`], [`RequestError::NulCharacter`] if a text is no text.
    /// - [`RequestError::OutOfRange`] if `top_k` is not an integer of 1 or more.
    pub fn decode(event: Value, limits: &Limits) -> Result<Self, RequestError> {
        Self::from_fields(&mut Fields::of(event)?, limits)
    }

    pub(super) fn from_fields(fields: &mut Fields, limits: &Limits) -> Result<Self, RequestError> {
        Ok(Self {
            query: fields.text(QUERY, limits)?,
            candidates: fields.texts(CANDIDATES, limits)?,
            top_k: fields.count("top_k")?,
            cut: fields.cut(Cut::At(Side::Right))?,
            prompt_name: None,
        })
    }

    /// Checks a query and candidates that did not come as JSON.
    ///
    /// # Errors
    /// - As [`SimilarityRequest::decode`], for the texts.
    pub fn new(
        query: String,
        candidates: Vec<String>,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        check_text(&query, Field::named(QUERY), limits)?;
        check_count(candidates.len(), Field::named(CANDIDATES), limits)?;
        for (index, text) in candidates.iter().enumerate() {
            check_text(text, Field::item(CANDIDATES, index), limits)?;
        }
        let query = Texts::one(Field::named(QUERY), query);
        let candidates = Texts::list(Field::named(CANDIDATES), candidates);
        Ok(Self { query, candidates, top_k: None, cut: Cut::At(Side::Right), prompt_name: None })
    }

    /// The same request for at most this many candidates.
    #[must_use]
    pub fn with_top_k(mut self, top_k: Option<usize>) -> Self {
        self.top_k = top_k;
        self
    }

    /// The same request, cutting texts that are too long or refusing them.
    #[must_use]
    pub fn with_cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &str {
        self.query.as_slice().first().map_or("", String::as_str)
    }

    /// The candidates, in input order, duplicates kept.
    #[must_use]
    pub fn candidates(&self) -> &[String] {
        self.candidates.as_slice()
    }

    /// What happens to a text beyond the model's limit.
    #[must_use]
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// The prompt that is put before each text.
    #[must_use]
    pub fn prompt_name(&self) -> Option<&str> {
        self.prompt_name.as_deref()
    }

    /// The field of text `index`, where 0 is the query and candidates follow.
    #[must_use]
    pub fn field_of(&self, index: usize) -> Field {
        match index.checked_sub(1) {
            None => self.query.field_of(0),
            Some(candidate) => self.candidates.field_of(candidate),
        }
    }
}

/// The answer: `{"Scores": [[text, score], …]}`, best first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SimilarityResponse {
    /// Each candidate as it came, with its cosine similarity to the query in [-1, 1]; highest
    /// first, ties in input order.
    pub scores: Vec<(String, f32)>,
    /// What was cut; absent if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<Truncated>,
}

impl SimilarityResponse {
    /// Returns the best candidates of a request, by the scores of all of them in input order; `cut`
    /// are the indices of texts that were cut, where 0 is the query and candidates follow.
    #[must_use]
    pub fn new(request: &SimilarityRequest, scores: &[f32], cut: &[usize]) -> Self {
        let best = rank(scores, request.top_k.unwrap_or(usize::MAX));
        let candidates = request.candidates();
        Self {
            scores: best.into_iter().map(|i| (candidates[i].clone(), scores[i])).collect(),
            truncated: Truncated::of(cut),
        }
    }
}

/// Which texts were cut to the model's limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Truncated {
    /// Whether the query was.
    pub query: bool,
    /// Indices of the candidates that were, in input order.
    pub actual_queries: Vec<usize>,
}

impl Truncated {
    fn of(cut: &[usize]) -> Option<Self> {
        let (query, candidates): (Vec<usize>, Vec<usize>) =
            cut.iter().partition(|&&index| index == 0);
        (!cut.is_empty()).then(|| Self {
            query: !query.is_empty(),
            actual_queries: candidates.into_iter().map(|index| index - 1).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Kind;

    fn decode(event: Value) -> Result<SimilarityRequest, RequestError> {
        SimilarityRequest::decode(event, &Limits { texts: 3, text_bytes: 8 })
    }

    #[test]
    fn the_seeds_event_is_understood() {
        let request = decode(json!({"query_from_app": "a", "actual_queries": ["b", "b"]})).unwrap();
        assert_eq!(request.query(), "a");
        assert_eq!(request.candidates(), ["b", "b"]);
        assert_eq!(request.top_k, None);
        assert_eq!(request.cut(), Cut::At(Side::Right));
    }

    #[test]
    fn unknown_fields_are_ignored_and_null_options_are_absent() {
        let event = json!({"query_from_app": "a", "actual_queries": [], "later": {"x": 1},
                           "top_k": null, "truncate": null});
        assert_eq!(
            decode(event).unwrap(),
            decode(json!({"query_from_app": "a", "actual_queries": []})).unwrap()
        );
    }

    #[test]
    fn each_fault_has_its_error() {
        use RequestError as E;
        let query = Field::named(QUERY);
        let list = Field::named(CANDIDATES);
        let item = |index| Field::item(CANDIDATES, index);
        let top_k = Field::named("top_k");
        let cases = [
            (json!([1]), E::NotAnObject { found: Kind::Array }),
            (json!({"actual_queries": []}), E::MissingField { field: query }),
            (json!({"query_from_app": "a"}), E::MissingField { field: list }),
            (
                json!({"query_from_app": 7, "actual_queries": []}),
                E::WrongType { field: query, expected: "a string", found: Kind::Number },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": "b"}),
                E::WrongType { field: list, expected: "an array of strings", found: Kind::String },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": ["b", null]}),
                E::WrongType { field: item(1), expected: "a string", found: Kind::Null },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": ["b", " \u{2003}\n"]}),
                E::EmptyText { field: item(1), bytes: 5 },
            ),
            (
                json!({"query_from_app": "ab\u{0}", "actual_queries": []}),
                E::NulCharacter { field: query, offset_bytes: 2 },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": ["äöüßé"]}),
                E::TextTooLong { field: item(0), bytes: 10, limit_bytes: 8 },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": ["b", "c", "d", "e"]}),
                E::TooManyTexts { field: list, count: 4, limit: 3 },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": [], "top_k": 0}),
                E::OutOfRange { field: top_k, minimum: 1, maximum: None, found: "0".into() },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": [], "top_k": 1.5}),
                E::OutOfRange { field: top_k, minimum: 1, maximum: None, found: "1.5".into() },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": [], "top_k": "1"}),
                E::WrongType { field: top_k, expected: "an integer", found: Kind::String },
            ),
            (
                json!({"query_from_app": "a", "actual_queries": [], "truncate": 1}),
                E::WrongType {
                    field: Field::named("truncate"),
                    expected: "a boolean",
                    found: Kind::Number,
                },
            ),
        ];
        for (event, expected) in cases {
            assert_eq!(decode(event.clone()), Err(expected), "{event}");
        }
    }

    #[test]
    fn a_count_is_whole_however_it_is_written() {
        let counts = [("2", 2), ("2.0", 2), ("1e3", 1000), ("1e300", usize::MAX)];
        for (written, count) in counts {
            let event =
                format!(r#"{{"query_from_app": "a", "actual_queries": [], "top_k": {written}}}"#);
            let request = decode(serde_json::from_str(&event).unwrap()).unwrap();
            assert_eq!(request.top_k, Some(count), "{written}");
        }
    }

    #[test]
    fn a_text_of_exactly_the_limit_is_taken() {
        let event = json!({"query_from_app": "12345678", "actual_queries": ["a", "b", "c"]});
        assert!(decode(event).is_ok());
    }

    #[test]
    fn texts_given_in_code_are_checked_alike() {
        let limits = Limits { texts: 1, text_bytes: 8 };
        let new = |query: &str, candidates: &[&str]| {
            let candidates = candidates.iter().map(ToString::to_string).collect();
            SimilarityRequest::new(query.into(), candidates, &limits)
        };
        assert!(matches!(new("", &[]), Err(RequestError::EmptyText { .. })));
        assert!(matches!(new("a", &["b", "c"]), Err(RequestError::TooManyTexts { .. })));
        assert!(matches!(new("a", &["\0"]), Err(RequestError::NulCharacter { .. })));
        assert!(new("a", &["b"]).is_ok());
    }

    #[test]
    fn truncation_is_reported_only_when_there_is_any() {
        let scores = vec![("b".to_owned(), 0.5)];
        let whole = SimilarityResponse { scores: scores.clone(), truncated: None };
        assert_eq!(serde_json::to_value(whole).unwrap(), json!({"Scores": [["b", 0.5]]}));
        let truncated = Some(Truncated { query: true, actual_queries: vec![0] });
        let cut = SimilarityResponse { scores, truncated };
        assert_eq!(
            serde_json::to_value(cut).unwrap(),
            json!({"Scores": [["b", 0.5]], "Truncated": {"query": true, "actual_queries": [0]}})
        );
    }
}
