//! The schemas of a document: what `k8s-openapi` describes, with the facts of the table of types.
// Models k8s.io/kube-openapi/pkg/builder3 over the API's generated OpenAPI definitions.

use std::collections::HashMap;
use std::sync::LazyLock;

use k8s_openapi::api::{authentication, autoscaling, core, policy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, Status};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::api::kind::KindInfo;
use crate::api::registry::KindRef;
use crate::api::schema::{self, FieldInfo, ListType, Shape, TypeInfo};

/// Where references point.
pub(super) const REFERENCE: &str = "#/components/schemas/";
const GVK: &str = "x-kubernetes-group-version-kind";
/// The body of a PATCH request.
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

static ENUMS: LazyLock<HashMap<(&'static str, &'static str), Vec<&'static str>>> = LazyLock::new(|| {
    let rows =
        include_str!("../../../fixtures/schema/enums.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| {
        let mut columns = row.split('\t');
        let key = (columns.next()?, columns.next()?);
        Some((
            key,
            columns.next()?.split(' ').map(|value| if value == "\"\"" { "" } else { value }).collect(),
        ))
    })
    .collect()
});

static REQUIRED: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let rows =
        include_str!("../../../fixtures/schema/required.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split_once('\t'))
        .map(|(name, fields)| (name, fields.split(' ').collect()))
        .collect()
});

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{REFERENCE}{name}") })
}

/// The name of a kind's schema.
pub(super) fn schema_name(info: &KindInfo) -> String {
    if let Some(name) = &info.schema_type {
        return name.clone();
    }
    let mut labels: Vec<&str> = info.group.split('.').collect();
    labels.reverse();
    format!("{}.{}.{}", labels.join("."), info.version, info.kind)
}

/// The name of the schema of a kind's list.
pub(super) fn list_name(info: &KindInfo) -> String {
    let name = schema_name(info);
    let package = name.strip_suffix(info.kind.as_str()).unwrap_or(&name);
    format!("{package}{}", info.list_kind)
}

/// The schemas of these kinds and all that they refer to.
pub(super) fn schemas(rows: &[KindRef]) -> Map<String, Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    for row in rows {
        row.json_schema(&mut generator);
    }
    add_common(&mut generator);
    let mut schemas = Map::new();
    for (name, mut value) in generator.take_definitions(true) {
        if let Some(fixed) = special(&name, &value) {
            value = fixed;
        } else if let Some(info) = schema::lookup(&name) {
            complete(&mut value, info);
        }
        schemas.insert(name, value);
    }
    schemas.insert(
        PATCH.to_owned(),
        json!({"description": "A patch, of the kind that the content type says.", "type": "object"}),
    );
    for row in rows {
        let info = row.info();
        if let Some(own) = row.open_api() {
            schemas.insert(schema_name(info), custom(own));
        }
        if info.verbs.iter().any(|verb| verb == "list") {
            schemas.insert(list_name(info), list_schema(info));
        }
        let (group, version) = (&info.group, &info.version);
        for (name, kind) in [(schema_name(info), &info.kind), (list_name(info), &info.list_kind)] {
            if let Some(Value::Object(schema)) = schemas.get_mut(&name) {
                schema.insert(GVK.to_owned(), json!([{"group": group, "version": version, "kind": kind}]));
            }
        }
    }
    schemas
}

/// What every document refers to besides its kinds.
fn add_common(generator: &mut SchemaGenerator) {
    generator.subschema_for::<ListMeta>();
    generator.subschema_for::<Status>();
    generator.subschema_for::<DeleteOptions>();
    generator.subschema_for::<autoscaling::v1::Scale>();
    generator.subschema_for::<core::v1::Binding>();
    generator.subschema_for::<policy::v1::Eviction>();
    generator.subschema_for::<authentication::v1::TokenRequest>();
}

