//! Images of the course made from this program, and written into containerd.

mod binary;
mod layers;
mod store;

pub(super) use layers::{Blob, own, program};
pub(super) use store::{Store, Whole};
