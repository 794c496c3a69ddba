//! `kubectl describe secret`: sizes, never values, but for a service account's token.
// Models kubectl/pkg/describe (SecretDescriber).

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::describer::{Describer, Settings};
use super::fields::{map, text};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// The Secret's describer.
pub struct Secret;

const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

#[async_trait]
impl Describer for Secret {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Secret")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        _: Settings,
    ) -> Result<String, Failure> {
        let secret = related.get(Resource::new("v1", "secrets"), namespace, name).await?;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &secret);
        metadata::labels_and_annotations(&mut w, &secret);
        let kind = text(&secret, "/type");
        put!(w, 0, "\nType:\t{kind}\n\nData\n====\n");
        for (key, value) in map(&secret, "/data") {
            if key == "token" && kind == TOKEN_TYPE {
                let token = STANDARD.decode(&value).unwrap_or_default();
                put!(w, 0, "{key}:\t{}\n", String::from_utf8_lossy(&token));
            } else {
                put!(w, 0, "{key}:\t{} bytes\n", decoded_length(&value));
            }
        }
        Ok(w.finish())
    }
}

/// How many bytes a base64 text stands for.
pub fn decoded_length(encoded: &str) -> usize {
    STANDARD.decode(encoded).map_or(0, |bytes| bytes.len())
}
