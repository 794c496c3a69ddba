//! What a ReplicaSet and a ReplicationController have in common: a number, a selector, a template and a status.
// Models pkg/controller/replication/conversion.go, which makes ReplicationControllers look like ReplicaSets.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    PodTemplateSpec, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use crate::informer::Cached;
use crate::meta::selector::Selector;

/// A kind that keeps a number of pods alive.
pub(crate) trait ReplicaOwner:
    Cached
    + Serialize
    + kube::Resource<Scope = NamespaceResourceScope>
    + k8s_openapi::Resource
    + k8s_openapi::Metadata<Ty = ObjectMeta>
{
    /// The controller's name.
    const CONTROLLER: &'static str;
    /// Whether the status counts pods on their way out.
    const COUNTS_TERMINATING: bool;
    /// How many pods are wanted.
    fn replicas(&self) -> i32;
    /// Which pods are its own.
    fn selector(&self) -> Result<Selector, String>;
    /// What new pods look like.
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// How long a pod must be ready to be available.
    fn min_ready_seconds(&self) -> i32;
    /// The status, in a ReplicaSet's form.
    fn status(&self) -> ReplicaSetStatus;
    /// Sets the status.
    fn set_status(&mut self, status: ReplicaSetStatus);
}

impl ReplicaOwner for ReplicaSet {
    const CONTROLLER: &'static str = "replicaset-controller";
    const COUNTS_TERMINATING: bool = true;

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }
    fn selector(&self) -> Result<Selector, String> {
        self.spec
            .as_ref()
            .map_or_else(|| Ok(Selector::nothing()), |spec| Selector::from_label_selector(&spec.selector))
    }
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }
    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }
    fn status(&self) -> ReplicaSetStatus {
        self.status.clone().unwrap_or_default()
    }
    fn set_status(&mut self, status: ReplicaSetStatus) {
        self.status = Some(status);
    }
}

impl ReplicaOwner for ReplicationController {
    const CONTROLLER: &'static str = "replication-controller";
    const COUNTS_TERMINATING: bool = false;

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }
    fn selector(&self) -> Result<Selector, String> {
        let labels = self.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        Ok(labels.map_or_else(Selector::nothing, Selector::from_labels))
    }
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }
    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }
    fn status(&self) -> ReplicaSetStatus {
        let status = self.status.clone().unwrap_or_default();
        let condition = |c: ReplicationControllerCondition| ReplicaSetCondition {
            last_transition_time: c.last_transition_time,
            message: c.message,
            reason: c.reason,
            status: c.status,
            type_: c.type_,
        };
        ReplicaSetStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(condition).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
            terminating_replicas: None,
        }
    }
    fn set_status(&mut self, status: ReplicaSetStatus) {
        let condition = |c: ReplicaSetCondition| ReplicationControllerCondition {
            last_transition_time: c.last_transition_time,
            message: c.message,
            reason: c.reason,
            status: c.status,
            type_: c.type_,
        };
        self.status = Some(ReplicationControllerStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(condition).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
        });
    }
}
