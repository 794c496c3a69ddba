//! `kubectl describe replicaset`.
// Models kubectl/pkg/describe (ReplicaSetDescriber).

use async_trait::async_trait;

use super::describer::{Describer, Settings};
use super::events::{self, conditions_with_reason, pod_phases};
use super::fields::{controller, format_selector, int, selector, text};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::template;
use super::writer::{Writer, put};

/// The replica set's describer.
pub struct ReplicaSet;

#[async_trait]
impl Describer for ReplicaSet {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "ReplicaSet")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let set = related.get(Resource::new("apps/v1", "replicasets"), namespace, name).await?;
        let labels = selector(&set, "/spec/selector").map_err(|message| Failure {
            reason: String::new(),
            message,
            from_server: false,
        })?;
        let phases = pod_phases(related, namespace, &labels.to_string(), text(&set, "/metadata/uid")).await;
        let events = events::shown(related, &set, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &set);
        put!(w, 0, "Selector:\t{}\n", format_selector(&set, "/spec/selector"));
        metadata::labels_and_annotations(&mut w, &set);
        if let Some(controller) = controller(&set) {
            put!(w, 0, "Controlled By:\t{controller}\n");
        }
        put!(
            w,
            0,
            "Replicas:\t{} current / {} desired\n",
            int(&set, "/status/replicas"),
            int(&set, "/spec/replicas")
        );
        match phases {
            Ok(phases) => put!(w, 0, "Pods Status:\t{phases}\n"),
            Err(error) => put!(w, 0, "Pods Status:\terror in fetching pods: {error}\n"),
        }
        template::section(&mut w, &set, "/spec/template");
        conditions_with_reason(&mut w, &set);
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}
