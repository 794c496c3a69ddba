//! Making strategic merge patches: what to send so that an object becomes another.
// Models k8s.io/apimachinery/pkg/util/strategicpatch (CreateTwoWayMergePatch, CreateThreeWayMergePatch).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::error::{PatchError, go_type};
use super::go_print::go_print;
use super::lists::{
    DELETE_FROM_LIST, DIRECTIVE, ELEMENT_ORDER, RETAIN_KEYS, key_of, of_maps, sorted_by, sorted_scalars,
    without_repeats,
};
use super::meta::Schema;
use super::strategic::{Onto, merge_map};
use crate::api::schema::TypeInfo;

/// What of a difference is wanted.
#[derive(Clone, Copy)]
struct Wanted {
    element_order: bool,
    changes: bool,
    deletions: bool,
    retain_keys: bool,
}

/// The patch that makes `modified` of `original`.
pub fn create_two_way_merge_patch(
    original: &Value,
    modified: &Value,
    info: &TypeInfo,
) -> Result<Value, PatchError> {
    let wanted = Wanted { element_order: true, changes: true, deletions: true, retain_keys: false };
    diff_maps(object(original)?, object(modified)?, Schema::Type(info), wanted).map(Value::Object)
}

/// The patch that brings `current` to `modified` and takes away what was in `original` and is no longer wanted, and leaves
/// alone what others have set. Without `overwrite`, changes that others made since `original` are a conflict.
pub fn create_three_way_merge_patch(
    original: &Value,
    modified: &Value,
    current: &Value,
    info: &TypeInfo,
    overwrite: bool,
) -> Result<Value, PatchError> {
    let (original, modified, current) = (object(original)?, object(modified)?, object(current)?);
    let schema = Schema::Type(info);
    let additions = Wanted { element_order: true, changes: true, deletions: false, retain_keys: false };
    let delta = diff_maps(current, modified, schema, additions)?;
    let removals = Wanted { element_order: true, changes: false, deletions: true, retain_keys: false };
    let deletions = diff_maps(original, modified, schema, removals)?;
    let patch = merge_map(deletions, delta, schema, Onto::Patch)?;
    if !overwrite {
        let all = Wanted { element_order: false, changes: true, deletions: true, retain_keys: false };
        let changed = diff_maps(original, current, schema, all)?;
        if maps_conflict(&patch, &changed, schema)? {
            return Err(PatchError::Conflict {
                patch: yaml(&Value::Object(patch)),
                current: yaml(&Value::Object(changed)),
            });
        }
    }
    Ok(Value::Object(patch))
}

pub(super) fn yaml(value: &Value) -> String {
    crate::yaml::to_string(value)
}

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// A document, of which null is an empty one.
pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, PatchError> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(&EMPTY),
        _ => Err(PatchError::BadJsonDoc),
    }
}

fn diff_maps(
    original: &Map<String, Value>,
    modified: &Map<String, Value>,
    schema: Schema<'_>,
    wanted: Wanted,
) -> Result<Map<String, Value>, PatchError> {
    let mut patch = Map::new();
    for (key, new) in modified {
        let Some(old) = original.get(key) else {
            if wanted.changes {
                patch.insert(key.clone(), new.clone());
            }
            continue;
        };
        if key == DIRECTIVE {
            if old.as_str().is_none() || new.as_str().is_none() {
                return Err(PatchError::Other(format!("invalid value for special key: {DIRECTIVE}")));
            }
            if old != new {
                patch.insert(key.clone(), new.clone());
            }
            continue;
        }
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                diff_map_field(key, old, new, &mut patch, schema, wanted)?
            }
            (Value::Array(old), Value::Array(new)) => {
                diff_list_field(key, old, new, &mut patch, schema, wanted)?
            }
            (old, new) if wanted.changes && (old != new || go_type(old) != go_type(new)) => {
                patch.insert(key.clone(), new.clone());
            }
            _ => {}
        }
    }
    if wanted.deletions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    if wanted.retain_keys {
        let kept: Vec<Value> =
            modified.iter().filter(|(_, v)| !v.is_null()).map(|(key, _)| key.as_str().into()).collect();
        let cleared = original.iter().any(|(key, value)| !value.is_null() && !modified.contains_key(key));
        if !kept.is_empty() && (!patch.is_empty() || cleared) {
            patch.insert(RETAIN_KEYS.to_owned(), Value::Array(sorted_scalars(kept)));
        }
    }
    Ok(patch)
}

