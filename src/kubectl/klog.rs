//! The lines that kubectl's log library writes to standard error for what was handled and yet went wrong.
// Models k8s.io/klog and apimachinery/pkg/util/runtime (HandleError).

use super::session::Session;

/// The largest number of a process on Linux, unless it was raised.
const MAX_PID: u64 = 32_768;

/// `E1120 08:25:04.314576   32108 memcache.go:265] "Unhandled Error" err="..."`.
pub fn unhandled(session: &Session, place: &str, error: &str) -> String {
    let now = session.clock.now().strftime("%m%d %H:%M:%S%.6f").to_string();
    // Numbers below belong to what started with the machine.
    let pid = 1000 + session.seed.below(MAX_PID - 1000);
    format!("E{now} {pid:>7} {place}] \"Unhandled Error\" err={error:?}")
}
