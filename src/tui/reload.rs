//! Tells when something below a directory was saved, for `k8s-learn run`.

use std::path::Path;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::clock::Clock;

/// How long an editor may take to write all its files.
const QUIET: Duration = Duration::from_millis(150);

/// A watched directory.
pub struct Saves {
    events: mpsc::UnboundedReceiver<()>,
    clock: Clock,
    _watcher: notify::RecommendedWatcher,
}

impl Saves {
    /// Watches everything below a directory.
    pub fn of(directory: &Path) -> notify::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Being read is no news.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Nobody listens any more: nothing to tell.
                let _ = sender.send(());
            }
        })?;
        watcher.watch(directory, RecursiveMode::Recursive)?;
        Ok(Self { events, clock: Clock::real(), _watcher: watcher })
    }

    /// Waits for the next save, and until it is whole.
    pub async fn next(&mut self) {
        if self.events.recv().await.is_none() {
            return std::future::pending().await;
        }
        self.clock.sleep(QUIET).await;
        while self.events.try_recv().is_ok() {}
    }
}
