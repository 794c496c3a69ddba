//! A container's file system: its image's files, the kubelet's mounts, and the few devices that programs open.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::log::ContainerLog;
use crate::bash::{Files, FilesError, MemoryFiles, Metadata, MountFiles, MountPoint, resolve};
use crate::clock::Clock;
use crate::runtime::api::DnsConfig;

/// How much one read of an endless device gives.
const ENDLESS_BYTES: usize = 64 * 1024;

/// What a container's file system is made of.
pub(super) struct Parts {
    pub(super) image: MemoryFiles,
    pub(super) read_only: bool,
    pub(super) mounts: Vec<MountPoint>,
    pub(super) hostname: String,
    pub(super) dns: DnsConfig,
    pub(super) ip: String,
    /// Where last words go; empty for nowhere.
    pub(super) termination_message_path: String,
    pub(super) log: ContainerLog,
    pub(super) clock: Clock,
    pub(super) working_dir: String,
}

/// A container's files, and the ones of its last words.
pub(super) struct RootFiles {
    pub(super) all: Arc<dyn Files>,
    pub(super) last_words: Arc<MemoryFiles>,
}

impl Parts {
    /// Puts them together.
    pub(super) fn assemble(self) -> RootFiles {
        let image = self.image;
        image.put("/etc/hostname", format!("{}\n", self.hostname).as_bytes(), 0o644);
        image.put("/etc/resolv.conf", resolv_conf(&self.dns).as_bytes(), 0o644);
        image.put(
            "/etc/hosts",
            format!("127.0.0.1\tlocalhost\n{}\t{}\n", self.ip, self.hostname).as_bytes(),
            0o644,
        );
        image.put_directory(&self.working_dir, 0o755);
        let last_words = Arc::new(MemoryFiles::new(self.clock.clone()));
        let mut mounts = self.mounts;
        if !self.termination_message_path.is_empty() {
            last_words.put("/log", b"", 0o666);
            let path = self.termination_message_path;
            mounts.push(MountPoint {
                path,
                files: last_words.clone(),
                inner: "/log".to_owned(),
                read_only: false,
            });
        }
        for mount in &mounts {
            let (above, _) = crate::bash::split(&mount.path);
            image.put_directory(above, 0o755);
        }
        let devices: Arc<dyn Files> =
            Arc::new(Devices { log: self.log, others: MemoryFiles::new(self.clock) });
        mounts.push(MountPoint {
            path: "/dev".to_owned(),
            files: devices.clone(),
            inner: "/".to_owned(),
            read_only: false,
        });
        for (path, inner) in [
            ("/proc/1/fd/1", "/stdout"),
            ("/proc/1/fd/2", "/stderr"),
            ("/proc/self/fd/1", "/stdout"),
            ("/proc/self/fd/2", "/stderr"),
        ] {
            let (path, inner) = (path.to_owned(), inner.to_owned());
            mounts.push(MountPoint { path, files: devices.clone(), inner, read_only: false });
        }
        RootFiles { all: Arc::new(MountFiles::new(Arc::new(image), self.read_only, mounts)), last_words }
    }
}

/// What a pod's `/etc/resolv.conf` says.
fn resolv_conf(dns: &DnsConfig) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text.push_str(&format!("search {}\n", dns.searches.join(" ")));
    }
    for server in &dns.servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !dns.options.is_empty() {
        text.push_str(&format!("options {}\n", dns.options.join(" ")));
    }
    text
}

