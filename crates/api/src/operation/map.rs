//! The operation `map`: returns a point in the plane for each row of a small corpus, and its clusters.

use semblance::corpus::{ClusterOptions, Row};

use super::cluster::{FoundCluster, found};
use super::corpus::CorpusRequest;
use super::{ItemError, Report, Request};
use crate::error::ApiError;
use crate::service::Service;

/// Maximum number of rows: their map takes seconds.
pub(crate) const MAX_MAP_ROWS: usize = 5_000;

/// Memory of a row: its neighbors, and in the response.
const ROW_BYTES: usize = 2048;

/// A request to arrange rows in the plane.
pub(crate) struct MapRequest {
    /// The corpus.
    pub(crate) corpus: CorpusRequest,
    /// Which clusters.
    pub(crate) options: ClusterOptions,
}

/// The arranged rows.
pub(crate) struct MapResult {
    /// Digest of the version of the index, if the corpus is one.
    pub(crate) version: Option<String>,
    /// A point for each row; `None` for an invalid text.
    pub(crate) points: Vec<Option<[f32; 2]>>,
    /// The rows, if the corpus is an index.
    pub(crate) rows: Option<Vec<Row>>,
    /// The clusters, largest first.
    pub(crate) clusters: Vec<FoundCluster>,
    /// The errors of the invalid texts; `None` if an invalid text refuses the request.
    pub(crate) errors: Option<Vec<ItemError>>,
}

impl Request for MapRequest {
    type Outcome = MapResult;

    const NAME: &'static str = "map";

    fn memory_bytes(&self, service: &Service) -> usize {
        let rows = self.corpus.memory_bytes(service, ROW_BYTES, MAX_MAP_ROWS);
        rows.saturating_add(self.options.pair_bytes)
    }

    fn run(&self, service: &Service) -> Result<(MapResult, Report), ApiError> {
        let (rows, cost) = self.corpus.rows(service, MAX_MAP_ROWS)?;
        let clusters = found(&rows, &self.options)?;
        let points = rows.map()?;
        let (version, errors, read) = (rows.version(), rows.errors(), rows.read(0..points.len())?);
        let points = rows.listed(points);
        Ok((MapResult { version, points, rows: read, clusters, errors }, cost.into()))
    }
}
