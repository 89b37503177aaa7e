//! A bundle from S3 to the file system: fetched, verified, published whole or not at all.
//!
//! An event becomes a [`ModelVersion`]. If its folder stands whole, that is all. Otherwise the
//! manifest is fetched and held against the digest; its files are looked up, so that one that is
//! missing fails before anything is written; then each is copied into a staging slot of this run,
//! written and hashed in one pass; and the folder is renamed into place when all of it is on the
//! disk. What a dead run left is gone on from, or removed. Old versions leave last.

use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::future::try_join_all;
use serde::Serialize;

use crate::bucket::Bucket;
use crate::deadline::Deadline;
use crate::error::SyncError;
use crate::partial::Partial;
use crate::staging::Slot;
use crate::version::ModelVersion;
use crate::{copy, prune, publish};
use semblance::internals::bundle::{BundleFile, MANIFEST_FILE, Manifest, sha256_hex};

/// Where the models are, and how many of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// The folder that holds the models.
    pub root: PathBuf,
    /// Versions of a model that stay: the one asked for, and those that were asked for last.
    pub keep_versions: usize,
}

/// What a run did.
#[derive(Debug, Serialize)]
pub struct SyncReport {
    /// The folder of the version.
    pub path: String,
    /// Whether this run put it there.
    pub copied: bool,
    /// Files that this run put there, the manifest counted.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those of the bytes that an earlier run had fetched before it died.
    pub resumed_bytes: u64,
    /// How long it took.
    pub duration_ms: f64,
    /// 10^6 bytes from S3 in a second, over the whole duration.
    pub megabytes_per_second: f64,
    /// Digests of the versions that left the file system.
    pub pruned: Vec<String>,
    /// What is still there that should not be, and why; no reason to fail.
    #[serde(skip)]
    pub leftovers: Vec<SyncError>,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default)]
struct Copied {
    files: usize,
    bytes: u64,
    fetched_bytes: u64,
}

/// Copies bundles from a bucket to a file system.
#[derive(Clone, Debug)]
pub struct Syncer {
    bucket: Bucket,
    options: SyncOptions,
}

impl Syncer {
    /// Returns a syncer that has copied nothing yet.
    #[must_use]
    pub fn new(bucket: Bucket, options: SyncOptions) -> Self {
        Self { bucket, options }
    }

    /// Makes sure that a version of a model is on the file system, whole.
    ///
    /// # Errors
    /// - [`SyncError::ObjectMissing`], [`SyncError::AccessDenied`], [`SyncError::Storage`] if an
    ///   object of the bundle cannot be read.
    /// - [`SyncError::DigestMismatch`], [`SyncError::SizeMismatch`] if an object is not what event
    ///   and manifest say.
    /// - [`SyncError::InvalidManifest`], [`SyncError::WrongModel`],
    ///   [`SyncError::ManifestTooLarge`] if the manifest is not one of this model.
    /// - [`SyncError::DiskFull`], [`SyncError::NoSpace`], [`SyncError::PermissionDenied`],
    ///   [`SyncError::Io`] if the file system refuses.
    /// - [`SyncError::TimeUp`] if the deadline comes first.
    pub async fn sync(
        &self,
        version: &ModelVersion,
        deadline: Deadline,
    ) -> Result<SyncReport, SyncError> {
        let started = Instant::now();
        let root = &self.options.root;
        let copied = match publish::is_complete(root, version) {
            true => None,
            false => self.copy_and_publish(version, deadline).await?,
        };
        let (pruned, leftovers) = self.tidy(version);
        let seconds = started.elapsed().as_secs_f64();
        let Copied { files, bytes, fetched_bytes } = copied.unwrap_or_default();
        Ok(SyncReport {
            path: version.folder(root).display().to_string(),
            copied: copied.is_some(),
            files,
            bytes,
            resumed_bytes: bytes.saturating_sub(fetched_bytes),
            duration_ms: round(seconds * 1e3),
            megabytes_per_second: round(fetched_bytes as f64 / 1e6 / seconds),
            pruned,
            leftovers,
        })
    }

