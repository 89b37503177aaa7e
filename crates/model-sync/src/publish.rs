//! Publishes a complete staging folder by renaming it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::error::SyncError;
use super::staging::{Slot, is_folder, remove};
use super::version::ModelVersion;
use semblance::internals::bundle::{Bundle, MANIFEST_FILE};

/// Mode of a published folder. Another user reads it through another access point.
const FOLDER_MODE: u32 = 0o755;

/// Returns the bundle of a version that is published and complete: its folder and files are not links, and
/// every file exists and has the declared size.
pub(crate) fn complete(root: &Path, version: &ModelVersion) -> Option<Bundle> {
    let folder = version.folder(root);
    let bundle = Bundle::open(&folder).ok()?;
    let is_file =
        |file: &str| fs::symlink_metadata(folder.join(file)).is_ok_and(|file| file.is_file());
    let is_plain = is_folder(&folder)
        && is_file(MANIFEST_FILE)
        && bundle.manifest().files.iter().all(|file| is_file(&file.path));
    (is_plain && bundle.digest() == version.digest()).then_some(bundle)
}

fn is_complete(root: &Path, version: &ModelVersion) -> bool {
    complete(root, version).is_some()
}

/// Replaces a published file with a staged one, which is flushed to disk. A reader sees one or the other.
pub(crate) fn replace(staged: &Path, published: &Path) -> Result<(), SyncError> {
    fs::rename(staged, published).map_err(|error| SyncError::from_io(published, error))?;
    published.parent().map_or(Ok(()), flush)
}

/// Renames a staging folder, whose files are flushed to disk, to the folder of its version. Returns
/// false if another run has published the version.
pub(crate) fn publish(
    staged: &Path,
    root: &Path,
    version: &ModelVersion,
    slot: &Slot,
) -> Result<bool, SyncError> {
    let model_folder = version.model_folder(root);
    match fs::create_dir(&model_folder) {
        Ok(()) => {
            set_mode(&model_folder)?;
            flush(root)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A link would lead out of the root.
            if !is_folder(&model_folder) {
                let error = io::ErrorKind::NotADirectory.into();
                return Err(SyncError::from_io(&model_folder, error));
            }
        }
        Err(error) => return Err(SyncError::from_io(&model_folder, error)),
    }
    set_mode(staged)?;
    flush(staged)?;
    let folder = version.folder(root);
    let renamed = match fs::rename(staged, &folder) {
        Err(error) if is_occupied(&error) => {
            if is_complete(root, version) {
                remove(staged)?;
                return Ok(false);
            }
            // An incomplete folder or a file. No function can have opened it.
            let trash = slot.trash(version.digest());
            fs::rename(&folder, &trash).and_then(|()| fs::rename(staged, &folder))
        }
        renamed => renamed,
    };
    renamed.map_err(|error| SyncError::from_io(&folder, error))?;
    flush(&model_folder)?;
    Ok(true)
}

/// Sets the time of the last request of a version. Versions are pruned in the order of these times.
pub(crate) fn touch(root: &Path, version: &ModelVersion) -> Result<(), SyncError> {
    let folder = version.folder(root);
    File::open(&folder)
        .and_then(|folder| folder.set_modified(SystemTime::now()))
        .map_err(|error| SyncError::from_io(&folder, error))
}

/// Whether a rename failed because a file or a non-empty folder has the target name.
fn is_occupied(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory)
}

fn set_mode(folder: &Path) -> Result<(), SyncError> {
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
        .map_err(|error| SyncError::from_io(folder, error))
}

