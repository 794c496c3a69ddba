//! `kubectl describe serviceaccount`.
// Models kubectl/pkg/describe (ServiceAccountDescriber).

use async_trait::async_trait;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{list, text};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// The service account's describer.
pub struct ServiceAccount;

const HEADING: &str = "Image pull secrets:";

#[async_trait]
impl Describer for ServiceAccount {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "ServiceAccount")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let account = related.get(Resource::new("v1", "serviceaccounts"), namespace, name).await?;
        let events = events::shown(related, &account, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &account);
        metadata::labels_and_annotations(&mut w, &account);
        let secrets = list(&account, "/imagePullSecrets");
        if secrets.is_empty() {
            put!(w, 0, "{HEADING}\t<none>\n");
        }
        for (index, secret) in secrets.iter().enumerate() {
            let heading = if index == 0 { HEADING.to_owned() } else { " ".repeat(HEADING.len()) };
            put!(w, 0, "{heading}\t{}\n", text(secret, "/name"));
        }
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}
