//! Container runtimes, behind a trait shaped like the CRI: what a kubelet asks of whoever runs its containers.
//!
//! `sim` runs containers in this process, everywhere; containerd comes behind the same trait. A kubelet does not know
//! which it has. A runtime makes the sandbox's network itself (as CRI runtimes do through CNI), and knows nothing of
//! Pods: it is told names, images, commands and mounts.

pub mod api;
pub mod containerd;
pub mod sim;

pub use api::ContainerRuntime;
