//! Bodies to values: kind checks, types, unknown and repeated fields, canonical scalars, no zero values.
// Models k8s.io/apimachinery/pkg/runtime/serializer/json, sigs.k8s.io/json and transformDecodeError of
// apiserver/pkg/endpoints/handlers.

use serde_json::{Map, Value};

use super::node::{self, Node};
use super::target::{Target, join};
use super::{scalar, yaml};
use crate::api::kind::KindInfo;
use crate::api::schema::{self, FieldInfo, Shape, TypeInfo};
use crate::api::status::ApiError;
use crate::meta::quantity::Quantity;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// What becomes of unknown and repeated fields (`?fieldValidation=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped, with a warning each.
    Warn,
    /// They are an error.
    Strict,
}

/// A body that was read.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The object as Go would hold it: no zero values, no nulls, canonical quantities and times. The structs at the top
    /// (metadata, spec, status) are there even when empty, as they are in Go.
    pub value: Value,
    /// `unknown field "spec.foo"` and the like, for `Warning` headers.
    pub warnings: Vec<String>,
}

/// At most so many problems are named.
const MAX_STRICT_ERRORS: usize = 100;

/// Reads an object of a kind; errors are what the API server answers to such a body.
pub fn decode(
    kind: &KindInfo,
    body: &[u8],
    media: MediaType,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    decode_as(&Target::of(kind), body, media, validation)
}

/// Reads a body as plain JSON, whatever it holds; for bodies without a kind, and for those that patches are made of.
pub fn parse(body: &[u8], media: MediaType) -> Result<Value, String> {
    match media {
        MediaType::Json => node::read(body).map(|node| node.to_value()),
        MediaType::Yaml => yaml::read(body).map(|node| node.to_value()),
    }
}

/// Reads an object of a kind that need not be a row of the registry.
pub fn decode_as(
    target: &Target<'_>,
    body: &[u8],
    media: MediaType,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let node = match media {
        MediaType::Json => node::read(body).map_err(|error| {
            unrecognized(target, body, &format!("couldn't get version/kind; json parse error: {error}"))
        })?,
        MediaType::Yaml => yaml::read(body).map_err(|error| unrecognized(target, body, &error))?,
    };
    let identity = Identity::of(&node, target).map_err(|error| unrecognized(target, body, &error))?;
    identity.check(target)?;
    let mut walk = Walk::new(target.custom);
    let value = walk.object(&node, target).map_err(|error| identity.cannot_be_handled(target, &error))?;
    let mut strict = walk.strict;
    if media == MediaType::Yaml && validation != FieldValidation::Ignore {
        strict.splice(0..0, yaml::repeated_keys(body));
    }
    match validation {
        FieldValidation::Strict if !strict.is_empty() => {
            Err(identity.cannot_be_handled(target, &format!("strict decoding error: {}", strict.join(", "))))
        }
        FieldValidation::Ignore => Ok(Decoded { value, warnings: vec![] }),
        _ => Ok(Decoded { value, warnings: strict }),
    }
}

/// Reads what a patch has made, with bare errors; kind and version are not looked at.
pub fn decode_loosely(target: &Target<'_>, body: &[u8]) -> Result<Decoded, String> {
    let node = node::read(body)?;
    let mut walk = Walk::new(target.custom);
    let value = walk.object(&node, target)?;
    Ok(Decoded { value, warnings: walk.strict })
}

/// What is wrong with repeated keys of a JSON document.
pub fn repeated_fields(body: &[u8]) -> Vec<String> {
    let mut walk = Walk::new(true);
    if let Ok(node) = node::read(body) {
        walk.custom_value(&node, None);
    }
    walk.strict
}

/// A body of which not even the kind could be read.
fn unrecognized(target: &Target<'_>, body: &[u8], error: &str) -> ApiError {
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {error} ({})",
        target.kind,
        summary(body)
    ))
}

/// The first bytes of a body: as text if it may be JSON or YAML, else in hexadecimal.
// Models summarizeData.
fn summary(body: &[u8]) -> String {
    const MOST: usize = 30;
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let cut = &body[..body.len().min(MOST)];
    let dots = if body.len() > MOST { " ..." } else { "" };
    if body[0] == b'{' {
        return format!("{}{dots}", String::from_utf8_lossy(cut));
    }
    let hex: String = cut.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}{dots}")
}

/// Group, version and kind as the body says, the target's where it is silent.
struct Identity {
    group: String,
    version: String,
    kind: String,
}

