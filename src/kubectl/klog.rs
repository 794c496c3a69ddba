//! The lines that kubectl's log library writes to standard error for what was handled and yet went wrong.
// Models k8s.io/klog and apimachinery/pkg/util/runtime (HandleError).

use super::session::Session;

/// `E1120 08:25:04.314576   32108 memcache.go:265] "Unhandled Error" err="..."`.
pub fn unhandled(session: &Session, place: &str, error: &str) -> String {
    let now = session.clock.now().strftime("%m%d %H:%M:%S%.6f").to_string();
    let pid = session.process_number();
    format!("E{now} {pid:>7} {place}] \"Unhandled Error\" err={error:?}")
}
