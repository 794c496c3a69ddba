//! The state of the TUI and how messages change it: `update` is pure, `draw` looks, and nothing here waits.
//!
//! Components do not call each other. What they want comes back as values; what the outside shall do comes back from
//! [`App::update`] as [`Effect`]s, which the event loop carries out.
//!
//! * `message`: what happens, and what shall happen outside.
//! * `state`: the state, and what each message does to it.
//! * `keys`, `mouse`: what the learner's hands do to it.

mod keys;
mod message;
mod mouse;
mod state;
#[cfg(test)]
mod tests;

pub use message::{Effect, Message, Overlay};
pub use state::App;
