//! Taking fields and elements out of an object.
// Models sigs.k8s.io/structured-merge-diff/typed/remove.go and fieldpath's EnsureNamedFieldsAreMembers.

use serde_json::{Map, Value};

use super::place::{Atom, MapOf, Place, element_of};
use super::set::{FieldSet, PathElement};
use crate::api::schema::TypeInfo;

/// The object without these fields and elements.
pub(super) fn without(info: &TypeInfo, object: &Value, fields: &FieldSet) -> Value {
    match object {
        Value::Object(map) => remove_from_map(map, MapOf::Fields(info), fields),
        other => other.clone(),
    }
}

fn remove(value: &Value, place: Place<'_>, fields: &FieldSet) -> Value {
    match (place.atom([Some(value), None]), value) {
        (Atom::Map(entries), Value::Object(map)) => remove_from_map(map, entries, fields),
        (Atom::List(shape, list), Value::Array(items)) => {
            let mut kept = vec![];
            for item in items {
                let Ok(element) = element_of(list, shape, item) else {
                    kept.push(item.clone());
                    continue;
                };
                if fields.has_member(&element) {
                    continue;
                }
                let below = fields.below(&element);
                kept.push(if below.is_empty() {
                    item.clone()
                } else {
                    remove(item, Place::of(shape), below)
                });
            }
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Atom::Leaf, Value::Object(_) | Value::Array(_)) | (Atom::Map(_) | Atom::List(..), _) => Value::Null,
        (Atom::Leaf, scalar) => scalar.clone(),
    }
}

fn remove_from_map(map: &Map<String, Value>, entries: MapOf<'_>, fields: &FieldSet) -> Value {
    let mut kept = Map::new();
    for (key, value) in map {
        let element = PathElement::field(key);
        if fields.has_member(&element) {
            continue;
        }
        let below = fields.below(&element);
        let value = match entries.entry(key) {
            Some(place) if !below.is_empty() => remove(value, place, below),
            _ => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}

/// The set with the fields of structs in it that its paths go through.
pub(super) fn with_named_fields(info: &TypeInfo, set: &FieldSet) -> FieldSet {
    set.with_members(&mut vec![], &|path| is_named(info, path))
}

/// Whether a path ends in a field of a struct.
fn is_named(info: &TypeInfo, path: &[PathElement]) -> bool {
    let mut entries = Some(MapOf::Fields(info));
    let mut place: Option<Place<'_>> = None;
    for (index, element) in path.iter().enumerate() {
        let last = index + 1 == path.len();
        match element {
            PathElement::Field(name) => {
                let Some(here) = entries else { return false };
                if last {
                    return here.names(name);
                }
                place = here.entry(name);
            }
            _ => place = place.and_then(|place| place.shape.element()).map(Place::of),
        }
        entries = match place.map(|place| place.atom([None, None])) {
            Some(Atom::Map(entries)) => Some(entries),
            _ => None,
        };
    }
    false
}
