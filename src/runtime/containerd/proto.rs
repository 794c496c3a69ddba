//! What the protocol definitions under `proto/` become; see `build.rs`. Only this room sees it.
#![allow(clippy::enum_variant_names, clippy::large_enum_variant)] // They are named by others.

/// The CRI.
pub(super) mod cri {
    tonic::include_proto!("runtime.v1");
}

/// containerd's store of blobs.
pub(super) mod content {
    tonic::include_proto!("containerd.services.content.v1");
}

/// containerd's names of images.
pub(super) mod images {
    tonic::include_proto!("containerd.services.images.v1");
}

/// containerd's leases, which keep what is being written from being collected.
pub(super) mod leases {
    tonic::include_proto!("containerd.services.leases.v1");
}

/// What happens in containerd.
pub(super) mod events {
    tonic::include_proto!("containerd.services.events.v1");
}
