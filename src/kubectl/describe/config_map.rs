//! `kubectl describe configmap`.
// Models kubectl/pkg/describe (ConfigMapDescriber).

use async_trait::async_trait;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::map;
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::secret::decoded_length;
use super::writer::{Writer, put};

/// The ConfigMap's describer.
pub struct ConfigMap;

#[async_trait]
impl Describer for ConfigMap {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "ConfigMap")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let config_map = related.get(Resource::new("v1", "configmaps"), namespace, name).await?;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &config_map);
        metadata::labels_and_annotations(&mut w, &config_map);
        w.write(0, "\nData\n====\n");
        for (key, value) in map(&config_map, "/data") {
            put!(w, 0, "{key}:\n----\n{value}\n\n");
        }
        w.write(0, "\nBinaryData\n====\n");
        for (key, value) in map(&config_map, "/binaryData") {
            put!(w, 0, "{key}: {} bytes\n", decoded_length(&value));
        }
        w.write(0, "\n");
        let events = if settings.show_events {
            Some(events::search(related, &events::Involved::of(&config_map)).await?)
        } else {
            None
        };
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}
