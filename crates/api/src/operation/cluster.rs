//! The operation `cluster`: returns the groups of near rows of a small corpus.

use semblance::corpus::{Cluster, ClusterLabel, ClusterOptions};

use super::corpus::{CorpusRequest, Rows};
use super::mine::MAX_ROWS;
use super::{ItemError, Report, Request};
use crate::error::ApiError;
use crate::service::Service;

/// Memory of a row in the response.
const ROW_BYTES: usize = 1024;

/// A request to find clusters.
pub(crate) struct ClusterRequest {
    /// The corpus.
    pub(crate) corpus: CorpusRequest,
    /// Which clusters.
    pub(crate) options: ClusterOptions,
}

/// The clusters that were found.
pub(crate) struct ClusterResult {
    /// Digest of the version of the index, if the corpus is one.
    pub(crate) version: Option<String>,
    /// The clusters, largest first.
    pub(crate) clusters: Vec<FoundCluster>,
    /// The errors of the invalid texts; `None` if an invalid text refuses the request.
    pub(crate) errors: Option<Vec<ItemError>>,
}

/// A cluster.
pub(crate) struct FoundCluster {
    /// Numbers of its rows, the center first.
    pub(crate) members: Cluster,
    /// Ids of its rows, if the corpus is an index.
    pub(crate) ids: Option<Vec<String>>,
    /// Its label, if the corpus has texts.
    pub(crate) label: Option<ClusterLabel>,
}

impl Request for ClusterRequest {
    type Outcome = ClusterResult;

    const NAME: &'static str = "cluster";

    fn memory_bytes(&self, service: &Service) -> usize {
        let rows = self.corpus.memory_bytes(service, ROW_BYTES, MAX_ROWS);
        rows.saturating_add(self.options.pair_bytes)
    }

    fn run(&self, service: &Service) -> Result<(ClusterResult, Report), ApiError> {
        let (rows, cost) = self.corpus.rows(service, MAX_ROWS)?;
        let clusters = found(&rows, &self.options)?;
        let (version, errors) = (rows.version(), rows.errors());
        Ok((ClusterResult { version, clusters, errors }, cost.into()))
    }
}

/// Returns the clusters of rows with their labels.
pub(super) fn found(rows: &Rows, options: &ClusterOptions) -> Result<Vec<FoundCluster>, ApiError> {
    let clusters = rows.cluster(options)?;
    let labels = rows.labels(&clusters)?;
    let mut labels = labels.into_iter().flatten();
    let with_ids = clusters.into_iter().map(|members| {
        let read = rows.read(members.iter().copied())?;
        let ids = read.map(|rows| rows.into_iter().map(|row| row.id).collect());
        let members = members.into_iter().map(|row| rows.number(row)).collect();
        Ok(FoundCluster { members, ids, label: labels.next() })
    });
    with_ids.collect()
}
