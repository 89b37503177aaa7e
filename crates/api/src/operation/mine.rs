//! The operation `mine`: returns the pairs of rows of a small corpus with the highest scores.

use semblance::corpus::{MineOptions, Pair, Row};

use super::corpus::CorpusRequest;
use super::{ItemError, Report, Request};
use crate::error::ApiError;
use crate::service::Service;

/// Maximum number of rows of a request that compares all of them.
pub(crate) const MAX_ROWS: usize = 10_000;

/// Memory of the nearest rows of a row.
const NEAREST_BYTES: usize = 16;

/// Memory of a pair of the response.
const PAIR_BYTES: usize = 2048;

/// A request to find pairs.
pub(crate) struct MineRequest {
    /// The corpus.
    pub(crate) corpus: CorpusRequest,
    /// Which pairs.
    pub(crate) options: MineOptions,
}

/// The pairs that were found.
pub(crate) struct MineResult {
    /// Digest of the version of the index, if the corpus is one.
    pub(crate) version: Option<String>,
    /// The pairs, with their rows if the corpus is an index.
    pub(crate) pairs: Vec<(Pair, Option<Vec<Row>>)>,
    /// The errors of the invalid texts; `None` if an invalid text refuses the request.
    pub(crate) errors: Option<Vec<ItemError>>,
}

impl Request for MineRequest {
    type Outcome = MineResult;

    const NAME: &'static str = "mine";

    fn memory_bytes(&self, service: &Service) -> usize {
        let nearest = self.options.top_k.min(MAX_ROWS).saturating_mul(NEAREST_BYTES);
        let pairs = self.options.max_pairs.saturating_mul(PAIR_BYTES);
        self.corpus.memory_bytes(service, nearest, MAX_ROWS).saturating_add(pairs)
    }

    fn run(&self, service: &Service) -> Result<(MineResult, Report), ApiError> {
        let (rows, cost) = self.corpus.rows(service, MAX_ROWS)?;
        let pairs = rows.mine(&self.options)?;
        let with_rows = pairs.into_iter().map(|pair| {
            let Pair { score, a, b } = pair;
            Ok((Pair { score, a: rows.number(a), b: rows.number(b) }, rows.read([a, b])?))
        });
        let pairs = with_rows.collect::<Result<_, ApiError>>()?;
        let (version, errors) = (rows.version(), rows.errors());
        Ok((MineResult { version, pairs, errors }, cost.into()))
    }
}
