//! What selectors ask about an object: labels, name, namespace and the kind's selectable fields. Kept for the versions that
//! were asked about lately, so that a watch event is not decoded once a watcher.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Deserialize;
use serde_json::json;

use super::call::Rest;
use crate::api::kind::DynKind;
use crate::api::options::ListOptions;
use crate::api::status::ApiError;
use crate::meta::selector::{FieldTerm, Selector};
use crate::store::{KeyValue, Revision};

/// Which objects a list or a watch is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) labels: Selector,
    pub(super) fields: Vec<FieldTerm>,
}

impl Selection {
    /// The selection of a request; refuses fields that the kind does not offer.
    pub(super) fn of(kind: &dyn DynKind, options: &ListOptions) -> Result<Self, ApiError> {
        let own = |term: &&FieldTerm| !["metadata.name", "metadata.namespace"].contains(&term.field.as_str());
        let own: Vec<&FieldTerm> = options.fields.iter().filter(own).collect();
        if !own.is_empty() {
            // Every object of a kind has the same fields, an empty one too.
            let offered = match kind.decode(json!({"metadata": {}})) {
                Ok(object) => kind.selectable_fields(&*object),
                Err(_) => vec![],
            };
            for term in own {
                if offered.is_empty() {
                    let message = format!(
                        "{:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                        term.field
                    );
                    return Err(ApiError::bad_request(message));
                }
                if !offered.iter().any(|(name, _)| *name == term.field) {
                    return Err(ApiError::bad_request(format!("field label not supported: {}", term.field)));
                }
            }
        }
        Ok(Self { labels: options.labels.clone(), fields: options.fields.clone() })
    }

    /// Whether every object is selected.
    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// What is known of one version of an object.
#[derive(Debug)]
pub(super) struct Facts {
    metadata: Metadata,
    /// The kind's own selectable fields, decoded when first asked for.
    fields: OnceLock<Vec<(&'static str, String)>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Head {
    metadata: Metadata,
}

/// How many versions are kept in each of two generations.
const KEPT: usize = 4096;

/// The facts of lately used versions. When the young generation is full it becomes the old one, and the old one goes.
#[derive(Debug, Default)]
pub(super) struct FactsCache {
    generations: Mutex<[HashMap<FactsKey, Arc<Facts>>; 2]>,
}

type FactsKey = (Arc<str>, Revision);

impl FactsCache {
    fn get(&self, key: &FactsKey) -> Option<Arc<Facts>> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations[0].get(key).or_else(|| generations[1].get(key)).cloned()
    }

    fn put(&self, key: FactsKey, facts: Arc<Facts>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations[0].len() >= KEPT {
            generations.swap(0, 1);
            generations[0].clear();
        }
        generations[0].insert(key, facts);
    }
}

impl Rest {
    /// Whether an object is selected. What cannot be read is not.
    pub(super) fn selects(&self, kind: &dyn DynKind, selection: &Selection, kv: &KeyValue) -> bool {
        if selection.is_everything() {
            return true;
        }
        let Some(facts) = self.facts(kind, kv) else { return false };
        selection.labels.matches(&facts.metadata.labels)
            && selection.fields.iter().all(|term| {
                let value = match term.field.as_str() {
                    "metadata.name" => facts.metadata.name.as_str(),
                    "metadata.namespace" => facts.metadata.namespace.as_str(),
                    field => self.field(kind, &facts, field, kv),
                };
                (value == term.value) == term.equal
            })
    }

    fn field<'a>(&self, kind: &dyn DynKind, facts: &'a Facts, field: &str, kv: &KeyValue) -> &'a str {
        let fields = facts.fields.get_or_init(|| match self.decode(kind, kv) {
            Ok(object) => kind.selectable_fields(&*object),
            Err(_) => vec![],
        });
        fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn facts(&self, kind: &dyn DynKind, kv: &KeyValue) -> Option<Arc<Facts>> {
        // Two versions of a kind may share an object and name its fields differently, so only the stored one is kept.
        let shared = kind.info().stored_as.is_none();
        let key = (kv.key.clone(), kv.mod_revision);
        if shared && let Some(facts) = self.shared.facts.get(&key) {
            return Some(facts);
        }
        let head: Head = serde_json::from_slice(&kv.value).ok()?;
        let facts = Arc::new(Facts { metadata: head.metadata, fields: OnceLock::new() });
        if shared {
            self.shared.facts.put(key, facts.clone());
        }
        Some(facts)
    }
}
