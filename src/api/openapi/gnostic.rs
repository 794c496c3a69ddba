//! An OpenAPI v2 document in protobuf, which is how client-go asks for it.
// Models github.com/google/gnostic-models/openapiv2 (OpenAPIv2.proto).

use serde_json::{Map, Value};

/// The document in bytes.
pub(super) fn document(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, document.get("swagger"));
    if let Some(info) = document.get("info") {
        let mut message = Message::default();
        message.text(1, info.get("title"));
        message.text(2, info.get("version"));
        out.message(2, message);
    }
    let mut paths = Message::default();
    for (path, item) in entries(document.get("paths")) {
        paths.named(2, path, path_item(item));
    }
    out.message(8, paths);
    let mut definitions = Message::default();
    for (name, value) in entries(document.get("definitions")) {
        definitions.named(1, name, schema(value));
    }
    out.message(9, definitions);
    out.0
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// A protobuf message as it grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: Self) {
        self.bytes(field, &message.0);
    }

    fn text(&mut self, field: u64, value: Option<&Value>) {
        if let Some(text) = value.and_then(Value::as_str) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u64, value: Option<&Value>) {
        for item in items(value) {
            self.text(field, Some(item));
        }
    }

    fn flag(&mut self, field: u64, value: Option<&Value>) {
        if value == Some(&Value::Bool(true)) {
            self.varint(field << 3);
            self.varint(1);
        }
    }

    /// An entry of a map: name and value.
    fn named(&mut self, field: u64, name: &str, value: Self) {
        let mut entry = Self::default();
        entry.bytes(1, name.as_bytes());
        entry.message(2, value);
        self.message(field, entry);
    }

    /// The extensions of an object, as YAML, of which JSON is a part.
    fn extensions(&mut self, field: u64, object: &Map<String, Value>) {
        for (name, value) in object.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.named(field, name, any(value));
        }
    }
}

fn any(value: &Value) -> Message {
    let mut message = Message::default();
    message.bytes(2, format!("{value}\n").as_bytes());
    message
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    let Value::Object(map) = value else {
        return out;
    };
    for (field, key) in [(1, "$ref"), (2, "format"), (3, "title"), (4, "description"), (13, "pattern")] {
        out.text(field, map.get(key));
    }
    out.flag(16, map.get("uniqueItems"));
    out.texts(19, map.get("required"));
    for value in items(map.get("enum")) {
        out.message(20, any(value));
    }
    match map.get("additionalProperties") {
        Some(Value::Bool(allowed)) => {
            let mut item = Message::default();
            item.varint(2 << 3);
            item.varint(u64::from(*allowed));
            out.message(21, item);
        }
        Some(value @ Value::Object(_)) => {
            let mut item = Message::default();
            item.message(1, schema(value));
            out.message(21, item);
        }
        _ => {}
    }
    if let Some(r#type) = map.get("type") {
        let mut item = Message::default();
        item.text(1, Some(r#type));
        item.texts(1, Some(r#type));
        out.message(22, item);
    }
    if let Some(value) = map.get("items") {
        let mut item = Message::default();
        item.message(1, schema(value));
        out.message(23, item);
    }
    for value in items(map.get("allOf")) {
        out.message(24, schema(value));
    }
    if map.contains_key("properties") {
        let mut properties = Message::default();
        for (name, value) in entries(map.get("properties")) {
            properties.named(1, name, schema(value));
        }
        out.message(25, properties);
    }
    out.extensions(31, map);
    out
}

fn path_item(value: &Value) -> Message {
    let mut out = Message::default();
    for (field, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if let Some(Value::Object(map)) = value.get(method) {
            out.message(field, operation(map));
        }
    }
    for item in items(value.get("parameters")) {
        out.message(9, parameter(item));
    }
    out
}

fn operation(map: &Map<String, Value>) -> Message {
    let mut out = Message::default();
    out.texts(1, map.get("tags"));
    out.text(3, map.get("description"));
    out.text(5, map.get("operationId"));
    out.texts(6, map.get("produces"));
    out.texts(7, map.get("consumes"));
    for item in items(map.get("parameters")) {
        out.message(8, parameter(item));
    }
    let mut responses = Message::default();
    for (code, value) in entries(map.get("responses")) {
        let mut response = Message::default();
        response.text(1, value.get("description"));
        if let Some(value) = value.get("schema") {
            let mut item = Message::default();
            item.message(1, schema(value));
            response.message(2, item);
        }
        let mut choice = Message::default();
        choice.message(1, response);
        responses.named(1, code, choice);
    }
    out.message(9, responses);
    out.extensions(13, map);
    out
}

/// ParametersItem > Parameter > BodyParameter, or NonBodyParameter > one for the query and one for the path.
fn parameter(value: &Value) -> Message {
    let place = value.get("in").and_then(Value::as_str).unwrap_or_default();
    let mut inner = Message::default();
    let mut parameter = Message::default();
    if place == "body" {
        inner.text(1, value.get("description"));
        inner.text(2, value.get("name"));
        inner.text(3, value.get("in"));
        inner.flag(4, value.get("required"));
        if let Some(value) = value.get("schema") {
            // BodyParameter's schema.
            inner.message(5, schema(value));
        }
        parameter.message(1, inner);
    } else {
        // The two differ in one field that only the query has, before the type.
        let (choice, shift) = if place == "path" { (4, 0) } else { (3, 1) };
        inner.flag(1, value.get("required"));
        inner.text(2, value.get("in"));
        inner.text(3, value.get("description"));
        inner.text(4, value.get("name"));
        inner.text(5 + shift, value.get("type"));
        inner.flag(19 + shift, value.get("uniqueItems"));
        let mut non_body = Message::default();
        non_body.message(choice, inner);
        parameter.message(2, non_body);
    }
    let mut item = Message::default();
    item.message(1, parameter);
    item
}