impl Identity {
    fn of(node: &Node<'_>, target: &Target<'_>) -> Result<Self, String> {
        let prefix = "couldn't get version/kind; json parse error: json: cannot unmarshal";
        if !matches!(node, Node::Object(_) | Node::Null) {
            let go = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
            return Err(format!("{prefix} {} into Go value of type {go}", word(node)));
        }
        let text = |key: &str| match node.get(key) {
            None | Some(Node::Null) => Ok(""),
            Some(Node::String(text)) => Ok(text.as_ref()),
            Some(other) => {
                Err(format!("{prefix} {} into Go struct field .{key} of type string", word(other)))
            }
        };
        let (api_version, kind) = (text("apiVersion")?, text("kind")?);
        let (group, version) = match api_version.split_once('/') {
            None => ("", api_version),
            Some((_, version)) if version.contains('/') => {
                return Err(format!("unexpected GroupVersion string: {api_version}"));
            }
            Some(parts) => parts,
        };
        let (group, version) = match (group, version) {
            ("", "") => (target.group, target.version),
            (group, "") if group == target.group => (group, target.version),
            parts => parts,
        };
        let kind = if kind.is_empty() { target.kind } else { kind };
        Ok(Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() })
    }

    /// Refuses an object of another kind or version than the request is about.
    fn check(&self, target: &Target<'_>) -> Result<(), ApiError> {
        if self.group == target.group && self.version == target.version && self.kind == target.kind {
            return Ok(());
        }
        let given = join(&self.group, &self.version);
        if target.custom {
            if self.kind != target.kind {
                return Err(self.cannot_be_handled(
                    target,
                    &format!("no kind {:?} is registered for version {given:?}", self.kind),
                ));
            }
        } else if schema::name_of(&self.group, &self.version, &self.kind).is_none() {
            let scheme = "pkg/api/legacyscheme/scheme.go:30";
            let what =
                format!("no kind {:?} is registered for version {given:?} in scheme {scheme:?}", self.kind);
            return Err(self.cannot_be_handled(target, &what));
        } else if self.kind != target.kind {
            let package = if target.group.is_empty() {
                "core"
            } else {
                target.group.split('.').next().unwrap_or_default()
            };
            let what = format!(
                "converting ({}.{}) to ({package}.{}): unknown conversion",
                self.version, self.kind, target.kind
            );
            return Err(self.cannot_be_handled(target, &what));
        }
        let expected = target.api_version();
        Err(ApiError::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({expected})"
        )))
    }

    fn cannot_be_handled(&self, target: &Target<'_>, error: &str) -> ApiError {
        let (kind, version) = (&self.kind, &self.version);
        ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {error}",
            target.kind
        ))
    }
}

