//! Copies a bundle from S3 to the file system, verifies it and publishes it atomically.
//!
//! An event names a [`ModelVersion`]. If its folder is complete, nothing is copied, unless the event asks
//! to verify it: then files whose content differs from the manifest are replaced. Otherwise:
//!
//! 1. Fetch the manifest and compare its sha256 with the digest.
//! 2. Check the sizes of all objects, so that a missing object fails before anything is written.
//! 3. Copy each file into a staging folder, hashing it while it is written. An interrupted copy is
//!    resumed.
//! 4. Rename the folder when all files are flushed to disk.
//!
//! Finally, files of crashed runs are removed, and old versions if the event names those in service.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::future::try_join_all;
use serde::Serialize;

use crate::bucket::Bucket;
use crate::deadline::Deadline;
use crate::error::SyncError;
use crate::partial::PartialFile;
use crate::staging::Slot;
use crate::version::{ModelVersion, SyncRequest};
use crate::{copy, prune, publish};
use semblance::internals::bundle::{Bundle, BundleFile, MANIFEST_FILE, Manifest, sha256_hex};

/// Maximum size of a manifest. A typical manifest has about 1 kB.
const MANIFEST_LIMIT_BYTES: u64 = 1 << 20;

/// The folder of the models, and the number of versions to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// The folder of the models.
    pub root: PathBuf,
    /// Number of versions of a model to keep: the requested one, and the most recently requested ones.
    pub keep_versions: usize,
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct SyncReport {
    /// The folder of the version of a model, or of the index.
    pub path: String,
    /// Whether this run copied it.
    pub copied: bool,
    /// The files of a complete copy that differed from the manifest and were replaced. Absent if the copy
    /// was not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Vec<String>>,
    /// Number of files that this run copied, including the manifest.
    pub files: usize,
    /// Size of these files in bytes.
    pub bytes: u64,
    /// Number of these bytes that an interrupted earlier run had fetched.
    pub resumed_bytes: u64,
    /// Duration of the run in milliseconds.
    pub duration_ms: f64,
    /// Throughput of S3 over the whole duration, in 10^6 bytes per second.
    pub megabytes_per_second: f64,
    /// Digests of the versions that were removed.
    pub pruned: Vec<String>,
    /// Why files could not be cleaned up. The run still succeeds.
    #[serde(skip)]
    pub leftovers: Vec<SyncError>,
}

/// The copied files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CopyReport {
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) fetched_bytes: u64,
}

impl CopyReport {
    /// Adds a file of which this many bytes were fetched; an earlier run had fetched the others.
    pub(crate) fn add(&mut self, size_bytes: u64, fetched_bytes: u64) {
        self.files += 1;
        self.bytes += size_bytes;
        self.fetched_bytes += fetched_bytes;
    }
}

impl SyncReport {
    /// Returns the report of a run. `cleanup` has the removed versions and the failures to clean up.
    pub(crate) fn new(
        path: &Path,
        copied: Option<CopyReport>,
        repaired: Option<Vec<String>>,
        started: Instant,
        cleanup: (Vec<String>, Vec<SyncError>),
    ) -> Self {
        let seconds = started.elapsed().as_secs_f64();
        let CopyReport { files, bytes, fetched_bytes } = copied.unwrap_or_default();
        let (pruned, leftovers) = cleanup;
        Self {
            path: path.display().to_string(),
            copied: copied.is_some(),
            repaired,
            files,
            bytes,
            resumed_bytes: bytes.saturating_sub(fetched_bytes),
            duration_ms: round(seconds * 1e3),
            megabytes_per_second: round(fetched_bytes as f64 / 1e6 / seconds),
            pruned,
            leftovers,
        }
    }
}

/// Copies bundles from a bucket to a file system.
#[derive(Clone, Debug)]
pub struct Syncer {
    bucket: Bucket,
    options: SyncOptions,
}

impl Syncer {
    /// Returns a syncer.
    #[must_use]
    pub fn new(bucket: Bucket, options: SyncOptions) -> Self {
        Self { bucket, options }
    }

