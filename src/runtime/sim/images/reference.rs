//! Image references: registry, repository, tag and digest of what a user wrote.
// Models github.com/distribution/reference (ParseNormalizedNamed).

use std::fmt;

/// An image reference with everything in it that a user may leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Like `docker.io`.
    pub(crate) domain: String,
    /// Like `library/nginx`.
    pub(crate) path: String,
    /// The tag; `latest` if there is neither tag nor digest.
    pub(crate) tag: Option<String>,
    /// The digest.
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// Reads a reference. The error is the words behind `couldn't parse image name`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let invalid = || "invalid reference format".to_owned();
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let (domain, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => ("docker.io", name),
        };
        let domain = if domain == "index.docker.io" { "docker.io" } else { domain };
        let path = if domain == "docker.io" && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(format!("invalid reference format: repository name ({path}) must be lowercase"));
        }
        let component = |part: &str| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            ends(part.chars().next()) && ends(part.chars().last()) && part.chars().all(inner)
        };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_tag = |tag: &String| {
            tag.len() <= 128
                && tag.starts_with(word)
                && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
        };
        let is_digest = |digest: &String| {
            digest
                .split_once(':')
                .is_some_and(|(_, hex)| hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if !path.split('/').all(component) || !tag.iter().all(is_tag) || !digest.iter().all(is_digest) {
            return Err(invalid());
        }
        let tag = if tag.is_none() && digest.is_none() { Some("latest".to_owned()) } else { tag };
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }

    /// Registry and repository: `docker.io/library/nginx`.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The tag or the digest, as a registry is asked for it.
    pub(crate) fn object(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_filled_in() {
        for (written, expected) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("curlimages/curl:8.5.0", "docker.io/curlimages/curl:8.5.0"),
            ("localhost:5000/tea", "localhost:5000/tea:latest"),
            ("gcr.io/google-samples/kubernetes-bootcamp:v1", "gcr.io/google-samples/kubernetes-bootcamp:v1"),
        ] {
            assert_eq!(Reference::parse(written).unwrap().to_string(), expected);
        }
        for (written, why) in [
            ("Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"),
            ("nginx:", "invalid reference format"),
            ("", "invalid reference format"),
            ("a//b", "invalid reference format"),
        ] {
            assert_eq!(Reference::parse(written).unwrap_err(), why, "{written}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_breaks_it(name: String) {
            let _ = Reference::parse(&name);
        }
    }
}
