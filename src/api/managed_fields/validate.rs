//! Whether an applied configuration fits the schema, with the messages of structured-merge-diff.
// Models sigs.k8s.io/structured-merge-diff/typed/validate.go.

use serde_json::{Map, Value};

use super::place::{Atom, MapOf, Place, element_of};
use super::set::PathElement;
use crate::api::schema::{ListType, Shape, TypeInfo};

/// What is wrong with the value; empty if nothing is.
pub(super) fn problems(info: &TypeInfo, value: &Value) -> Vec<String> {
    let mut walk = Walk { errors: vec![], path: String::new() };
    match value {
        Value::Object(map) => walk.map(map, MapOf::Fields(info)),
        other => walk.error(&format!("expected map, got &{{{}}}", crate::api::patch::go_print(other))),
    }
    walk.errors
}

/// The problems as one message.
pub(super) fn message(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => many.iter().fold("errors:".to_owned(), |text, error| format!("{text}\n  {error}")),
    }
}

struct Walk {
    errors: Vec<String>,
    path: String,
}

impl Walk {
    fn error(&mut self, message: &str) {
        let path = &self.path;
        self.errors.push(if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") });
    }

    fn at(&mut self, element: &str, inside: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(element);
        inside(self);
        self.path.truncate(length);
    }

    fn value(&mut self, value: &Value, place: Place<'_>, list: &ListType) {
        let shown = || crate::api::patch::go_print(value);
        match (place.shape, value) {
            (_, Value::Null) | (Shape::Raw, _) => {}
            (Shape::Type(reference), Value::Object(map)) => self.map(map, MapOf::Fields(reference.get())),
            (Shape::Map(element), Value::Object(map)) => self.map(map, MapOf::Values(element)),
            (Shape::Type(_) | Shape::Map(_), _) => self.error(&format!("expected map, got &{{{}}}", shown())),
            (Shape::List(element), Value::Array(items)) => self.list(items, element, list, place),
            (Shape::List(_), _) => self.error(&format!("expected list, got &{{{}}}", shown())),
            (Shape::String | Shape::Bytes | Shape::Duration, Value::String(_))
            | (Shape::Bool, Value::Bool(_)) => {}
            (Shape::Int(_) | Shape::Float, Value::Number(_)) => {}
            (Shape::Quantity | Shape::IntOrString | Shape::Time | Shape::MicroTime, value)
                if !value.is_array() && !value.is_object() => {}
            (Shape::Bool, _) => self.error(&format!("expected boolean, got &{{{}}}", shown())),
            (Shape::Int(_) | Shape::Float, value) => {
                self.error(&format!("expected numeric (int or float), got {}", go_kind(value)))
            }
            (Shape::String | Shape::Bytes | Shape::Duration, value) => {
                self.error(&format!("expected string, got &value.valueUnstructured{{Value:{value}}}"));
            }
            _ => self.error(&format!("expected any scalar, got &{{{}}}", shown())),
        }
    }

    fn map(&mut self, map: &Map<String, Value>, entries: MapOf<'_>) {
        for (key, value) in map {
            let element = format!(".{key}");
            match (entries.entry(key), entries) {
                (None, _) => {
                    self.at(&element, |walk| walk.error("field not declared in schema"));
                    return;
                }
                (Some(place), MapOf::Fields(info)) => {
                    let list = info.field(key).map_or(&ListType::Atomic, |field| &field.list);
                    self.at(&element, |walk| walk.value(value, place, list));
                }
                (Some(place), MapOf::Values(_)) => {
                    self.at(&element, |walk| walk.value(value, place, &ListType::Atomic))
                }
            }
        }
    }

    fn list(&mut self, items: &[Value], shape: &Shape, list: &ListType, place: Place<'_>) {
        let associative = matches!(place.atom([None, None]), Atom::List(..));
        let mut seen: Vec<PathElement> = vec![];
        for (index, item) in items.iter().enumerate() {
            let element = if associative {
                match element_of(list, shape, item) {
                    Ok(element) => element,
                    Err(error) => return self.error(&format!("element {index}: {error}")),
                }
            } else {
                PathElement::Index(index as u64)
            };
            if associative && seen.contains(&element) {
                self.error(&format!("duplicate entries for key {element}"));
            }
            self.at(&element.to_string(), |walk| walk.value(item, Place::of(shape), &ListType::Atomic));
            seen.push(element);
        }
    }
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
