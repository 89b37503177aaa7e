//! Copies a version of an index from S3 to the file system, verifies it and makes it current.
//!
//! 1. Fetch the manifest and compare its sha256 with the digest; fetch the manifests of the segments that
//!    are not on the file system, which name their files.
//! 2. Check the sizes of all objects, so that a missing object fails before anything is written.
//! 3. Copy each segment into a staging folder, and rename it when its files are flushed to disk.
//! 4. Replace `CURRENT`.
//!
//! Finally, versions that were replaced before the grace period are removed. Functions that have mapped a
//! version keep it until then.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use semblance::corpus::{CorpusError, Index, IndexManifest};
use semblance::internals::bundle::{BundleFile, sha256_hex};
use semblance::internals::corpus::{
    Replica, SEGMENT_MANIFEST, parse_manifest, parse_segment, sha256_of,
};

use crate::bucket::Bucket;
use crate::copy::{blocking, copy};
use crate::deadline::Deadline;
use crate::error::SyncError;
use crate::index_request::IndexRequest;
use crate::syncer::{CopyReport, SyncReport};

/// How often a run looks whether another run has released the index.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum size of a manifest and of a set of deleted rows: one bit for each of the rows of a segment.
const OBJECT_LIMIT_BYTES: u64 = 256 << 20;

/// The folder of the indexes, and how long old versions stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSyncOptions {
    /// The folder of the indexes.
    pub folder: PathBuf,
    /// How long a version stays after it was replaced.
    pub grace: Duration,
}

/// Copies indexes from a bucket to a file system.
#[derive(Clone, Debug)]
pub struct IndexSyncer {
    bucket: Bucket,
    options: IndexSyncOptions,
}

/// A version that is to be copied.
struct Version {
    manifest: Vec<u8>,
    /// The segments that are missing on the file system.
    segments: Vec<MissingSegment>,
    /// Digests of the sets of deleted rows.
    tombstones: Vec<String>,
}

/// A segment that is to be copied, with its files.
struct MissingSegment {
    digest: String,
    files: Vec<BundleFile>,
}

impl IndexSyncer {
    /// Returns a syncer.
    #[must_use]
    pub fn new(bucket: Bucket, options: IndexSyncOptions) -> Self {
        Self { bucket, options }
    }

    /// Copies a version of an index to the file system and makes it current. Verifies and repairs a complete
    /// copy if it is requested.
    ///
    /// # Errors
    /// - [`SyncError::Busy`] if another process writes the index until the deadline.
    /// - [`SyncError::InvalidIndex`] if a manifest is invalid, or the copy is damaged.
    /// - Otherwise as [`Syncer::sync`](crate::Syncer::sync).
    pub async fn sync(
        &self,
        request: &IndexRequest,
        deadline: Deadline,
    ) -> Result<SyncReport, SyncError> {
        let started = Instant::now();
        let folder = self.options.folder.join(&request.name);
        let replica = self.lock(request, deadline).await?;
        let mut report = CopyReport::default();
        let mut repaired = None;
        let current = replica.current().map_err(SyncError::from_index)?;
        let is_wanted = request.replace || current.is_none();
        match replica.open(&request.digest) {
            Some(index) if request.verify => {
                let files = self.repair(request, &replica, &index, deadline, &mut report).await?;
                repaired = Some(files);
            }
            None if is_wanted => {
                let added = self.add(request, &replica, deadline, &mut report).await;
                if added.as_ref().is_err_and(|error| !error.is_resumable()) {
                    // Report the first error. The next run removes remaining files.
                    let _ = replica.clear(&[]);
                }
                added?;
            }
            _ => {}
        }
        if is_wanted {
            replica.publish(&request.digest).map_err(SyncError::from_index)?;
        }
        let mut leftovers: Vec<CorpusError> = replica.clear(&[]).err().into_iter().collect();
        let pruned = replica.prune(self.options.grace).unwrap_or_else(|error| {
            leftovers.push(error);
            Vec::new()
        });
        let leftovers = leftovers.into_iter().map(SyncError::from_index).collect();
        let copied = (report.files > 0).then_some(report);
        Ok(SyncReport::new(&folder, copied, repaired, started, (pruned, leftovers)))
    }

    /// Waits for the lock of the index.
    async fn lock(&self, request: &IndexRequest, deadline: Deadline) -> Result<Replica, SyncError> {
        let wait = async {
            loop {
                let replica = Replica::try_lock(&self.options.folder, &request.name);
                match replica.map_err(SyncError::from_index)? {
                    Some(replica) => return Ok(replica),
                    None => tokio::time::sleep(LOCK_INTERVAL).await,
                }
            }
        };
        let busy = || SyncError::Busy { index: request.name.clone() };
        deadline.bound(wait).await.ok_or_else(busy)?
    }