/// Go's word for what a JSON value is.
fn word(node: &Node<'_>) -> &'static str {
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
struct Walk<'n> {
    /// Unknown and repeated fields, in the order in which they are met.
    strict: Vec<String>,
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
    fn new(custom: bool) -> Self {
        Self { strict: vec![], saved: None, strict_path: String::new(), fields: vec![], custom }
    }

    fn object(&mut self, node: &'n Node<'n>, target: &Target<'n>) -> Result<Value, String> {
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
            let top = target.schema.filter(|_| !self.custom).map(|info| &info.fields[..]).unwrap_or_default();
            for field in top.iter().filter(|field| !field.pointer && matches!(field.value, Shape::Type(_))) {
                map.entry(&*field.name).or_insert_with(|| Value::Object(Map::new()));
            }
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
    fn custom_value(&mut self, node: &Node<'_>, info: Option<&TypeInfo>) -> Value {
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

/// What an element of a list or map is when it was null.
pub(super) fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::String | Shape::Bytes => "".into(),
        Shape::Bool => false.into(),
        Shape::Int(_) | Shape::Float | Shape::IntOrString => 0.into(),
        Shape::Type(_) => Value::Object(Map::new()),
        Shape::Quantity => "0".into(),
        Shape::Duration => "0s".into(),
        Shape::Time | Shape::MicroTime | Shape::Raw | Shape::List(_) | Shape::Map(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::codec::{Target, encode_value, pretty, to_canonical_value};
    use proptest::prelude::*;
    use serde_json::json;

    fn read(target: &Target<'_>, body: &str) -> Result<Decoded, String> {
        decode_as(target, body.as_bytes(), MediaType::Json, FieldValidation::Strict)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn refusals_are_in_the_servers_words() {
        let pod = Target::named("", "v1", "Pod");
        let cases = [
            (
                r#"{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"imagee":"x","name":"a","prots":[]}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagee", unknown field "spec.containers[0].prots""#,
            ),
            (
                r#"{"kind":"pod","apiVersion":"v1"}"#,
                r#"pod in version "v1" cannot be handled as a Pod: no kind "pod" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30""#,
            ),
            (
                r#"{"spec":{"containers":[{"ports":[{"containerPort":"http"}]}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"#,
            ),
            (
                r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"#,
            ),
            (
                r#"{"metadata":{"labels":{"a":1}}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"#,
            ),
            (
                r#"{"metadata":{"name":"a","name":"b"}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "metadata.name""#,
            ),
            (
                r#"{"spec":{"containers":[{"imagePullPolicy":5}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy"#,
            ),
            (
                r#"{"kind":"Service","apiVersion":"v1"}"#,
                r#"Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion"#,
            ),
            (
                "{bad",
                r#"the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character 'b' looking for beginning of object key string ({bad)"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(read(&pod, body).unwrap_err(), expected, "{body}");
        }
        let deployment = Target::named("apps", "v1", "Deployment");
        let wrong_version = decode_as(
            &deployment,
            br#"{"kind":"Deployment","apiVersion":"v1"}"#,
            MediaType::Json,
            FieldValidation::Warn,
        );
        assert!(
            wrong_version
                .unwrap_err()
                .to_string()
                .contains(r#"no kind "Deployment" is registered for version "v1""#)
        );
    }

    #[test]
    fn values_are_what_go_would_hold() {
        let body = r#"{"metadata":{"name":"a","creationTimestamp":null,"labels":{"x":null}},"spec":{"hostNetwork":false,
            "volumes":[{"name":"v","emptyDir":{}}],"terminationGracePeriodSeconds":0,"nodeSelector":{},
            "containers":[{"name":"c","resources":{"requests":{"cpu":0.5,"memory":"1024Mi"}}}]}}"#;
        let value = read(&Target::named("", "v1", "Pod"), body).unwrap().value;
        let expected = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"x": ""}}, "status": {},
            "spec": {"volumes": [{"name": "v", "emptyDir": {}}], "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]}
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn bytes_are_what_the_server_writes() {
        let deployment = Target::named("apps", "v1", "Deployment");
        let body = r#"{"metadata":{"name":"<a>"},"spec":{"replicas":0,"template":{"spec":{"containers":[{"image":"x"}]}}}}"#;
        let value = read(&deployment, body).unwrap().value;
        let bytes = encode_value(&deployment, &value);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"\u003ca\u003e"},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":[{"name":"","image":"x","resources":{}}]}},"strategy":{}},"status":{}}"#
        );
        assert!(pretty(&bytes).starts_with(
            b"{\n  \"kind\": \"Deployment\",\n  \"apiVersion\": \"apps/v1\",\n  \"metadata\": {\n"
        ));
    }

    #[test]
    fn stamps_surround_the_resource_version() {
        use crate::api::kind::Typed;
        use crate::api::kinds::core::config_map::ConfigMapKind;
        let kind = Typed::<ConfigMapKind>::boxed();
        let value = json!({"metadata": {"name": "a", "resourceVersion": "5", "generation": 1}, "data": {"b": "1", "a": "2"}});
        let bytes = crate::api::codec::encode(kind.info(), &value).at(42);
        let expected = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"42","generation":1},"data":{"a":"2","b":"1"}}"#;
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        let mut info = kind.info().clone();
        info.schema_type = None;
        let bytes = crate::api::codec::encode(
            &info,
            &json!({"kind": "W", "metadata": {"name": "a", "uid": "u"}, "b": 1.0}),
        )
        .at(7);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            r#"{"b":1,"kind":"W","metadata":{"name":"a","resourceVersion":"7","uid":"u"}}"#
        );
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back_the_same(labels in proptest::collection::btree_map("[a-z]{1,5}", "\\PC{0,5}", 0..4),
            cpu in "[0-9]{1,4}(m|k|Mi|)", replicas in any::<i32>(), flag: bool, seconds in 0_i64..4_000_000_000) {
            let time = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            let body = json!({"metadata": {"labels": labels, "creationTimestamp": time}, "spec": {"replicas": replicas, "paused": flag,
                "template": {"spec": {"containers": [{"resources": {"limits": {"cpu": cpu}}}, {}]}}}});
            let target = Target::named("apps", "v1", "Deployment");
            let first = read(&target, &body.to_string()).unwrap().value;
            let bytes = encode_value(&target, &first);
            let second = read(&target, std::str::from_utf8(&bytes).unwrap()).unwrap().value;
            prop_assert_eq!(&first, &second);
            prop_assert_eq!(to_canonical_value(&target, &second), serde_json::from_slice::<Value>(&bytes).unwrap());
        }

        #[test]
        fn no_json_makes_it_panic(spec in crate::api::testing::any_json(), status in crate::api::testing::any_json()) {
            let target = Target::named("", "v1", "Pod");
            let body = json!({"spec": spec, "status": status, "metadata": {"labels": spec.clone()}});
            if let Ok(decoded) = decode_as(&target, body.to_string().as_bytes(), MediaType::Json, FieldValidation::Ignore) {
                encode_value(&target, &decoded.value);
            }
            if let Ok(decoded) = crate::api::codec::from_unstructured(&target, body) {
                encode_value(&target, &decoded.value);
            }
        }
    }
}
