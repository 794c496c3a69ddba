//! The way through a body along a type: what Go would hold, what it would complain of.
// Models sigs.k8s.io/json (the decoder, with its strict errors) and the types that read themselves.

use serde_json::{Map, Value};

use super::node::Node;
use super::scalar;
use super::target::Target;
use crate::api::schema::{FieldInfo, Shape, TypeInfo};
use crate::meta::quantity::Quantity;

/// At most so many problems are named.
const MAX_STRICT_ERRORS: usize = 100;

/// Go's word for what a JSON value is.
pub(super) fn word(node: &Node<'_>) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool(_) => "bool",
        Node::Number(_) => "number",
        Node::String(_) => "string",
        Node::Array(_) => "array",
        Node::Object(_) => "object",
    }
}

/// The way through a body.
pub(super) struct Walk<'n> {
    /// Unknown and repeated fields, in the order in which they are met.
    pub strict: Vec<String>,
    /// The first type mismatch: Go reads on and reports it at the end.
    saved: Option<String>,
    /// Where we are, for strict errors: `.spec.containers[0]`.
    strict_path: String,
    /// The fields of structs on the way, for type errors.
    fields: Vec<&'n str>,
    /// Custom resources: keep nulls and zero values, types are somebody else's concern.
    custom: bool,
}

impl<'n> Walk<'n> {
    pub fn new(custom: bool) -> Self {
        Self { strict: vec![], saved: None, strict_path: String::new(), fields: vec![], custom }
    }

    pub fn object(&mut self, node: &'n Node<'n>, target: &Target<'n>) -> Result<Value, String> {
        let mut value = match target.schema {
            _ if self.custom => self.custom_value(node, target.schema),
            Some(info) => self.struct_value(node, info)?.unwrap_or_default(),
            None => node.to_value(),
        };
        if let Some(error) = self.saved.take() {
            return Err(error);
        }
        if let Value::Object(map) = &mut value {
            map.insert("kind".to_owned(), target.kind.into());
            map.insert("apiVersion".to_owned(), target.api_version().into());
        }
        Ok(value)
    }

    fn complain(&mut self, what: &str, key: &str) {
        if self.strict.len() < MAX_STRICT_ERRORS {
            let path = format!("{}.{key}", self.strict_path);
            self.strict.push(format!("{what} field {:?}", path.trim_start_matches('.')));
        }
    }

    /// Does `inside` one step further down.
    fn at<T>(&mut self, step: std::fmt::Arguments<'_>, inside: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.strict_path.len();
        let _ = std::fmt::Write::write_fmt(&mut self.strict_path, step);
        let result = inside(self);
        self.strict_path.truncate(length);
        result
    }

    /// Remembers that a value is of the wrong type, unless another was before it.
    fn mismatch(&mut self, what: &str, place: &Place<'_>) {
        self.saved.get_or_insert_with(|| mismatch(what, place, &self.fields, &place.go_type()));
    }

