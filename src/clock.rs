//! The only reader of wall time and the only maker of timers.
//!
//! Every component holds a [`Clock`] of its cluster. A clock runs at a rate (1.0 is real time, 0.0 stands still) and can
//! be moved ahead; both wake every sleeper so that it can reckon anew. On a paused tokio runtime (`--time virtual`) the
//! same code moves by itself whenever every task waits, because it counts on tokio's own instants.
//!
//! It does not know time zones or how ages are printed: that is `meta::age`.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::watch;

/// Where virtual time begins, so that transcripts are the same on every machine: 2026-01-01T00:00:00Z.
pub const VIRTUAL_START: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A cluster's clock. Cheap to clone; clones share one rate.
#[derive(Clone, Debug)]
pub struct Clock {
    shared: Arc<watch::Sender<Reckoning>>,
}

/// At `instant` it was `timestamp`; since then it has been running `rate` times as fast as tokio's clock.
#[derive(Clone, Copy, Debug)]
struct Reckoning {
    timestamp: Timestamp,
    instant: Instant,
    rate: f64,
}

impl Reckoning {
    fn now(&self) -> Timestamp {
        let elapsed = self.instant.elapsed().mul_f64(self.rate);
        self.timestamp
            .saturating_add(SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX)
    }

    /// How long tokio's clock needs to reach `deadline`; `None` while the clock stands still.
    fn until(&self, deadline: Timestamp) -> Option<Duration> {
        let left = Duration::try_from(deadline.duration_since(self.now())).unwrap_or(Duration::ZERO);
        (self.rate > 0.0).then(|| left.div_f64(self.rate))
    }
}

/// The future of [`Clock::timeout`] did not finish in time.
#[derive(Debug, thiserror::Error)]
#[error("deadline has elapsed")]
pub struct Elapsed;

impl Clock {
    /// A clock that starts at the machine's wall time and runs at its speed.
    pub fn real() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// A clock for a paused tokio runtime: starts at [`VIRTUAL_START`] and moves only when every task waits.
    pub fn virtual_time() -> Self {
        Self::starting_at(VIRTUAL_START)
    }

    /// A clock that reads `timestamp` now and runs at the speed of tokio's clock.
    pub fn starting_at(timestamp: Timestamp) -> Self {
        let reckoning = Reckoning { timestamp, instant: Instant::now(), rate: 1.0 };
        Self { shared: Arc::new(watch::Sender::new(reckoning)) }
    }

    /// The time it is in the cluster.
    pub fn now(&self) -> Timestamp {
        self.shared.borrow().now()
    }

    /// Waits until the cluster's time has advanced by `duration`.
    pub async fn sleep(&self, duration: Duration) {
        let deadline = self.after(duration);
        self.sleep_until(deadline).await;
    }

    /// Waits until the cluster's time is `deadline` or later.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        let mut changes = self.shared.subscribe();
        loop {
            let reckoning = *changes.borrow_and_update();
            if reckoning.now() >= deadline {
                return;
            }
            let changed = async {
                // The sender lives in `self`, so this ends only with a change.
                let _ = changes.changed().await;
            };
            match reckoning.until(deadline) {
                // A timer wakes at its instant or a little after; one nanosecond covers what rounding took away.
                Some(left) => tokio::select! { biased;
                    () = tokio::time::sleep(left + Duration::from_nanos(1)) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Runs `future` for at most `duration` of the cluster's time.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        tokio::select! { biased;
            output = future => Ok(output),
            () = self.sleep(duration) => Err(Elapsed),
        }
    }

    /// The time that it will be after `duration`.
    pub fn after(&self, duration: Duration) -> Timestamp {
        self.now()
            .saturating_add(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock ahead at once. Sleepers whose time has come wake.
    pub fn jump(&self, duration: Duration) {
        let target = self.after(duration);
        self.shared
            .send_modify(|r| *r = Reckoning { timestamp: target, instant: Instant::now(), rate: r.rate });
    }

    /// Makes the clock run `rate` times as fast as real time; 0.0 stops it.
    pub fn set_rate(&self, rate: f64) {
        self.shared.send_modify(|r| {
            *r = Reckoning { timestamp: r.now(), instant: Instant::now(), rate: rate.max(0.0) }
        });
    }

    /// How many times as fast as real time the clock runs.
    pub fn rate(&self) -> f64 {
        self.shared.borrow().rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sleeping_moves_a_virtual_clock_by_exactly_that_long() {
        let clock = Clock::virtual_time();
        clock.sleep(Duration::from_secs(300)).await;
        assert_eq!(clock.now().duration_since(VIRTUAL_START).as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_wakes_sleepers_whose_time_has_come() {
        let clock = Clock::virtual_time();
        clock.set_rate(0.0);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(3600)).await }
        });
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.jump(Duration::from_secs(3600));
        sleeper.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_ends_what_takes_too_long() {
        let clock = Clock::virtual_time();
        assert!(clock.timeout(Duration::from_secs(1), std::future::pending::<()>()).await.is_err());
    }
}
