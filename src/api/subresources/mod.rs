//! What hangs on an object besides the object: status, scale, logs, streams, proxies, bindings, tokens.
//!
//! [`answer`] is called by `handler` for every path with a sub-resource. Those that change their parent go through the
//! same pipeline as an update; those that are streams go to `connect`.

mod dispatch;

pub(super) use dispatch::answer;