    /// Adds the files of the version.
    async fn add(
        &self,
        request: &IndexRequest,
        replica: &Replica,
        deadline: Deadline,
        report: &mut CopyReport,
    ) -> Result<(), SyncError> {
        let version = self.look_up(request, replica).await?;
        let missing: Vec<&str> = version.segments.iter().map(|s| s.digest.as_str()).collect();
        replica.clear(&missing).map_err(SyncError::from_index)?;
        for segment in &version.segments {
            let staged = replica.staged_segment(&segment.digest).map_err(SyncError::from_index)?;
            for file in &segment.files {
                self.copy(request, &segment.digest, file, &staged, deadline, report).await?;
            }
            replica.add_segment(&segment.digest).map_err(SyncError::from_index)?;
        }
        let prefix = self.bucket.prefix();
        for digest in &version.tombstones {
            let key = request.tombstones_key(prefix, digest);
            let bytes = self.object(&key, digest).await?;
            replica.add_tombstones(digest, &bytes).map_err(SyncError::from_index)?;
            report.add(bytes.len() as u64, bytes.len() as u64);
        }
        replica.add_manifest(&request.digest, &version.manifest).map_err(SyncError::from_index)?;
        let manifest_bytes = version.manifest.len() as u64;
        report.add(manifest_bytes, manifest_bytes);
        Ok(())
    }

    /// Copies a file of a segment to its staging folder.
    async fn copy(
        &self,
        request: &IndexRequest,
        segment: &str,
        file: &BundleFile,
        staged: &Path,
        deadline: Deadline,
        report: &mut CopyReport,
    ) -> Result<(), SyncError> {
        let key = request.segment_key(self.bucket.prefix(), segment, &file.path);
        let fetched_bytes =
            copy(&self.bucket, &key, file, staged.join(&file.path), deadline).await?;
        report.add(file.size_bytes, fetched_bytes);
        Ok(())
    }

    /// Fetches the manifests, and checks that every missing file exists in the bucket with the declared size.
    async fn look_up(
        &self,
        request: &IndexRequest,
        replica: &Replica,
    ) -> Result<Version, SyncError> {
        let prefix = self.bucket.prefix();
        let key = request.manifest_key(prefix);
        let bytes = self.object(&key, &request.digest).await?;
        let manifest: IndexManifest =
            parse_manifest(Path::new(&key), &bytes).map_err(SyncError::from_index)?;
        let mut segments = Vec::new();
        for segment in &manifest.segments {
            if replica.has_segment(&segment.digest) {
                continue;
            }
            let digest = segment.digest.clone();
            let key = request.segment_key(prefix, &digest, SEGMENT_MANIFEST);
            let bytes = self.object(&key, &digest).await?;
            let mut files =
                parse_segment(Path::new(&key), &bytes).map_err(SyncError::from_index)?;
            for file in &files {
                self.check_size(request.segment_key(prefix, &digest, &file.path), file).await?;
            }
            let (path, size_bytes) = (SEGMENT_MANIFEST.to_owned(), bytes.len() as u64);
            files.push(BundleFile { path, size_bytes, sha256: digest.clone() });
            segments.push(MissingSegment { digest, files });
        }
        let tombstones: Vec<String> =
            manifest.segments.into_iter().filter_map(|segment| segment.tombstones).collect();
        let exists = tombstones.iter().map(|digest| async {
            self.bucket.size_bytes(&request.tombstones_key(prefix, digest)).await
        });
        try_join_all(exists).await?;
        Ok(Version { manifest: bytes, segments, tombstones })
    }

    /// Fetches a small object that is named by its digest.
    async fn object(&self, key: &str, digest: &str) -> Result<Vec<u8>, SyncError> {
        let bytes = self.bucket.object(key, OBJECT_LIMIT_BYTES).await?;
        let found = sha256_hex(&bytes);
        if found == digest {
            return Ok(bytes);
        }
        let (key, expected) = (key.to_owned(), digest.to_owned());
        Err(SyncError::DigestMismatch { key, found, expected })
    }

    async fn check_size(&self, key: String, file: &BundleFile) -> Result<(), SyncError> {
        let found_bytes = self.bucket.size_bytes(&key).await?;
        let expected_bytes = file.size_bytes;
        if found_bytes == expected_bytes {
            return Ok(());
        }
        Err(SyncError::SizeMismatch { key, found_bytes, expected_bytes })
    }

    /// Hashes the files of a complete copy. Fetches those that differ from their manifest again, and replaces
    /// each with a rename. Returns their paths in the index.
    ///
    /// A function that has mapped a replaced file must be started again.
    async fn repair(
        &self,
        request: &IndexRequest,
        replica: &Replica,
        index: &Index,
        deadline: Deadline,
        report: &mut CopyReport,
    ) -> Result<Vec<String>, SyncError> {
        let mut repaired = Vec::new();
        for segment in &index.manifest().segments {
            let folder = replica.segment(&segment.digest);
            let manifest = folder.join(SEGMENT_MANIFEST);
            let bytes =
                std::fs::read(&manifest).map_err(|error| SyncError::from_io(&manifest, error))?;
            for file in parse_segment(&manifest, &bytes).map_err(SyncError::from_index)? {
                let path = folder.join(&file.path);
                let hash = blocking(move || sha256_of(&path).map_err(SyncError::from_index));
                let key = request.segment_key(self.bucket.prefix(), &segment.digest, &file.path);
                let time_up = || SyncError::TimeUp { key: key.clone() };
                if deadline.bound(hash).await.ok_or_else(time_up)?? == file.sha256 {
                    continue;
                }
                let staged =
                    replica.staged_segment(&segment.digest).map_err(SyncError::from_index)?;
                self.copy(request, &segment.digest, &file, &staged, deadline, report).await?;
                replica.replace_file(&segment.digest, &file.path).map_err(SyncError::from_index)?;
                repaired.push(format!("{}/{}", segment.digest, file.path));
            }
        }
        Ok(repaired)
    }
}
