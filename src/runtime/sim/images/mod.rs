//! Images: what there is in registries (data under `fixtures/images`), and what a node has pulled of it.

mod ask;
mod catalogue;
mod reference;
mod store;
mod userland;

pub(in crate::runtime) use ask::{Asked, ask, public_images};
pub(in crate::runtime) use catalogue::ImageData;
pub(super) use store::{ImageStore, NodeImage};
pub(super) use userland::{ELF, all_programs};