const DEVICES: &[&str] = &["full", "null", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero"];

/// `/dev`: what is written to its standard streams goes to the container's log.
struct Devices {
    log: ContainerLog,
    others: MemoryFiles,
}

fn device(path: &str) -> Option<String> {
    let path = resolve("/", path);
    let name = path.trim_start_matches('/');
    DEVICES.contains(&name).then(|| name.to_owned())
}

#[async_trait]
impl Files for Devices {
    async fn read(&self, path: &str) -> Result<Bytes, FilesError> {
        match device(path).as_deref() {
            Some("zero" | "full" | "random" | "urandom") => Ok(Bytes::from(vec![0; ENDLESS_BYTES])),
            Some(_) => Ok(Bytes::new()),
            None => self.others.read(path).await,
        }
    }

    async fn write(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        match device(path).as_deref() {
            Some("full") => return Err(FilesError::NoSpace),
            Some(name @ ("stdout" | "stderr")) => self.log.write(name == "stderr", content),
            Some(_) => {}
            None => return self.others.write(path, content).await,
        }
        Ok(())
    }

    async fn append(&self, path: &str, content: &[u8]) -> Result<(), FilesError> {
        if device(path).is_some() {
            self.write(path, content).await
        } else {
            self.others.append(path, content).await
        }
    }

    async fn metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        match device(path) {
            Some(_) => Ok(Metadata {
                mode: 0o666,
                ..self.others.metadata("/").await.map(|m| Metadata { directory: false, size: 0, ..m })?
            }),
            None => self.others.metadata(path).await,
        }
    }

    async fn link_metadata(&self, path: &str) -> Result<Metadata, FilesError> {
        if device(path).is_some() { self.metadata(path).await } else { self.others.link_metadata(path).await }
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, FilesError> {
        let mut names = self.others.list(path).await?;
        if resolve("/", path) == "/" {
            names.extend(DEVICES.iter().map(|name| (*name).to_owned()));
            names.sort();
        }
        Ok(names)
    }

    async fn make_directory(&self, path: &str) -> Result<(), FilesError> {
        self.others.make_directory(path).await
    }

    async fn remove(&self, path: &str) -> Result<(), FilesError> {
        if device(path).is_some() {
            Err(FilesError::PermissionDenied)
        } else {
            self.others.remove(path).await
        }
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FilesError> {
        self.others.rename(from, to).await
    }

    async fn set_mode(&self, path: &str, mode: u32) -> Result<(), FilesError> {
        if device(path).is_some() { Ok(()) } else { self.others.set_mode(path, mode).await }
    }

    async fn symlink(&self, target: &str, path: &str) -> Result<(), FilesError> {
        self.others.symlink(target, path).await
    }

    fn watch(&self, path: &str) -> Option<crate::watch::Receiver<u64>> {
        if device(path).is_some() { None } else { self.others.watch(path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::api::LogRequest;
    use futures::StreamExt;

    #[tokio::test]
    async fn devices_and_last_words_are_where_programs_look_for_them() {
        let clock = Clock::virtual_time();
        let log = ContainerLog::new(clock.clone());
        let parts = Parts {
            image: MemoryFiles::new(clock.clone()),
            read_only: true,
            mounts: vec![],
            hostname: "web".into(),
            dns: DnsConfig {
                servers: vec!["10.96.0.10".into()],
                searches: vec!["a".into(), "b".into()],
                options: vec!["ndots:5".into()],
            },
            ip: "10.244.0.2".into(),
            termination_message_path: "/dev/termination-log".into(),
            log: log.clone(),
            clock,
            working_dir: "/app".into(),
        };
        let RootFiles { all, last_words } = parts.assemble();
        assert_eq!(
            &all.read("/etc/resolv.conf").await.unwrap()[..],
            b"search a b\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
        assert_eq!(all.write("/app/x", b"").await, Err(FilesError::ReadOnly));
        all.write("/dev/null", b"gone").await.unwrap();
        all.append("/proc/1/fd/1", b"seen\n").await.unwrap();
        all.write("/dev/termination-log", b"bye").await.unwrap();
        assert_eq!(&last_words.read("/log").await.unwrap()[..], b"bye");
        assert_eq!(log.read(&LogRequest::default()).count().await, 1);
        assert!(all.list("/dev").await.unwrap().contains(&"termination-log".to_owned()));
    }
}
