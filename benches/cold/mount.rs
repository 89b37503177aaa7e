//! A read-only mount of a folder that is as slow as a network file system: bandwidth and a latency
//! per request, and its own page cache, which starts empty. It counts the bytes that are read.
//!
//! The model is NFS as EFS mounts it. Requests are served at the same time; an answer is there a
//! latency after the request, or when the connection's bandwidth has let its bytes through,
//! the later of the two. Attributes and names are requested once and cached by the kernel; an open asks
//! each time, as close-to-open consistency wants it, and keeps the pages.

mod link;
mod pool;
mod server;
mod tree;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session};
use tempfile::TempDir;

use link::Link;
use server::Server;
use tree::Tree;

use crate::args::Args;
use crate::error::{Result, in_file};

/// Most bytes of one request: EFS mounts with `rsize=1048576`.
const REQUEST_BYTES: u32 = 1 << 20;

/// Requests in flight at the same time: the slots of an NFS 4.1 session that Linux asks for.
const REQUESTS: u16 = 64;

/// Bytes that FUSE reads ahead at most unless its device is configured: the kernel's default,
/// for NFS too.
const READAHEAD_BYTES: u32 = 128 << 10;

const DEVICE: &str = "/dev/fuse";

/// Unmounted when dropped.
pub(crate) struct SlowMount {
    session: Option<BackgroundSession>,
    point: TempDir,
    tree: Arc<Tree>,
}

/// What was asked of a mount.
pub(crate) struct Traffic {
    /// Every file's name, bytes read and requests for them.
    pub(crate) reads: Vec<(String, u64, u64)>,
    /// Requests for names, attributes and opens.
    pub(crate) others: u64,
}

/// Says whether there can be such a mount.
pub(crate) fn may_mount() -> Result<()> {
    fs::OpenOptions::new().read(true).write(true).open(DEVICE).map(drop).map_err(needs_root)
}

fn needs_root(error: io::Error) -> Box<dyn std::error::Error + Send + Sync> {
    format!("--slow-mount: needs root and {DEVICE} ({error}); --warm-cache does not").into()
}

impl SlowMount {
    /// Mounts a folder; what it holds is read from where it is, at the link's pace.
    pub(crate) fn of(folder: &Path, args: &Args) -> Result<Self> {
        let tree = Arc::new(Tree::of(folder)?);
        let point = tempfile::tempdir()?;
        let server = Server::new(Arc::clone(&tree), Link::of(args));
        let mut config = Config::default();
        let name = MountOption::FSName("semblance-cold".to_owned());
        config.mount_options = vec![name, MountOption::RO, MountOption::NoDev, MountOption::NoSuid];
        let session = Session::new(server, &point, &config).and_then(Session::spawn);
        let session = Some(session.map_err(needs_root)?);
        let mount = Self { session, point, tree };
        mount.read_ahead(args.mount_readahead_kib)?;
        // It serves once it knows that there is no such file; that is not kept.
        if mount.path().join("is it there?").exists() {
            return Err("the slow mount has a file that its folder has not".into());
        }
        mount.tree.forget_others();
        Ok(mount)
    }

    pub(crate) fn path(&self) -> &Path {
        self.point.path()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.tree.traffic()
    }

    /// Sets the read-ahead of the mount's device, without a request to the mount.
    fn read_ahead(&self, kib: u32) -> Result<()> {
        // proc_pid_mountinfo(5): the third field is the device, the fifth the mount point.
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let device = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            (Path::new(fields.get(4)?) == self.path()).then(|| fields[2].to_owned())
        });
        let device = device.ok_or("the slow mount is not in mountinfo")?;
        let file = format!("/sys/class/bdi/{device}/read_ahead_kb");
        let file = Path::new(&file);
        if fs::read_to_string(file).map_err(in_file(file))?.trim() == kib.to_string() {
            return Ok(());
        }
        fs::write(file, kib.to_string()).map_err(in_file(file))
    }
}

impl Drop for SlowMount {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.session.take().map(BackgroundSession::umount_and_join) {
            println!("cold: {} is still mounted: {error}", self.path().display());
        }
    }
}
