//! The arguments of `kubectl cp`: a path of this machine, or a pod, a colon and a path in it.
// Models k8s.io/kubectl/pkg/cmd/cp (extractFileSpec) and filespec.go.

use super::paths;
use crate::kubectl::error::{KubectlError, Result};

/// A path, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileSpec {
    /// The pod; empty for this machine.
    pub pod: String,
    /// The pod's namespace; empty for the current one.
    pub namespace: String,
    /// The path, without one slash at its end.
    pub path: String,
}

impl FileSpec {
    /// Reads `PATH`, `POD:PATH` or `NAMESPACE/POD:PATH`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong =
            || KubectlError::message("filespec must match the canonical format: [[namespace/]pod:]file/path");
        let Some((pod, path)) = text.split_once(':') else {
            let path = paths::strip_trailing_slash(text).to_owned();
            return Ok(Self { path, ..Self::default() });
        };
        let path = paths::remote(path);
        match &pod.split('/').collect::<Vec<_>>()[..] {
            [""] => Err(wrong()),
            [pod] => Ok(Self { pod: (*pod).to_owned(), namespace: String::new(), path }),
            [namespace, pod] => Ok(Self { pod: (*pod).to_owned(), namespace: (*namespace).to_owned(), path }),
            _ => Err(wrong()),
        }
    }

    /// Whether it is in a pod.
    pub(super) fn is_remote(&self) -> bool {
        !self.pod.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_stands_before_the_colon() {
        let read = |text: &str| FileSpec::parse(text).map(|spec| [spec.namespace, spec.pod, spec.path]).ok();
        for (text, expected) in [
            ("a/b/", ["", "", "a/b"]),
            ("web:/tmp/x", ["", "web", "/tmp/x"]),
            ("tea/web:x:y", ["tea", "web", "x:y"]),
            ("web:", ["", "web", ""]),
            ("web:C:\\x\\", ["", "web", "C:/x/"]),
            ("/", ["", "", "/"]),
        ] {
            assert_eq!(read(text), Some(expected.map(str::to_owned)), "{text}");
        }
        assert_eq!((read(":a"), read("a/b/c:d")), (None, None));
    }
}
