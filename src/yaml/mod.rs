//! YAML as Kubernetes reads and writes it: into JSON values, and out of them byte for byte as Go's sigs.k8s.io/yaml does.

mod emit;
mod read;
pub mod resolve;

pub use emit::{natural_less, to_string};
pub use read::to_json;
