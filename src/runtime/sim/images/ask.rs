//! What the registries of the course answer, for runtimes that make its images themselves.

use std::sync::Arc;

use super::catalogue::{self, Found, ImageData};
use super::reference::Reference;
use super::store;
use crate::runtime::api::{RegistryCredential, Result};

/// Whose an image is.
#[derive(Debug)]
pub(in crate::runtime) enum Asked {
    /// The course's, under that full name.
    Ours(String, Arc<ImageData>),
    /// Nobody's here.
    Elsewhere,
}

/// Asks for an image. Repositories of the course are answered as their registries would.
pub(in crate::runtime) fn ask(image: &str, secrets: &[RegistryCredential]) -> Result<Asked> {
    let reference: Reference = store::parse(image)?;
    match catalogue::find(&reference) {
        Found::Image(data, login) => {
            store::admit(&reference, login, secrets).map(|()| Asked::Ours(reference.to_string(), data))
        }
        Found::NoSuchTag => Err(store::not_found(&reference)),
        Found::NoSuchRepository => Ok(Asked::Elsewhere),
    }
}

/// A name of every image that everybody may have: each repository's first, with its newest tag.
pub(in crate::runtime) fn public_images() -> Vec<String> {
    catalogue::newest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_of_the_course_answer_and_others_are_elsewhere() {
        let ours = ask("nginx:1.25", &[]).unwrap();
        assert!(matches!(ours, Asked::Ours(name, _) if name == "docker.io/library/nginx:1.25"));
        assert!(ask("nginx:9.99", &[]).is_err());
        assert!(matches!(ask("example.com/x", &[]), Ok(Asked::Elsewhere)));
        let all = public_images();
        assert!(all.contains(&"docker.io/library/nginx:latest".to_owned()), "{all:?}");
        for image in all {
            assert!(matches!(ask(&image, &[]), Ok(Asked::Ours(..))), "{image}");
        }
    }
}
