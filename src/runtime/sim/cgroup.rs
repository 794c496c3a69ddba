//! What a container may use and has used: memory with its limit, CPU time.
//!
//! Programs that need much take it here; asking for more memory than the limit has the whole container killed, as the
//! kernel does with `memory.oom.group`. Nothing real is allocated, but where the program is a real process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::runtime::api::Resources;

/// The memory of the node, for containers without a limit.
const NODE_MEMORY_BYTES: u64 = 8 << 30;
/// What an idle process uses, in thousandths of a core.
const IDLE_CPU_MILLI: f64 = 0.2;

struct State {
    memory_bytes: u64,
    cpu_nanoseconds: f64,
    /// What processes burn now, in thousandths of a core, and since when.
    burning_milli: f64,
    since: Timestamp,
}

/// A container's control group. Cheap to clone.
#[derive(Clone)]
pub struct Cgroup {
    clock: Clock,
    cpu_limit_milli: f64,
    memory_limit_bytes: u64,
    out_of_memory: CancellationToken,
    /// Whether memory and time are taken from the machine, whose kernel keeps the limits.
    real: bool,
    state: Arc<Mutex<State>>,
}

/// Memory that a program holds; dropping it gives it back.
pub struct Allocation {
    cgroup: Cgroup,
    bytes: u64,
    _held: Vec<u8>,
}

/// CPU time that a program burns; dropping it stops that.
pub struct Burn {
    cgroup: Cgroup,
    milli: f64,
    stop: Arc<AtomicBool>,
}

impl Cgroup {
    /// A group with these limits whose processes use `memory_bytes` as they start.
    pub(super) fn new(clock: Clock, limits: Resources, memory_bytes: u64) -> Self {
        let memory_limit = u64::try_from(limits.memory_limit_bytes).unwrap_or(0);
        let cpu_limit =
            if limits.cpu_limit_milli > 0 { limits.cpu_limit_milli as f64 } else { f64::INFINITY };
        let state =
            State { memory_bytes, cpu_nanoseconds: 0.0, burning_milli: IDLE_CPU_MILLI, since: clock.now() };
        Self {
            clock,
            cpu_limit_milli: cpu_limit,
            memory_limit_bytes: if memory_limit == 0 { NODE_MEMORY_BYTES } else { memory_limit },
            out_of_memory: CancellationToken::new(),
            real: false,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The group that this process is in: what programs take here they take from the machine.
    pub(super) fn of_this_process(clock: Clock) -> Self {
        Self { real: true, ..Self::new(clock, Resources::default(), 0) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes memory. Over the limit the container is killed: the caller waits for its own end.
    pub async fn allocate(&self, bytes: u64) -> Allocation {
        if self.real {
            // Written to, so that the kernel has to find it.
            let held = vec![1; usize::try_from(bytes).unwrap_or(usize::MAX)];
            return Allocation { cgroup: self.clone(), bytes: 0, _held: held };
        }
        let enough = {
            let mut state = self.lock();
            let total = state.memory_bytes.saturating_add(bytes);
            let enough = total <= self.memory_limit_bytes;
            if enough {
                state.memory_bytes = total;
            }
            enough
        };
        if !enough {
            self.out_of_memory.cancel();
            return std::future::pending().await;
        }
        Allocation { cgroup: self.clone(), bytes, _held: vec![] }
    }

    /// Burns CPU time until the answer is dropped, in thousandths of a core.
    pub fn burn(&self, milli: u32) -> Burn {
        let milli = f64::from(milli);
        self.settle(milli);
        let stop = Arc::new(AtomicBool::new(false));
        if self.real {
            // Whole cores: a thread each, until it is told to stop.
            for _ in 0..(milli / 1000.0).ceil() as u32 {
                let stop = stop.clone();
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
        }
        Burn { cgroup: self.clone(), milli, stop }
    }

    /// Adds CPU time that something short took.
    pub fn spend(&self, nanoseconds: u64) {
        self.lock().cpu_nanoseconds += nanoseconds as f64;
    }

    /// Reckons what was burnt up to now, then changes the rate.
    fn settle(&self, change_milli: f64) {
        let now = self.clock.now();
        let mut state = self.lock();
        let elapsed = now.duration_since(state.since).as_nanos().max(0) as f64;
        state.cpu_nanoseconds += elapsed * state.burning_milli.min(self.cpu_limit_milli) / 1000.0;
        state.since = now;
        state.burning_milli += change_milli;
    }

    /// The bytes that a container may have.
    pub fn memory_limit_bytes(&self) -> u64 {
        self.memory_limit_bytes
    }

    /// The memory in use, in bytes.
    pub fn usage_bytes(&self) -> u64 {
        self.lock().memory_bytes
    }

    /// CPU time so far in nanoseconds, and memory now in bytes.
    pub(super) fn usage(&self) -> (u64, u64) {
        self.settle(0.0);
        let state = self.lock();
        (state.cpu_nanoseconds as u64, state.memory_bytes)
    }

    /// Waits until a process wanted more memory than there is.
    pub(super) async fn out_of_memory(&self) {
        self.out_of_memory.cancelled().await;
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let mut state = self.cgroup.lock();
        state.memory_bytes = state.memory_bytes.saturating_sub(self.bytes);
    }
}

impl Drop for Burn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.cgroup.settle(-self.milli);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn cpu_time_is_what_was_burnt_up_to_the_limit() {
        let clock = Clock::virtual_time();
        let limits = Resources { cpu_limit_milli: 500, ..Resources::default() };
        let cgroup = Cgroup::new(clock.clone(), limits, 0);
        let burn = cgroup.burn(2000);
        clock.sleep(Duration::from_secs(10)).await;
        drop(burn);
        clock.sleep(Duration::from_secs(100)).await;
        let seconds = cgroup.usage().0 as f64 / 1e9;
        assert!((5.0..5.1).contains(&seconds), "half a core for ten seconds, but {seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn more_memory_than_the_limit_is_never_given() {
        let limits = Resources { memory_limit_bytes: 100, ..Resources::default() };
        let cgroup = Cgroup::new(Clock::virtual_time(), limits, 10);
        let first = cgroup.allocate(80).await;
        assert_eq!(cgroup.usage().1, 90);
        drop(first);
        assert_eq!(cgroup.usage().1, 10);
        assert!(cgroup.allocate(91).now_or_never().is_none());
        assert!(cgroup.out_of_memory().now_or_never().is_some());
    }
}
