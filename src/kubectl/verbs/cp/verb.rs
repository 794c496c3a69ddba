//! The verb, and copying into a pod.
// Models k8s.io/kubectl/pkg/cmd/cp (cp.go).

use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use super::archive::pack;
use super::from_pod::FromPod;
use super::paths::{base, dir, join};
use super::spec::FileSpec;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::remote::Ends;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::exec::PodCommand;

/// `kubectl cp`.
pub struct Cp;

/// How long the pod may take to say whether a path is a directory.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an archive may be on its way into the pod.
const PIPE_BYTES: usize = 64 << 10;

#[async_trait]
impl Verb for Cp {
    fn name(&self) -> &'static str {
        "cp"
    }
    fn short(&self) -> &'static str {
        "Copy files and directories to and from containers"
    }
    fn long(&self) -> &'static str {
        "Copy files and directories into a container or out of it. The container must have tar.\n\nOwners and permissions do not \
         come out with the files, and symbolic links are left out; exec and tar can do both."
    }
    fn examples(&self) -> &'static str {
        "# Copy a file into pod web\nkubectl cp notes.txt web:/tmp/notes.txt\n\n# Copy a directory into container app of pod web in \
         namespace shop\nkubectl cp ./site shop/web:/usr/share/site -c app\n\n# Copy a file out of pod web\nkubectl cp \
         web:/etc/hosts hosts.txt\n\n# Copy with links and permissions\nkubectl exec web -- tar cf - /etc | tar xf -"
    }
    fn usage(&self) -> &'static str {
        "<file-spec-src> <file-spec-dest>"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string(
                "container",
                "",
                "The container; by default the pod's default container or its first",
            )
            .short('c'),
            Flag::bool("no-preserve", false, "Do not keep owners and permissions in the container"),
            Flag::int(
                "retries",
                0,
                "How often a copy out of a container is taken up again; below 0 without end",
            ),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let [from, to] = args else {
            return Err(KubectlError::message("source and destination are required"));
        };
        let (from, to) = (FileSpec::parse(from)?, FileSpec::parse(to)?);
        let container = flags.string("container");
        if from.is_remote() && to.is_remote() {
            Err(KubectlError::message("one of src or dest must be a local file specification"))
        } else if from.path.is_empty() || to.path.is_empty() {
            Err(KubectlError::message("filepath can not be empty"))
        } else if from.is_remote() {
            let max_tries = flags.int("retries");
            FromPod { session, from: &from, to: &to.path, container, max_tries }.run().await
        } else if to.is_remote() {
            let no_preserve = flags.bool("no-preserve");
            ToPod { session, from: &from.path, to: &to, container, no_preserve }.run().await
        } else {
            Err(KubectlError::message("one of src or dest must be a remote file specification"))
        }
    }
}

struct ToPod<'a> {
    session: &'a Session,
    from: &'a str,
    to: &'a FileSpec,
    container: &'a str,
    no_preserve: bool,
}

impl ToPod<'_> {
    async fn run(&self) -> Result<()> {
        let session = self.session;
        if session.files.metadata(&session.absolute(self.from)).await.is_err() {
            let text = format!("{} doesn't exist in local filesystem", self.from);
            return Err(KubectlError::message(text));
        }
        let mut to = self.to.path.clone();
        if self.is_directory().await? {
            to = join(&to, base(self.from));
        }
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let ends = Ends {
            stdin: Some(Box::new(far)),
            stdout: Some(session.out.writer()),
            stderr: Some(session.err.writer()),
            ..Ends::default()
        };
        let mut near = near;
        let packing = async {
            pack(session, self.from, &to, &mut near).await?;
            // The end of the archive is the end of tar's input.
            let _ = near.shutdown().await;
            Ok(())
        };
        let call = self.command(unpack_command(&to, self.no_preserve));
        let running = PodCommand { told: Some(&session.err), ..call }.run(session, ends);
        tokio::pin!(packing, running);
        tokio::select! { biased;
            ended = &mut running => ended,
            packed = &mut packing => match packed {
                Ok(()) => running.await,
                Err(error) => Err(error),
            },
        }
    }

    /// Asks the container whether the destination is a directory. Failures come again with the copy.
    async fn is_directory(&self) -> Result<bool> {
        let command = ["test", "-d", &self.to.path].map(str::to_owned).to_vec();
        let ends = Ends {
            stdout: Some(Box::new(tokio::io::sink())),
            stderr: Some(Box::new(tokio::io::sink())),
            ..Ends::default()
        };
        let asked = self.session.clock.timeout(CHECK_TIMEOUT, self.command(command).run(self.session, ends));
        match asked.await {
            Ok(answer) => Ok(answer.is_ok()),
            Err(_) => Err(KubectlError::message("context deadline exceeded")),
        }
    }

    fn command(&self, command: Vec<String>) -> PodCommand<'_> {
        let FileSpec { namespace, pod, .. } = self.to;
        PodCommand { namespace, pod, container: self.container, command, told: None }
    }
}

/// What unpacks at the far end.
fn unpack_command(to: &str, no_preserve: bool) -> Vec<String> {
    let mut command = vec!["tar".to_owned()];
    if no_preserve {
        command.extend(["--no-same-permissions", "--no-same-owner"].map(str::to_owned));
    }
    command.extend(["-xmf", "-", "-C"].map(str::to_owned));
    command.push(dir(to));
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubectl::verbs::testing::Harness;

    #[test]
    fn tar_is_told_the_directory() {
        let words = |to: &str, no_preserve| unpack_command(to, no_preserve).join(" ");
        assert_eq!(words("/tmp/x", false), "tar -xmf - -C /tmp");
        assert_eq!(words("x", true), "tar --no-same-permissions --no-same-owner -xmf - -C .");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_copied_is_said() {
        let cluster = Harness::new().await;
        cluster.file("a.txt", "a");
        for (line, expected) in [
            ("cp", "error: source and destination are required"),
            ("cp a.txt", "error: source and destination are required"),
            ("cp a.txt b.txt", "error: one of src or dest must be a remote file specification"),
            ("cp x:a y:b", "error: one of src or dest must be a local file specification"),
            ("cp :a y", "error: filespec must match the canonical format: [[namespace/]pod:]file/path"),
            ("cp a/b/c:d y", "error: filespec must match the canonical format: [[namespace/]pod:]file/path"),
            ("cp x: y", "error: filepath can not be empty"),
            ("cp nope x:/a", "error: nope doesn't exist in local filesystem"),
            ("cp a.txt x:/a", "Error from server (NotFound): pods \"x\" not found"),
            ("cp x:/a a.txt", "Error from server (NotFound): pods \"x\" not found"),
            (
                "cp --retries=x x:/a a.txt",
                "error: invalid argument \"x\" for \"--retries\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nSee \
                 'kubectl cp --help' for usage.",
            ),
        ] {
            assert_eq!(cluster.run(line).await, format!("{expected}\n[exit 1]\n"), "{line}");
        }
    }
}
