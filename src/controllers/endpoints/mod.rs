//! The controllers that say where a Service's pods are.
//!
//! * [`backends`]: pure: which pods and ports a Service has; and which Services a pod concerns.
//! * [`slices`], [`slice_controller`]: EndpointSlices.
//! * [`legacy`]: Endpoints, their forerunner.

mod backends;
pub(crate) mod legacy;
pub(crate) mod slice_controller;
mod slices;
