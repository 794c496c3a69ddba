//! Who owns whom in the whole cluster, and what a change of that calls for. No I/O.
//!
//! An owner that a reference names but that has not been seen is in the graph as a *virtual* node until it is seen or
//! found missing.
// Models pkg/controller/garbagecollector/{graph,graph_builder}.go.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The finalizer of an owner whose dependents are to be left alone.
pub(super) const ORPHAN: &str = "orphan";
/// The finalizer of an owner that goes after its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// How many UIDs of missing owners are remembered.
const MAX_ABSENT: usize = 500;

/// Where an object is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// Empty for what has none; of a virtual node the dependent's.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// An object in the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) identity: Identity,
    pub(super) owners: Vec<OwnerReference>,
    /// UIDs of those that name it as an owner.
    pub(super) dependents: BTreeSet<String>,
    pub(super) is_virtual: bool,
    pub(super) is_deleting: bool,
    /// It goes when its dependents have gone.
    pub(super) deletes_dependents: bool,
    orphans_dependents: bool,
}

/// Something to do, by the UID of the object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Work {
    /// See whether it still has an owner, and delete it if not; or whether its dependents have gone.
    Delete(String),
    /// Take it out of its dependents' owners.
    Orphan(String),
}

/// The graph.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    absent: BTreeSet<String>,
}

impl Graph {
    /// An object.
    pub(super) fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// Whether an owner with that UID is known to be missing.
    pub(super) fn is_absent(&self, uid: &str) -> bool {
        self.absent.contains(uid)
    }

    /// Remembers that there is no object with that UID. UIDs never come back.
    pub(super) fn note_absent(&mut self, uid: &str) {
        if self.absent.len() >= MAX_ABSENT {
            self.absent.clear();
        }
        self.absent.insert(uid.to_owned());
    }

    /// An object was created or changed.
    pub(super) fn set(&mut self, identity: Identity, meta: &ObjectMeta) -> Vec<Work> {
        let finalizers = meta.finalizers.as_deref().unwrap_or_default();
        let is_deleting = meta.deletion_timestamp.is_some();
        let has = |name: &str| is_deleting && finalizers.iter().any(|finalizer| finalizer == name);
        let uid = identity.uid.clone();
        let owners = meta.owner_references.clone().unwrap_or_default();
        let (deletes, orphans) = (has(FOREGROUND), has(ORPHAN));
        let before = self.nodes.remove(&uid);
        let dependents = before.as_ref().map(|node| node.dependents.clone()).unwrap_or_default();
        let node = Node {
            identity,
            owners: owners.clone(),
            dependents: dependents.clone(),
            is_virtual: false,
            is_deleting,
            deletes_dependents: deletes,
            orphans_dependents: orphans,
        };
        self.nodes.insert(uid.clone(), node);
        self.absent.remove(&uid);
        let mut work =
            self.link(&uid, before.as_ref().map(|node| node.owners.as_slice()).unwrap_or_default(), &owners);
        if orphans && !before.as_ref().is_some_and(|node| node.orphans_dependents) {
            work.push(Work::Orphan(uid.clone()));
        }
        if deletes && !before.as_ref().is_some_and(|node| node.deletes_dependents) {
            work.extend(dependents.into_iter().map(Work::Delete));
            work.push(Work::Delete(uid));
        }
        work
    }

    /// Brings the owners' lists of dependents up to date.
    fn link(&mut self, uid: &str, before: &[OwnerReference], after: &[OwnerReference]) -> Vec<Work> {
        let mut work = vec![];
        let namespace = self.nodes.get(uid).map(|node| node.identity.namespace.clone()).unwrap_or_default();
        for old in before {
            let now = after.iter().find(|new| new.uid == old.uid);
            let unblocked = old.block_owner_deletion == Some(true)
                && now.is_none_or(|new| new.block_owner_deletion != Some(true));
            let Some(owner) = self.nodes.get_mut(&old.uid) else { continue };
            if now.is_none() {
                owner.dependents.remove(uid);
            }
            // An owner that waits for its dependents may have waited for this one.
            if unblocked && owner.deletes_dependents {
                work.push(Work::Delete(old.uid.clone()));
            }
        }
        for new in after {
            if let Some(owner) = self.nodes.get_mut(&new.uid) {
                owner.dependents.insert(uid.to_owned());
                if owner.deletes_dependents && !before.iter().any(|old| old.uid == new.uid) {
                    work.push(Work::Delete(uid.to_owned()));
                }
                continue;
            }
            if self.absent.contains(&new.uid) {
                work.push(Work::Delete(uid.to_owned()));
                continue;
            }
            let identity = Identity {
                api_version: new.api_version.clone(),
                kind: new.kind.clone(),
                namespace: namespace.clone(),
                name: new.name.clone(),
                uid: new.uid.clone(),
            };
            let owner = Node {
                identity,
                owners: vec![],
                dependents: BTreeSet::from([uid.to_owned()]),
                is_virtual: true,
                is_deleting: false,
                deletes_dependents: false,
                orphans_dependents: false,
            };
            self.nodes.insert(new.uid.clone(), owner);
            work.push(Work::Delete(new.uid.clone()));
        }
        work
    }

