//! The archive that `tar cf -` writes in a container, as a source of bytes that begins anew where it broke off.
// Models k8s.io/kubectl/pkg/cmd/cp (TarPipe).

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, DuplexStream};

use super::spec::FileSpec;
use super::tar_reader::Source;
use crate::kubectl::error::Result;
use crate::kubectl::remote::Ends;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::exec::PodCommand;

/// How much may be on its way between the container and what unpacks it.
const PIPE_BYTES: usize = 64 << 10;

/// An archive on its way out of a container.
pub(super) struct TarPipe<'a> {
    session: &'a Session,
    from: &'a FileSpec,
    container: &'a str,
    /// How often it begins anew; below 0 without end.
    max_tries: i64,
    retries: i64,
    bytes_read: u64,
    output: DuplexStream,
    /// The command; `None` when it has ended.
    command: Option<BoxFuture<'a, Result<()>>>,
    /// How the command ended.
    ended: Result<()>,
}

impl<'a> TarPipe<'a> {
    /// Starts `tar` beside the path `from`.
    pub(super) fn start(
        session: &'a Session,
        from: &'a FileSpec,
        container: &'a str,
        max_tries: i64,
    ) -> Self {
        // Replaced at once by the pipe of the command.
        let (output, _) = tokio::io::duplex(1);
        let mut pipe = Self {
            session,
            from,
            container,
            max_tries,
            retries: 0,
            bytes_read: 0,
            output,
            command: None,
            ended: Ok(()),
        };
        pipe.begin_at(0);
        pipe
    }

    fn begin_at(&mut self, byte: u64) {
        let path = &self.from.path;
        let command = if self.max_tries == 0 {
            vec!["tar".to_owned(), "cf".to_owned(), "-".to_owned(), path.clone()]
        } else {
            let script = format!("tar cf - '{}' | tail -c+{byte}", path.replace('\'', r"'\''"));
            vec!["sh".to_owned(), "-c".to_owned(), script]
        };
        let (output, stdout) = tokio::io::duplex(PIPE_BYTES);
        // What tar complains about goes where everything else goes, as kubectl has it.
        let (session, told) = (self.session, &self.session.out);
        let ends = Ends { stdout: Some(Box::new(stdout)), stderr: Some(told.writer()), ..Ends::default() };
        let FileSpec { namespace, pod, .. } = self.from;
        let call = PodCommand { namespace, pod, container: self.container, command, told: Some(told) };
        self.output = output;
        self.command = Some(Box::pin(call.run(session, ends)));
    }

    /// Waits for the command's end, whatever it still writes, and says how it ended.
    pub(super) async fn finish(mut self) -> Result<()> {
        let mut buffer = vec![0; PIPE_BYTES];
        while self.some(&mut buffer).await? > 0 {}
        self.ended
    }

    /// Some bytes of the command that runs now; 0 when it has ended and all is read.
    async fn some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let Some(command) = &mut self.command else {
                // A pipe in memory cannot fail.
                return Ok(self.output.read(buffer).await.unwrap_or(0));
            };
            tokio::select! { biased;
                count = self.output.read(buffer) => match count {
                    Ok(count) if count > 0 => return Ok(count),
                    _ => {
                        self.ended = command.await;
                        self.command = None;
                    }
                },
                ended = &mut *command => {
                    self.ended = ended;
                    self.command = None;
                }
            }
        }
    }
}

#[async_trait]
impl Source for TarPipe<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let count = self.some(buffer).await?;
            if count > 0 {
                self.bytes_read += count as u64;
                return Ok(count);
            }
            std::mem::replace(&mut self.ended, Ok(()))?;
            let out = &self.session.out;
            if self.max_tries >= 0 && self.retries >= self.max_tries {
                out.line(format!("Dropping out copy after {} retries", self.retries)).await?;
                return Ok(0);
            }
            self.retries += 1;
            let (at, retry, max) = (self.bytes_read, self.retries, self.max_tries);
            out.line(format!("Resuming copy at {at} bytes, retry {retry}/{max}")).await?;
            self.begin_at(at + 1);
        }
    }
}
