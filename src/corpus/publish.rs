//! Publishes a change: measures the recall, writes the version, and makes it the current one.

use std::sync::Arc;

use super::current;
use super::error::CorpusError;
use super::files::{create_folder, sync_folder, write_whole};
use super::index::{Index, MANIFESTS, Part, TOMBSTONES, manifest_path, tombstones_path};
use super::manifest::{IndexManifest, Recall, SCHEMA_VERSION, SegmentEntry};
use super::prune::prune;
use super::writer::Writer;
use crate::bundle::sha256_hex;

/// What a writer published.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Digest of the version.
    pub digest: String,
    /// Its manifest.
    pub manifest: IndexManifest,
    /// Whether it differs from the version before.
    pub changed: bool,
}

impl Writer {
    /// Publishes the change as the current version, and removes what no version needs any more. If
    /// nothing has changed, the version stays.
    ///
    /// # Errors
    /// - [`CorpusError::Conflict`] if another version was published meanwhile.
    /// - [`CorpusError::LowRecall`] if the approximate search misses too many rows.
    /// - [`CorpusError::Io`] if the file system fails.
    pub fn publish(mut self) -> Result<Published, CorpusError> {
        self.flush()?;
        self.parts.retain(|part| part.rows.count() < part.segment.rows);
        let segments = self.parts.iter().map(|part| {
            let deleted = part.rows.count() as u64;
            let tombstones = (deleted > 0).then(|| sha256_hex(&part.rows.to_bytes()));
            let (digest, rows) = (part.digest.clone(), part.segment.rows as u64);
            SegmentEntry { digest, rows, deleted, tombstones }
        });
        let segments: Vec<SegmentEntry> = segments.collect();
        if let Some((digest, manifest)) = &self.base
            && manifest.segments == segments
        {
            self.check_base()?;
            let (digest, manifest) = (digest.clone(), manifest.clone());
            self.clean(&digest)?;
            return Ok(Published { digest, manifest, changed: false });
        }
        let mut manifest = IndexManifest {
            schema_version: SCHEMA_VERSION,
            vectors: self.source.clone(),
            rows: self.rows() as u64,
            segments,
            recall: None,
            parent: self.base.as_ref().map(|(digest, _)| digest.clone()),
        };
        manifest.recall = self.measure(&manifest)?;
        let digest = self.write(&manifest)?;
        self.clean(&digest)?;
        Ok(Published { digest, manifest, changed: true })
    }

    fn measure(&self, manifest: &IndexManifest) -> Result<Option<Recall>, CorpusError> {
        let parts = self.parts.iter().map(|part| Part {
            segment: Arc::clone(&part.segment),
            digest: part.digest.clone(),
            live: part.rows.clone().not(),
        });
        let index = Index::from_parts(&self.folder, "", manifest.clone(), parts.collect());
        let recall = index.measure_recall()?;
        match recall {
            Some(Recall { at_10, .. }) if at_10 < self.options.min_recall => {
                let (found, minimum) = (at_10, self.options.min_recall);
                Err(CorpusError::LowRecall { found, minimum })
            }
            recall => Ok(recall),
        }
    }

    fn write(&self, manifest: &IndexManifest) -> Result<String, CorpusError> {
        let (folder, points) = (&self.folder, &self.options.points);
        let tombstones = folder.join(TOMBSTONES);
        create_folder(&tombstones)?;
        for (part, entry) in self.parts.iter().zip(&manifest.segments) {
            if let Some(digest) = &entry.tombstones {
                write_whole(&tombstones_path(folder, digest), &part.rows.to_bytes())?;
            }
        }
        sync_folder(&tombstones)?;
        points.reach("tombstones");
        let manifests = folder.join(MANIFESTS);
        create_folder(&manifests)?;
        let bytes = serde_json::to_vec_pretty(manifest)
            .map_err(|error| CorpusError::io(&manifests, error.into()))?;
        let digest = sha256_hex(&bytes);
        write_whole(&manifest_path(folder, &digest), &bytes)?;
        points.reach("manifest");
        sync_folder(&manifests)?;
        // The names of the folders themselves.
        sync_folder(folder)?;
        points.reach("manifest_synced");
        self.check_base()?;
        current::replace(folder, &digest, None, points)?;
        Ok(digest)
    }

    fn check_base(&self) -> Result<(), CorpusError> {
        let (found, expected) =
            (Index::current(&self.folder)?, self.base.as_ref().map(|(digest, _)| digest.clone()));
        if found == expected {
            return Ok(());
        }
        let name = |digest: Option<String>| digest.unwrap_or_else(|| "none".to_owned());
        Err(CorpusError::Conflict { found: name(found), expected: name(expected) })
    }

    fn clean(&self, digest: &str) -> Result<(), CorpusError> {
        self.staging.clear()?;
        prune(&self.folder, digest, self.options.grace, &self.options.points).map(drop)
    }
}
