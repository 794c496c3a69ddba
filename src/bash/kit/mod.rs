//! What stands between our contracts and the crate `bashkit`: files, programs, and the commands that bashkit leaves us.

mod command;
mod complaints;
mod files;
pub(super) mod jobs;
pub(super) mod own;
mod pipe;
pub(super) mod scan;

pub(super) use command::{Adapter, Streams, live_stdin};
pub(super) use complaints::Complaints;
pub(super) use files::KitFiles;
