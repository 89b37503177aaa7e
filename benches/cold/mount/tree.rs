//! What a slow mount serves: a folder as it was when it was mounted.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use fuser::{FileAttr, FileType, INodeNo};

use super::{REQUEST_BYTES, Traffic};
use crate::error::{Result, in_file};

/// Files and folders; the inode number of the first, the root, is 1, of the next 2.
pub(super) struct Tree {
    nodes: Vec<Node>,
    other_requests: AtomicU64,
}

pub(super) struct Node {
    /// Relative to the root.
    path: String,
    pub(super) attributes: FileAttr,
    content: Content,
}

enum Content {
    Folder(Vec<(String, usize)>),
    File { file: File, reads: AtomicU64, bytes: AtomicU64 },
}

impl Tree {
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let mut tree = Self { nodes: Vec::new(), other_requests: AtomicU64::new(0) };
        tree.add(folder, String::new())?;
        Ok(tree)
    }

    /// Adds a file or a folder with all below it; returns its index.
    fn add(&mut self, source: &Path, path: String) -> Result<usize> {
        let metadata = fs::metadata(source).map_err(in_file(source))?;
        let index = self.nodes.len();
        let attributes = attributes(index, &metadata);
        let content = if metadata.is_dir() {
            Content::Folder(Vec::new())
        } else {
            let file = File::open(source).map_err(in_file(source))?;
            Content::File { file, reads: AtomicU64::new(0), bytes: AtomicU64::new(0) }
        };
        self.nodes.push(Node { path: path.clone(), attributes, content });
        if metadata.is_dir() {
            let mut children = Vec::new();
            for entry in fs::read_dir(source).map_err(in_file(source))? {
                let entry = entry.map_err(in_file(source))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                children.push((name, self.add(&entry.path(), path)?));
            }
            self.nodes[index].content = Content::Folder(children);
        }
        Ok(index)
    }

    pub(super) fn traffic(&self) -> Traffic {
        let mut reads: Vec<(String, u64, u64)> = Vec::new();
        for node in &self.nodes {
            if let Content::File { reads: requests, bytes, .. } = &node.content {
                let (bytes, requests) =
                    (bytes.load(Ordering::Relaxed), requests.load(Ordering::Relaxed));
                reads.push((node.path.clone(), bytes, requests));
            }
        }
        reads.sort();
        Traffic { reads, others: self.other_requests.load(Ordering::Relaxed) }
    }

    /// Counts a request that is not for a file's bytes.
    pub(super) fn count_other(&self) {
        self.other_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets the requests of [`Tree::count_other`].
    pub(super) fn forget_others(&self) {
        self.other_requests.store(0, Ordering::Relaxed);
    }

    /// How many of `size` bytes a file has from an offset on.
    pub(super) fn bytes_at(&self, inode: INodeNo, offset: u64, size: u32) -> usize {
        let left = self.node(inode).map_or(0, |node| node.attributes.size.saturating_sub(offset));
        // At most 32 bits.
        left.min(size.into()) as usize
    }

    /// Reads from a file, and counts it.
    pub(super) fn read(&self, inode: INodeNo, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let content = self.node(inode).map(|node| &node.content);
        let Some(Content::File { file, reads, bytes }) = content else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let mut buffer = vec![0; size];
        file.read_exact_at(&mut buffer, offset)?;
        reads.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(size as u64, Ordering::Relaxed);
        Ok(buffer)
    }

    pub(super) fn node(&self, inode: INodeNo) -> Option<&Node> {
        self.nodes.get(usize::try_from(inode.0).ok()?.checked_sub(1)?)
    }

    pub(super) fn child(&self, parent: INodeNo, name: &OsStr) -> Option<&Node> {
        self.children(parent).find(|(child, _)| OsStr::new(child) == name).map(|(_, node)| node)
    }

    /// Names and nodes of what a folder holds; nothing for a file.
    pub(super) fn children(&self, folder: INodeNo) -> impl Iterator<Item = (&str, &Node)> {
        let children = match self.node(folder).map(|node| &node.content) {
            Some(Content::Folder(children)) => children.as_slice(),
            _ => &[],
        };
        children.iter().map(|(name, index)| (name.as_str(), &self.nodes[*index]))
    }
}

fn attributes(index: usize, metadata: &Metadata) -> FileAttr {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    FileAttr {
        ino: INodeNo(index as u64 + 1),
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind: if metadata.is_dir() { FileType::Directory } else { FileType::RegularFile },
        // The type is in the bits above.
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: 1,
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: REQUEST_BYTES,
        flags: 0,
    }
}
