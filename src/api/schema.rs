//! The facts of the API's types: which fields there are, in what order the server writes them, what their zero values are
//! and how lists merge.
//!
//! One table (`fixtures/schema/types.tsv`) drives strict decoding, canonical encoding, patches, server-side apply and
//! OpenAPI. It knows built-in types only; custom resources bring schemas of their own.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A type of the API, like `io.k8s.api.core.v1.PodSpec`.
#[derive(Debug)]
pub struct TypeInfo {
    /// The full name, as OpenAPI spells it.
    pub name: &'static str,
    /// The fields, in the order in which the server writes them.
    pub fields: Vec<FieldInfo>,
    /// Whether the type as a whole is replaced, never merged, by apply.
    pub atomic: bool,
    by_name: HashMap<&'static str, usize>,
}

/// A field of a type.
#[derive(Debug)]
pub struct FieldInfo {
    /// The name in JSON.
    pub name: &'static str,
    /// What it holds.
    pub value: Shape,
    /// Whether Go keeps a pointer, so that an explicit zero value survives.
    pub pointer: bool,
    /// What the server writes when the field is not set; `None` if it is left out.
    pub zero: Option<&'static str>,
    /// How apply treats a list.
    pub list: ListType,
    /// Whether apply replaces the map as a whole.
    pub map_atomic: bool,
    /// How a strategic merge patch treats the field.
    pub patch: PatchStrategy,
}

/// What a field or an element holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    String,
    Bool,
    /// An integer of that many bits.
    Int(u8),
    Float,
    /// RFC 3339, whole seconds.
    Time,
    /// RFC 3339 with microseconds.
    MicroTime,
    /// Go's spelling of a duration.
    Duration,
    Quantity,
    IntOrString,
    /// Base64.
    Bytes,
    /// Anything.
    Raw,
    List(Box<Shape>),
    Map(Box<Shape>),
    /// A type of the table, by name; see [`lookup`].
    Type(&'static str),
}

/// How server-side apply sees a list.
#[derive(Debug, PartialEq, Eq, Default)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Elements are values that occur once.
    Set,
    /// Elements are told apart by these fields.
    Map(Vec<&'static str>),
}

/// How a strategic merge patch treats a field.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct PatchStrategy {
    /// Lists are merged, not replaced.
    pub merge: bool,
    /// Keys that the patch does not name are dropped (unions).
    pub retain_keys: bool,
    /// Which field tells elements apart; `None` for lists of plain values.
    pub merge_key: Option<&'static str>,
}

impl TypeInfo {
    /// The field of that name in JSON.
    pub fn field(&self, name: &str) -> Option<&FieldInfo> {
        self.by_name.get(name).map(|index| &self.fields[*index])
    }
}

impl Shape {
    /// The table's row for a type; `None` for everything else.
    pub fn type_info(&self) -> Option<&'static TypeInfo> {
        match self {
            Self::Type(name) => lookup(name),
            _ => None,
        }
    }

    fn parse(text: &'static str) -> Self {
        if let Some(element) = text.strip_prefix("[]") {
            return Self::List(Box::new(Self::parse(element)));
        }
        if let Some(element) = text.strip_prefix("map:") {
            return Self::Map(Box::new(Self::parse(element)));
        }
        match text.strip_prefix('*').unwrap_or(text) {
            "string" => Self::String,
            "bool" => Self::Bool,
            "int16" | "uint8" | "int32" | "uint32" => Self::Int(32),
            "int64" | "uint64" => Self::Int(64),
            "float64" => Self::Float,
            "time" => Self::Time,
            "microtime" => Self::MicroTime,
            "duration" => Self::Duration,
            "quantity" => Self::Quantity,
            "intstr" => Self::IntOrString,
            "bytes" => Self::Bytes,
            "raw" => Self::Raw,
            name => Self::Type(name),
        }
    }
}

static TABLE: &str = include_str!("../../fixtures/schema/types.tsv");

static TYPES: LazyLock<HashMap<&'static str, TypeInfo>> = LazyLock::new(|| {
    let mut types: HashMap<&'static str, TypeInfo> = HashMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, field, value, zero, list, keys, map, strategy, merge_key] = columns[..] else {
            panic!("fixtures/schema/types.tsv: nine columns a row, but: {line}");
        };
        let info = types.entry(name).or_insert_with(|| TypeInfo {
            name,
            fields: vec![],
            atomic: false,
            by_name: HashMap::new(),
        });
        if field.is_empty() {
            info.atomic = map == "atomic";
            continue;
        }
        info.by_name.insert(field, info.fields.len());
        info.fields.push(FieldInfo {
            name: field,
            value: Shape::parse(value),
            pointer: value.starts_with('*'),
            zero: (!zero.is_empty()).then_some(zero),
            list: match list {
                "set" => ListType::Set,
                "map" => ListType::Map(keys.split(' ').collect()),
                _ => ListType::Atomic,
            },
            map_atomic: map == "atomic",
            patch: PatchStrategy {
                merge: strategy.split(',').any(|s| s == "merge"),
                retain_keys: strategy.split(',').any(|s| s == "retainKeys"),
                merge_key: (!merge_key.is_empty()).then_some(merge_key),
            },
        });
    }
    types
});

/// The type of that full name, like `io.k8s.api.apps.v1.Deployment`.
pub fn lookup(name: &str) -> Option<&'static TypeInfo> {
    TYPES.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_order_zero_values_and_merge_rules() {
        let pod = lookup("io.k8s.api.core.v1.Pod").unwrap();
        let names: Vec<_> = pod.fields.iter().map(|field| field.name).collect();
        assert_eq!(names, ["kind", "apiVersion", "metadata", "spec", "status"]);
        let spec = pod.field("spec").unwrap().value.type_info().unwrap();
        let containers = spec.field("containers").unwrap();
        assert_eq!(containers.list, ListType::Map(vec!["name"]));
        assert_eq!(
            containers.patch,
            PatchStrategy { merge: true, retain_keys: false, merge_key: Some("name") }
        );
        let container = lookup("io.k8s.api.core.v1.Container").unwrap();
        assert_eq!(container.field("name").unwrap().zero, Some("\"\""));
        assert_eq!(container.field("resources").unwrap().zero, Some("{}"));
        let volumes = spec.field("volumes").unwrap();
        assert!(volumes.patch.retain_keys && volumes.patch.merge);
    }

    #[test]
    fn every_type_that_a_field_names_is_in_the_table() {
        fn named(shape: &Shape) -> Option<&'static str> {
            match shape {
                Shape::Type(name) => Some(name),
                Shape::List(element) | Shape::Map(element) => named(element),
                _ => None,
            }
        }
        let fields = TYPES.values().flat_map(|info| info.fields.iter().map(move |field| (info.name, field)));
        let missing: Vec<_> =
            fields.filter(|(_, f)| named(&f.value).is_some_and(|n| lookup(n).is_none())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
