//! `--sort-by`: objects and table rows in the order of a field.
// Models k8s.io/kubectl/pkg/cmd/get (sorter.go).

use serde_json::Value;

use super::jsonpath::{JsonPath, relaxed};
use crate::kubectl::error::{KubectlError, Result};
use crate::meta::quantity::Quantity;

/// The order of `objects` by a field, as indices.
pub fn order(objects: &[&Value], field: &str) -> Result<Vec<usize>> {
    let field = relaxed(field)?;
    let path = JsonPath::parse(&field).map_err(KubectlError::Message)?.allow_missing_keys(true);
    by_path(objects, &path, &field)
}

/// The order of the objects of table rows by a field, as indices.
pub fn table_order(objects: &[&Value], field: &str) -> Result<Vec<usize>> {
    let field = relaxed(field).unwrap_or_else(|_| field.to_owned());
    let path =
        JsonPath::parse(&field).map_err(|why| KubectlError::message(format!("sorting error: {why}")))?;
    by_path(objects, &path.allow_missing_keys(true), &field)
}

fn by_path(objects: &[&Value], path: &JsonPath, field: &str) -> Result<Vec<usize>> {
    let mut keys: Vec<Option<Value>> = vec![];
    for object in objects {
        let found = path.find(object).map_err(KubectlError::Message)?;
        keys.push(found.first().and_then(|values| values.first()).map(|value| value.clone().into_owned()));
    }
    if !objects.is_empty() && keys.iter().all(Option::is_none) {
        return Err(KubectlError::message(format!(
            "couldn't find any field with path {field:?} in the list of objects"
        )));
    }
    let unsortable = keys.iter().flatten().find(|key| matches!(key, Value::Bool(_) | Value::Object(_)));
    if let (Some(key), true) = (unsortable, objects.len() > 1) {
        let kind = super::gofmt::type_name(key);
        return Err(KubectlError::message(format!(
            "Field {field} is an unsortable type: {kind}, err: unsortable type: {kind}"
        )));
    }
    Ok(merge_sort((0..objects.len()).collect(), &|a, b| less(&keys[a], &keys[b])))
}

/// Sorts stably with a comparison that need not be an order: quantities and other texts may contradict each other.
fn merge_sort(indices: Vec<usize>, less: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    if indices.len() < 2 {
        return indices;
    }
    let middle = indices.len() / 2;
    let mut left = merge_sort(indices[..middle].to_vec(), less).into_iter().peekable();
    let mut right = merge_sort(indices[middle..].to_vec(), less).into_iter().peekable();
    let mut merged = Vec::with_capacity(indices.len());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        // Those without the field come first and stay in order.
        let next = if less(*b, *a) && !less(*a, *b) { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    merged
}

fn less(a: &Option<Value>, b: &Option<Value>) -> bool {
    match (a, b) {
        (None, _) => true,
        (_, None) => false,
        (Some(a), Some(b)) => less_value(a, b),
    }
}

fn less_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, other) => !other.is_null(),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a < b,
            _ => a.as_f64() < b.as_f64(),
        },
        (Value::String(a), Value::String(b)) => match (a.parse::<Quantity>(), b.parse::<Quantity>()) {
            (Ok(a), Ok(b)) => a < b,
            _ => a < b,
        },
        (Value::Array(a), Value::Array(b)) => a.iter().zip(b).all(|(a, b)| less_value(a, b)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_ordered_by_a_field() {
        let objects = [
            json!({"n": 3, "q": "1Gi", "s": "b"}),
            json!({"n": 1, "q": "500Mi", "s": "a"}),
            json!({"q": "2"}),
        ];
        let objects: Vec<&Value> = objects.iter().collect();
        for (field, expected) in [(".n", [2, 1, 0]), ("{.q}", [2, 1, 0]), ("s", [2, 1, 0])] {
            assert_eq!(order(&objects, field).unwrap(), expected, "{field}");
        }
        let text = order(&objects, ".nope").unwrap_err().report().0;
        assert_eq!(text, "error: couldn't find any field with path \"{.nope}\" in the list of objects\n");
    }
}
