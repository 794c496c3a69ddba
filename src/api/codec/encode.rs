//! Values to bytes, in one pass: Go's field order, zero values where Go writes them, sorted maps, Go's escapes.
// Models encoding/json's encoder over the API's Go types, as apimachinery/pkg/runtime/serializer/json uses it.

use bytes::Bytes;
use serde_json::{Map, Number, Value};

use super::scalar;
use super::target::Target;
use super::walk::is_zero;
use crate::api::kind::KindInfo;
use crate::api::schema::{self, FieldInfo, Shape, TypeInfo};
use crate::store::Payload;

/// An object as it is stored and served, without a line end. Its resourceVersion is stamped when it is written.
pub fn encode(kind: &KindInfo, value: &Value) -> Payload {
    let mut encoder = Encoder::new();
    encoder.root(&Target::of(kind), value, true);
    let Some(stamp) = encoder.stamp else {
        return Payload::Plain(encoder.out.into());
    };
    let whole = Bytes::from(encoder.out);
    Payload::Stamped(whole.slice(..stamp), whole.slice(stamp..))
}

/// An object as it is served, with the resourceVersion that it has: for answers that are not stored.
pub fn encode_value(target: &Target<'_>, value: &Value) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.root(target, value, false);
    encoder.out.into()
}

/// A value of a type of the table, like `io.k8s.api.core.v1.PodSpec`; with sorted keys if there is no such type.
pub fn encode_plain(type_name: &str, value: &Value) -> Bytes {
    match schema::lookup(type_name) {
        Some(info) => encode_type(info, value),
        None => {
            let mut encoder = Encoder::new();
            encoder.raw(value);
            encoder.out.into()
        }
    }
}

/// A value of a type.
pub fn encode_type(info: &TypeInfo, value: &Value) -> Bytes {
    let mut encoder = Encoder::new();
    encoder.fields(value.as_object(), info, Level::Inside);
    encoder.out.into()
}

/// The value with all that the bytes say, zero values included.
pub fn to_canonical_value(target: &Target<'_>, value: &Value) -> Value {
    serde_json::from_slice(&encode_value(target, value)).expect("the encoder writes JSON")
}

/// An item of a list: an opening, and the rest of the stored bytes. Items of built-in kinds do not repeat kind and
/// apiVersion; custom resources do.
pub fn list_item<'b>(kind: &KindInfo, stored: &'b [u8]) -> (&'static [u8], &'b [u8]) {
    if kind.schema_type.is_some() {
        let head = format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",", kind.kind, kind.api_version());
        if let Some(tail) = stored.strip_prefix(head.as_bytes()) {
            return (b"{", tail);
        }
    }
    (b"", stored)
}

