//! Bodies in protobuf, in which the typed clients of client-go (and so much of kubectl) write, as the nodes that the JSON
//! reader makes. Field numbers come from the table of types.
// Models k8s.io/apimachinery/pkg/runtime/serializer/protobuf and the generated.proto files of k8s.io/api.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::node::{self, MAX_DEPTH, Node};
use crate::api::schema::{self, Shape, TypeInfo};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

const TRUNCATED: &str = "unexpected EOF";

/// Reads a body: an envelope with the kind, and the object of the type `info`, or of the type that the kind names.
pub(super) fn read(body: &[u8], info: Option<&TypeInfo>) -> Result<Node<'static>, String> {
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Fields(envelope) {
        match field? {
            (1, Wire::Bytes(type_meta)) => {
                for field in Fields(type_meta) {
                    match field? {
                        (1, Wire::Bytes(text)) => api_version = String::from_utf8_lossy(text).into_owned(),
                        (2, Wire::Bytes(text)) => kind = String::from_utf8_lossy(text).into_owned(),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(object)) => raw = object,
            _ => {}
        }
    }
    let named = || {
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        schema::name_of(group, version, &kind).and_then(schema::lookup)
    };
    let info = info
        .or_else(named)
        .ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))?;
    let mut entries: Entries = vec![];
    for (key, text) in [("apiVersion", api_version), ("kind", kind)] {
        if !text.is_empty() {
            entries.push((key.into(), Node::String(text.into())));
        }
    }
    message(raw, info, &mut entries, 0)?;
    Ok(Node::Object(entries))
}

type Entries = Vec<(Cow<'static, str>, Node<'static>)>;

/// A field's value on the wire.
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(TRUNCATED)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("proto: integer overflow".to_owned())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), String> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| format!("proto: illegal tag {}", tag >> 3))?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| TRUNCATED)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| TRUNCATED)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| TRUNCATED)?)),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        Ok((number, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// A message of a type. Fields that the type does not have are skipped, as protobuf wants.
fn message(bytes: &[u8], info: &TypeInfo, entries: &mut Entries, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("exceeded max depth".to_owned());
    }
    for field in Fields(bytes) {
        let (number, wire) = field?;
        if let Some((_, inner)) = info.inline.iter().find(|(own, _)| *own == number) {
            if let Wire::Bytes(bytes) = wire {
                message(bytes, inner.get(), entries, depth + 1)?;
            }
            continue;
        }
        let Some(field) = info.fields.iter().find(|field| field.number == number) else { continue };
        let key = || Cow::Owned(field.name.clone().into_owned());
        match &field.value {
            Shape::List(element) => {
                let index = entries.iter().position(|(name, _)| *name == field.name).unwrap_or_else(|| {
                    entries.push((key(), Node::Array(vec![])));
                    entries.len() - 1
                });
                if let Node::Array(items) = &mut entries[index].1 {
                    add_items(wire, element, items, depth)?;
                }
            }
            Shape::Map(element) => {
                let index = entries.iter().position(|(name, _)| *name == field.name).unwrap_or_else(|| {
                    entries.push((key(), Node::Object(vec![])));
                    entries.len() - 1
                });
                let entry = map_entry(wire, element, depth)?;
                if let Node::Object(map) = &mut entries[index].1 {
                    map.retain(|(name, _)| *name != entry.0);
                    map.push(entry);
                }
            }
            shape => {
                let node = value(wire, shape, depth)?;
                entries.retain(|(name, _)| *name != field.name);
                entries.push((key(), node));
            }
        }
    }
    Ok(())
}

/// One element of a repeated field, or many numbers packed into one.
fn add_items(
    wire: Wire<'_>,
    element: &Shape,
    items: &mut Vec<Node<'static>>,
    depth: usize,
) -> Result<(), String> {
    match (element, wire) {
        (Shape::Int(_) | Shape::Bool, Wire::Bytes(packed)) => {
            let mut packed = Fields(packed);
            while !packed.0.is_empty() {
                let number = packed.varint()?;
                items.push(value(Wire::Varint(number), element, depth)?);
            }
        }
        (element, wire) => items.push(value(wire, element, depth)?),
    }
    Ok(())
}

fn map_entry(
    wire: Wire<'_>,
    element: &Shape,
    depth: usize,
) -> Result<(Cow<'static, str>, Node<'static>), String> {
    let Wire::Bytes(bytes) = wire else {
        return Err("proto: wrong wireType for a map entry".to_owned());
    };
    let (mut key, mut node) = (String::new(), None);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, wire) => node = Some(value(wire, element, depth)?),
            _ => {}
        }
    }
    Ok((key.into(), node.unwrap_or(Node::Null)))
}

fn text(bytes: &[u8]) -> Node<'static> {
    Node::String(String::from_utf8_lossy(bytes).into_owned().into())
}

fn number(value: impl ToString) -> Node<'static> {
    Node::Number(value.to_string().into())
}

