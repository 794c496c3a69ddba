//! When the screen is drawn: soon after what the learner caused, calmly after what only the cluster did.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;

/// The least time between two frames that the learner caused.
const FRAME: Duration = Duration::from_millis(16);
/// The least time between two frames that only the cluster caused.
const CALM_FRAME: Duration = Duration::from_millis(50);

/// When the next frame is drawn. A key is never kept waiting by a frame that only the cluster caused.
pub(super) struct Frames {
    clock: Clock,
    /// The next frame, and whether the learner caused it.
    due: Option<(Timestamp, bool)>,
    last: Timestamp,
    /// The last one that the learner caused.
    last_prompt: Timestamp,
}

impl Frames {
    /// The first frame is due at once.
    pub(super) fn new(clock: Clock) -> Self {
        let due = Some((clock.now(), true));
        Self { clock, due, last: Timestamp::UNIX_EPOCH, last_prompt: Timestamp::UNIX_EPOCH }
    }

    /// Whether it is time for a frame.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|(due, _)| self.clock.now() >= due)
    }

    /// A frame has been drawn.
    pub(super) fn drawn(&mut self) {
        self.last = self.clock.now();
        if self.due.take().is_some_and(|(_, prompt)| prompt) {
            self.last_prompt = self.last;
        }
    }

    /// The learner has done or is shown something.
    pub(super) fn soon(&mut self) {
        self.at(self.last_prompt, FRAME, true);
    }

    /// The cluster has done something.
    pub(super) fn calmly(&mut self) {
        self.at(self.last, CALM_FRAME, false);
    }

    fn at(&mut self, last: Timestamp, gap: Duration, prompt: bool) {
        let at = last.saturating_add(gap).unwrap_or(last);
        self.due = Some(match self.due {
            Some((due, already)) => (due.min(at), already || prompt),
            None => (at, prompt),
        });
    }

    /// Waits until a frame is due; for ever if nothing has happened since the last one.
    pub(super) async fn wait(&self) {
        match self.due {
            Some((due, _)) => self.clock.sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}
