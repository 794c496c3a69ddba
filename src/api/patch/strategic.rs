//! Applying a strategic merge patch: to an object on the server, and to another patch when a three-way diff is made.
// Models k8s.io/apimachinery/pkg/util/strategicpatch (mergeMap, mergeSlice).

use serde_json::{Map, Value};

use super::error::{PatchError, go_type};
use super::go_print::go_print;
use super::lists::{
    DELETE_FROM_LIST, DIRECTIVE, ELEMENT_ORDER, RETAIN_KEYS, as_map, in_order, is_deletion, key_of, of_maps,
    partition, position, without_repeats,
};
use super::meta::{FieldMeta, Schema};
use crate::api::schema::TypeInfo;

/// The object that the patch makes of `original`.
pub fn strategic_merge(
    original: Map<String, Value>,
    patch: Map<String, Value>,
    info: &TypeInfo,
) -> Result<Map<String, Value>, PatchError> {
    merge_map(original, patch, Schema::Type(info), Onto::Object)
}

/// What a patch is merged into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Onto {
    /// An object: directives are obeyed, nulls delete.
    Object,
    /// Another patch: directives and nulls are kept.
    Patch,
}

pub(super) fn merge_map(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    schema: Schema<'_>,
    into: Onto,
) -> Result<Map<String, Value>, PatchError> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => {
                patch.insert(DIRECTIVE.to_owned(), directive.clone());
                Err(PatchError::bad_directive(&directive, &patch))
            }
        };
    }
    retain_keys(&mut original, &mut patch, into)?;
    set_element_orders(&mut original, &mut patch, schema, into)?;
    for (key, value) in patch {
        merge_field(&mut original, key, value, schema, into)?;
    }
    Ok(original)
}

fn merge_field(
    original: &mut Map<String, Value>,
    key: String,
    patch: Value,
    schema: Schema<'_>,
    into: Onto,
) -> Result<(), PatchError> {
    let (key, deleting) = match key.strip_prefix(DELETE_FROM_LIST) {
        Some(_) if into == Onto::Patch => {
            original.insert(key, patch);
            return Ok(());
        }
        Some(rest) => (rest.strip_prefix('/').ok_or(PatchError::PrimitiveList)?.to_owned(), true),
        None => (key, false),
    };
    if patch.is_null() {
        original.remove(&key);
        if into == Onto::Object {
            return Ok(());
        }
    }
    let Some(old) = original.remove(&key).filter(|old| go_type(old) == go_type(&patch)) else {
        if !deleting {
            replace(original, key, patch, into);
        }
        return Ok(());
    };
    let merged = match (old, patch) {
        (Value::Object(old), Value::Object(patch)) => {
            let (inner, _) = schema.map_field(&key)?;
            Value::Object(merge_map(old, patch, inner, into)?)
        }
        (Value::Array(old), Value::Array(patch)) => {
            let (inner, meta) = schema.list_field(&key)?;
            if meta.merge || deleting {
                Value::Array(merge_list(old, patch, inner, &meta, into, deleting)?)
            } else {
                Value::Array(patch)
            }
        }
        (_, patch) => patch,
    };
    original.insert(key, merged);
    Ok(())
}

/// Sets a field to what the patch has.
fn replace(original: &mut Map<String, Value>, key: String, mut patch: Value, into: Onto) {
    if into == Onto::Object {
        discard_nulls(&mut patch);
    }
    match without_directives(patch) {
        Some(value) => original.insert(key, value),
        None => original.remove(&key),
    };
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// What of a patch may become part of an object; `None` if it is nothing but a directive.
fn without_directives(value: Value) -> Option<Value> {
    Some(match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => return None,
        Value::Object(map) => Value::Object(
            map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().filter_map(without_directives).collect()),
        scalar => scalar,
    })
}

/// `$retainKeys`: what it does not name goes.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    into: Onto,
) -> Result<(), PatchError> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    if into == Onto::Patch {
        let before = original.entry(RETAIN_KEYS).or_insert_with(|| directive.clone());
        if *before != directive {
            let (one, other) = (go_print(before), go_print(&directive));
            return Err(PatchError::Other(format!(
                "{one} and {other} are not deep equal: this may happen when calculating the 3-way diff patch"
            )));
        }
        return Ok(());
    }
    let Value::Array(names) = directive else {
        return Err(PatchError::RetainKeys);
    };
    let named = |key: &str| names.iter().any(|name| name == key);
    for (key, value) in &*patch {
        let directive = key.starts_with(DELETE_FROM_LIST) || key.starts_with(ELEMENT_ORDER);
        if !value.is_null() && !directive && !named(key) {
            return Err(PatchError::RetainKeys);
        }
    }
    original.retain(|key, _| named(key));
    Ok(())
}

fn take_list(map: &mut Map<String, Value>, key: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match map.remove(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(PatchError::bad_arg("[]interface {}", &other)),
    }
}

