//! What hangs on an object besides the object: status, scale, logs, streams, proxies, bindings, tokens.
//!
//! [`answer`] is called by `handler` for every path with a sub-resource. Those that change their parent go through the
//! same pipeline as an update; those that are streams go to the kubelet or the pod.

mod binding;
mod connect;
mod dispatch;
mod eviction;
mod forward;
mod part;
mod proxy;
mod scale;
#[cfg(test)]
mod tests;
mod token;

pub(super) use dispatch::{answer, bind};
pub(super) use forward::dial;

use dispatch::success;
