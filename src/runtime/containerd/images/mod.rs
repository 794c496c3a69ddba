//! Images of the course made from this program, and written into containerd.

mod archive;
mod binary;
mod layers;
mod store;

pub(super) use archive::write as write_archive;
pub(super) use layers::{Blob, own, program};
pub(super) use store::{Store, Whole};
