//! Merging an applied configuration into an object: nothing is removed, leaves are the configuration's, lists keep the order
//! of the configuration where it says one.
// Models sigs.k8s.io/structured-merge-diff/typed/merge.go.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::place::{Atom, MapOf, Place, element_of};
use super::set::PathElement;
use crate::api::schema::{ListType, Shape, TypeInfo};

/// The object with the configuration in it.
pub(super) fn merged(info: &TypeInfo, object: &Value, config: &Value) -> Value {
    match (object, config) {
        (Value::Object(object), Value::Object(config)) => {
            Value::Object(maps(object, config, MapOf::Fields(info)))
        }
        (_, config) => config.clone(),
    }
}

fn values(old: Option<&Value>, new: Option<&Value>, place: Place<'_>) -> Option<Value> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (one, other) => return other.or(one).cloned(),
    };
    Some(match (place.atom([Some(old), Some(new)]), old, new) {
        (Atom::Map(entries), Value::Object(old), Value::Object(new))
            if !(old.is_empty() && new.is_empty()) =>
        {
            Value::Object(maps(old, new, entries))
        }
        // An empty or missing side takes nothing away.
        (Atom::Map(_), old @ Value::Object(map), Value::Null) if !map.is_empty() => old.clone(),
        (Atom::List(..), old @ Value::Array(items), Value::Null) if !items.is_empty() => old.clone(),
        (Atom::List(shape, list), Value::Array(old), Value::Array(new))
            if !(old.is_empty() && new.is_empty()) =>
        {
            Value::Array(lists(old, new, shape, list))
        }
        (_, _, new) => new.clone(),
    })
}

fn maps(old: &Map<String, Value>, new: &Map<String, Value>, entries: MapOf<'_>) -> Map<String, Value> {
    let mut result = old.clone();
    for (key, new) in new {
        let value = match entries.entry(key) {
            Some(place) => values(old.get(key), Some(new), place),
            None => Some(new.clone()),
        };
        result.extend(value.map(|value| (key.clone(), value)));
    }
    result
}

/// Elements of both lists: the object's own stay where they are between those that both have, which come in the
/// configuration's order.
fn lists(old: &[Value], new: &[Value], shape: &Shape, list: &ListType) -> Vec<Value> {
    let keyed = |items: &'_ [Value]| -> VecDeque<(Option<PathElement>, Value)> {
        items.iter().map(|item| (element_of(list, shape, item).ok(), item.clone())).collect()
    };
    let (mut old, mut new) = (keyed(old), keyed(new));
    let new_keys: Vec<Option<PathElement>> = new.iter().map(|(key, _)| key.clone()).collect();
    let old_items: Vec<(Option<PathElement>, Value)> = old.iter().cloned().collect();
    let in_both = |key: &Option<PathElement>| key.is_some() && new_keys.contains(key);
    // Repeated elements of the object do not merge with the configuration's.
    let partner = |key: &Option<PathElement>| {
        let mut same = old_items.iter().filter(|(other, _)| key.is_some() && other == key);
        same.next().filter(|_| same.next().is_none()).map(|(_, value)| value.clone())
    };
    let mut shared: VecDeque<Option<PathElement>> = new_keys
        .iter()
        .filter(|key| old_items.iter().any(|(other, _)| key.is_some() && other == *key))
        .cloned()
        .collect();
    let mut next_shared = shared.pop_front();
    let mut done: Vec<Option<PathElement>> = vec![];
    let mut result = vec![];
    while !old.is_empty() || !new.is_empty() {
        if let (Some((old_key, _)), Some((new_key, _))) = (old.front(), new.front()) {
            if old_key == new_key {
                old.pop_front();
                let Some((key, value)) = new.pop_front() else { break };
                result.extend(values(partner(&key).as_ref(), Some(&value), Place::of(shape)));
                done.push(key);
                next_shared = shared.pop_front();
                continue;
            }
            if in_both(old_key) && next_shared.is_some() && next_shared.as_ref() != Some(old_key) {
                old.pop_front();
                continue;
            }
        }
        if let Some((key, _)) = old.front() {
            if !in_both(key) {
                result.extend(old.pop_front().map(|(_, value)| value));
                continue;
            }
            if done.contains(key) {
                old.pop_front();
            }
        }
        if let Some((key, value)) = new.pop_front() {
            result.extend(values(partner(&key).as_ref(), Some(&value), Place::of(shape)));
            if next_shared.as_ref() == Some(&key) {
                next_shared = shared.pop_front();
            }
            done.push(key);
        }
    }
    result
}
