//! Old versions of a model leave the file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::SyncError;
use super::staging::{Slot, entries, remove};
use super::version::ModelVersion;
use semblance::internals::bundle::is_sha256;

/// What pruning did, and did not.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// Digests of the versions that are gone.
    pub(crate) digests: Vec<String>,
    /// Why others are not.
    pub(crate) failures: Vec<SyncError>,
}

/// Removes all versions of the model but the one asked for and the `keep - 1` others that were
/// asked for last. What is not named as a version is left alone.
pub(crate) fn prune(root: &Path, version: &ModelVersion, keep: usize, slot: &Slot) -> Pruned {
    let mut pruned = Pruned::default();
    let mut others = match others(root, version) {
        Ok(others) => others,
        Err(error) => {
            pruned.failures.push(error);
            return pruned;
        }
    };
    others.sort_by(|a, b| b.cmp(a));
    for (_, digest, folder) in others.into_iter().skip(keep.saturating_sub(1)) {
        match retire(&folder, &slot.trash(&digest)) {
            Ok(()) => pruned.digests.push(digest),
            Err(error) => pruned.failures.push(error),
        }
    }
    pruned
}

/// Returns the other versions: when asked for last, digest, folder.
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
        // Gone if another run prunes too.
        let Ok(metadata) = fs::symlink_metadata(&folder) else { continue };
        if metadata.is_dir() {
            let modified =
                metadata.modified().map_err(|error| SyncError::from_io(&folder, error))?;
            others.push((modified, digest, folder));
        }
    }
    Ok(others)
}

/// Takes the name away first, so that half a version is never one.
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

    /// A root with versions of `tiny`, the first asked for longest ago.
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

    fn left(root: &Path) -> String {
        let mut left: Vec<char> = entries(&root.join("tiny"))
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().chars().next().unwrap())
            .collect();
        left.sort_unstable();
        left.into_iter().collect()
    }

    fn pruned(root: &TempDir, asked_for: char, keep: usize) -> String {
        let slot = Slot::take(root.path()).unwrap();
        let pruned = prune(root.path(), &version(asked_for), keep, &slot);
        assert!(pruned.failures.is_empty(), "{:?}", pruned.failures);
        pruned.digests.iter().map(|digest| digest.chars().next().unwrap()).collect()
    }

    #[test]
    fn the_newest_versions_stay() {
        let root = root_with("abcde");
        assert_eq!(pruned(&root, 'e', 3), "ba");
        assert_eq!(left(root.path()), "cde");
    }

    #[test]
    fn the_version_asked_for_stays_however_old_it_is() {
        let root = root_with("abcde");
        assert_eq!(pruned(&root, 'a', 3), "cb");
        assert_eq!(left(root.path()), "ade");
        assert_eq!(pruned(&root, 'a', 1), "ed");
        assert_eq!(left(root.path()), "a");
    }

    #[test]
    fn fewer_versions_than_stay_are_left_alone() {
        let root = root_with("ab");
        assert_eq!(pruned(&root, 'b', 3), "");
        assert_eq!(left(root.path()), "ab");
    }

    #[test]
    fn what_is_no_version_is_left_alone() {
        let root = root_with("ab");
        fs::create_dir(root.path().join("tiny/former")).unwrap();
        fs::write(root.path().join("tiny").join("c".repeat(64)), b"a file").unwrap();
        assert_eq!(pruned(&root, 'b', 1), "a");
        assert_eq!(left(root.path()), "bcf");
    }

    #[test]
    fn a_version_that_cannot_be_removed_is_told_and_the_others_go() {
        let root = root_with("abc");
        let slot = Slot::take(root.path()).unwrap();
        // A name that is taken: what a run left that died while it pruned.
        fs::create_dir_all(slot.trash(version('b').digest()).join("left")).unwrap();
        let pruned = prune(root.path(), &version('c'), 1, &slot);
        assert_eq!(pruned.digests, [version('a').digest()]);
        assert_eq!(pruned.failures.len(), 1);
    }
}