fn diff_map_field(
    key: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    patch: &mut Map<String, Value>,
    schema: Schema<'_>,
    wanted: Wanted,
) -> Result<(), PatchError> {
    let (inner, meta) = match schema.map_field(key) {
        Ok(found) => found,
        // Without a schema, only what is the same can be told.
        Err(_) if old == new => return Ok(()),
        Err(error) => return Err(error),
    };
    let difference = diff_maps(old, new, inner, Wanted { retain_keys: meta.retain_keys, ..wanted })?;
    if !difference.is_empty() {
        patch.insert(key.to_owned(), Value::Object(difference));
    }
    Ok(())
}

fn diff_list_field(
    key: &str,
    old: &[Value],
    new: &[Value],
    patch: &mut Map<String, Value>,
    schema: Schema<'_>,
    wanted: Wanted,
) -> Result<(), PatchError> {
    let (inner, meta) = match schema.list_field(key) {
        Ok(found) => found,
        Err(_) if old == new => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.merge {
        if wanted.changes && old != new {
            patch.insert(key.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    let wanted = Wanted { retain_keys: meta.retain_keys, ..wanted };
    let lists = diff_lists(old, new, inner, meta.merge_key.as_deref().unwrap_or_default(), wanted)?;
    for (name, list) in [
        (key.to_owned(), lists.patch),
        (format!("{DELETE_FROM_LIST}/{key}"), lists.deletions),
        (format!("{ELEMENT_ORDER}/{key}"), lists.order),
    ] {
        if !list.is_empty() {
            patch.insert(name, Value::Array(list));
        }
    }
    Ok(())
}

/// The parallel lists of a patch.
#[derive(Default)]
struct Lists {
    patch: Vec<Value>,
    deletions: Vec<Value>,
    order: Vec<Value>,
}

fn diff_lists(
    old: &[Value],
    new: &[Value],
    schema: Schema<'_>,
    merge_key: &str,
    wanted: Wanted,
) -> Result<Lists, PatchError> {
    if old.is_empty() {
        let patch = if wanted.changes { new.to_vec() } else { vec![] };
        return Ok(Lists { patch, ..Lists::default() });
    }
    if !of_maps(&[old, new])? {
        let (patch, deletions) = diff_scalars(old, new, wanted);
        let patch = sorted_by(patch, new, None)?;
        let ordered = wanted.element_order
            && ((wanted.deletions && !deletions.is_empty()) || (wanted.changes && old != new));
        return Ok(Lists { patch, deletions, order: if ordered { new.to_vec() } else { vec![] } });
    }
    let (patch, deletions) = diff_elements(old, new, schema, merge_key, wanted)?;
    let mut patch = sorted_by(patch, new, Some(merge_key))?;
    let same_order = old.len() == new.len() && same_keys(old, new, merge_key)?;
    patch.extend(deletions);
    let ordered = wanted.element_order
        && ((wanted.changes && (!patch.is_empty() || !same_order))
            || (wanted.deletions && !patch.is_empty()));
    let mut order = vec![];
    if ordered {
        for element in new {
            order.push(json!({ merge_key: key_of(element, merge_key)? }));
        }
    }
    Ok(Lists { patch, deletions: vec![], order })
}

fn same_keys(old: &[Value], new: &[Value], merge_key: &str) -> Result<bool, PatchError> {
    for (old, new) in old.iter().zip(new) {
        if key_of(old, merge_key)? != key_of(new, merge_key)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Additions and deletions of a list of scalars; both lists count how often a value occurs.
fn diff_scalars(old: &[Value], new: &[Value], wanted: Wanted) -> (Vec<Value>, Vec<Value>) {
    let (old, new) = (sorted_scalars(old.to_vec()), sorted_scalars(new.to_vec()));
    let (mut additions, mut deletions) = (vec![], vec![]);
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return (additions, without_repeats(deletions)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => go_print(old).cmp(&go_print(new)),
        };
        let gone = if order == Ordering::Greater { None } else { old.next() };
        let added = if order == Ordering::Less { None } else { new.next() };
        match order {
            Ordering::Less if wanted.deletions => deletions.extend(gone),
            Ordering::Greater if wanted.changes => additions.extend(added),
            _ => {}
        }
    }
}

/// Changed and added elements, and deletion directives.
fn diff_elements(
    old: &[Value],
    new: &[Value],
    schema: Schema<'_>,
    merge_key: &str,
    wanted: Wanted,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let sorted = |list: &[Value]| -> Result<Vec<(String, Value)>, PatchError> {
        let keyed: Result<Vec<_>, _> =
            list.iter().map(|e| Ok((go_print(key_of(e, merge_key)?), e.clone()))).collect();
        keyed.map(|mut list| {
            list.sort_by(|one, other| one.0.cmp(&other.0));
            list
        })
    };
    let (old, new) = (sorted(old)?, sorted(new)?);
    let (mut patch, mut deletions) = (vec![], vec![]);
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Ok((patch, deletions)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let gone = if order == Ordering::Greater { None } else { old.next() };
        let added = if order == Ordering::Less { None } else { new.next() };
        match (gone, added) {
            (Some((_, Value::Object(old))), Some((_, Value::Object(new)))) => {
                let mut difference = diff_maps(&old, &new, schema, wanted)?;
                if !difference.is_empty() {
                    difference.insert(merge_key.to_owned(), new.get(merge_key).cloned().unwrap_or_default());
                    patch.push(Value::Object(difference));
                }
            }
            (None, Some((_, new))) if wanted.changes => patch.push(new),
            (Some((_, old)), None) if wanted.deletions => {
                deletions.push(json!({ merge_key: key_of(&old, merge_key)?, DIRECTIVE: "delete" }));
            }
            _ => {}
        }
    }
}

/// Whether two patches of one type change the same thing differently.
fn maps_conflict(
    left: &Map<String, Value>,
    right: &Map<String, Value>,
    schema: Schema<'_>,
) -> Result<bool, PatchError> {
    for (key, left) in left.iter().filter(|(key, _)| *key != DIRECTIVE && *key != RETAIN_KEYS) {
        let Some(right) = right.get(key) else { continue };
        let conflict = match (left, right) {
            (Value::Object(left), Value::Object(right)) => {
                let (inner, _) = schema.map_field(key)?;
                objects_conflict(left, right, inner)?
            }
            (Value::Array(left), Value::Array(right)) => {
                let (inner, meta) = schema.list_field(key)?;
                lists_conflict(
                    left,
                    right,
                    inner,
                    meta.merge.then_some(meta.merge_key.as_deref().unwrap_or_default()),
                )?
            }
            (left, right) => left != right,
        };
        if conflict {
            return Ok(true);
        }
    }
    Ok(false)
}

fn objects_conflict(
    left: &Map<String, Value>,
    right: &Map<String, Value>,
    schema: Schema<'_>,
) -> Result<bool, PatchError> {
    if left.get(DIRECTIVE) != right.get(DIRECTIVE) {
        return Ok(true);
    }
    maps_conflict(left, right, schema)
}

fn lists_conflict(
    left: &[Value],
    right: &[Value],
    schema: Schema<'_>,
    merge_key: Option<&str>,
) -> Result<bool, PatchError> {
    let maps = of_maps(&[left, right])?;
    match merge_key {
        Some(_) if !maps => Ok(false),
        Some(key) => {
            for left in left {
                let same = right.iter().find(|right| right.get(key) == left.get(key));
                if let (Value::Object(left), Some(Value::Object(right))) = (left, same)
                    && objects_conflict(left, right, schema)?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        None if maps => Ok(left != right),
        None => Ok(sorted_scalars(left.to_vec()) != sorted_scalars(right.to_vec())),
    }
}
