//! Which kubectl this is.

/// The version that `kubectl version` prints.
pub const GIT_VERSION: &str = "v1.36.2";
/// The kustomize that belongs to that version.
pub const KUSTOMIZE_VERSION: &str = "v5.8.1";
/// What kubectl calls itself in requests.
pub const USER_AGENT: &str = "kubectl/v1.36.2 (linux/amd64) kubernetes/k8s-learn";
/// The commit of that version.
pub const GIT_COMMIT: &str = "0000000000000000000000000000000000000000";
/// When it was built.
pub const BUILD_DATE: &str = "2026-06-01T00:00:00Z";
/// The Go of that version.
pub const GO_VERSION: &str = "go1.26.6";
