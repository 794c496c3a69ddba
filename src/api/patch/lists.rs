//! Lists in strategic merge patches: finding elements by their merge key, and putting them in order.
// Models k8s.io/apimachinery/pkg/util/strategicpatch (normalizeElementOrder and its helpers).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::{PatchError, go_type};
use super::go_print::go_print;

/// `$patch`
pub(super) const DIRECTIVE: &str = "$patch";
/// `$retainKeys`
pub(super) const RETAIN_KEYS: &str = "$retainKeys";
/// `$deleteFromPrimitiveList/finalizers`
pub(super) const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
/// `$setElementOrder/containers`
pub(super) const ELEMENT_ORDER: &str = "$setElementOrder";

/// Whether an element is `$patch: delete`.
pub(super) fn is_deletion(element: &Value) -> bool {
    element.get(DIRECTIVE).is_some_and(|directive| directive == "delete")
}

/// The element as a map.
pub(super) fn as_map(element: &Value) -> Result<&Map<String, Value>, PatchError> {
    element.as_object().ok_or_else(|| PatchError::bad_arg("map[string]interface {}", element))
}

/// The element's merge key.
pub(super) fn key_of<'v>(element: &'v Value, merge_key: &str) -> Result<&'v Value, PatchError> {
    let map = as_map(element)?;
    map.get(merge_key).ok_or_else(|| PatchError::no_merge_key(map, merge_key))
}

/// Whether the lists hold maps; they must hold elements of one type, and no lists.
pub(super) fn of_maps(lists: &[&[Value]]) -> Result<bool, PatchError> {
    let mut elements = lists.iter().copied().flatten();
    let first = elements
        .next()
        .ok_or_else(|| PatchError::Other("no elements in any of the given slices".to_owned()))?;
    if first.is_array() {
        return Err(PatchError::ListOfLists);
    }
    if let Some(_other) = elements.find(|element| go_type(element) != go_type(first)) {
        let all: Vec<String> = lists.iter().map(|list| go_print(&Value::Array(list.to_vec()))).collect();
        return Err(PatchError::Other(format!("list element types are not identical: [{}]", all.join(" "))));
    }
    Ok(first.is_object())
}

/// Where the element with that merge key is.
pub(super) fn position(list: &[Value], merge_key: &str, value: &Value) -> Result<Option<usize>, PatchError> {
    for (index, element) in list.iter().enumerate() {
        let map = element
            .as_object()
            .ok_or_else(|| PatchError::Other(format!("value for key {index} is not a map")))?;
        if map.get(merge_key) == Some(value) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// What tells elements apart: the merge key of maps, the value of scalars.
fn identity<'v>(element: &'v Value, merge_key: Option<&str>) -> &'v Value {
    merge_key.and_then(|key| element.get(key)).unwrap_or(element)
}

fn index_in(order: &[Value], element: &Value, merge_key: Option<&str>) -> Option<usize> {
    order.iter().position(|other| identity(other, merge_key) == identity(element, merge_key))
}

/// Splits a merged list into what the patch names and what only the server has.
pub(super) fn partition(
    merged: Vec<Value>,
    named: &[Value],
    merge_key: Option<&str>,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let (mut in_patch, mut server_only) = (vec![], vec![]);
    for element in merged {
        let found = match merge_key {
            Some(key) => position(named, key, key_of(&element, key)?)?.is_some(),
            None => named.contains(&element),
        };
        if found { in_patch.push(element) } else { server_only.push(element) }
    }
    Ok((in_patch, server_only))
}

/// Sorts what the patch names by `patch_order`, the rest by `server_order`, and merges the two.
pub(super) fn in_order(
    patch: Vec<Value>,
    server_only: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    merge_key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let patch = sorted_by(patch, patch_order, merge_key)?;
    let server_only = sorted_by(server_only, server_order, merge_key)?;
    Ok(interleave(server_only, patch, server_order, merge_key))
}

/// Sorts a list by the order of another; deletions go last.
pub(super) fn sorted_by(
    list: Vec<Value>,
    order: &[Value],
    merge_key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let mut deletions = vec![];
    let mut kept = list;
    if let Some(key) = merge_key {
        for element in kept.iter().chain(order) {
            key_of(element, key)?;
        }
        (deletions, kept) = kept.into_iter().partition(is_deletion);
    }
    // Elements that the order does not name stay behind their predecessors.
    let mut last = 0;
    let mut ranked: Vec<(usize, Value)> = kept
        .into_iter()
        .map(|element| {
            last = index_in(order, &element, merge_key).unwrap_or(last);
            (last, element)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    Ok(ranked.into_iter().map(|(_, element)| element).chain(deletions).collect())
}

/// Merges two lists; an element of `left` goes before one of `right` if the server has it before.
fn interleave(
    left: Vec<Value>,
    right: Vec<Value>,
    server_order: &[Value],
    merge_key: Option<&str>,
) -> Vec<Value> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        let take_left = match (left.peek(), right.peek()) {
            (None, None) => return merged,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(l), Some(r)) => {
                let places = (index_in(server_order, l, merge_key), index_in(server_order, r, merge_key));
                matches!(places, (Some(l), Some(r)) if l < r)
            }
        };
        merged.extend(if take_left { left.next() } else { right.next() });
    }
}

/// Without repetitions; the first of each stays.
pub(super) fn without_repeats(list: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    list.into_iter().filter(|value| seen.insert(value.to_string())).collect()
}

/// Scalars, sorted by how they print.
pub(super) fn sorted_scalars(mut list: Vec<Value>) -> Vec<Value> {
    list.sort_by_cached_key(go_print);
    list
}
