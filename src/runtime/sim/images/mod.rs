//! Images: what there is in registries (data under `fixtures/images`), and what a node has pulled of it.

mod catalogue;
mod reference;
mod store;
mod userland;

pub(super) use catalogue::ImageData;
pub(super) use store::{ImageStore, NodeImage};
pub(super) use userland::{ELF, all_programs};
