//! Paths as Go's `path` and `path/filepath` reckon with them, on text alone: cleaning, joining, what is below what.
//!
//! Used by `spec.rs` and by what packs and unpacks archives. Nothing here looks at a file.
// Models path.Clean, path.Dir, path.Base, path.Join, filepath.Rel and k8s.io/kubectl/pkg/cmd/cp/filespec.go.

/// The shortest path of the same meaning; `.` for nothing.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// The directory that a path is in.
pub(super) fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |index| &path[..=index]))
}

/// The last name of a path.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => ".",
        (false, true) => "/",
        (false, false) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Two paths one behind the other, cleaned; nothing if both are empty.
pub(super) fn join(path: &str, below: &str) -> String {
    let parts: Vec<&str> = [path, below].into_iter().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { clean(&parts.join("/")) }
}

/// Without one slash at the end.
pub(super) fn strip_trailing_slash(path: &str) -> &str {
    if path == "/" { path } else { path.strip_suffix('/').unwrap_or(path) }
}

/// A path in a container, whichever slashes it was written with.
pub(super) fn remote(path: &str) -> String {
    strip_trailing_slash(path).replace('\\', "/")
}

/// Without what leads upwards at its beginning, and without a slash there.
pub(super) fn strip_shortcuts(path: &str) -> &str {
    let mut rest = path;
    while let Some(below) = rest.strip_prefix("../") {
        rest = below;
    }
    if rest == "." || rest == ".." {
        return "";
    }
    rest.strip_prefix('/').unwrap_or(rest)
}

/// How `target` is called in `base`; `None` if that cannot be said.
fn relative(base: &str, target: &str) -> Option<String> {
    let (base, target) = (clean(base), clean(target));
    if base == target {
        return Some(".".to_owned());
    }
    if base.starts_with('/') != target.starts_with('/') {
        return None;
    }
    fn parts(path: &str) -> Vec<&str> {
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
    }
    let (from, to) = (parts(&base), parts(&target));
    let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if from[same..].first() == Some(&"..") {
        return None;
    }
    let up = from[same..].iter().map(|_| "..");
    Some(up.chain(to[same..].iter().copied()).collect::<Vec<_>>().join("/"))
}

/// Whether `target` is `base` or below it.
pub(super) fn is_below(base: &str, target: &str) -> bool {
    relative(base, target).is_some_and(|path| path == "." || path == strip_shortcuts(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_gos() {
        for (path, cleaned, directory, name) in [
            ("", ".", ".", "."),
            ("/", "/", "/", "/"),
            ("a", "a", ".", "a"),
            ("./a/", "a", "a", "a"),
            ("/a/b", "/a/b", "/a", "b"),
            ("../a/../..", "../..", "..", ".."),
            ("/../x", "/x", "/", "x"),
            (".", ".", ".", "."),
        ] {
            assert_eq!((&*clean(path), &*dir(path), base(path)), (cleaned, directory, name), "{path:?}");
        }
        assert_eq!([join("a", "b"), join("a", ""), join("", ""), join("/a", "../b")], ["a/b", "a", "", "/b"]);
    }

    #[test]
    fn what_leads_out_is_told() {
        for (base, target, below) in [
            (".", "a", true),
            (".", "../a", false),
            ("out", "out", true),
            ("out", "out/a", true),
            ("out", "outer", false),
            ("/tmp/out", "/tmp/out/..a", true),
            ("/", "/etc", true),
            ("../out", "../out/a", true),
            ("../out", "../../a", false),
            ("..", ".", false),
        ] {
            assert_eq!(is_below(base, target), below, "{target} below {base}");
        }
        assert_eq!(["../../a", "..", ".", "/a", "a"].map(strip_shortcuts), ["a", "", "", "a", "a"]);
    }

    proptest! {
        /// Cleaning once is enough.
        #[test]
        fn a_clean_path_stays(path in "[a./]{0,20}") {
            prop_assert_eq!(clean(&clean(&path)), clean(&path));
        }
    }
}
