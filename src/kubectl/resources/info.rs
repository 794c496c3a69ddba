//! One object, or list of objects, that a command line means.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::kubectl::client::{Client, Request};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::Mapping;

/// An object or list, and where it is.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Its resource; `None` only when the builder was told to stay local.
    pub mapping: Option<Arc<Mapping>>,
    /// Its namespace; empty for cluster-wide resources.
    pub namespace: String,
    /// Its name; empty for a list.
    pub name: String,
    /// The file that it came from; empty if from the server.
    pub source: String,
    /// The object; null if it was named and not fetched.
    pub object: Value,
    /// The sub-resource to work on; empty for none.
    pub subresource: String,
}

/// What the builder found.
#[derive(Debug, Default)]
pub struct Visited {
    /// The objects, in order.
    pub infos: Vec<Info>,
    /// What went wrong on the way; with `continue_on_error` there may be objects too.
    pub errors: Vec<KubectlError>,
    /// Whether exactly one object was meant, so that it is printed without a list around it.
    pub single_item_implied: bool,
    /// Whether objects were named rather than listed.
    pub targets_single_items: bool,
}

impl Visited {
    /// The objects if nothing went wrong.
    pub fn into_infos(self) -> Result<Vec<Info>> {
        KubectlError::aggregate(self.errors)?;
        Ok(self.infos)
    }

    /// Drops the errors that `ignore` picks.
    pub fn ignore_errors(&mut self, ignore: impl Fn(&KubectlError) -> bool) {
        self.errors.retain(|error| !ignore(error));
    }
}

impl Info {
    /// The resource. Fails for what was built locally.
    pub fn mapping(&self) -> Result<&Arc<Mapping>> {
        self.mapping
            .as_ref()
            .ok_or_else(|| KubectlError::message(format!("{:?} was not looked up on the server", self.name)))
    }

    /// The path of the object.
    pub fn path(&self) -> Result<String> {
        Ok(self.mapping()?.path(&self.namespace, &self.name, &self.subresource))
    }

    /// `deployment.apps/x`.
    pub fn object_name(&self) -> String {
        let kind = match &self.mapping {
            Some(mapping) => mapping.singular_name(),
            None => singular_name(&self.object),
        };
        format!("{kind}/{}", self.name)
    }

    /// The object's resourceVersion; empty if it has none.
    pub fn resource_version(&self) -> &str {
        self.object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }

    /// Takes the object from the server.
    pub async fn get(&mut self, client: &Client) -> Result<()> {
        self.object = client.json(Request::get(self.path()?)).await?;
        Ok(())
    }

    /// Takes over an object that the server answered with.
    // Models Info.Refresh.
    pub fn refresh(&mut self, object: Value) {
        if let Some(name) = object["metadata"]["name"].as_str() {
            name.clone_into(&mut self.name);
        }
        if let Some(namespace) = object["metadata"]["namespace"].as_str() {
            namespace.clone_into(&mut self.namespace);
        }
        self.object = object;
    }

    /// Puts a namespace into the info and its object.
    pub fn set_namespace(&mut self, namespace: &str) {
        namespace.clone_into(&mut self.namespace);
        if !self.object.is_object() {
            return;
        }
        if namespace.is_empty() {
            if let Some(metadata) = self.object["metadata"].as_object_mut() {
                metadata.remove("namespace");
            }
        } else if self.object["metadata"].is_object() || self.object["metadata"].is_null() {
            self.object["metadata"]["namespace"] = json!(namespace);
        }
    }

    /// Whether objects of the resource are in namespaces; what was built locally is taken to be.
    pub fn namespaced(&self) -> bool {
        self.mapping.as_ref().is_none_or(|mapping| mapping.namespaced)
    }
}

/// `deployment.apps` of an object by its kind and group.
fn singular_name(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or("<unknown>").to_lowercase();
    let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/'));
    group.map_or_else(|| kind.clone(), |(group, _)| format!("{kind}.{group}"))
}

/// Whether an object is a list.
pub fn is_list(object: &Value) -> bool {
    object["items"].is_array()
}

/// The items of a list; those without kind and version get them from the list.
pub fn list_items(list: Value) -> Vec<Value> {
    let kind =
        list["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).unwrap_or_default().to_owned();
    let api_version = list["apiVersion"].clone();
    let Value::Object(mut map) = list else { return vec![] };
    let Some(Value::Array(items)) = map.remove("items") else { return vec![] };
    let typed = |mut item: Value| {
        if item.is_object() && !kind.is_empty() && item["kind"].is_null() {
            item["kind"] = json!(kind);
            if item["apiVersion"].is_null() {
                item["apiVersion"] = api_version.clone();
            }
        }
        item
    };
    items.into_iter().map(typed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_take_their_kind_from_the_list() {
        let items = list_items(
            json!({"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}),
        );
        assert_eq!(items, [json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}})]);
    }
}