    /// Puts the version in its place; none if another run was first.
    async fn copy_and_publish(
        &self,
        version: &ModelVersion,
        deadline: Deadline,
    ) -> Result<Option<Copied>, SyncError> {
        let slot = Slot::take(&self.options.root)?;
        slot.clear(Some(version))?;
        let staged = slot.version_folder(version)?;
        let result = self.stage(version, &staged, deadline).await.and_then(|copied| {
            let is_first = publish::publish(&staged, &self.options.root, version, &slot)?;
            Ok(is_first.then_some(copied))
        });
        if result.as_ref().is_err_and(|error| !error.is_resumable()) {
            // The first error is the one to tell; the next run clears what is left.
            let _ = slot.clear(None);
        }
        result
    }

    /// Brings every file of the version to the disk, as the manifest says.
    async fn stage(
        &self,
        version: &ModelVersion,
        staged: &Path,
        deadline: Deadline,
    ) -> Result<Copied, SyncError> {
        let key_of = |file: &str| version.key(self.bucket.prefix(), file);
        let manifest_key = key_of(MANIFEST_FILE);
        let time_up = || SyncError::TimeUp { key: manifest_key.clone() };
        let looking_up = self.look_up(version, &manifest_key);
        let (bytes, manifest) = deadline.bound(looking_up).await.ok_or_else(time_up)??;
        write_manifest(staged.join(MANIFEST_FILE), &bytes)?;
        let manifest_bytes = bytes.len() as u64;
        let mut copied = Copied { files: 1, bytes: manifest_bytes, fetched_bytes: manifest_bytes };
        for file in manifest.files.iter() {
            let (key, path) = (key_of(&file.path), staged.join(&file.path));
            copied.fetched_bytes += copy::copy(&self.bucket, &key, file, path, deadline).await?;
            copied.bytes += file.size_bytes;
            copied.files += 1;
        }
        Ok(copied)
    }

    /// Returns the manifest, every file of which is in the bucket with the right size.
    async fn look_up(
        &self,
        version: &ModelVersion,
        key: &str,
    ) -> Result<(Vec<u8>, Manifest), SyncError> {
        let bytes = self.bucket.manifest(key).await?;
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

    /// Removes old versions and what dead runs left; returns the versions, and what went wrong.
    fn tidy(&self, version: &ModelVersion) -> (Vec<String>, Vec<SyncError>) {
        let SyncOptions { root, keep_versions } = &self.options;
        let mut leftovers: Vec<_> = publish::touch(root, version).err().into_iter().collect();
        let slot = match Slot::take(root) {
            Ok(slot) => slot,
            Err(error) => {
                leftovers.push(error);
                return (Vec::new(), leftovers);
            }
        };
        leftovers.extend(slot.clear(None).err());
        let pruned = prune::prune(root, version, *keep_versions, &slot);
        leftovers.extend(pruned.failures);
        leftovers.extend(slot.clear_others().err());
        (pruned.digests, leftovers)
    }
}

/// Returns what the manifest says, if it is the one that the event means.
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
    let mut file = Partial::open(path, bytes.len() as u64)?.start_over()?;
    file.append(bytes)?;
    file.finish().map(drop)
}

/// Three decimals.
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
    fn a_manifest_with_another_digest_is_refused() {
        let manifest = tiny_manifest().to_string();
        let version = version("tiny", &manifest);
        let error = parse(format!("{manifest}\n").as_bytes(), &version, "k").unwrap_err();
        assert!(matches!(error, SyncError::DigestMismatch { .. }), "{error}");
        assert!(parse(manifest.as_bytes(), &version, "k").is_ok());
    }

    #[test]
    fn a_manifest_that_is_not_understood_is_refused() {
        let error = parse(b"{}", &version("tiny", "{}"), "k").unwrap_err();
        assert!(matches!(error, SyncError::InvalidManifest { .. }), "{error}");
    }

    #[test]
    fn the_manifest_of_another_model_is_refused() {
        let manifest = tiny_manifest().to_string();
        let error = parse(manifest.as_bytes(), &version("huge", &manifest), "k").unwrap_err();
        assert!(matches!(error, SyncError::WrongModel { .. }), "{error}");
        assert_eq!(error.code().name, "sync.invalid_manifest");
    }
}
