//! What a kind says of itself once and for all: its names, and where its objects are stored.

use std::sync::Arc;

use super::rules::{Conversion, Rules, Traits};
use crate::api::schema::{self, TypeInfo};
use crate::api::status::GroupResource;

/// What a kind says of itself, once and for all.
#[derive(Clone, Debug)]
pub struct KindInfo {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, like `v1`.
    pub version: String,
    /// The kind, like `Deployment`.
    pub kind: String,
    /// The kind of a list, like `DeploymentList`.
    pub list_kind: String,
    /// The plural that URLs use.
    pub plural: String,
    /// The singular.
    pub singular: String,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Short names.
    pub short_names: Vec<String>,
    /// Categories.
    pub categories: Vec<String>,
    /// Verbs, sorted.
    pub verbs: Vec<String>,
    /// Sub-resources and counters.
    pub traits: Traits,
    /// What the machinery may do with its objects.
    pub rules: Rules,
    /// How objects are stored, if in another version.
    pub stored_as: Option<Conversion>,
    /// A warning for every request.
    pub warning: Option<String>,
    /// The type in `schema`, like `io.k8s.api.apps.v1.Deployment`; `None` for custom resources.
    pub schema_type: Option<String>,
    /// The schema of a custom resource, if it has one.
    pub schema: Option<Arc<TypeInfo>>,
}

impl KindInfo {
    /// The fields: the table's for a built-in kind, its own for a custom resource.
    pub fn type_info(&self) -> Option<&TypeInfo> {
        match &self.schema_type {
            Some(name) => schema::lookup(name),
            None => self.schema.as_deref(),
        }
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The resource for messages.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.plural)
    }

    /// Where its objects are stored: `/registry/deployments/`, or `/registry/<group>/<plural>/` as etcd has it for
    /// groups outside the built-in ones.
    pub fn storage_prefix(&self) -> String {
        let (group, plural) = self
            .stored_as
            .map_or((self.group.as_str(), self.plural.as_str()), |c| (c.storage.0, c.storage.2));
        match (group, plural) {
            ("", "services") => "/registry/services/specs/".to_owned(),
            ("", "endpoints") => "/registry/services/endpoints/".to_owned(),
            ("", "nodes") => "/registry/minions/".to_owned(),
            ("", "replicationcontrollers") => "/registry/controllers/".to_owned(),
            ("networking.k8s.io", "ingresses") => "/registry/ingress/".to_owned(),
            ("policy", "poddisruptionbudgets") => "/registry/poddisruptionbudgets/".to_owned(),
            ("apiregistration.k8s.io" | "apiextensions.k8s.io", plural) => {
                format!("/registry/{group}/{plural}/")
            }
            (group, plural) if self.schema_type.is_none() => format!("/registry/{group}/{plural}/"),
            (_, plural) => format!("/registry/{plural}/"),
        }
    }

    /// The key of one object.
    pub fn storage_key(&self, namespace: &str, name: &str) -> String {
        if self.namespaced {
            format!("{}{namespace}/{name}", self.storage_prefix())
        } else {
            format!("{}{name}", self.storage_prefix())
        }
    }
}