    /// A struct: its known fields. `None` if the node is null.
    fn struct_value(&mut self, node: &'n Node<'n>, info: &'n TypeInfo) -> Result<Option<Value>, String> {
        let Node::Object(entries) = node else {
            return Ok(None);
        };
        let mut map = Map::new();
        let mut seen: Vec<&str> = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            let Some(field) = info.field(key) else {
                self.complain("unknown", key);
                continue;
            };
            let repeated = seen.contains(&&**key);
            if repeated {
                self.complain("duplicate", key);
            } else {
                seen.push(key);
            }
            self.fields.push(&field.name);
            let place = Place { owner: Some(info), shape: &field.value, go_name: field.go_name };
            let value = self.at(format_args!(".{key}"), |walk| walk.value(node, &place));
            self.fields.pop();
            if let Some(value) = value?.filter(|value| field.pointer || !is_zero(value, field)) {
                insert(&mut map, key, value, repeated);
            }
        }
        fill(&mut map, info);
        Ok(Some(Value::Object(map)))
    }

    /// A value of a shape; `None` if it is not set.
    fn value(&mut self, node: &'n Node<'n>, place: &Place<'n>) -> Result<Option<Value>, String> {
        if let Shape::Raw = place.shape {
            return Ok(Some(node.to_value()).filter(|value| !value.is_null()));
        }
        if let Node::Null = node {
            return Ok(None);
        }
        match (place.shape, node) {
            (Shape::Type(reference), Node::Object(_)) => return self.struct_value(node, reference.get()),
            (Shape::List(element), Node::Array(items)) => return self.list(items, place, element).map(Some),
            (Shape::Map(element), Node::Object(entries)) => {
                return self.map(entries, place, element).map(Some);
            }
            (Shape::String, Node::String(text)) => return Ok(Some(Value::String(text.clone().into_owned()))),
            (Shape::Bool, Node::Bool(flag)) => return Ok(Some(Value::Bool(*flag))),
            (Shape::Int(_) | Shape::Float, Node::Number(literal)) => match number(literal, place.shape) {
                Some(number) => return Ok(Some(number)),
                None => self.mismatch(&format!("number {literal}"), place),
            },
            (Shape::Bytes, Node::String(text)) => match scalar::base64(text) {
                Ok(text) => return Ok(Some(Value::String(text))),
                Err(error) => {
                    self.saved.get_or_insert(error);
                }
            },
            (Shape::Quantity | Shape::IntOrString | Shape::Time | Shape::MicroTime | Shape::Duration, _) => {
                return self.special(node, place);
            }
            _ => self.mismatch(word(node), place),
        }
        Ok(None)
    }

    /// The types that read themselves in Go: what they refuse ends the reading.
    fn special(&mut self, node: &Node<'_>, place: &Place<'n>) -> Result<Option<Value>, String> {
        let wrong = |go_type: &str| Err(mismatch(word(node), place, &self.fields, go_type));
        match (place.shape, node) {
            (Shape::Quantity, Node::String(text) | Node::Number(text)) => {
                let quantity: Quantity = text
                    .trim()
                    .parse()
                    .map_err(|error: crate::meta::quantity::QuantityError| error.to_string())?;
                Ok(Some(quantity.to_string().into()))
            }
            (Shape::Quantity, _) => Err(crate::meta::quantity::QuantityError::Format.to_string()),
            (Shape::IntOrString, Node::String(text)) => Ok(Some(Value::String(text.clone().into_owned()))),
            (Shape::IntOrString, Node::Number(literal)) => match number(literal, &Shape::Int(32)) {
                Some(number) => Ok(Some(number)),
                None => Err(mismatch(&format!("number {literal}"), place, &self.fields, "int32")),
            },
            (Shape::IntOrString, _) => wrong("int32"),
            (Shape::Time, Node::String(text)) => Ok(scalar::time(text)?.map(Value::String)),
            (Shape::MicroTime, Node::String(text)) => Ok(scalar::micro_time(text)?.map(Value::String)),
            (Shape::Duration, Node::String(text)) => Ok(Some(Value::String(text.clone().into_owned()))),
            _ => wrong("string"),
        }
    }

    fn list(
        &mut self,
        items: &'n [Node<'n>],
        place: &Place<'n>,
        element: &'n Shape,
    ) -> Result<Value, String> {
        let place = Place { shape: element, ..*place };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let value = self.at(format_args!("[{index}]"), |walk| walk.value(item, &place))?;
            values.push(value.unwrap_or_else(|| zero(element)));
        }
        Ok(Value::Array(values))
    }

    fn map(
        &mut self,
        entries: &'n [(std::borrow::Cow<'n, str>, Node<'n>)],
        place: &Place<'n>,
        element: &'n Shape,
    ) -> Result<Value, String> {
        let place = Place { shape: element, ..*place };
        let mut map = Map::new();
        for (key, node) in entries {
            let value = self.at(format_args!(".{key}"), |walk| walk.value(node, &place))?;
            if map.insert(key.clone().into_owned(), value.unwrap_or_else(|| zero(element))).is_some() {
                self.complain("duplicate", key);
            }
        }
        Ok(Value::Object(map))
    }

    /// A value of a custom resource: as it is, without what its schema does not know.
    pub fn custom_value(&mut self, node: &Node<'_>, info: Option<&TypeInfo>) -> Value {
        self.custom_shape(node, &Shape::Raw, info, true)
    }

    fn custom_shape(&mut self, node: &Node<'_>, shape: &Shape, info: Option<&TypeInfo>, root: bool) -> Value {
        let info = info.or(shape.type_info());
        match node {
            Node::Array(items) => {
                let element = if let Shape::List(element) = shape { element } else { &Shape::Raw };
                let items = items.iter().enumerate();
                Value::Array(
                    items
                        .map(|(i, item)| {
                            self.at(format_args!("[{i}]"), |w| w.custom_shape(item, element, None, false))
                        })
                        .collect(),
                )
            }
            Node::Object(entries) => {
                let mut map = Map::new();
                for (key, node) in entries {
                    let field = info.and_then(|info| info.field(key));
                    let kept = field.is_some()
                        || info.is_none_or(|info| info.preserve_unknown)
                        || (root && matches!(&**key, "apiVersion" | "kind" | "metadata"));
                    if !kept {
                        self.complain("unknown", key);
                        continue;
                    }
                    let shape = match (field, shape) {
                        (Some(field), _) => &field.value,
                        (None, Shape::Map(element)) => element,
                        _ => &Shape::Raw,
                    };
                    let value =
                        self.at(format_args!(".{key}"), |walk| walk.custom_shape(node, shape, None, false));
                    if map.insert(key.clone().into_owned(), value).is_some() {
                        self.complain("duplicate", key);
                    }
                }
                Value::Object(map)
            }
            scalar => scalar.to_value(),
        }
    }
}