/// Types whose JSON is not what `k8s-openapi` says to structural schemas.
fn special(name: &str, value: &Value) -> Option<Value> {
    let description = value.get("description").cloned().unwrap_or_default();
    match name.strip_prefix("io.k8s.apimachinery.pkg.")? {
        "api.resource.Quantity" => {
            Some(json!({"description": description, "oneOf": [{"type": "string"}, {"type": "number"}]}))
        }
        "util.intstr.IntOrString" => Some(
            json!({"description": description, "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
        ),
        _ => None,
    }
}

/// Adds to a schema what the table knows of the type.
fn complete(schema: &mut Value, info: &TypeInfo) {
    if info.atomic {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    if let Value::Object(map) = schema {
        // What `k8s-openapi` always writes is more than what the API requires.
        match REQUIRED.get(&*info.name) {
            Some(fields) => map.insert("required".to_owned(), json!(fields)),
            None => map.remove("required"),
        };
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for field in &info.fields {
        if let Some(Value::Object(property)) = properties.get_mut(&*field.name) {
            complete_field(property, field);
            if let Some(values) = ENUMS.get(&(&*info.name, &*field.name)) {
                add_enum(property, values);
            }
        }
    }
}

fn complete_field(property: &mut Map<String, Value>, field: &FieldInfo) {
    let mut set = |key: &str, value: Value| property.insert(key.to_owned(), value);
    match (&field.value, &field.list) {
        (Shape::List(_), ListType::Map(keys)) => {
            set("x-kubernetes-list-type", "map".into());
            set("x-kubernetes-list-map-keys", keys.iter().map(|key| Value::from(&**key)).collect());
        }
        (Shape::List(_), ListType::Set) => {
            set("x-kubernetes-list-type", "set".into());
        }
        (Shape::List(_), ListType::Atomic) => {
            set("x-kubernetes-list-type", "atomic".into());
        }
        _ => {}
    }
    if field.map_atomic {
        set("x-kubernetes-map-type", "atomic".into());
    }
    let strategies = [(field.patch.merge, "merge"), (field.patch.retain_keys, "retainKeys")];
    let strategies: Vec<&str> = strategies.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    if !strategies.is_empty() {
        set("x-kubernetes-patch-strategy", strategies.join(",").into());
    }
    if let Some(key) = field.patch.merge_key {
        set("x-kubernetes-patch-merge-key", key.into());
    }
    if let Some(default) = field.default.and_then(|json| serde_json::from_str(json).ok()) {
        set("default", default);
    }
}

fn add_enum(property: &mut Map<String, Value>, values: &[&str]) {
    let list: String = values.iter().map(|value| format!("\n - `{value:?}`")).collect();
    if let Some(Value::String(description)) = property.get_mut("description") {
        description.push_str("\n\nPossible enum values:");
        description.push_str(&list);
    }
    match property.get_mut("items").and_then(Value::as_object_mut) {
        Some(items) => items.insert("enum".to_owned(), json!(values)),
        None => property.insert("enum".to_owned(), json!(values)),
    };
}

fn list_schema(info: &KindInfo) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let metadata = reference("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta");
    json!({
        "description": format!("A list of objects of the kind {}.", info.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": text("The group and version of the list."),
            "kind": text("The kind of the list."),
            "metadata": {"allOf": [metadata], "default": {}, "description": "The list's metadata."},
            "items": {"type": "array", "items": reference(&schema_name(info)), "description": "The objects."},
        },
    })
}

/// A custom resource's schema, with the fields that every object has.
fn custom(mut own: Value) -> Value {
    let Some(schema) = own.as_object_mut() else {
        return json!({"type": "object"});
    };
    schema.entry("type").or_insert_with(|| "object".into());
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let metadata = reference("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
        properties.insert(
            "metadata".to_owned(),
            json!({"allOf": [metadata], "description": "Standard object's metadata."}),
        );
        for name in ["apiVersion", "kind"] {
            properties.entry(name).or_insert_with(|| json!({"type": "string"}));
        }
    }
    own
}
