//! Goals: what can be asked of a cluster and of what the learner did. One file a goal; [`goal::GOALS`] is their table.

mod combine;
mod command;
mod component;
mod condition;
mod count;
mod event;
mod field;
mod goal;
mod http;
mod log;
mod object;
mod options;
mod target;
mod test;

pub use command::{Pattern, invocation};
pub use goal::{Ask, GOALS, Goal, Memory, Moment, Needs, Since};
