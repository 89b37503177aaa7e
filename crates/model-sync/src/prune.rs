//! Removes old versions of a model.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::SyncError;
use super::staging::{Slot, entries, remove};
use super::version::ModelVersion;
use semblance::internals::bundle::is_sha256;

/// The result of pruning.
#[derive(Debug, Default)]
pub(crate) struct PruneReport {
    /// Digests of the removed versions.
    pub(crate) digests: Vec<String>,
    /// Why other versions could not be removed.
    pub(crate) failures: Vec<SyncError>,
}

/// Removes old versions of the model. Keeps the requested version, those in service, and the `keep - 1`
/// others that were requested most recently. Ignores entries that are not versions.
pub(crate) fn prune(
    root: &Path,
    version: &ModelVersion,
    in_service: &[String],
    keep: usize,
    slot: &Slot,
) -> PruneReport {
    let mut pruned = PruneReport::default();
    let mut others = match others(root, version) {
        Ok(others) => others,
        Err(error) => {
            pruned.failures.push(error);
            return pruned;
        }
    };
    others.retain(|(_, digest, _)| !in_service.contains(digest));
    others.sort_by(|a, b| b.cmp(a));
    for (_, digest, folder) in others.into_iter().skip(keep.saturating_sub(1)) {
        match retire(&folder, &slot.trash(&digest)) {
            Ok(()) => pruned.digests.push(digest),
            Err(error) => pruned.failures.push(error),
        }
    }
    pruned
}

/// Returns the other versions: time of the last request, digest and folder.
fn others(
    root: &Path,
    version: &ModelVersion,
) -> Result<Vec<(SystemTime, String, PathBuf)>, SyncError> {
    let mut others = Vec::new();
    for folder in entries(&version.model_folder(root))? {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(digest) = name.filter(|name| is_sha256(name) && name != version.digest()) else {
            continue;
        };
        // A concurrent run may have removed it.
        let Ok(metadata) = fs::symlink_metadata(&folder) else { continue };
        if metadata.is_dir() {
            let modified =
                metadata.modified().map_err(|error| SyncError::from_io(&folder, error))?;
            others.push((modified, digest, folder));
        }
    }
    Ok(others)
}

/// Renames a version before removing it, so that an incomplete version never has its name.
fn retire(folder: &Path, trash: &Path) -> Result<(), SyncError> {
    fs::rename(folder, trash).map_err(|error| SyncError::from_io(folder, error))?;
    remove(trash)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::version::tests::version;
    use super::*;

    /// A root with versions of `tiny`, the least recently requested first.
    fn root_with(digits: &str) -> TempDir {
        let root = TempDir::new().unwrap();
        let start = SystemTime::now() - Duration::from_secs(3_600);
        for (age, digit) in (0..).zip(digits.chars()) {
            let folder = version(digit).folder(root.path());
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("bundle.json"), b"{}").unwrap();
            let modified = start + Duration::from_secs(age);
            File::open(&folder).unwrap().set_modified(modified).unwrap();
        }
        root
    }

    fn remaining(root: &Path) -> String {
        let mut remaining: Vec<char> = entries(&root.join("tiny"))
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().chars().next().unwrap())
            .collect();
        remaining.sort_unstable();
        remaining.into_iter().collect()
    }

    fn pruned(root: &TempDir, requested: char, keep: usize) -> String {
        pruned_except(root, requested, "", keep)
    }

    fn pruned_except(root: &TempDir, requested: char, in_service: &str, keep: usize) -> String {
        let slot = Slot::acquire(root.path()).unwrap();
        let in_service: Vec<String> =
            in_service.chars().map(|digit| version(digit).digest().to_owned()).collect();
        let pruned = prune(root.path(), &version(requested), &in_service, keep, &slot);
        assert!(pruned.failures.is_empty(), "{:?}", pruned.failures);
        pruned.digests.iter().map(|digest| digest.chars().next().unwrap()).collect()
    }

    #[test]
    fn keeps_the_newest_versions() {
        let root = root_with("abcde");
        assert_eq!(pruned(&root, 'e', 3), "ba");
        assert_eq!(remaining(root.path()), "cde");
    }

    #[test]
    fn keeps_versions_in_service_however_old_they_are() {
        let root = root_with("abcde");
        assert_eq!(pruned_except(&root, 'e', "a", 2), "cb");
        assert_eq!(remaining(root.path()), "ade");
        assert_eq!(pruned_except(&root, 'e', "ad", 1), "");
        assert_eq!(pruned_except(&root, 'e', "f", 1), "da");
    }

    #[test]
    fn keeps_the_requested_version_however_old_it_is() {
        let root = root_with("abcde");
        assert_eq!(pruned(&root, 'a', 3), "cb");
        assert_eq!(remaining(root.path()), "ade");
        assert_eq!(pruned(&root, 'a', 1), "ed");
        assert_eq!(remaining(root.path()), "a");
    }

    #[test]
    fn removes_nothing_below_the_limit() {
        let root = root_with("ab");
        assert_eq!(pruned(&root, 'b', 3), "");
        assert_eq!(remaining(root.path()), "ab");
    }

    #[test]
    fn ignores_entries_that_are_not_versions() {
        let root = root_with("ab");
        fs::create_dir(root.path().join("tiny/former")).unwrap();
        fs::write(root.path().join("tiny").join("c".repeat(64)), b"a file").unwrap();
        assert_eq!(pruned(&root, 'b', 1), "a");
        assert_eq!(remaining(root.path()), "bcf");
    }

    #[test]
    fn a_failure_does_not_stop_pruning() {
        let root = root_with("abc");
        let slot = Slot::acquire(root.path()).unwrap();
        // The trash name is in use: an earlier run crashed while it pruned.
        fs::create_dir_all(slot.trash(version('b').digest()).join("left")).unwrap();
        let pruned = prune(root.path(), &version('c'), &[], 1, &slot);
        assert_eq!(pruned.digests, [version('a').digest()]);
        assert_eq!(pruned.failures.len(), 1);
    }
}
