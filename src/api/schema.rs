//! The facts of the API's types: which fields there are, in what order the server writes them, what their zero values are
//! and how lists merge.
//!
//! One table (`fixtures/schema/types.tsv`) drives strict decoding, canonical encoding, patches, server-side apply and
//! OpenAPI. It knows built-in types only; custom resources bring schemas of their own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// A type of the API, like `io.k8s.api.core.v1.PodSpec`, or the schema of a custom resource or of an object in it.
#[derive(Debug, Default)]
pub struct TypeInfo {
    /// The full name, as OpenAPI spells it.
    pub name: Cow<'static, str>,
    /// The fields, in the order in which the server writes them.
    pub fields: Vec<FieldInfo>,
    /// Whether the type as a whole is replaced, never merged, by apply.
    pub atomic: bool,
    /// Whether fields that are not listed are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    by_name: HashMap<Cow<'static, str>, usize>,
}

/// A field of a type.
#[derive(Debug, Default)]
pub struct FieldInfo {
    /// The name in JSON.
    pub name: Cow<'static, str>,
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
    /// The default that the schema states, as JSON.
    pub default: Option<&'static str>,
    /// Go's name for what is innermost in the field, where it has one of its own, like `v1.PullPolicy`.
    pub go_name: Option<&'static str>,
}

/// What a field or an element holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    #[default]
    Raw,
    List(Box<Shape>),
    Map(Box<Shape>),
    /// An object with fields.
    Type(TypeRef),
}

/// A reference from a field to a type.
#[derive(Clone)]
pub enum TypeRef {
    /// A row of the table of built-in types.
    Table(usize),
    /// A type of its own: part of a custom resource's schema.
    Own(Arc<TypeInfo>),
}

impl TypeRef {
    /// The type.
    pub fn get(&self) -> &TypeInfo {
        match self {
            Self::Table(index) => &TYPES.types[*index],
            Self::Own(info) => info,
        }
    }
}

impl std::fmt::Debug for TypeRef {
    // By name: types of the table refer to each other in circles.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Table(index) => write!(f, "TypeRef({index})"),
            Self::Own(info) => write!(f, "TypeRef({})", info.name),
        }
    }
}

impl PartialEq for TypeRef {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Table(one), Self::Table(other)) => one == other,
            (Self::Own(one), Self::Own(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for TypeRef {}

/// How server-side apply sees a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Elements are values that occur once.
    Set,
    /// Elements are told apart by these fields.
    Map(Vec<Cow<'static, str>>),
}

/// How a strategic merge patch treats a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatchStrategy {
    /// Lists are merged, not replaced.
    pub merge: bool,
    /// Keys that the patch does not name are dropped (unions).
    pub retain_keys: bool,
    /// Which field tells elements apart; `None` for lists of plain values.
    pub merge_key: Option<&'static str>,
}

impl TypeInfo {
    /// A type of its own with these fields, for custom resources.
    pub fn new(name: impl Into<Cow<'static, str>>, fields: Vec<FieldInfo>) -> Self {
        let by_name = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
        Self { name: name.into(), fields, by_name, ..Self::default() }
    }

    /// The field of that name in JSON.
    pub fn field(&self, name: &str) -> Option<&FieldInfo> {
        self.by_name.get(name).map(|index| &self.fields[*index])
    }

    /// Go's name of the type, like `PodSpec`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// Go's name of the type with its package, like `v1.PodSpec`.
    pub fn go_name(&self) -> &str {
        let start = self.name.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
        &self.name[start..]
    }
}

impl Shape {
    /// The type that the shape refers to; `None` for everything else.
    pub fn type_info(&self) -> Option<&TypeInfo> {
        match self {
            Self::Type(reference) => Some(reference.get()),
            _ => None,
        }
    }

    /// The shape of an element of a list, or of a value of a map.
    pub fn element(&self) -> Option<&Shape> {
        match self {
            Self::List(element) | Self::Map(element) => Some(element),
            _ => None,
        }
    }

    fn parse(text: &'static str, index: &HashMap<&'static str, usize>) -> Self {
        if let Some(element) = text.strip_prefix("[]") {
            return Self::List(Box::new(Self::parse(element, index)));
        }
        if let Some(element) = text.strip_prefix("map:") {
            return Self::Map(Box::new(Self::parse(element, index)));
        }
        match text.strip_prefix('*').unwrap_or(text) {
            "string" => Self::String,
            "bool" => Self::Bool,
            "int32" => Self::Int(32),
            "int64" => Self::Int(64),
            "float64" => Self::Float,
            "time" => Self::Time,
            "microtime" => Self::MicroTime,
            "duration" => Self::Duration,
            "quantity" => Self::Quantity,
            "intstr" => Self::IntOrString,
            "bytes" => Self::Bytes,
            "raw" => Self::Raw,
            name => match index.get(name) {
                Some(index) => Self::Type(TypeRef::Table(*index)),
                None => panic!("fixtures/schema/types.tsv: there is no type {name:?}"),
            },
        }
    }
}

static TABLE: &str = include_str!("../../fixtures/schema/types.tsv");
static DEFAULTS: &str = include_str!("../../fixtures/schema/defaults.tsv");
static GO_NAMES: &str = include_str!("../../fixtures/schema/go-names.tsv");

struct Types {
    types: Vec<TypeInfo>,
    by_name: HashMap<&'static str, usize>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let rows = || TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    let mut by_name: HashMap<&'static str, usize> = HashMap::new();
    for line in rows() {
        let next = by_name.len();
        by_name.entry(line.split('\t').next().unwrap_or_default()).or_insert(next);
    }
    let (go_names, defaults) = (by_field(GO_NAMES), by_field(DEFAULTS));
    let mut types: Vec<TypeInfo> = vec![];
    for line in rows() {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let [name, field, ..] = columns[..] else { continue };
        if by_name[name] == types.len() {
            types.push(TypeInfo { name: name.into(), ..TypeInfo::default() });
        }
        let info = &mut types[by_name[name]];
        if field.is_empty() {
            info.atomic = columns.get(6) == Some(&"atomic");
            continue;
        }
        info.by_name.insert(field.into(), info.fields.len());
        info.fields.push(FieldInfo {
            go_name: go_names.get(&(name, field)).copied(),
            default: defaults.get(&(name, field)).copied(),
            ..field_of(&columns, &by_name)
        });
    }
    Types { types, by_name }
});