/// Every `$setElementOrder` of the patch, together with the list that it orders.
fn set_element_orders(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    schema: Schema<'_>,
    into: Onto,
) -> Result<(), PatchError> {
    let directives: Vec<String> =
        patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let order = patch.remove(&directive).unwrap_or_default();
        if into == Onto::Patch {
            let before = original.entry(directive.clone()).or_insert_with(|| order.clone());
            if *before != order {
                return Err(PatchError::SetElementOrder);
            }
        }
        let Value::Array(order) = order else {
            return Err(PatchError::bad_arg("[]interface {}", &order));
        };
        let key = directive.strip_prefix(ELEMENT_ORDER).and_then(|rest| rest.strip_prefix('/'));
        set_element_order(original, patch, schema, into, key.ok_or(PatchError::SetElementOrder)?, &order)?;
    }
    Ok(())
}

fn set_element_order(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    schema: Schema<'_>,
    into: Onto,
    key: &str,
    order: &[Value],
) -> Result<(), PatchError> {
    let old = take_list(original, key)?;
    // A null in the patch deletes the list, whatever its order.
    let new = if patch.get(key).is_some_and(Value::is_null) { None } else { take_list(patch, key)? };
    let (inner, meta) = schema.list_field(key)?;
    let merge_key = meta.merge_key.as_deref();
    check_order(new.as_deref().unwrap_or_default(), order, merge_key)?;
    let server_order = old.clone().unwrap_or_default();
    let merged = match (old, new) {
        (None, None) => return Ok(()),
        (Some(old), None) => old,
        (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
        (Some(old), Some(new)) if meta.merge => merge_list(old, new, inner, &meta, into, false)?,
        (Some(_), Some(new)) => new,
    };
    let (in_patch, server_only) = partition(merged, order, merge_key)?;
    let merged = in_order(in_patch, server_only, order, &server_order, merge_key)?;
    original.insert(key.to_owned(), Value::Array(merged));
    Ok(())
}

/// The patch's elements must come in the order that the directive gives.
fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut remaining = order.iter();
    for element in patch.iter().filter(|element| element.get(DIRECTIVE).is_none()) {
        let found = match merge_key {
            None => remaining.any(|other| other == element),
            Some(key) => {
                let wanted = key_of(element, key)?;
                let mut found = false;
                for other in remaining.by_ref() {
                    found = key_of(other, key)? == wanted;
                    if found {
                        break;
                    }
                }
                found
            }
        };
        if !found {
            let (patch, order) =
                (go_print(&Value::Array(patch.to_vec())), go_print(&Value::Array(order.to_vec())));
            return Err(PatchError::Other(format!(
                "The order in patch list:\n{patch}\n doesn't match {ELEMENT_ORDER} list:\n{order}\n"
            )));
        }
    }
    Ok(())
}

fn merge_list(
    original: Vec<Value>,
    patch: Vec<Value>,
    schema: Schema<'_>,
    meta: &FieldMeta,
    into: Onto,
    deleting: bool,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let merge_key = meta.merge_key.as_deref();
    if !of_maps(&[&original, &patch])? {
        if deleting && into == Onto::Object {
            return Ok(original.into_iter().filter(|value| !patch.contains(value)).collect());
        }
        let merged = without_repeats(original.iter().chain(&patch).cloned().collect());
        let (in_patch, server_only) = partition(merged, &patch, merge_key)?;
        return in_order(in_patch, server_only, &patch, &original, merge_key);
    }
    let Some(key) = merge_key else {
        return Err(PatchError::Other(format!("cannot merge lists without merge key for {}", schema.name())));
    };
    let (original, patch) = obey_directives(original, patch, key)?;
    let server_order = original.clone();
    let patch_order = patch.clone();
    let merged = merge_elements(original, patch, key, schema, into)?;
    let (in_patch, server_only) = partition(merged, &patch_order, merge_key)?;
    in_order(in_patch, server_only, &patch_order, &server_order, merge_key)
}

/// Elements with a `$patch` directive: deletions are done, a replacement empties the list.
fn obey_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = vec![];
    let mut replacing = false;
    for element in patch {
        let map = as_map(&element)?;
        let Some(directive) = map.get(DIRECTIVE) else {
            plain.push(element);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let value = key_of(&element, key)?;
                while let Some(index) = position(&original, key, value)? {
                    original.remove(index);
                }
            }
            Some("replace") => replacing = true,
            Some("merge") => {
                return Err(PatchError::Other(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            _ => return Err(PatchError::bad_directive(directive, map)),
        }
    }
    Ok(if replacing { (plain, vec![]) } else { (original, plain) })
}

fn merge_elements(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    schema: Schema<'_>,
    into: Onto,
) -> Result<Vec<Value>, PatchError> {
    for element in patch {
        debug_assert!(!is_deletion(&element), "directives have been obeyed");
        let place = position(&original, key, key_of(&element, key)?)?;
        match (place, element) {
            (Some(index), Value::Object(patch)) => {
                let Value::Object(old) = std::mem::take(&mut original[index]) else {
                    return Err(PatchError::Other(format!("value for key {index} is not a map")));
                };
                original[index] = Value::Object(merge_map(old, patch, schema, into)?);
            }
            (_, element) => original.push(element),
        }
    }
    Ok(original)
}
