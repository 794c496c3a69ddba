//! OpenAPI v2 (Swagger) from the documents of v3.
// Models k8s.io/kube-openapi/pkg/openapiconv, the other way round.

use serde_json::{Map, Value, json};

use super::components::REFERENCE;

/// One v2 document of all these v3 documents.
pub(super) fn document(documents: &[Value]) -> Value {
    let (mut definitions, mut paths) = (Map::new(), Map::new());
    for document in documents {
        for (name, schema) in object(document.pointer("/components/schemas")) {
            definitions.entry(name.clone()).or_insert_with(|| schema_of(schema, name));
        }
        for (path, item) in object(document.get("paths")) {
            paths.insert(path.clone(), path_item(item));
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "definitions": definitions,
    })
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn schema_of(schema: &Value, name: &str) -> Value {
    let description = || schema.get("description").cloned().unwrap_or_default();
    match name.rsplit('.').next() {
        Some("Quantity") => json!({"description": description(), "type": "string"}),
        Some("IntOrString") => {
            json!({"description": description(), "type": "string", "format": "int-or-string"})
        }
        _ => converted(schema),
    }
}

/// A schema with v2's references and without what v2 does not have.
fn converted(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return match schema {
            Value::Array(items) => Value::Array(items.iter().map(converted).collect()),
            other => other.clone(),
        };
    };
    let mut result = Map::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("$ref", Value::String(target)) => {
                let target = target.strip_prefix(REFERENCE).unwrap_or(target);
                result.insert("$ref".to_owned(), format!("#/definitions/{target}").into());
            }
            ("allOf", Value::Array(items)) if items.len() == 1 => {
                if let Value::Object(inner) = converted(&items[0]) {
                    result.extend(inner);
                }
            }
            ("default" | "nullable" | "oneOf" | "anyOf" | "not", _) => {}
            ("properties", Value::Object(properties)) => {
                let properties: Map<String, Value> =
                    properties.iter().map(|(name, value)| (name.clone(), converted(value))).collect();
                result.insert(key.clone(), properties.into());
            }
            ("enum" | "required", value) => {
                result.insert(key.clone(), value.clone());
            }
            (extension, value) if extension.starts_with("x-") => {
                result.insert(key.clone(), value.clone());
            }
            (_, value) => {
                result.insert(key.clone(), converted(value));
            }
        }
    }
    Value::Object(result)
}

fn path_item(item: &Value) -> Value {
    let converted = object(Some(item)).map(|(key, value)| {
        let value = if key == "parameters" { parameters(value) } else { operation(value) };
        (key.clone(), value)
    });
    Value::Object(converted.collect())
}

fn parameters(list: &Value) -> Value {
    let list = list.as_array().into_iter().flatten().map(|parameter| {
        let mut flat = parameter.as_object().cloned().unwrap_or_default();
        if let Some(Value::Object(schema)) = flat.remove("schema") {
            flat.extend(schema);
        }
        Value::Object(flat)
    });
    list.collect()
}

fn operation(operation: &Value) -> Value {
    let Value::Object(map) = operation else {
        return operation.clone();
    };
    let mut result = map.clone();
    let mut list =
        map.get("parameters").map(parameters).and_then(|list| list.as_array().cloned()).unwrap_or_default();
    if let Some(body) = result.remove("requestBody") {
        let content: Vec<(&String, &Value)> = object(body.get("content")).collect();
        result.insert(
            "consumes".to_owned(),
            content.iter().map(|(media, _)| Value::from(media.as_str())).collect(),
        );
        let schema =
            content.first().and_then(|(_, media)| media.get("schema")).map(converted).unwrap_or_default();
        let required = body.get("required") == Some(&Value::Bool(true));
        list.insert(0, json!({"name": "body", "in": "body", "required": required, "schema": schema}));
    }
    if !list.is_empty() {
        result.insert("parameters".to_owned(), list.into());
    }
    let mut produces: Vec<Value> = vec![];
    let responses: Map<String, Value> = object(map.get("responses"))
        .map(|(code, response)| {
            let mut flat = json!({"description": response.get("description")});
            let content: Vec<(&String, &Value)> = object(response.get("content")).collect();
            if let Some((_, media)) = content.first() {
                produces = content.iter().map(|(media, _)| Value::from(media.as_str())).collect();
                flat["schema"] = media.get("schema").map(converted).unwrap_or_default();
            }
            (code.clone(), flat)
        })
        .collect();
    result.insert("responses".to_owned(), responses.into());
    if !produces.is_empty() {
        result.insert("produces".to_owned(), produces.into());
    }
    Value::Object(result)
}
