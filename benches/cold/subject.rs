//! What is measured: a package with a bundle.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::args::Args;
use crate::error::{Result, in_file};
use crate::folder;
use crate::tool::finish;

pub(crate) struct Subject {
    pub(crate) package: Rc<Package>,
    pub(crate) bundle: PathBuf,
}

/// A function's zip and the folder that it is extracted to.
pub(crate) struct Package {
    zip: PathBuf,
    zip_bytes: u64,
    /// Version of the ONNX Runtime library in it.
    library: String,
    task_root: TempDir,
}

impl Subject {
    /// Every package with every bundle.
    pub(crate) fn all(args: &Args) -> Result<Vec<Self>> {
        let mut bundles = args.bundle.clone();
        if bundles.is_empty() {
            let default = env::var_os("SEMBLANCE_BUNDLE").map(PathBuf::from);
            bundles.push(default.unwrap_or_else(|| "build/model/default".into()));
        }
        let mut subjects = Vec::new();
        for zip in &args.packages {
            let package = Rc::new(Package::unpack(zip)?);
            for bundle in &bundles {
                let bundle = fs::canonicalize(bundle).map_err(in_file(bundle))?;
                subjects.push(Self { package: Rc::clone(&package), bundle });
            }
        }
        Ok(subjects)
    }

    pub(crate) fn title(&self) -> String {
        let Package { zip, zip_bytes, library, .. } = self.package.as_ref();
        let megabytes = *zip_bytes as f64 / 1e6;
        let (zip, bundle) = (zip.display(), self.bundle.display());
        format!("{zip} ({megabytes:.2} MB, ONNX Runtime {library}) on {bundle}")
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "package": self.package.zip.display().to_string(),
            "zip_bytes": self.package.zip_bytes,
            "onnxruntime": self.package.library,
            "bundle": self.bundle.display().to_string(),
        })
    }
}

impl Package {
    /// Extracts a zip into its own folder: the usual place for such folders may be in memory, where no
    /// cache can be cold.
    fn unpack(zip: &Path) -> Result<Self> {
        let path = fs::canonicalize(zip).map_err(in_file(zip))?;
        let zip_bytes = fs::metadata(&path).map_err(in_file(zip))?.len();
        let task_root = tempfile::tempdir_in(path.parent().ok_or("the package is no file")?)?;
        finish(
            Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&path).arg(task_root.path()),
        )?;
        // Python's module does not restore the permissions.
        finish(Command::new("chmod").args(["-R", "a+rx"]).arg(task_root.path()))?;
        let library = library_version(task_root.path())?;
        Ok(Self { zip: zip.to_owned(), zip_bytes, library, task_root })
    }

    pub(crate) fn task_root(&self) -> &Path {
        self.task_root.path()
    }
}

/// The version of the ONNX Runtime library below a folder, by the version of its symbols.
fn library_version(folder: &Path) -> Result<String> {
    const MARK: &[u8] = b"VERS_";
    for (name, path) in folder::files(folder)? {
        if name.contains("libonnxruntime.so") {
            let bytes = fs::read(&path).map_err(in_file(&path))?;
            let mark = bytes.windows(MARK.len()).position(|window| window == MARK);
            let version = &bytes[mark.map_or(bytes.len(), |mark| mark + MARK.len())..];
            let is_version = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
            return Ok(version
                .iter()
                .take_while(is_version)
                .map(|byte| char::from(*byte))
                .collect());
        }
    }
    Ok("not in the package".to_owned())
}