/// The same JSON with line breaks and two spaces a level, as Go's `json.Indent` writes it.
pub fn pretty(json: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut bytes = json.iter().copied().peekable();
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while let Some(byte) = bytes.next() {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                if matches!(bytes.peek(), Some(b'}' | b']')) {
                    out.extend(bytes.next());
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend(b": "),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
    out.into()
}

/// Where in an object we are: the resourceVersion to stamp is in the metadata of the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Metadata,
    Inside,
}

struct Encoder {
    out: Vec<u8>,
    /// Where the resourceVersion goes.
    stamp: Option<usize>,
    stamping: bool,
}

impl Encoder {
    fn new() -> Self {
        Self { out: Vec::with_capacity(2048), stamp: None, stamping: false }
    }

    fn root(&mut self, target: &Target<'_>, value: &Value, stamping: bool) {
        self.stamping = stamping;
        match (target.schema, value) {
            (Some(info), Value::Object(map)) if !target.custom => self.typed_root(target, info, map),
            (_, Value::Object(map)) => self.custom_root(map),
            (_, other) => self.raw(other),
        }
    }

    /// Kind and version come first in every type, and from the target: what the value says of them does not matter.
    fn typed_root(&mut self, target: &Target<'_>, info: &TypeInfo, map: &Map<String, Value>) {
        self.out.extend_from_slice(b"{\"kind\":");
        self.string(target.kind);
        self.out.extend_from_slice(b",\"apiVersion\":");
        self.string(&target.api_version());
        for field in info.fields.iter().filter(|field| field.name != "kind" && field.name != "apiVersion") {
            self.field(field, map.get(&*field.name), Level::Root);
        }
        self.out.push(b'}');
    }

    fn custom_root(&mut self, map: &Map<String, Value>) {
        self.open(b'{');
        for (key, value) in map {
            self.key(key);
            match value {
                Value::Object(metadata) if key == "metadata" && self.stamping => {
                    self.custom_metadata(metadata)
                }
                other => self.raw(other),
            }
        }
        self.out.push(b'}');
    }

    fn custom_metadata(&mut self, metadata: &Map<String, Value>) {
        const VERSION: &str = "resourceVersion";
        self.open(b'{');
        let mut pending = true;
        for (key, value) in metadata.iter().filter(|(key, _)| *key != VERSION) {
            if pending && key.as_str() > VERSION {
                self.stamp_version();
                pending = false;
            }
            self.key(key);
            self.raw(value);
        }
        if pending {
            self.stamp_version();
        }
        self.out.push(b'}');
    }

    fn stamp_version(&mut self) {
        self.key("resourceVersion");
        self.out.push(b'"');
        self.stamp = Some(self.out.len());
        self.out.push(b'"');
    }

    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    /// A comma, unless something was just opened.
    fn separate(&mut self) {
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.out.push(b',');
        }
    }

    /// A key that may need escapes.
    fn key(&mut self, key: &str) {
        self.separate();
        self.string(key);
        self.out.push(b':');
    }

    /// A struct; `None` is a struct of which nothing is set.
    fn fields(&mut self, map: Option<&Map<String, Value>>, info: &TypeInfo, level: Level) {
        self.open(b'{');
        for field in &info.fields {
            if level == Level::Metadata && self.stamping && field.name == "resourceVersion" {
                self.stamp_version();
                continue;
            }
            self.field(field, map.and_then(|map| map.get(&*field.name)), level);
        }
        if info.preserve_unknown {
            for (key, value) in map.into_iter().flatten().filter(|(key, _)| info.field(key).is_none()) {
                self.key(key);
                self.raw(value);
            }
        }
        self.out.push(b'}');
    }

    fn field(&mut self, field: &FieldInfo, value: Option<&Value>, level: Level) {
        let inner =
            if level == Level::Root && field.name == "metadata" { Level::Metadata } else { Level::Inside };
        let set = value.filter(|value| !value.is_null() && (field.pointer || !is_zero(value, field)));
        if set.is_none() && field.zero.is_none() {
            return;
        }
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(field.name.as_bytes());
        self.out.extend_from_slice(b"\":");
        match (set, field.zero, &field.value) {
            (Some(Value::Object(map)), _, Shape::Type(reference)) => {
                self.fields(Some(map), reference.get(), inner)
            }
            (Some(value), _, shape) => self.shaped(value, shape),
            (None, Some("{}"), Shape::Type(reference)) => self.fields(None, reference.get(), inner),
            (None, zero, _) => self.out.extend_from_slice(zero.unwrap_or("null").as_bytes()),
        }
    }

    fn shaped(&mut self, value: &Value, shape: &Shape) {
        match (shape, value) {
            (Shape::Type(reference), Value::Object(map)) => {
                self.fields(Some(map), reference.get(), Level::Inside)
            }
            (Shape::List(element), Value::Array(items)) => {
                self.open(b'[');
                for item in items {
                    self.separate();
                    self.shaped(item, element);
                }
                self.out.push(b']');
            }
            (Shape::Map(element), Value::Object(map)) => {
                self.open(b'{');
                for (key, value) in map {
                    self.key(key);
                    self.shaped(value, element);
                }
                self.out.push(b'}');
            }
            (Shape::Time, Value::String(text)) if !(text.len() == 20 && text.ends_with('Z')) => {
                self.time(scalar::time(text), text)
            }
            (Shape::MicroTime, Value::String(text)) if text.len() != 27 => {
                self.time(scalar::finer_time(text), text)
            }
            (_, other) => self.raw(other),
        }
    }

    fn time(&mut self, canonical: Result<Option<String>, String>, text: &str) {
        match canonical {
            Ok(Some(time)) => self.string(&time),
            Ok(None) => self.out.extend_from_slice(b"null"),
            Err(_) => self.string(text),
        }
    }

    /// A value without a schema: sorted keys, nothing left out.
    fn raw(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.open(b'[');
                for item in items {
                    self.separate();
                    self.raw(item);
                }
                self.out.push(b']');
            }
            Value::Object(map) => {
                self.open(b'{');
                for (key, value) in map {
                    self.key(key);
                    self.raw(value);
                }
                self.out.push(b'}');
            }
        }
    }

    /// Whole floats are written without a fraction, and exponents only for the very large and the very small.
    fn number(&mut self, number: &Number) {
        let float = number.as_f64().filter(|_| number.is_f64());
        let text = match float {
            Some(float) if float == 0.0 => if float.is_sign_negative() { "-0" } else { "0" }.to_owned(),
            Some(float) if (1e-6..1e21).contains(&float.abs()) => format!("{float}"),
            Some(float) => {
                let text = format!("{float:e}");
                match text.split_once('e') {
                    Some((_, exponent)) if exponent.starts_with('-') => text,
                    Some((mantissa, exponent)) => format!("{mantissa}e+{exponent}"),
                    None => text,
                }
            }
            None => number.to_string(),
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    fn string(&mut self, text: &str) {
        self.out.push(b'"');
        let bytes = text.as_bytes();
        let mut start = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            if byte >= 0x20 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2) {
                continue;
            }
            let mut width = 1;
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0x08 => b"\\b",
                0x0c => b"\\f",
                // The two line separators that JavaScript takes for line ends.
                0xe2 => match bytes.get(at + 1..at + 3) {
                    Some([0x80, 0xa8]) => b"\\u2028",
                    Some([0x80, 0xa9]) => b"\\u2029",
                    _ => continue,
                },
                _ => b"",
            };
            if byte == 0xe2 {
                width = 3;
            }
            self.out.extend_from_slice(&bytes[start..at]);
            if escape.is_empty() {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                self.out.extend_from_slice(b"\\u00");
                self.out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            } else {
                self.out.extend_from_slice(escape);
            }
            start = at + width;
        }
        self.out.extend_from_slice(&bytes[start..]);
        self.out.push(b'"');
    }
}
