//! The kernel's side of a slow mount.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, Request,
};

use super::link::Link;
use super::pool::Pool;
use super::tree::Tree;
use super::{READAHEAD_BYTES, REQUEST_BYTES, REQUESTS};

/// How long the kernel keeps names and attributes: longer than any start takes.
const KEPT: Duration = Duration::from_secs(3600);

/// Answers the kernel's requests at the link's pace.
pub(super) struct Server {
    tree: Arc<Tree>,
    link: Link,
    pool: Pool,
}

impl Server {
    pub(super) fn new(tree: Arc<Tree>, link: Link) -> Self {
        Self { tree, link, pool: Pool::of(REQUESTS) }
    }

    /// Answers a request without bytes when it is due.
    fn answer(&self, reply: impl FnOnce(&Tree) + Send + 'static) {
        self.tree.count_other();
        let (tree, due) = (Arc::clone(&self.tree), self.link.due_empty(Instant::now()));
        self.pool.run(move || {
            sleep_until(due);
            reply(&tree);
        });
    }
}

fn sleep_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now()));
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
        let name = name.to_owned();
        self.answer(move |tree| match tree.child(parent, &name) {
            Some(node) => reply.entry(&KEPT, &node.attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        });
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.answer(move |tree| match tree.node(inode) {
            Some(node) => reply.attr(&KEPT, &node.attributes),
            None => reply.error(Errno::ENOENT),
        });
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.answer(|_| reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE));
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
        let bytes = self.tree.bytes_at(inode, offset, size);
        let (tree, due) = (Arc::clone(&self.tree), self.link.due(Instant::now(), bytes));
        self.pool.run(move || {
            let bytes = tree.read(inode, offset, bytes);
            sleep_until(due);
            match bytes {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        self.answer(move |tree| {
            for (position, (name, node)) in tree.children(inode).enumerate().skip(skipped) {
                let attributes = &node.attributes;
                // The offset of the next entry.
                if reply.add(attributes.ino, position as u64 + 1, attributes.kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }
}
