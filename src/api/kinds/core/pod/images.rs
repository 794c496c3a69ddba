//! What an image's name says about pulling.
// Models pkg/util/parsers (ParseImageName) over distribution's reference grammar, as far as the tag goes.

/// Whether the name means the tag `latest`, said or unsaid. Names that do not parse mean nothing.
pub(crate) fn is_latest(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let slash = name.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match name[slash..].find(':') {
        Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
        None => (name, None),
    };
    if !is_repository(repository) || tag.is_some_and(|tag| !is_tag(tag)) {
        return false;
    }
    match (tag, digest) {
        (Some(tag), _) => tag == "latest",
        (None, digest) => digest.is_none(),
    }
}

fn is_repository(name: &str) -> bool {
    let mut parts: Vec<&str> = name.split('/').collect();
    // The first part is a registry if it could not be part of a path: it has a dot, a port or capitals, or is localhost.
    let registry = parts.len() > 1
        && (parts[0].contains(['.', ':'])
            || parts[0] == "localhost"
            || parts[0].chars().any(char::is_uppercase));
    if registry {
        parts.remove(0);
    }
    parts.iter().all(|part| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inside = part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
        ends(part.chars().next()) && ends(part.chars().last()) && inside
    })
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untagged_image_means_latest() {
        let latest = [
            "nginx",
            "nginx:latest",
            "registry.example:5000/team/web",
            "localhost:5000/web:latest",
            "docker.io/library/nginx",
        ];
        let fixed = [
            "nginx:1.25",
            "nginx@sha256:abc",
            "registry.example:5000/web:v1",
            "Not An Image",
            "",
            "nginx:",
            "UPPER",
        ];
        assert!(latest.iter().all(|image| is_latest(image)), "{latest:?}");
        assert!(fixed.iter().all(|image| !is_latest(image)), "{fixed:?}");
    }
}
