//! Removes versions and segments that no reader can need any more.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::error::CorpusError;
use super::files::{entries, name_of, read_small, remove, sync_folder};
use super::index::{CURRENT_FILE, MANIFESTS, SEGMENTS, TOMBSTONES, manifest_path};
use super::manifest::IndexManifest;
use super::point::Points;

/// Removes what no kept version refers to. A version is kept while it is current, and for a time after
/// another one replaced it: a process on another host may have its files mapped.
///
/// Manifests go first, so that a version is never left with a part of its segments.
pub(crate) fn prune(
    folder: &Path,
    current: &str,
    grace: Duration,
    points: &Points,
) -> Result<(), CorpusError> {
    let cutoff = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut kept = HashSet::new();
    let mut used = HashSet::new();
    // The version before was replaced when this one was written.
    let mut next = Some((current.to_owned(), SystemTime::now()));
    while let Some((digest, replaced)) = next.take() {
        let path = manifest_path(folder, &digest);
        if replaced < cutoff || !path.exists() || !kept.insert(digest.clone()) {
            break;
        }
        let bytes = read_small(&path)?;
        let manifest = IndexManifest::parse(&path, &bytes)?;
        for segment in manifest.segments {
            used.insert(segment.digest);
            used.extend(segment.tombstones);
        }
        let written = modified(&path)?;
        next = manifest.parent.map(|parent| (parent, written));
    }
    let mut first = true;
    let mut remove_unused = |name: &str, keep: &dyn Fn(&str) -> bool| {
        let folder = folder.join(name);
        let mut removed = false;
        for entry in entries(&folder)? {
            let stem = name_of(&entry).unwrap_or_default().split('.').next().unwrap_or_default();
            // A file of a change that was interrupted is as old as the change.
            if keep(stem) || modified(&entry)? > cutoff {
                continue;
            }
            // Moved first: a crash must not leave a part of a segment under its name.
            let trash = folder.with_file_name(".staging").join(format!("removed-{stem}"));
            remove(&trash)?;
            fs::rename(&entry, &trash).map_err(|error| CorpusError::io(&entry, error))?;
            remove(&trash)?;
            removed = true;
            if std::mem::take(&mut first) {
                points.reach("prune");
            }
        }
        if removed { sync_folder(&folder) } else { Ok(()) }
    };
    remove_unused(MANIFESTS, &|stem| kept.contains(stem))?;
    remove_unused(SEGMENTS, &|stem| used.contains(stem))?;
    remove_unused(TOMBSTONES, &|stem| used.contains(stem))?;
    remove(&folder.join(format!("{CURRENT_FILE}.tmp")))
}

fn modified(path: &Path) -> Result<SystemTime, CorpusError> {
    let metadata = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    metadata.map_err(|error| CorpusError::io(path, error))
}
