//! What differs between two values, as sets of fields.
// Models sigs.k8s.io/structured-merge-diff/typed/compare.go.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::place::{Atom, MapOf, Place, element_of};
use super::set::{FieldSet, PathElement};
use crate::api::schema::{ListType, Shape, TypeInfo};

/// The fields that differ; none is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the first value only.
    pub removed: FieldSet,
    /// In both, and different.
    pub modified: FieldSet,
    /// In the second value only.
    pub added: FieldSet,
}

impl Comparison {
    /// Without what is in `fields` or below them.
    #[must_use]
    pub(super) fn excluding(self, fields: &FieldSet) -> Self {
        if fields.is_empty() {
            return self;
        }
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

/// Compares two values of a type; both must fit it, and be written as the server writes them.
pub fn compare(info: &TypeInfo, old: &Value, new: &Value) -> Comparison {
    let mut walk = Walk { result: Comparison::default(), path: vec![] };
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    walk.maps(Some(old), Some(new), MapOf::Fields(info));
    walk.result
}

struct Walk {
    result: Comparison,
    path: Vec<PathElement>,
}

impl Walk {
    fn values(&mut self, old: Option<&Value>, new: Option<&Value>, place: Place<'_>) {
        // A container that is there on one side only is a difference itself, besides what is in it.
        let whole = match place.atom([old, new]) {
            Atom::Leaf => true,
            Atom::Map(entries) => {
                let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                if old.is_none_or(Map::is_empty) && new.is_none_or(Map::is_empty) {
                    true
                } else {
                    self.maps(old, new, entries);
                    false
                }
            }
            Atom::List(shape, list) => {
                let items =
                    |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
                let (old, new) = (items(old), items(new));
                if old.is_empty() && new.is_empty() {
                    true
                } else {
                    self.lists(&old, &new, shape, list);
                    false
                }
            }
        };
        match (old, new) {
            (None, _) => self.result.added.insert(&self.path),
            (_, None) => self.result.removed.insert(&self.path),
            (old, new) if whole && old != new => self.result.modified.insert(&self.path),
            _ => {}
        }
    }

    fn maps(
        &mut self,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
        entries: MapOf<'_>,
    ) {
        let keys = old.into_iter().flat_map(Map::keys);
        let only_new =
            new.into_iter().flat_map(Map::keys).filter(|key| old.is_none_or(|old| !old.contains_key(*key)));
        for key in keys.chain(only_new) {
            let Some(place) = entries.entry(key) else { continue };
            let (old, new) = (old.and_then(|map| map.get(key)), new.and_then(|map| map.get(key)));
            self.path.push(PathElement::field(key));
            self.values(old, new, place);
            self.path.pop();
        }
    }

    fn lists(&mut self, old: &[Value], new: &[Value], shape: &Shape, list: &ListType) {
        let mut elements: BTreeMap<PathElement, [Vec<&Value>; 2]> = BTreeMap::new();
        for (side, items) in [old, new].into_iter().enumerate() {
            for item in items {
                // An element without an identity has no path, so nobody can own it.
                let Ok(element) = element_of(list, shape, item) else { continue };
                elements.entry(element).or_default()[side].push(item);
            }
        }
        for (element, [old, new]) in elements {
            self.path.push(element);
            self.elements(&old, &new, shape);
            self.path.pop();
        }
    }

    /// Elements of one identity: one on each side, or repetitions, which are owned as a whole.
    fn elements(&mut self, old: &[&Value], new: &[&Value], shape: &Shape) {
        let place = Place::of(shape);
        match (old, new) {
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    self.result.modified.insert(&self.path);
                }
            }
            ([_, _, ..], _) => {
                if let [one] = new {
                    self.values(None, Some(one), place);
                }
                self.result.removed.insert(&self.path);
            }
            (_, [_, _, ..]) => {
                if let [one] = old {
                    self.values(Some(one), None, place);
                }
                self.result.added.insert(&self.path);
            }
            _ => self.values(old.first().copied(), new.first().copied(), place),
        }
    }
}
