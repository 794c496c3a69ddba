//! Keys of this process's terminal, read only while somebody asks for them.
//!
//! tokio's standard input reads in a thread that cannot be stopped, and would take the first line that is typed after a
//! command has ended. This opens the terminal anew and waits for it as for a socket.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, ReadBuf};

/// The terminal's keys. Dropping it leaves what was not read to the next one.
#[derive(Debug)]
pub struct TtyInput {
    terminal: AsyncFd<File>,
}

impl TtyInput {
    /// Opens the terminal of this process. Fails if it has none.
    pub fn open() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/tty")?;
        // Deprecated for types that may close or change their descriptor; a File does neither.
        #[allow(deprecated)]
        Ok(Self { terminal: AsyncFd::new(terminal)? })
    }
}

impl AsyncRead for TtyInput {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.terminal.poll_read_ready(context))?;
            let unfilled = buffer.initialize_unfilled();
            match guard.try_io(|terminal| terminal.get_ref().read(unfilled)) {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_not_yet) => {}
            }
        }
    }
}
