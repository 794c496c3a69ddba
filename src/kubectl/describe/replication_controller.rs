//! `kubectl describe replicationcontroller`.
// Models kubectl/pkg/describe (ReplicationControllerDescriber).

use async_trait::async_trait;

use super::describer::{Describer, Settings};
use super::events::{self, conditions_with_reason, pod_phases};
use super::fields::{format_labels, int, map, text};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::template;
use super::writer::{Writer, put};
use crate::meta::selector::Selector;

/// The replication controller's describer.
pub struct ReplicationController;

#[async_trait]
impl Describer for ReplicationController {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "ReplicationController")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let controller = related.get(Resource::new("v1", "replicationcontrollers"), namespace, name).await?;
        let labels = map(&controller, "/spec/selector");
        let selector = Selector::from_labels(&labels).to_string();
        let phases = pod_phases(related, namespace, &selector, text(&controller, "/metadata/uid")).await?;
        let events = events::shown(related, &controller, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &controller);
        put!(w, 0, "Selector:\t{}\n", format_labels(&labels));
        metadata::labels_and_annotations(&mut w, &controller);
        let (current, desired) = (int(&controller, "/status/replicas"), int(&controller, "/spec/replicas"));
        put!(w, 0, "Replicas:\t{current} current / {desired} desired\n");
        put!(w, 0, "Pods Status:\t{phases}\n");
        template::section(&mut w, &controller, "/spec/template");
        conditions_with_reason(&mut w, &controller);
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}
