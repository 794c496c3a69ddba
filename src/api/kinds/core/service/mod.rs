//! Service: one name and address for a changing set of pods.

mod allocate;
mod ports;
mod printer;
mod strategy;
mod validation;

pub use strategy::ServiceKind;