fn value(wire: Wire<'_>, shape: &Shape, depth: usize) -> Result<Node<'static>, String> {
    Ok(match (shape, wire) {
        (Shape::String, Wire::Bytes(bytes)) => text(bytes),
        (Shape::Bool, Wire::Varint(flag)) => Node::Bool(flag != 0),
        // Negative numbers are written as 64 bits, whatever the type.
        (Shape::Int(_), Wire::Varint(whole)) => number(whole.cast_signed()),
        (Shape::Int(_), Wire::Fixed64(whole)) => number(whole.cast_signed()),
        (Shape::Int(_), Wire::Fixed32(whole)) => number(whole.cast_signed()),
        (Shape::Float, Wire::Fixed64(bits)) => number(f64::from_bits(bits)),
        (Shape::Float, Wire::Fixed32(bits)) => number(f32::from_bits(bits)),
        (Shape::Bytes, Wire::Bytes(bytes)) => Node::String(STANDARD.encode(bytes).into()),
        (Shape::Time, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%SZ")?,
        (Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        (Shape::Quantity, Wire::Bytes(bytes)) => quantity(bytes)?,
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Raw, Wire::Bytes(bytes)) => raw(bytes)?,
        (Shape::Type(reference), Wire::Bytes(bytes)) => {
            let mut entries = vec![];
            message(bytes, reference.get(), &mut entries, depth + 1)?;
            Node::Object(entries)
        }
        // A list inside of a map is a message of its own.
        (Shape::List(element), Wire::Bytes(bytes)) => {
            let mut items = vec![];
            for field in Fields(bytes) {
                if let (1, wire) = field? {
                    add_items(wire, element, &mut items, depth)?;
                }
            }
            Node::Array(items)
        }
        (Shape::Map(_), _) => return Err("proto: maps of maps are not supported".to_owned()),
        (Shape::Duration, _) => return Err("proto: durations are not supported".to_owned()),
        (shape, _) => return Err(format!("proto: wrong wireType for {shape:?}")),
    })
}

/// Seconds and nanoseconds; nothing at all is the zero time.
fn time(bytes: &[u8], format: &str) -> Result<Node<'static>, String> {
    let (mut seconds, mut nanos) = (None, 0);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Varint(value)) => seconds = Some(value.cast_signed()),
            (2, Wire::Varint(value)) => {
                nanos = i32::try_from(value.cast_signed()).map_err(|_| "proto: time out of range")?
            }
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(Node::Null) };
    let time = Timestamp::new(seconds, nanos).map_err(|_| "proto: time out of range")?;
    Ok(Node::String(time.strftime(format).to_string().into()))
}

fn quantity(bytes: &[u8]) -> Result<Node<'static>, String> {
    for field in Fields(bytes) {
        if let (1, Wire::Bytes(amount)) = field? {
            return Ok(text(amount));
        }
    }
    Ok(Node::String("0".into()))
}

fn int_or_string(bytes: &[u8]) -> Result<Node<'static>, String> {
    let (mut is_text, mut whole, mut word) = (false, 0, &[][..]);
    for field in Fields(bytes) {
        match field? {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => whole = value.cast_signed(),
            (3, Wire::Bytes(bytes)) => word = bytes,
            _ => {}
        }
    }
    Ok(if is_text { text(word) } else { number(whole) })
}

/// JSON inside of protobuf.
fn raw(bytes: &[u8]) -> Result<Node<'static>, String> {
    for field in Fields(bytes) {
        if let (1, Wire::Bytes(json)) = field? {
            return node::read(json).map(node::owned);
        }
    }
    Ok(Node::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A field of bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn body(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, object), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn an_object_reads_as_its_json() {
        let labels = bytes(11, &[bytes(1, b"app"), bytes(2, b"web")].concat());
        let created = bytes(8, &[8, 1]);
        let metadata = bytes(1, &[bytes(1, b"web"), labels, created].concat());
        let port = bytes(6, &[8 * 3, 0x50]);
        let limits = bytes(8, &bytes(1, &[bytes(1, b"cpu"), bytes(2, &bytes(1, b"500m"))].concat()));
        let container =
            bytes(2, &[bytes(1, b"main"), port, limits, bytes(3, b"sleep"), bytes(3, b"1")].concat());
        let volume = bytes(1, &[bytes(1, b"v"), bytes(2, &bytes(2, b""))].concat());
        let spec = bytes(2, &[volume, container].concat());
        let node = read(&body("v1", "Pod", &[metadata, spec].concat()), None).unwrap();
        let expected = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "labels": {"app": "web"}, "creationTimestamp": "1970-01-01T00:00:01Z"},
            "spec": {"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "main", "command": ["sleep", "1"],
                "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "500m"}}}]}});
        assert_eq!(node.to_value(), expected);
        assert!(read(b"{}", None).unwrap_err().contains("expected prefix [107 56 115 0]"));
        assert!(read(b"k8s\0\x12\x05a", None).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(object in proptest::collection::vec(any::<u8>(), 0..80)) {
            for (api_version, kind) in [("v1", "Pod"), ("apps/v1", "Deployment"), ("v1", "Event")] {
                let _ = read(&body(api_version, kind, &object), None);
            }
            let _ = read(&[MAGIC, &object].concat(), None);
        }
    }
}
