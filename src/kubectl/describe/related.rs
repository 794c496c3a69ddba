//! What a describer may ask for: the object itself and those around it. The cluster answers through kubectl's client, a
//! test through a list of objects.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use crate::meta::selector::{Selector, parse_fields};

use super::fields;

/// A resource by its path: `v1` and `pods`, `apps/v1` and `replicasets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// `v1` or `group/version`.
    pub api_version: &'a str,
    /// The plural.
    pub plural: &'a str,
}

impl<'a> Resource<'a> {
    /// A resource.
    pub const fn new(api_version: &'a str, plural: &'a str) -> Self {
        Self { api_version, plural }
    }
}

/// Which objects of a resource are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The namespace; empty for all, and for what has none.
    pub namespace: String,
    /// A label selector; empty for all.
    pub labels: String,
    /// A field selector; empty for all.
    pub fields: String,
}

/// Why the server did not answer with an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The Status' reason, like `NotFound`.
    pub reason: String,
    /// The message as Kubernetes words it.
    pub message: String,
    /// Whether it came from the server.
    pub from_server: bool,
}

/// Where objects come from.
#[async_trait]
pub trait Related: Send + Sync {
    /// One object.
    async fn get(&self, resource: Resource<'_>, namespace: &str, name: &str) -> Result<Value, Failure>;
    /// Every object that is wanted.
    async fn list(&self, resource: Resource<'_>, wanted: &Wanted) -> Result<Vec<Value>, Failure>;
    /// What ages count from.
    fn now(&self) -> Timestamp;
}

/// Objects in a list, for tests and for what is described offline.
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// The objects, each with its apiVersion and kind.
    pub objects: Vec<Value>,
    /// What ages count from.
    pub now: Timestamp,
}

impl Fixed {
    fn of<'a>(&'a self, resource: Resource<'a>, namespace: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| {
            let kind = fields::text(object, "/kind").to_lowercase();
            let plural = resource.plural;
            let stem = kind.strip_suffix('y').unwrap_or(&kind);
            let plurals = [format!("{kind}s"), format!("{kind}es"), format!("{stem}ies")];
            let named = plural == kind || plurals.iter().any(|name| name == plural);
            let here = fields::text(object, "/metadata/namespace");
            named
                && fields::text(object, "/apiVersion") == resource.api_version
                && (namespace.is_empty() || here.is_empty() || here == namespace)
        })
    }
}

#[async_trait]
impl Related for Fixed {
    async fn get(&self, resource: Resource<'_>, namespace: &str, name: &str) -> Result<Value, Failure> {
        let found =
            self.of(resource, namespace).find(|object| fields::text(object, "/metadata/name") == name);
        found.cloned().ok_or_else(|| {
            let group = resource
                .api_version
                .split_once('/')
                .map(|(group, _)| format!(".{group}"))
                .unwrap_or_default();
            Failure {
                reason: "NotFound".to_owned(),
                message: format!("{}{group} {name:?} not found", resource.plural),
                from_server: true,
            }
        })
    }

    async fn list(&self, resource: Resource<'_>, wanted: &Wanted) -> Result<Vec<Value>, Failure> {
        let labels = Selector::parse(&wanted.labels).unwrap_or_default();
        let terms = parse_fields(&wanted.fields).unwrap_or_default();
        let selected = |object: &&Value| {
            labels.matches(&fields::map(object, "/metadata/labels"))
                && terms.iter().all(|term| {
                    let value = fields::text(object, &format!("/{}", term.field.replace('.', "/")));
                    (value == term.value) == term.equal
                })
        };
        Ok(self.of(resource, &wanted.namespace).filter(selected).cloned().collect())
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