    /// Copies a version of a model to the file system, unless a complete copy exists. Verifies and repairs
    /// that if it is requested.
    ///
    /// # Errors
    /// - [`SyncError::ObjectMissing`], [`SyncError::AccessDenied`], [`SyncError::Storage`] if an
    ///   object of the bundle cannot be read.
    /// - [`SyncError::DigestMismatch`], [`SyncError::SizeMismatch`] if an object differs from the event
    ///   or the manifest.
    /// - [`SyncError::InvalidManifest`], [`SyncError::WrongModel`],
    ///   [`SyncError::ObjectTooLarge`] if the manifest is invalid or is for another model.
    /// - [`SyncError::DiskFull`], [`SyncError::NoSpace`], [`SyncError::PermissionDenied`],
    ///   [`SyncError::Io`] if the file system fails.
    /// - [`SyncError::TimeUp`] if the deadline passes.
    pub async fn sync(
        &self,
        request: &SyncRequest,
        deadline: Deadline,
    ) -> Result<SyncReport, SyncError> {
        let started = Instant::now();
        let root = &self.options.root;
        let version = &request.version;
        let mut repaired = None;
        let copied = match publish::complete(root, version) {
            None => self.copy_and_publish(version, deadline).await?,
            Some(bundle) if request.verify => {
                let (files, copied) = self.repair(version, bundle, deadline).await?;
                let is_changed = !files.is_empty();
                repaired = Some(files);
                is_changed.then_some(copied)
            }
            Some(_) => None,
        };
        let cleanup = self.clean_up(request);
        Ok(SyncReport::new(&version.folder(root), copied, repaired, started, cleanup))
    }

    /// Copies and publishes the version. Returns `None` if another run has published it.
    async fn copy_and_publish(
        &self,
        version: &ModelVersion,
        deadline: Deadline,
    ) -> Result<Option<CopyReport>, SyncError> {
        let slot = Slot::acquire(&self.options.root)?;
        slot.clear(Some(version))?;
        let staged = slot.version_folder(version)?;
        let result = self.stage(version, &staged, deadline).await.and_then(|copied| {
            let is_first = publish::publish(&staged, &self.options.root, version, &slot)?;
            Ok(is_first.then_some(copied))
        });
        if result.as_ref().is_err_and(|error| !error.is_resumable()) {
            // Report the first error. The next run removes remaining files.
            let _ = slot.clear(None);
        }
        result
    }

    /// Hashes the files of a complete copy. Fetches those that differ from the manifest again, and replaces
    /// each with a rename. Returns their names.
    ///
    /// A function that has mapped a replaced file must be started again.
    async fn repair(
        &self,
        version: &ModelVersion,
        bundle: Bundle,
        deadline: Deadline,
    ) -> Result<(Vec<String>, CopyReport), SyncError> {
        let files: Vec<BundleFile> = bundle.manifest().files.iter().cloned().collect();
        let slot = Slot::acquire(&self.options.root)?;
        let mut report = CopyReport::default();
        let mut repaired = Vec::new();
        for file in files {
            let key = version.key(self.bucket.prefix(), &file.path);
            let (opened, hashed) = (bundle.clone(), file.clone());
            let hash = copy::blocking(move || {
                let found = opened.sha256_of(&hashed, |_| {});
                found.map_err(|error| SyncError::from_io(&opened.path_of(&hashed), error))
            });
            let time_up = || SyncError::TimeUp { key: key.clone() };
            if deadline.bound(hash).await.ok_or_else(time_up)?? == file.sha256 {
                continue;
            }
            slot.clear(Some(version))?;
            let staged = slot.version_folder(version)?.join(&file.path);
            let fetched_bytes =
                copy::copy(&self.bucket, &key, &file, staged.clone(), deadline).await?;
            publish::replace(&staged, &bundle.path_of(&file))?;
            report.add(file.size_bytes, fetched_bytes);
            repaired.push(file.path);
        }
        Ok((repaired, report))
    }

    /// Copies every file of the version to the staging folder.
    async fn stage(
        &self,
        version: &ModelVersion,
        staged: &Path,
        deadline: Deadline,
    ) -> Result<CopyReport, SyncError> {
        let key_of = |file: &str| version.key(self.bucket.prefix(), file);
        let manifest_key = key_of(MANIFEST_FILE);
        let time_up = || SyncError::TimeUp { key: manifest_key.clone() };
        let lookup = self.look_up(version, &manifest_key);
        let (bytes, manifest) = deadline.bound(lookup).await.ok_or_else(time_up)??;
        write_manifest(staged.join(MANIFEST_FILE), &bytes)?;
        let manifest_bytes = bytes.len() as u64;
        let mut copied = CopyReport::default();
        copied.add(manifest_bytes, manifest_bytes);
        for file in manifest.files.iter() {
            let (key, path) = (key_of(&file.path), staged.join(&file.path));
            let fetched_bytes = copy::copy(&self.bucket, &key, file, path, deadline).await?;
            copied.add(file.size_bytes, fetched_bytes);
        }
        Ok(copied)
    }