/// Flushes the entries of a folder to disk.
fn flush(folder: &Path) -> Result<(), SyncError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| SyncError::from_io(folder, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use semblance::internals::bundle::sha256_hex;
    use semblance_test_support::tiny_manifest;

    struct Place {
        root: TempDir,
        version: ModelVersion,
        slot: Slot,
    }

    impl Place {
        fn new() -> Self {
            let root = TempDir::new().unwrap();
            let slot = Slot::acquire(root.path()).unwrap();
            let digest = sha256_hex(tiny_manifest().to_string().as_bytes());
            let event = serde_json::json!({"model_name": "tiny", "digest": digest});
            let version = ModelVersion::decode(event.to_string().as_bytes()).unwrap();
            Self { root, version, slot }
        }

        fn stage(&self) -> PathBuf {
            let folder = self.slot.version_folder(&self.version).unwrap();
            fill(&folder);
            folder
        }

        fn publish(&self, staged: &Path) -> Result<bool, SyncError> {
            publish(staged, self.root.path(), &self.version, &self.slot)
        }

        fn folder(&self) -> PathBuf {
            self.version.folder(self.root.path())
        }
    }

    /// Writes a bundle whose files have the sizes of its manifest.
    fn fill(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let manifest = tiny_manifest();
        fs::write(folder.join("bundle.json"), manifest.to_string()).unwrap();
        for file in manifest["files"].as_object().unwrap().values() {
            let bytes = file["size_bytes"].as_u64().unwrap();
            let content = vec![b'x'; usize::try_from(bytes).unwrap()];
            fs::write(folder.join(file["path"].as_str().unwrap()), content).unwrap();
        }
    }

    #[test]
    fn a_published_folder_is_readable_by_others() {
        let place = Place::new();
        assert!(!is_complete(place.root.path(), &place.version));
        assert!(place.publish(&place.stage()).unwrap());
        assert!(is_complete(place.root.path(), &place.version));
        for folder in [place.folder(), place.version.model_folder(place.root.path())] {
            let mode = fs::metadata(&folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, FOLDER_MODE, "{}", folder.display());
        }
    }

    #[test]
    fn the_second_run_keeps_the_published_folder() {
        let place = Place::new();
        fill(&place.folder());
        fs::write(place.folder().join("first"), b"").unwrap();
        let staged = place.stage();
        assert!(!place.publish(&staged).unwrap());
        assert!(place.folder().join("first").exists() && !staged.exists());
    }

    #[test]
    fn an_incomplete_folder_is_replaced() {
        let place = Place::new();
        fill(&place.folder());
        fs::write(place.folder().join("model.onnx"), b"too long").unwrap();
        assert!(!is_complete(place.root.path(), &place.version));
        assert!(place.publish(&place.stage()).unwrap());
        assert!(is_complete(place.root.path(), &place.version));
    }

    #[test]
    fn a_link_is_not_a_published_version() {
        let place = Place::new();
        let elsewhere = TempDir::new().unwrap();
        fill(elsewhere.path());
        fs::create_dir(place.version.model_folder(place.root.path())).unwrap();
        symlink(elsewhere.path(), place.folder()).unwrap();
        assert!(!is_complete(place.root.path(), &place.version));
        assert!(place.publish(&place.stage()).unwrap());
        assert!(is_folder(&place.folder()) && is_complete(place.root.path(), &place.version));
        assert!(elsewhere.path().join("bundle.json").exists(), "the target is unchanged");
        // A file that is a link, too.
        let file = place.folder().join("model.onnx");
        fs::remove_file(&file).unwrap();
        symlink(elsewhere.path().join("model.onnx"), &file).unwrap();
        assert!(!is_complete(place.root.path(), &place.version));
    }

    #[test]
    fn a_model_folder_that_is_a_link_is_refused() {
        let place = Place::new();
        let elsewhere = TempDir::new().unwrap();
        symlink(elsewhere.path(), place.version.model_folder(place.root.path())).unwrap();
        let error = place.publish(&place.stage()).unwrap_err();
        assert_eq!(error.code().name, "sync.io");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_with_the_name_of_the_folder_is_replaced() {
        let place = Place::new();
        fs::create_dir(place.version.model_folder(place.root.path())).unwrap();
        fs::write(place.folder(), b"").unwrap();
        assert!(place.publish(&place.stage()).unwrap());
        assert!(is_complete(place.root.path(), &place.version));
    }
}