/// A table of three columns: type, field, and what is said of it.
fn by_field(table: &'static str) -> HashMap<(&'static str, &'static str), &'static str> {
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.splitn(3, '\t'));
    rows.filter_map(|mut row| Some(((row.next()?, row.next()?), row.next()?))).collect()
}

/// The field of one row of the table.
fn field_of(columns: &[&'static str], by_name: &HashMap<&'static str, usize>) -> FieldInfo {
    let [_, name, value, zero, list, keys, map, strategy, merge_key] = *columns else {
        panic!("fixtures/schema/types.tsv: nine columns a row, but: {columns:?}");
    };
    FieldInfo {
        name: name.into(),
        value: Shape::parse(value, by_name),
        pointer: value.starts_with('*'),
        zero: (!zero.is_empty()).then_some(zero),
        list: match list {
            "set" => ListType::Set,
            "map" => ListType::Map(keys.split(' ').map(Cow::Borrowed).collect()),
            _ => ListType::Atomic,
        },
        map_atomic: map == "atomic",
        patch: PatchStrategy {
            merge: strategy.split(',').any(|s| s == "merge"),
            retain_keys: strategy.split(',').any(|s| s == "retainKeys"),
            merge_key: (!merge_key.is_empty()).then_some(merge_key),
        },
        default: None,
        go_name: None,
    }
}

/// The type of that full name, like `io.k8s.api.apps.v1.Deployment`.
pub fn lookup(name: &str) -> Option<&'static TypeInfo> {
    TYPES.by_name.get(name).map(|index| &TYPES.types[*index])
}

/// A reference to the type of that full name.
pub fn reference(name: &str) -> Option<TypeRef> {
    TYPES.by_name.get(name).map(|index| TypeRef::Table(*index))
}

/// Every type of the table, by its rows.
pub fn all() -> &'static [TypeInfo] {
    &TYPES.types
}

/// The full name of a kind of the API, if the table has it: `apps`, `v1`, `Deployment`.
pub fn name_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    let package = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or_default() };
    [
        format!("io.k8s.api.{package}.{version}.{kind}"),
        format!("io.k8s.apiextensions-apiserver.pkg.apis.{package}.{version}.{kind}"),
        format!("io.k8s.kube-aggregator.pkg.apis.{package}.{version}.{kind}"),
        format!("io.k8s.apimachinery.pkg.apis.meta.{version}.{kind}"),
    ]
    .iter()
    .find_map(|name| TYPES.by_name.get_key_value(name.as_str()).map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_knows_order_zero_values_and_merge_rules() {
        let pod = lookup("io.k8s.api.core.v1.Pod").unwrap();
        let names: Vec<_> = pod.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, ["kind", "apiVersion", "metadata", "spec", "status"]);
        let spec = pod.field("spec").unwrap().value.type_info().unwrap();
        let containers = spec.field("containers").unwrap();
        assert_eq!(containers.list, ListType::Map(vec!["name".into()]));
        assert_eq!(
            containers.patch,
            PatchStrategy { merge: true, retain_keys: false, merge_key: Some("name") }
        );
        let container = lookup("io.k8s.api.core.v1.Container").unwrap();
        assert_eq!(container.field("name").unwrap().zero, Some("\"\""));
        assert_eq!(container.field("resources").unwrap().zero, Some("{}"));
        let volumes = spec.field("volumes").unwrap();
        assert!(volumes.patch.retain_keys && volumes.patch.merge);
        assert_eq!(container.go_name(), "v1.Container");
        assert_eq!(container.field("imagePullPolicy").unwrap().go_name, Some("v1.PullPolicy"));
        assert_eq!(name_of("rbac.authorization.k8s.io", "v1", "Role"), Some("io.k8s.api.rbac.v1.Role"));
    }
}
