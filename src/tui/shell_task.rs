//! The shell behind the pane: runs one command after the other and carries bytes between it and the pane.
//!
//! Output goes through a pipe of bounded size, so that a command that prints without end waits for the screen and not the
//! other way round. Keys go through a queue of bounded size; Ctrl-C gets through even when nobody reads the keys, and what
//! was not read when the command ends comes back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::bash::{Foreground, SharedWriter, Signals, Typed, queue_tty, signal};
use crate::clock::Clock;
use crate::shell::Session;
use crate::watch;

/// How many printed bytes wait for the screen.
const OUTPUT_BYTES: usize = 64 * 1024;
/// How long a command may take to stop after Ctrl-C.
const GRACE: Duration = Duration::from_millis(700);
/// Ctrl-C.
const INTERRUPT: u8 = 3;

/// A command has ended, or the shell waits for its first one.
#[derive(Debug)]
pub struct Ended {
    /// The next prompt.
    pub prompt: String,
    /// What is said of jobs before it.
    pub notices: Vec<String>,
    /// The code that `exit` was given.
    pub exited: Option<i32>,
}

/// The shell's task and the ends of its pipes. Dropping it kills what runs.
pub struct ShellTask {
    /// What commands print.
    pub screen: DuplexStream,
    /// Commands that have ended.
    pub ended: mpsc::Receiver<Ended>,
    orders: mpsc::Sender<Order>,
    /// What is typed for the command that runs.
    typed: Typed,
    interrupts: Arc<Notify>,
    size: watch::Sender<(u16, u16)>,
    task: JoinHandle<()>,
}

struct Order {
    line: String,
    typed: Typed,
}

impl Drop for ShellTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ShellTask {
    /// Starts it.
    pub fn start(session: Session) -> Self {
        let (near, screen) = tokio::io::duplex(OUTPUT_BYTES);
        let (orders, receiver) = mpsc::channel(1);
        let (sender, ended) = mpsc::channel(4);
        let (size, sizes) = watch::channel((80, 24));
        let interrupts = Arc::new(Notify::new());
        let serving =
            serve(session, receiver, sender, SharedWriter::new(Box::new(near)), sizes, interrupts.clone());
        Self { screen, ended, orders, typed: Typed::default(), interrupts, size, task: tokio::spawn(serving) }
    }

    /// Runs a command. Only one runs at a time: the pane has no prompt meanwhile.
    pub fn run(&mut self, line: String) {
        self.typed = Typed::default();
        // The task takes one order at a time and is idle now.
        let _ = self.orders.try_send(Order { line, typed: self.typed.clone() });
    }

    /// Types bytes for the command. `false`: too much waits unread.
    pub fn keys(&self, bytes: &[u8]) -> bool {
        if bytes == [INTERRUPT] && self.typed.is_stuck() {
            // The byte would wait behind what nobody reads.
            self.typed.clear();
            self.interrupts.notify_one();
            return true;
        }
        self.typed.push(bytes)
    }

    /// What was typed for the command that has ended, and not read by it.
    pub fn unread(&self) -> Vec<u8> {
        self.typed.close()
    }

    /// The pane has so many columns and rows.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.size.send_if_modified(|size| std::mem::replace(size, (columns, rows)) != (columns, rows));
    }
}

async fn reached(clock: &Clock, time: Option<Timestamp>) {
    match time {
        Some(time) => clock.sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn serve(
    mut session: Session,
    mut orders: mpsc::Receiver<Order>,
    ended: mpsc::Sender<Ended>,
    screen: SharedWriter,
    sizes: watch::Receiver<(u16, u16)>,
    interrupts: Arc<Notify>,
) {
    let clock = Clock::real();
    loop {
        let end =
            Ended { prompt: session.prompt(), notices: session.job_notices(), exited: session.exited() };
        if ended.send(end).await.is_err() {
            return;
        }
        let Some(Order { line, typed }) = orders.recv().await else { return };
        let foreground = Foreground::default();
        let signals = Signals::default();
        signals.handle(signal::INT);
        signals.handle(signal::QUIT);
        foreground.set(signals.clone());
        let stdio = queue_tty(typed, Box::new(screen.clone()), sizes.clone(), foreground);
        let interrupter = session.interrupter();
        // What has not stopped by itself by then is killed.
        let mut killed_at = None;
        let mut running = Box::pin(session.run(&line, stdio));
        loop {
            tokio::select! { biased;
                _ = &mut running => break,
                () = reached(&clock, killed_at) => break,
                _ = signals.next() => {}
                () = interrupts.notified() => {}
            }
            interrupter.interrupt();
            killed_at.get_or_insert_with(|| clock.after(GRACE));
        }
    }
}
