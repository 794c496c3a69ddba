//! A file system in memory. Cloning one is free: directories are shared until one of the clones writes.
//!
//! An image's files are built once and cloned for each container, so a thousand containers cost what they wrote.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::files::{Files, FilesError, Metadata, resolve, split};
use super::memory_tree::{Content, Node, directory, follow, follow_last, metadata, walk, weight};
use crate::clock::Clock;
use crate::watch;

/// The bit of a directory that hands its group on.
const SETGID: u32 = 0o2000;

struct Owned(Arc<Vec<u8>>);
impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct State {
    root: Arc<Node>,
    used_bytes: u64,
}

/// Files in memory.
pub struct MemoryFiles {
    clock: Clock,
    state: Mutex<State>,
    version: watch::Sender<u64>,
    limit_bytes: Option<u64>,
    read_only: bool,
}

impl MemoryFiles {
    /// An empty file system; `clock` dates what is written.
    pub fn new(clock: Clock) -> Self {
        let root = directory(clock.now().as_second(), 0o755);
        Self {
            clock,
            state: Mutex::new(State { root: Arc::new(root), used_bytes: 0 }),
            version: watch::Sender::new(0),
            limit_bytes: None,
            read_only: false,
        }
    }

    /// Another file system that starts with the same content.
    pub fn fork(&self) -> Self {
        let state = self.lock();
        Self {
            clock: self.clock.clone(),
            state: Mutex::new(State { root: state.root.clone(), used_bytes: state.used_bytes }),
            version: watch::Sender::new(0),
            limit_bytes: self.limit_bytes,
            read_only: self.read_only,
        }
    }

    /// The same, refusing to hold more than so many bytes.
    pub fn limited(mut self, bytes: Option<u64>) -> Self {
        self.limit_bytes = bytes;
        self
    }

    /// Lets programs write no more; [`MemoryFiles::put`] still does.
    pub fn sealed(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// What dates its files.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many bytes its files hold.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes
    }

    /// Sets a file with the directories above it, without asking for permission.
    pub fn put(&self, path: &str, content: &[u8], mode: u32) {
        // Only a path through a file can fail here, and then there is nothing sensible to put.
        let _ = self.store(path, content.to_vec(), Some(mode), false);
    }

    /// Makes a directory and those above it, without asking for permission.
    pub fn put_directory(&self, path: &str, mode: u32) {
        let now = self.now();
        let _ = self.change(path, true, |node| {
            let node = node.get_or_insert_with(|| Arc::new(directory(now, mode)));
            Arc::make_mut(node).mode = mode;
            Ok(())
        });
    }

    /// Makes a symbolic link, without asking for permission.
    pub fn put_link(&self, path: &str, target: &str) {
        let node = Node { content: Content::Link(target.to_owned()), ..directory(self.now(), 0o777) };
        let _ = self.change(path, true, |slot| {
            *slot = Some(Arc::new(node));
            Ok(())
        });
    }

    /// Takes a path away, without asking for permission. A link goes itself.
    pub fn take_away(&self, path: &str) {
        let (above, name) = split(path);
        let _ = self.change_entry(above, name, |slot| *slot = None);
    }

    /// Gives everything to a group: files can be read by it, those of a volume that is not `read_only` written too, and what is
    /// made in its directories is the group's again.
    // Models pkg/volume/volume_linux.go (changeFilePermission).
    pub fn give_to_group(&self, gid: u32, read_only: bool) {
        fn give(node: &mut Arc<Node>, gid: u32, mask: u32) {
            let node = Arc::make_mut(node);
            node.gid = gid;
            match &mut node.content {
                Content::Link(_) => {}
                Content::File(_) => node.mode |= mask,
                Content::Directory(entries) => {
                    node.mode |= mask | SETGID | 0o110;
                    entries.values_mut().for_each(|entry| give(entry, gid, mask));
                }
            }
        }
        let mask = if read_only { 0o440 } else { 0o660 };
        give(&mut self.lock().root, gid, mask);
        self.version.send_modify(|version| *version += 1);
    }

    /// Sets who owns a path.
    pub fn set_owner(&self, path: &str, uid: u32, gid: u32) {
        let _ = self.change(path, false, |slot| {
            if let Some(node) = slot {
                let node = Arc::make_mut(node);
                (node.uid, node.gid) = (uid, gid);
            }
            Ok(())
        });
    }

