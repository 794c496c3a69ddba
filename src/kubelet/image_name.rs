//! Image references: what is a name, a tag, a digest, and what is none of these.
// Models github.com/distribution/reference and pkg/util/parsers.

/// The longest repository name, with its registry.
const MAX_NAME: usize = 255;

/// The reference with `:latest` behind it if it has neither tag nor digest.
pub(super) fn with_default_tag(image: &str) -> Result<String, String> {
    let (tag, digest) = parse(image).map_err(|why| format!("couldn't parse image name {image:?}: {why}"))?;
    Ok(if tag || digest { image.to_owned() } else { format!("{image}:latest") })
}

/// The registry that an image comes from; Docker's own if it names none.
pub(super) fn registry(image: &str) -> &str {
    split_domain(image).0.unwrap_or("docker.io")
}

/// The registry and the repository of an image, without its tag and digest.
pub(super) fn repository(image: &str) -> String {
    let (domain, rest) = split_domain(image);
    let rest = rest.split('@').next().unwrap_or(rest);
    let path = rest.rsplit_once(':').map_or(rest, |(path, _)| path);
    let library = if domain.is_none() && !path.contains('/') { "library/" } else { "" };
    format!("{}/{library}{path}", domain.unwrap_or("docker.io"))
}

/// Whether the image has a tag and a digest.
fn parse(image: &str) -> Result<(bool, bool), String> {
    let invalid = || "invalid reference format".to_owned();
    if image.len() == 64 && image.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(format!("invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"));
    }
    let (domain, rest) = split_domain(image);
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (rest, None),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(invalid());
    }
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        let full =
            if domain.is_none() && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        return Err(format!("invalid reference format: repository name ({full}) must be lowercase"));
    }
    let ok = path.split('/').all(is_component)
        && domain.is_none_or(is_domain)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if !ok {
        return Err(invalid());
    }
    if domain.map_or(0, str::len) + path.len() > MAX_NAME {
        return Err(format!("repository name must not be more than {MAX_NAME} characters"));
    }
    Ok((tag.is_some(), digest.is_some()))
}

/// The first part is a registry if it looks like a host: with a dot, a port, capitals, or `localhost`.
fn split_domain(image: &str) -> (Option<&str>, &str) {
    match image.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first =>
        {
            (Some(first), rest)
        }
        _ => (None, image),
    }
}

fn is_component(part: &str) -> bool {
    let bytes = part.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let Some(first) = bytes.first() else { return false };
    let Some(last) = bytes.last() else { return false };
    let separators =
        |text: &str| text == "." || text == "_" || text == "__" || text.bytes().all(|b| b == b'-');
    alphanumeric(*first)
        && alphanumeric(*last)
        && part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(separators)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.rsplit_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let label = |part: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        ends(part.chars().next())
            && ends(part.chars().last())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    host.split('.').all(label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.chars().next().is_some_and(word)
        && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
        && hex.len() >= 32
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
        && (algorithm != "sha256" || hex.len() == 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_get_their_tag_or_are_refused() {
        let digest = format!("nginx@sha256:{}", "a".repeat(64));
        let cases: &[(&str, Result<&str, &str>)] = &[
            ("nginx", Ok("nginx:latest")),
            ("nginx:1.25", Ok("nginx:1.25")),
            ("localhost:5000/tea", Ok("localhost:5000/tea:latest")),
            (
                "gcr.io/google-samples/kubernetes-bootcamp:v1",
                Ok("gcr.io/google-samples/kubernetes-bootcamp:v1"),
            ),
            (&digest, Ok(&digest)),
            ("nginx:", Err("couldn't parse image name \"nginx:\": invalid reference format")),
            ("", Err("couldn't parse image name \"\": invalid reference format")),
            ("a b", Err("couldn't parse image name \"a b\": invalid reference format")),
            (
                "Nginx:1.25",
                Err(
                    "couldn't parse image name \"Nginx:1.25\": invalid reference format: repository name (library/Nginx) \
                     must be lowercase",
                ),
            ),
        ];
        for (image, expected) in cases {
            assert_eq!(with_default_tag(image).as_deref().map_err(String::as_str), *expected, "{image}");
        }
        assert_eq!(registry("localhost:5000/tea"), "localhost:5000");
        assert_eq!(registry("library/tea"), "docker.io");
    }

    proptest::proptest! {
        #[test]
        fn no_name_breaks_it(name: String) {
            let _ = with_default_tag(&name);
        }
    }
}
