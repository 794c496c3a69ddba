//! The controllers of storage: claims get volumes, volumes are made and reclaimed, and neither goes while it is in use.

pub(super) mod binder;
mod binding;
pub(super) mod claim_protection;
mod directories;
pub(super) mod ephemeral;
mod fresh;
pub(super) mod provisioner;
mod reclaim;
pub(super) mod volume_protection;

pub use directories::VolumeDirectories;