    fn now(&self) -> i64 {
        self.clock.now().as_second()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, path: &str, content: Vec<u8>, mode: Option<u32>, append: bool) -> Result<(), FilesError> {
        let now = self.now();
        let limit = self.limit_bytes;
        let used = self.lock().used_bytes;
        let mut delta = 0_i64;
        self.change(path, mode.is_some(), |slot| {
            let old = match slot.as_deref().map(|node| &node.content) {
                Some(Content::Directory(_)) => return Err(FilesError::IsDirectory),
                Some(Content::File(bytes)) => bytes.len(),
                _ => 0,
            };
            delta = size(content.len()) - if append { 0 } else { size(old) };
            if limit.is_some_and(|limit| size_u64(used, delta) > limit) && delta > 0 {
                return Err(FilesError::NoSpace);
            }
            let fresh = || Arc::new(Node { content: Content::File(Arc::default()), ..directory(now, 0o644) });
            let node = Arc::make_mut(slot.get_or_insert_with(fresh));
            match &mut node.content {
                Content::File(bytes) if append => Arc::make_mut(bytes).extend_from_slice(&content),
                other => *other = Content::File(Arc::new(content)),
            }
            node.modified_seconds = now;
            node.mode = mode.unwrap_or(node.mode);
            Ok(())
        })?;
        let mut state = self.lock();
        state.used_bytes = size_u64(state.used_bytes, delta);
        Ok(())
    }

    /// Lets `edit` change what is at `path`; with `parents` the directories above it are made.
    fn change<T>(
        &self,
        path: &str,
        parents: bool,
        edit: impl FnOnce(&mut Option<Arc<Node>>) -> Result<T, FilesError>,
    ) -> Result<T, FilesError> {
        let now = self.now();
        let mut state = self.lock();
        let path = follow(&state.root, path, parents)?;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let Some((name, above)) = parts.split_last() else {
            let mut slot = Some(state.root.clone());
            let answer = edit(&mut slot)?;
            state.root = slot.ok_or(FilesError::PermissionDenied)?;
            return Ok(answer);
        };
        let mut node = &mut state.root;
        for part in above {
            let Content::Directory(entries) = &mut Arc::make_mut(node).content else {
                return Err(FilesError::NotDirectory);
            };
            if parents && !entries.contains_key(*part) {
                entries.insert((*part).to_owned(), Arc::new(directory(now, 0o755)));
            }
            node = entries.get_mut(*part).ok_or(FilesError::NotFound)?;
        }
        let parent = Arc::make_mut(node);
        let Content::Directory(entries) = &mut parent.content else { return Err(FilesError::NotDirectory) };
        let mut slot = entries.remove(*name);
        let before = slot.is_some();
        let answer = edit(&mut slot);
        if slot.is_some() != before {
            parent.modified_seconds = now;
        }
        if let (false, Some(node), true) = (before, &mut slot, parent.mode & SETGID != 0) {
            // What is made in a directory with this bit is its group's, and so on below.
            let node = Arc::make_mut(node);
            node.gid = parent.gid;
            if matches!(node.content, Content::Directory(_)) {
                node.mode |= SETGID;
            }
        }
        if let Some(node) = slot {
            entries.insert((*name).to_owned(), node);
        }
        drop(state);
        self.version.send_modify(|version| *version += 1);
        answer
    }

    fn find(&self, path: &str, last_link: bool) -> Result<Arc<Node>, FilesError> {
        let state = self.lock();
        let path =
            if last_link { follow_last(&state.root, path)? } else { follow(&state.root, path, false)? };
        walk(&state.root, &path)
    }

    fn may_write(&self) -> Result<(), FilesError> {
        if self.read_only { Err(FilesError::ReadOnly) } else { Ok(()) }
    }
}

fn size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn size_u64(used: u64, delta: i64) -> u64 {
    used.saturating_add_signed(delta)
}

