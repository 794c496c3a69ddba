//! `kubectl describe storageclass`.
// Models kubectl/pkg/describe (StorageClassDescriber).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{format_labels, list, map, some, some_text, text, texts, title_bool};
use super::persistent_volume::{requirement, term_lines};
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};
use crate::meta::storage;

/// The class's describer.
pub struct StorageClass;

#[async_trait]
impl Describer for StorageClass {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("storage.k8s.io", "StorageClass")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        _namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let class = related.get(Resource::new("storage.k8s.io/v1", "storageclasses"), "", name).await?;
        let events = events::shown(related, &class, settings.show_events).await;
        let mut w = Writer::new();
        let annotations = map(&class, "/metadata/annotations");
        put!(w, 0, "Name:\t{}\n", text(&class, "/metadata/name"));
        let default = if storage::is_default_class(Some(&annotations)) { "Yes" } else { "No" };
        put!(w, 0, "IsDefaultClass:\t{default}\n");
        put!(w, 0, "Annotations:\t{}\n", format_labels(&annotations));
        put!(w, 0, "Provisioner:\t{}\n", text(&class, "/provisioner"));
        put!(w, 0, "Parameters:\t{}\n", format_labels(&map(&class, "/parameters")));
        let grows = some(&class, "/allowVolumeExpansion").and_then(Value::as_bool);
        put!(w, 0, "AllowVolumeExpansion:\t{}\n", grows.map_or("<unset>", title_bool));
        let options = texts(&class, "/mountOptions");
        if options.is_empty() {
            w.write(0, "MountOptions:\t<none>\n");
        } else {
            w.write(0, "MountOptions:\n");
            options.iter().for_each(|option| put!(w, 1, "{option}\n"));
        }
        for (title, path) in
            [("ReclaimPolicy", "/reclaimPolicy"), ("VolumeBindingMode", "/volumeBindingMode")]
        {
            if let Some(value) = some_text(&class, path) {
                put!(w, 0, "{title}:\t{value}\n");
            }
        }
        if some(&class, "/allowedTopologies").is_some() {
            topologies(&mut w, list(&class, "/allowedTopologies"));
        }
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}

fn topologies(w: &mut Writer, terms: &[Value]) {
    w.write(0, "AllowedTopologies:\t");
    if terms.is_empty() {
        return w.write(0, "<none>\n");
    }
    w.write(0, "\n");
    for (index, term) in terms.iter().enumerate() {
        let expressions = list(term, "/matchLabelExpressions").iter();
        let lines: Vec<String> = expressions.map(|expression| requirement(expression, "in")).collect();
        term_lines(w, 1, index, &lines);
    }
}