    /// Fetches the manifest, and checks that every file exists in the bucket with the declared size.
    async fn look_up(
        &self,
        version: &ModelVersion,
        key: &str,
    ) -> Result<(Vec<u8>, Manifest), SyncError> {
        let bytes = self.bucket.object(key, MANIFEST_LIMIT_BYTES).await?;
        let manifest = parse(&bytes, version, key)?;
        let sizes = manifest.files.iter().map(|file| self.check_size(version, file));
        try_join_all(sizes).await?;
        Ok((bytes, manifest))
    }

    async fn check_size(&self, version: &ModelVersion, file: &BundleFile) -> Result<(), SyncError> {
        let key = version.key(self.bucket.prefix(), &file.path);
        let found_bytes = self.bucket.size_bytes(&key).await?;
        let expected_bytes = file.size_bytes;
        if found_bytes == expected_bytes {
            return Ok(());
        }
        Err(SyncError::SizeMismatch { key, found_bytes, expected_bytes })
    }

    /// Removes files of crashed runs, and old versions if the event names those in service. Returns the
    /// removed versions and the failures.
    fn clean_up(&self, request: &SyncRequest) -> (Vec<String>, Vec<SyncError>) {
        let version = &request.version;
        let SyncOptions { root, keep_versions } = &self.options;
        let mut leftovers: Vec<_> = publish::touch(root, version).err().into_iter().collect();
        let slot = match Slot::acquire(root) {
            Ok(slot) => slot,
            Err(error) => {
                leftovers.push(error);
                return (Vec::new(), leftovers);
            }
        };
        leftovers.extend(slot.clear(None).err());
        let pruned = match &request.keep {
            Some(keep) => prune::prune(root, version, keep, *keep_versions, &slot),
            None => prune::PruneReport::default(),
        };
        leftovers.extend(pruned.failures);
        leftovers.extend(slot.clear_others().err());
        (pruned.digests, leftovers)
    }
}

/// Parses a manifest, and checks its digest and model name against the event.
fn parse(bytes: &[u8], version: &ModelVersion, key: &str) -> Result<Manifest, SyncError> {
    let key = || key.to_owned();
    let found = sha256_hex(bytes);
    if found != version.digest() {
        let expected = version.digest().to_owned();
        return Err(SyncError::DigestMismatch { key: key(), found, expected });
    }
    let manifest = Manifest::parse(bytes)
        .map_err(|source| SyncError::InvalidManifest { key: key(), source })?;
    if manifest.model_name != version.model_name() {
        let (found, expected) = (manifest.model_name, version.model_name().to_owned());
        return Err(SyncError::WrongModel { key: key(), found, expected });
    }
    Ok(manifest)
}

fn write_manifest(path: PathBuf, bytes: &[u8]) -> Result<(), SyncError> {
    let mut file = PartialFile::open(path, bytes.len() as u64)?.truncate()?;
    file.append(bytes)?;
    file.finish().map(drop)
}

/// Rounds to three decimals.
fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use semblance_test_support::tiny_manifest;

    use super::*;

    fn version(model_name: &str, manifest: &str) -> ModelVersion {
        let digest = sha256_hex(manifest.as_bytes());
        let event = serde_json::json!({"model_name": model_name, "digest": digest});
        ModelVersion::decode(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn rejects_a_manifest_with_another_digest() {
        let manifest = tiny_manifest().to_string();
        let version = version("tiny", &manifest);
        let error = parse(format!("{manifest}\n").as_bytes(), &version, "k").unwrap_err();
        assert!(matches!(error, SyncError::DigestMismatch { .. }), "{error}");
        assert!(parse(manifest.as_bytes(), &version, "k").is_ok());
    }

    #[test]
    fn rejects_an_invalid_manifest() {
        let error = parse(b"{}", &version("tiny", "{}"), "k").unwrap_err();
        assert!(matches!(error, SyncError::InvalidManifest { .. }), "{error}");
    }

    #[test]
    fn rejects_the_manifest_of_another_model() {
        let manifest = tiny_manifest().to_string();
        let error = parse(manifest.as_bytes(), &version("huge", &manifest), "k").unwrap_err();
        assert!(matches!(error, SyncError::WrongModel { .. }), "{error}");
        assert_eq!(error.code().name, "sync.invalid_manifest");
    }
}