    /// An object is gone, or was never there.
    pub(super) fn remove(&mut self, uid: &str) -> Vec<Work> {
        let Some(node) = self.nodes.remove(uid) else { return vec![] };
        let mut work = vec![];
        if !node.dependents.is_empty() {
            self.note_absent(uid);
            work.extend(node.dependents.into_iter().map(Work::Delete));
        }
        for reference in node.owners {
            let Some(owner) = self.nodes.get_mut(&reference.uid) else { continue };
            owner.dependents.remove(uid);
            if owner.deletes_dependents {
                work.push(Work::Delete(reference.uid));
            } else if owner.is_virtual && owner.dependents.is_empty() {
                self.nodes.remove(&reference.uid);
            }
        }
        work
    }

    /// The dependents that an owner must wait for.
    pub(super) fn blocking(&self, uid: &str) -> Vec<&Node> {
        let Some(node) = self.nodes.get(uid) else { return vec![] };
        let blocks = |dependent: &&Node| {
            dependent.owners.iter().any(|owner| owner.uid == uid && owner.block_owner_deletion == Some(true))
        };
        node.dependents.iter().filter_map(|uid| self.nodes.get(uid)).filter(blocks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn set(graph: &mut Graph, uid: &str, meta: Value) -> Vec<Work> {
        let identity = Identity {
            api_version: "v1".to_owned(),
            kind: "Thing".to_owned(),
            namespace: "default".to_owned(),
            name: uid.to_owned(),
            uid: uid.to_owned(),
        };
        graph.set(identity, &serde_json::from_value(meta).unwrap())
    }

    fn owned_by(uid: &str) -> Value {
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Thing", "name": uid, "uid": uid, "blockOwnerDeletion": true}]})
    }

    fn delete(uid: &str) -> Work {
        Work::Delete(uid.to_owned())
    }

    #[test]
    fn dependents_of_what_is_gone_are_looked_at() {
        let mut graph = Graph::default();
        assert!(set(&mut graph, "owner", json!({})).is_empty());
        assert!(set(&mut graph, "child", owned_by("owner")).is_empty());
        assert_eq!(graph.remove("owner"), [delete("child")]);
        assert!(graph.is_absent("owner"));
        assert_eq!(set(&mut graph, "late", owned_by("owner")), [delete("late")]);
    }

    #[test]
    fn an_owner_that_nobody_has_seen_is_looked_for() {
        let mut graph = Graph::default();
        assert_eq!(set(&mut graph, "child", owned_by("owner")), [delete("owner")]);
        assert!(graph.get("owner").unwrap().is_virtual);
        assert!(set(&mut graph, "owner", json!({})).is_empty());
        let owner = graph.get("owner").unwrap();
        assert!(!owner.is_virtual && owner.dependents.contains("child"));
    }

    #[test]
    fn a_foreground_deletion_waits_for_blocking_dependents() {
        let mut graph = Graph::default();
        set(&mut graph, "owner", json!({}));
        set(&mut graph, "child", owned_by("owner"));
        let going =
            json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"]});
        assert_eq!(set(&mut graph, "owner", going), [delete("child"), delete("owner")]);
        assert_eq!(graph.blocking("owner").len(), 1);
        assert_eq!(graph.remove("child"), [delete("owner")]);
        assert!(graph.blocking("owner").is_empty());
    }

    #[test]
    fn an_orphaning_deletion_is_told_once() {
        let mut graph = Graph::default();
        set(&mut graph, "owner", json!({}));
        let going = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["orphan"]});
        assert_eq!(set(&mut graph, "owner", going.clone()), [Work::Orphan("owner".to_owned())]);
        assert!(set(&mut graph, "owner", going).is_empty());
    }
}
