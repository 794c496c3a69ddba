//! `kubectl apply`: client-side with the last configuration in an annotation, or server-side.

mod apply_verb;
mod edit_last_applied;
mod last_applied;
mod patcher;
mod server_side;

pub use apply_verb::{Apply, CLIENT_SIDE, warn_if_deleting};
pub use patcher::three_way;
pub use server_side::SERVER_SIDE;
