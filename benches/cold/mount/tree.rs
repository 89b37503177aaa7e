//! What a slow mount serves: a folder as it was when it was mounted.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    ReplyOpen, Request,
};

use super::{Link, READAHEAD_BYTES, REQUEST_BYTES, REQUESTS, Traffic};
use crate::error::{Result, in_file};

/// How long the kernel keeps names and attributes: longer than any start takes.
const KEPT: Duration = Duration::from_secs(3600);

/// Files and folders; the inode number of the first, the root, is 1, of the next 2.
pub(super) struct Tree {
    nodes: Vec<Node>,
    other_requests: AtomicU64,
}

struct Node {
    /// Relative to the root.
    path: String,
    attributes: FileAttr,
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

    fn node(&self, inode: INodeNo) -> Option<&Node> {
        self.nodes.get(usize::try_from(inode.0).ok()?.checked_sub(1)?)
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> Option<&Node> {
        let Content::Folder(children) = &self.node(parent)?.content else { return None };
        let (_, index) = children.iter().find(|(child, _)| OsStr::new(child) == name)?;
        self.nodes.get(*index)
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

/// Answers the kernel's requests at the link's pace; each in a thread, which it may keep.
pub(super) struct Server {
    tree: Arc<Tree>,
    link: Link,
}

impl Server {
    pub(super) fn new(tree: Arc<Tree>, link: Link) -> Self {
        Self { tree, link }
    }

    /// Takes the time of a request without bytes.
    fn wait(&self) {
        self.tree.other_requests.fetch_add(1, Ordering::Relaxed);
        self.link.wait();
    }

    fn read_file(&self, node: &Node, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        let arrived = Instant::now();
        let Content::File { file, reads, bytes } = &node.content else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let left = node.attributes.size.saturating_sub(offset);
        let mut buffer = vec![0; size.min(usize::try_from(left).unwrap_or(usize::MAX))];
        let due = self.link.due(arrived, buffer.len());
        file.read_exact_at(&mut buffer, offset)?;
        reads.fetch_add(1, Ordering::Relaxed);
        bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        Ok(buffer)
    }
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let refused = |limit| io::Error::other(format!("the kernel's limit is {limit}"));
        config.set_max_readahead(READAHEAD_BYTES).map_err(refused)?;
        // Bounds the reads too: both are as many pages at most.
        config.set_max_write(REQUEST_BYTES).map_err(refused)?;
        config.set_max_background(REQUESTS).map(drop).map_err(|_| io::Error::other("no requests"))
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.wait();
        match self.tree.child(parent, name) {
            Some(node) => reply.entry(&KEPT, &node.attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.wait();
        match self.tree.node(inode) {
            Some(node) => reply.attr(&KEPT, &node.attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.wait();
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let node = self.tree.node(inode).ok_or_else(|| io::ErrorKind::NotFound.into());
        match node.and_then(|node| self.read_file(node, offset, size as usize)) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.wait();
        let Some(Content::Folder(children)) = self.tree.node(inode).map(|node| &node.content)
        else {
            reply.error(Errno::ENOTDIR);
            return;
        };
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (position, (name, index)) in children.iter().enumerate().skip(skipped) {
            let attributes = &self.tree.nodes[*index].attributes;
            // The offset of the next entry.
            if reply.add(attributes.ino, position as u64 + 1, attributes.kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
