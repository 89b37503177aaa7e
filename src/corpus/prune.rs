//! Removes versions and segments that no reader can need any more.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::CorpusError;
use super::files::{entries, name_of, read_small, remove, sync_folder};
use super::index::{CURRENT_FILE, MANIFESTS, SEGMENTS, STAGING, TOMBSTONES, manifest_path};
use super::manifest::IndexManifest;
use super::point::Points;

/// Removes what no kept version refers to. Returns the digests of the removed versions. A version is kept
/// while it is current, and for a time after it was written or replaced: a process on another host may
/// have its files mapped.
///
/// Manifests go first, so that a version is never left with a part of its segments.
pub(crate) fn prune(
    folder: &Path,
    current: &str,
    grace: Duration,
    points: &Points,
) -> Result<Vec<String>, CorpusError> {
    let cutoff = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut first = true;
    let mut remove_unused = |name: &str, keep: &dyn Fn(&str) -> bool| {
        let folder = folder.join(name);
        let mut removed = Vec::new();
        for entry in entries(&folder)? {
            let stem = name_of(&entry).unwrap_or_default().split('.').next().unwrap_or_default();
            // A file of a change that was interrupted is as old as the change.
            if keep(stem) || modified(&entry)? > cutoff {
                continue;
            }
            // Moved first: a crash must not leave a part of a segment under its name.
            let trash = folder.with_file_name(STAGING).join(format!("removed-{stem}"));
            remove(&trash)?;
            fs::rename(&entry, &trash).map_err(|error| CorpusError::io(&entry, error))?;
            remove(&trash)?;
            removed.push(stem.to_owned());
            if std::mem::take(&mut first) {
                points.reach("prune");
            }
        }
        if !removed.is_empty() {
            sync_folder(&folder)?;
        }
        Ok::<_, CorpusError>(removed)
    };
    let versions = remove_unused(MANIFESTS, &|stem| stem == current)?;
    let used = used(folder)?;
    remove_unused(SEGMENTS, &|stem| used.contains(stem))?;
    remove_unused(TOMBSTONES, &|stem| used.contains(stem))?;
    remove(&folder.join(format!("{CURRENT_FILE}.tmp")))?;
    Ok(versions)
}

/// Returns the digests of the segments and sets of deleted rows of all versions.
fn used(folder: &Path) -> Result<HashSet<String>, CorpusError> {
    let mut used = HashSet::new();
    for path in entries(&folder.join(MANIFESTS))? {
        let digest = name_of(&path).unwrap_or_default().trim_end_matches(".json");
        // The remains of a crash, such as a partial file, are no version.
        if path != manifest_path(folder, digest) {
            continue;
        }
        let bytes = read_small(&path)?;
        for segment in IndexManifest::parse(&path, &bytes)?.segments {
            used.insert(segment.digest);
            used.extend(segment.tombstones);
        }
    }
    Ok(used)
}

fn modified(path: &Path) -> Result<SystemTime, CorpusError> {
    let metadata = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    metadata.map_err(|error| CorpusError::io(path, error))
}
