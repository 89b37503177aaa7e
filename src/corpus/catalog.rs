//! Indexes by name below a folder, opened when they are first used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::CorpusError;
use super::files::{entries, name_of};
use super::index::{CURRENT_FILE, Index};
use crate::bundle::is_name;

/// How often the current version is looked up.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The indexes in a folder.
#[derive(Debug)]
pub struct Catalog {
    folder: PathBuf,
    open: Mutex<HashMap<String, Opened>>,
}

#[derive(Debug)]
struct Opened {
    index: Arc<Index>,
    checked: Instant,
}

impl Catalog {
    /// Returns the indexes in a folder. Nothing is read.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::new(HashMap::new()) }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the names of the indexes, in order. They are not opened.
    ///
    /// # Errors
    /// - [`CorpusError::Io`] if the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, CorpusError> {
        let has_index = |path: &Path| path.join(CURRENT_FILE).is_file();
        let entries = entries(&self.folder)?;
        let names = entries.iter().filter(|path| has_index(path)).filter_map(|path| name_of(path));
        Ok(names.filter(|name| is_name(name)).map(str::to_owned).collect())
    }

    /// Returns the current version of an index. An open version stays valid while it is in use; the next
    /// call returns a new version within a second of its publication.
    ///
    /// # Errors
    /// - [`CorpusError::InvalidName`] if the name violates the rule for names.
    /// - As [`Index::open`].
    pub fn get(&self, name: &str) -> Result<Arc<Index>, CorpusError> {
        if !is_name(name) {
            return Err(CorpusError::InvalidName { bytes: name.len() });
        }
        let folder = self.folder.join(name);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = open.get_mut(name) {
            if opened.checked.elapsed() < CHECK_INTERVAL {
                return Ok(Arc::clone(&opened.index));
            }
            if Index::current(&folder)?.as_deref() == Some(opened.index.digest()) {
                opened.checked = Instant::now();
                return Ok(Arc::clone(&opened.index));
            }
        }
        let index = Arc::new(Index::open_for_search(&folder)?);
        let opened = Opened { index: Arc::clone(&index), checked: Instant::now() };
        open.insert(name.to_owned(), opened);
        Ok(index)
    }
}