#[async_trait]
impl Files for MemoryFiles {
    async fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        match &self.find(path, false)?.content {
            Content::File(bytes) => Ok(Bytes::from_owner(Owned(bytes.clone()))),
            Content::Directory(_) => Err(FilesError::IsDirectory),
            Content::Link(_) => Err(FilesError::NotFound),
        }
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        self.may_write()?;
        self.store(path, content.to_vec(), None, false)
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        self.may_write()?;
        self.store(path, content.to_vec(), None, true)
    }

    async fn metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        Ok(metadata(&*self.find(path, false)?))
    }

    async fn link_metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        Ok(metadata(&*self.find(path, true)?))
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, FilesError> {
        match &self.find(path, false)?.content {
            Content::Directory(entries) => Ok(entries.keys().cloned().collect()),
            _ => Err(FilesError::NotDirectory),
        }
    }

    async fn make_directory(&self, path: &str) -> Result<(), FilesError> {
        self.may_write()?;
        let now = self.now();
        // Each part is made on its own, so that a link in the middle is followed.
        let mut above = String::new();
        for part in resolve("/", path).split('/').filter(|part| !part.is_empty()) {
            above = format!("{above}/{part}");
            if let Ok(node) = self.find(&above, false) {
                if !matches!(node.content, Content::Directory(_)) {
                    return Err(if above == path { FilesError::Exists } else { FilesError::NotDirectory });
                }
                continue;
            }
            self.change(&above, false, |slot| {
                slot.get_or_insert_with(|| Arc::new(directory(now, 0o755)));
                Ok(())
            })?;
        }
        Ok(())
    }

    async fn remove(&self, path: &str) -> Result<(), FilesError> {
        self.may_write()?;
        self.find(path, true)?;
        let (above, name) = split(path);
        let above = follow(&self.lock().root.clone(), above, false)?;
        let mut gone = 0;
        self.change_entry(&above, name, |slot| {
            gone = slot.as_ref().map_or(0, |node| weight(node));
            *slot = None;
        })?;
        let mut state = self.lock();
        state.used_bytes = state.used_bytes.saturating_sub(gone);
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FilesError> {
        self.may_write()?;
        let node = self.find(from, true)?;
        if format!("{to}/").starts_with(&format!("{from}/")) && from != to {
            return Err(FilesError::Other("invalid argument".into()));
        }
        let target = self.find(to, true).ok();
        if let Some(Content::Directory(entries)) = target.as_deref().map(|node| &node.content) {
            if !matches!(node.content, Content::Directory(_)) {
                return Err(FilesError::IsDirectory);
            }
            if !entries.is_empty() {
                return Err(FilesError::NotEmpty);
            }
        }
        let root = self.lock().root.clone();
        let ((from_above, from_name), (to_above, to_name)) = (split(from), split(to));
        let (from_above, to_above) = (follow(&root, from_above, false)?, follow(&root, to_above, false)?);
        walk(&root, &to_above)?;
        self.change_entry(&from_above, from_name, |slot| *slot = None)?;
        self.change_entry(&to_above, to_name, |slot| *slot = Some(node))
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<(), FilesError> {
        self.may_write()?;
        self.find(path, false)?;
        self.change(path, false, |slot| {
            if let Some(node) = slot {
                Arc::make_mut(node).mode = mode;
            }
            Ok(())
        })
    }

    async fn symlink(&self, target: &str, path: &str) -> Result<(), FilesError> {
        self.may_write()?;
        if self.find(path, true).is_ok() {
            return Err(FilesError::Exists);
        }
        let (above, name) = split(path);
        let above = follow(&self.lock().root.clone(), above, false)?;
        let node = Node { content: Content::Link(target.to_owned()), ..directory(self.now(), 0o777) };
        self.change_entry(&above, name, |slot| *slot = Some(Arc::new(node)))
    }

    fn watch(&self, _path: &str) -> Option<watch::Receiver<u64>> {
        Some(self.version.subscribe())
    }
}

impl MemoryFiles {
    /// Changes one entry of a directory whose path has no links; the entry itself may be one.
    fn change_entry(
        &self,
        above: &str,
        name: &str,
        edit: impl FnOnce(&mut Option<Arc<Node>>),
    ) -> Result<(), FilesError> {
        let now = self.now();
        self.change(above, false, |slot| {
            let node = slot.as_mut().ok_or(FilesError::NotFound)?;
            let parent = Arc::make_mut(node);
            parent.modified_seconds = now;
            let Content::Directory(entries) = &mut parent.content else {
                return Err(FilesError::NotDirectory);
            };
            let mut entry = entries.remove(name);
            edit(&mut entry);
            if let Some(entry) = entry {
                entries.insert(name.to_owned(), entry);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> MemoryFiles {
        MemoryFiles::new(Clock::virtual_time())
    }

    #[tokio::test]
    async fn forks_share_until_they_write() {
        let image = files();
        image.put("/etc/motd", b"hello", 0o644);
        let container = image.fork();
        container.append("/etc/motd", b" you").await.unwrap();
        assert_eq!(&image.read("/etc/motd").await.unwrap()[..], b"hello");
        assert_eq!(&container.read("/etc/motd").await.unwrap()[..], b"hello you");
    }

    #[tokio::test]
    async fn links_are_followed_as_in_a_config_map_volume() {
        let volume = files();
        volume.put("/..2026/theme", b"dark", 0o644);
        volume.put_link("/..data", "..2026");
        volume.put_link("/theme", "..data/theme");
        assert_eq!(&volume.read("/theme").await.unwrap()[..], b"dark");
        assert_eq!(volume.link_metadata("/theme").await.unwrap().link.as_deref(), Some("..data/theme"));
        volume.put_link("/loop", "loop");
        assert_eq!(volume.read("/loop").await, Err(FilesError::TooManyLinks));
    }

    #[tokio::test]
    async fn errors_are_those_of_a_real_file_system() {
        let files = files();
        files.put("/a/b", b"x", 0o644);
        assert_eq!(files.read("/a").await, Err(FilesError::IsDirectory));
        assert_eq!(files.write("/a", b"").await, Err(FilesError::IsDirectory));
        assert_eq!(files.write("/no/such", b"").await, Err(FilesError::NotFound));
        assert_eq!(files.list("/a/b").await, Err(FilesError::NotDirectory));
        assert_eq!(files.fork().sealed().write("/c", b"").await, Err(FilesError::ReadOnly));
        assert_eq!(files.fork().limited(Some(3)).write("/c", b"1234").await, Err(FilesError::NoSpace));
        files.rename("/a/b", "/c").await.unwrap();
        files.remove("/a").await.unwrap();
        assert_eq!(files.list("/").await.unwrap(), ["c"]);
    }
}