/// A place in a type, for messages about what does not fit there.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The struct that holds the field.
    owner: Option<&'a TypeInfo>,
    /// What belongs there.
    shape: &'a Shape,
    /// Go's name for the innermost type, if it has one of its own.
    go_name: Option<&'static str>,
}

impl Place<'_> {
    fn go_type(&self) -> String {
        go_type(self.shape, self.go_name)
    }
}

fn mismatch(what: &str, place: &Place<'_>, fields: &[&str], go_type: &str) -> String {
    let owner = place.owner.map(TypeInfo::short_name).unwrap_or_default();
    format!(
        "json: cannot unmarshal {what} into Go struct field {owner}.{} of type {go_type}",
        fields.join(".")
    )
}

/// How Go spells the type of a shape.
fn go_type(shape: &Shape, go_name: Option<&'static str>) -> String {
    match shape {
        Shape::List(element) => format!("[]{}", go_type(element, go_name)),
        Shape::Map(element) if **element == Shape::Quantity => "v1.ResourceList".to_owned(),
        Shape::Map(element) => format!("map[string]{}", go_type(element, go_name)),
        Shape::Type(reference) => reference.get().go_name().to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::IntOrString => "intstr.IntOrString".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::MicroTime => "v1.MicroTime".to_owned(),
        Shape::Duration => "v1.Duration".to_owned(),
        Shape::Raw => "runtime.RawExtension".to_owned(),
        scalar => go_name.map_or_else(|| scalar_type(scalar), str::to_owned),
    }
}

fn scalar_type(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".to_owned(),
        Shape::Int(bits) => format!("int{bits}"),
        Shape::Float => "float64".to_owned(),
        _ => "string".to_owned(),
    }
}

/// A number literal that fits the shape.
fn number(literal: &str, shape: &Shape) -> Option<Value> {
    match shape {
        Shape::Int(32) => literal.parse::<i32>().ok().map(Value::from),
        Shape::Int(_) => literal.parse::<i64>().ok().map(Value::from),
        _ => literal.parse::<f64>().ok().filter(|float| float.is_finite()).map(Value::from),
    }
}

/// Sets a key. Go reads a repeated struct or map into the one that is there already.
fn insert(map: &mut Map<String, Value>, key: &str, value: Value, repeated: bool) {
    match (map.get_mut(key), value) {
        (Some(Value::Object(old)), Value::Object(new)) if repeated => old.extend(new),
        (_, value) => {
            map.insert(key.to_owned(), value);
        }
    }
}

/// Whether a value is what Go has for a field that was never set.
pub(super) fn is_zero(value: &Value, field: &FieldInfo) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => field.value != Shape::Raw && number.as_f64() == Some(0.0),
        // A Quantity is a struct, and never empty once it is set.
        Value::String(text) => {
            text.is_empty() && field.value != Shape::Raw && field.value != Shape::IntOrString
        }
        Value::Array(items) => items.is_empty() && field.value != Shape::Raw,
        Value::Object(map) => map.is_empty() && field.value != Shape::Raw,
    }
}

/// Adds what Go always has in a struct: the zero values that the server writes. So an object is the same whether it was just
/// read from a client or is read back from the store. Nulls are left out, as `k8s-openapi` leaves them out.
pub(super) fn fill(map: &mut Map<String, Value>, info: &TypeInfo) {
    for field in info.fields.iter().filter(|field| !field.pointer) {
        let Some(zero) = field.zero.filter(|zero| *zero != "null") else { continue };
        if map.contains_key(&*field.name) {
            continue;
        }
        let value = match (zero, &field.value) {
            ("{}", Shape::Type(reference)) => filled(reference.get()),
            ("0", _) => 0.into(),
            ("false", _) => false.into(),
            (text, _) => text.trim_matches('"').into(),
        };
        map.insert(field.name.clone().into_owned(), value);
    }
}

/// A struct of which nothing was set.
fn filled(info: &TypeInfo) -> Value {
    let mut map = Map::new();
    fill(&mut map, info);
    Value::Object(map)
}

/// What an element of a list or map is when it was null.
pub(super) fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::String | Shape::Bytes => "".into(),
        Shape::Bool => false.into(),
        Shape::Int(_) | Shape::Float | Shape::IntOrString => 0.into(),
        Shape::Type(reference) => filled(reference.get()),
        Shape::Quantity => "0".into(),
        Shape::Duration => "0s".into(),
        Shape::Time | Shape::MicroTime | Shape::Raw | Shape::List(_) | Shape::Map(_) => Value::Null,
    }
}
