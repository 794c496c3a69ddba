//! `kubectl auth`: who one is, and what one may do.

mod can_i;
mod group;
mod rules;
mod whoami;

pub use group::Auth;
