//! `kubectl describe deployment`, and which replica sets are a deployment's.
// Models kubectl/pkg/describe (DeploymentDescriber) and kubectl/pkg/util/deployment.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events::{self, conditions_with_reason};
use super::fields::{int, int_or_text, is_controlled_by, or_none, selector, some, text, time, time_text};
use super::metadata;
use super::related::{Failure, Related, Resource, Wanted};
use super::template;
use super::writer::{Writer, put};

/// The deployment's describer.
pub struct Deployment;

/// The replica sets of a deployment.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSets {
    /// Those of earlier templates, oldest first.
    pub old: Vec<Value>,
    /// The one of the template as it is now.
    pub new: Option<Value>,
}

#[async_trait]
impl Describer for Deployment {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("apps", "Deployment")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let deployment = related.get(Resource::new("apps/v1", "deployments"), namespace, name).await?;
        let events = events::shown(related, &deployment, settings.show_events).await;
        let sets = replica_sets(related, &deployment).await.unwrap_or_default();
        Ok(describe(&deployment, &sets, events, related.now()))
    }
}

/// The replica sets that a deployment controls, told apart by their templates.
pub async fn replica_sets(related: &dyn Related, deployment: &Value) -> Result<ReplicaSets, Failure> {
    let labels = selector(deployment, "/spec/selector").map_err(|message| Failure {
        reason: String::new(),
        message,
        from_server: false,
    })?;
    let namespace = text(deployment, "/metadata/namespace").to_owned();
    let wanted = Wanted { namespace, labels: labels.to_string(), ..Wanted::default() };
    let mut owned = related.list(Resource::new("apps/v1", "replicasets"), &wanted).await?;
    owned.retain(|set| is_controlled_by(set, text(deployment, "/metadata/uid")));
    owned.sort_by_key(|set| {
        (time(set, "/metadata/creationTimestamp"), text(set, "/metadata/name").to_owned())
    });
    let current = template_without_hash(deployment);
    let new =
        owned.iter().position(|set| template_without_hash(set) == current).map(|index| owned.remove(index));
    Ok(ReplicaSets { old: owned, new })
}

fn template_without_hash(object: &Value) -> Value {
    let mut template = some(object, "/spec/template").cloned().unwrap_or_default();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    if let Some(metadata) = template.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata
            .retain(|_, value| !value.is_null() && value.as_object().is_none_or(|fields| !fields.is_empty()));
    }
    template
}

fn describe(deployment: &Value, sets: &ReplicaSets, events: Option<Vec<Value>>, now: Timestamp) -> String {
    let mut w = Writer::new();
    metadata::name_and_namespace(&mut w, deployment);
    put!(w, 0, "CreationTimestamp:\t{}\n", time_text(deployment, "/metadata/creationTimestamp"));
    metadata::labels_and_annotations(&mut w, deployment);
    let labels = selector(deployment, "/spec/selector").unwrap_or_default();
    put!(w, 0, "Selector:\t{labels}\n");
    put!(
        w,
        0,
        "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable\n",
        int(deployment, "/spec/replicas"),
        int(deployment, "/status/updatedReplicas"),
        int(deployment, "/status/replicas"),
        int(deployment, "/status/availableReplicas"),
        int(deployment, "/status/unavailableReplicas")
    );
    put!(w, 0, "StrategyType:\t{}\n", text(deployment, "/spec/strategy/type"));
    put!(w, 0, "MinReadySeconds:\t{}\n", int(deployment, "/spec/minReadySeconds"));
    if let Some(rolling) = some(deployment, "/spec/strategy/rollingUpdate") {
        let (unavailable, surge) =
            (int_or_text(rolling, "/maxUnavailable"), int_or_text(rolling, "/maxSurge"));
        put!(w, 0, "RollingUpdateStrategy:\t{unavailable} max unavailable, {surge} max surge\n");
    }
    template::section(&mut w, deployment, "/spec/template");
    conditions_with_reason(&mut w, deployment);
    let old: Vec<&Value> = sets.old.iter().collect();
    if !old.is_empty() || sets.new.is_some() {
        put!(w, 0, "OldReplicaSets:\t{}\n", names(old));
        put!(w, 0, "NewReplicaSet:\t{}\n", names(sets.new.iter().collect()));
    }
    events::section(&mut w, events, now);
    w.finish()
}

fn names(sets: Vec<&Value>) -> String {
    let one = |set: &&Value| {
        let (has, wants) = (int(set, "/status/replicas"), int(set, "/spec/replicas"));
        format!("{} ({has}/{wants} replicas created)", text(set, "/metadata/name"))
    };
    or_none(&sets.iter().map(one).collect::<Vec<_>>().join(", ")).to_owned()
}
