//! `kubectl completion`: scripts that make shells complete kubectl's words, and the verb that they ask.

mod answers;
mod verb;

pub use answers::Complete;
pub use verb::Completion;
