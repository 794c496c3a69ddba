//! PersistentVolume: a piece of storage, and what it is made of.

mod sources;
mod strategy;

pub use strategy::PersistentVolumeKind;
