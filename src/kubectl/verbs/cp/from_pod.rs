//! Unpacking: what comes out of a container, into files of this machine and nowhere beside them.
// Models k8s.io/kubectl/pkg/cmd/cp (copyFromPod, untarAll).

use super::paths::{clean, dir, is_below, join, remote, strip_shortcuts};
use super::spec::FileSpec;
use super::tar_pipe::TarPipe;
use super::tar_reader::{Source, TarReader};
use crate::bash::FilesError;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::session::Session;

/// How much of a file is written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What is copied, and how.
pub(super) struct FromPod<'a> {
    pub session: &'a Session,
    pub from: &'a FileSpec,
    pub to: &'a str,
    /// The container; empty for the pod's default.
    pub container: &'a str,
    /// How often a copy begins anew; below 0 without end.
    pub max_tries: i64,
}

impl FromPod<'_> {
    /// Copies.
    pub(super) async fn run(&self) -> Result<()> {
        let pipe = TarPipe::start(self.session, self.from, self.container, self.max_tries);
        let mut archive = TarReader::new(pipe);
        if self.unpack(&mut archive).await? {
            // The archive is whole: what tar has to say behind it does not matter, as with kubectl.
            return Ok(());
        }
        // Nothing came. kubectl may end here before it hears why; we wait for it.
        archive.into_source().finish().await
    }

    /// Unpacks everything and says whether there was anything.
    async fn unpack<S: Source>(&self, archive: &mut TarReader<S>) -> Result<bool> {
        let prefix = clean(self.from.path.trim_start_matches(['/', '\\']));
        let prefix = strip_shortcuts(&prefix);
        let (mut any, mut explained) = (false, false);
        while let Some(entry) = archive.next().await? {
            any = true;
            let to = match destination(self.to, prefix, &entry.name) {
                Destination::Corrupted => return Err(KubectlError::message("tar contents corrupted")),
                Destination::Outside(path) => {
                    let text = format!("warning: file {path:?} is outside target destination, skipping");
                    self.session.err.line(text).await?;
                    continue;
                }
                Destination::Inside(path) => path,
            };
            self.make_directories(&dir(&to)).await?;
            if entry.directory {
                self.make_directories(&to).await?;
            } else if let Some(target) = entry.symlink {
                self.skip_link(&to, &target, !explained).await?;
                explained = true;
            } else {
                self.write(&to, archive).await?;
            }
        }
        Ok(any)
    }

    async fn skip_link(&self, path: &str, target: &str, explain: bool) -> Result<()> {
        let mut text = format!("warning: skipping symlink: {path:?} -> {target:?}");
        if explain {
            let FileSpec { pod, namespace, path } = self.from;
            text += &format!(
                " (consider using \"kubectl exec -n {namespace:?} {pod:?} -- tar cf - {path:?} | tar xf -\")"
            );
        }
        self.session.err.line(text).await
    }

    async fn write<S: Source>(&self, path: &str, archive: &mut TarReader<S>) -> Result<()> {
        let absolute = self.session.absolute(path);
        let failed = |error: FilesError| KubectlError::message(format!("open {path}: {error}"));
        self.session.files.write(&absolute, b"").await.map_err(failed)?;
        let mut chunk = vec![];
        let mut buffer = [0; 16 << 10];
        loop {
            let count = archive.read(&mut buffer).await?;
            chunk.extend_from_slice(&buffer[..count]);
            if chunk.len() >= CHUNK_BYTES || (count == 0 && !chunk.is_empty()) {
                let written = self.session.files.append(&absolute, &chunk).await;
                written.map_err(|error| KubectlError::message(format!("write {path}: {error}")))?;
                chunk.clear();
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// Makes a directory and those above it; the error names the one that could not be made.
    // Models os.MkdirAll.
    async fn make_directories(&self, path: &str) -> Result<()> {
        let slashes = path.char_indices().filter(|(index, letter)| *letter == '/' && *index > 0);
        let ends: Vec<usize> = slashes.map(|(index, _)| index).chain([path.len()]).collect();
        for above in ends.into_iter().map(|end| &path[..end]) {
            let failed = |error: FilesError| KubectlError::message(format!("mkdir {above}: {error}"));
            let absolute = self.session.absolute(above);
            match self.session.files.metadata(&absolute).await {
                Ok(metadata) if metadata.directory => {}
                Ok(_) => return Err(failed(FilesError::NotDirectory)),
                Err(_) => self.session.files.make_directory(&absolute).await.map_err(failed)?,
            }
        }
        Ok(())
    }
}

/// Where an entry goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Inside(String),
    /// It would go beside what was asked for.
    Outside(String),
    /// It is not of what was asked for.
    Corrupted,
}

/// Where the entry `name` goes, if `prefix` was asked for and `to` is where it shall be.
fn destination(to: &str, prefix: &str, name: &str) -> Destination {
    let Some(below) = name.strip_prefix(prefix) else { return Destination::Corrupted };
    let path = join(to, &remote(below));
    if is_below(to, &path) { Destination::Inside(path) } else { Destination::Outside(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubectl::session::absolute;
    use proptest::prelude::*;

    #[test]
    fn entries_go_below_the_destination() {
        let inside = |path: &str| Destination::Inside(path.to_owned());
        for (to, prefix, name, expected) in [
            ("out", "tmp/d", "tmp/d/a/b", inside("out/a/b")),
            ("out", "tmp/d", "tmp/d/", inside("out")),
            ("./x.txt", "tmp/x.txt", "tmp/x.txt", inside("x.txt")),
            (".", "", "./a", inside("a")),
            ("out", "", "/etc/passwd", inside("out/etc/passwd")),
            ("out", "tmp/d", "tmp/d/../../x", Destination::Outside("../x".to_owned())),
            ("/out", "d", "d/../..\\..\\etc/x", Destination::Outside("/etc/x".to_owned())),
            ("out", "tmp/d", "etc/passwd", Destination::Corrupted),
        ] {
            assert_eq!(destination(to, prefix, name), expected, "{name} into {to}");
        }
    }

    proptest! {
        /// Whatever an archive says, nothing is written beside the destination.
        #[test]
        fn nothing_leaves_the_destination(
            to in "(/|\\.\\./)?[a-c.]{1,2}(/[a-c.]{1,3}){0,3}",
            prefix in "[ab/.]{0,4}",
            rest in "([a-c.]{0,3}[/\\\\]){0,5}[a-c.]{0,3}",
        ) {
            if let Destination::Inside(path) = destination(&to, &prefix, &format!("{prefix}{rest}")) {
                let (root, path) = (absolute("/w/x/y/z/v", &to), absolute("/w/x/y/z/v", &path));
                let below = format!("{}/", root.trim_end_matches('/'));
                prop_assert!(path == root || path.starts_with(&below), "{path} is not in {root}");
            }
        }
    }
}
