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
