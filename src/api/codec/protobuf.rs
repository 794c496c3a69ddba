//! Bodies in Kubernetes' protobuf, as kubectl's typed clients send them: made JSON at the door, so that the rest of the
//! server knows JSON alone. Nothing is ever answered in protobuf; clients that send it also read JSON.
//!
//! One table (`fixtures/schema/protobuf.tsv`) says which number is which field.
// Models k8s.io/apimachinery/pkg/runtime/serializer/protobuf and the MarshalTo of its special types.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::target::join;
use crate::api::schema;
use crate::meta::age;

/// What every protobuf body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Deeper messages are refused.
const MAX_DEPTH: usize = 64;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// It does not begin as Kubernetes' protobuf does.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    /// It ends too early, or a length or a number makes no sense.
    #[error("proto: unexpected end of message, or one that is not well-formed")]
    Malformed,
    /// Messages in messages without end.
    #[error("proto: message is nested too deeply")]
    Depth,
    /// The table does not have the type.
    #[error("no kind {kind:?} is registered for version {version:?} in protobuf")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// The group and version.
        version: String,
    },
}

#[derive(Debug)]
struct Field {
    /// Empty for a field whose own fields belong to the message that it is in.
    name: &'static str,
    shape: &'static str,
}

static MESSAGES: LazyLock<HashMap<&'static str, HashMap<u64, Field>>> = LazyLock::new(|| {
    let field = |text: &'static str| {
        let mut parts = text.splitn(3, ':');
        let (number, name, shape) = (parts.next()?, parts.next()?, parts.next()?);
        Some((number.parse().ok()?, Field { name, shape }))
    };
    let rows =
        include_str!("../../../fixtures/schema/protobuf.tsv").lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| {
        let mut columns = row.split('\t');
        Some((columns.next()?, columns.filter_map(field).collect()))
    })
    .collect()
});

/// A protobuf body as JSON, with the kind and apiVersion of its envelope.
pub fn to_json(body: &[u8]) -> Result<Bytes, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::Magic)?;
    let (mut version, mut kind, mut raw): (String, String, &[u8]) = (String::new(), String::new(), &[]);
    for entry in Entries(envelope) {
        match entry? {
            (1, Wire::Bytes(meta)) => {
                for entry in Entries(meta) {
                    match entry? {
                        (1, Wire::Bytes(text)) => version = text_of(text),
                        (2, Wire::Bytes(text)) => kind = text_of(text),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (group, number) = version.split_once('/').unwrap_or(("", &version));
    let name = schema::name_of(group, number, &kind).or_else(|| schema::name_of("", number, &kind));
    let name =
        name.ok_or_else(|| ProtobufError::UnknownKind { kind: kind.clone(), version: join(group, number) })?;
    let mut object = message(name, raw, 0)?;
    object.insert("kind".to_owned(), kind.into());
    object.insert("apiVersion".to_owned(), version.into());
    Ok(serde_json::to_vec(&object).expect("a map with string keys").into())
}

/// What stands behind a number on the wire.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// The entries of a message, in their order.
struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn entry(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = self.varint()?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            _ => return None,
        };
        Some((key >> 3, wire))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(u64, Wire<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = self.entry();
        if entry.is_none() {
            self.0 = &[];
        }
        Some(entry.ok_or(ProtobufError::Malformed))
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A message of a type of the table. Fields that the table does not have are passed over.
fn message(name: &str, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::Depth);
    }
    let mut object = Map::new();
    let Some(fields) = MESSAGES.get(name) else { return Ok(object) };
    for entry in Entries(bytes) {
        let (number, wire) = entry?;
        let Some(field) = fields.get(&number) else { continue };
        if field.name.is_empty() {
            if let Wire::Bytes(bytes) = wire {
                object.extend(message(field.shape, bytes, depth + 1)?);
            }
        } else if let Some(element) = field.shape.strip_prefix("[]") {
            let list = object.entry(field.name).or_insert_with(|| Value::Array(vec![]));
            if let Value::Array(list) = list {
                elements(element, wire, depth, list)?;
            }
        } else if let Some(element) = field.shape.strip_prefix("map:") {
            let map = object.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
            if let (Value::Object(map), Wire::Bytes(bytes)) = (map, wire) {
                let (key, value) = map_entry(element, bytes, depth)?;
                map.insert(key, value);
            }
        } else if let Some(value) = value(field.shape, wire, depth)? {
            object.insert(field.name.to_owned(), value);
        }
    }
    Ok(object)
}

/// One element of a list, or several numbers that were packed into one entry.
fn elements(shape: &str, wire: Wire<'_>, depth: usize, list: &mut Vec<Value>) -> Result<(), ProtobufError> {
    match (shape, wire) {
        ("int32" | "int64" | "bool", Wire::Bytes(packed)) => {
            let mut numbers = Entries(packed);
            while !numbers.0.is_empty() {
                let number = numbers.varint().ok_or(ProtobufError::Malformed)?;
                list.extend(value(shape, Wire::Varint(number), depth)?);
            }
        }
        _ => list.extend(value(shape, wire, depth)?),
    }
    Ok(())
}

fn map_entry(shape: &str, bytes: &[u8], depth: usize) -> Result<(String, Value), ProtobufError> {
    let (mut key, mut content) = (String::new(), None);
    for entry in Entries(bytes) {
        match entry? {
            (1, Wire::Bytes(text)) => key = text_of(text),
            (2, wire) => content = value(shape, wire, depth)?,
            _ => {}
        }
    }
    let empty = || match shape {
        "string" | "bytes" | "quantity" => Value::from(""),
        _ => Value::Null,
    };
    Ok((key, content.unwrap_or_else(empty)))
}

/// One value; `None` if it is the special type's way to say that there is none.
fn value(shape: &str, wire: Wire<'_>, depth: usize) -> Result<Option<Value>, ProtobufError> {
    Ok(Some(match (shape, wire) {
        ("string", Wire::Bytes(bytes)) => text_of(bytes).into(),
        ("bytes", Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        ("bool", Wire::Varint(number)) => (number != 0).into(),
        // Two's complement, whatever the width.
        ("int32", Wire::Varint(number)) => Value::from(number as u32 as i32),
        ("int64", Wire::Varint(number)) => Value::from(number as i64),
        ("double", Wire::Fixed64(bits)) => f64::from_bits(bits).into(),
        (_, Wire::Bytes(bytes)) => return special(shape, bytes, depth),
        (_, Wire::Varint(_) | Wire::Fixed64(_) | Wire::Fixed32) => return Err(ProtobufError::Malformed),
    }))
}

/// A value that is a message on the wire and may be something simpler in JSON.
fn special(shape: &str, bytes: &[u8], depth: usize) -> Result<Option<Value>, ProtobufError> {
    if let Some(element) = shape.strip_prefix("items:") {
        let mut list = vec![];
        for entry in Entries(bytes) {
            if let (1, wire) = entry? {
                elements(element, wire, depth, &mut list)?;
            }
        }
        return Ok(Some(list.into()));
    }
    let (mut numbers, mut texts): ([i64; 4], [&[u8]; 4]) = ([0; 4], [&[]; 4]);
    if ["time", "microtime", "duration", "quantity", "intstr", "raw"].contains(&shape) {
        for entry in Entries(bytes) {
            match entry? {
                (number @ 1..=3, Wire::Varint(value)) => numbers[number as usize] = value as i64,
                (number @ 1..=3, Wire::Bytes(bytes)) => texts[number as usize] = bytes,
                _ => {}
            }
        }
    }
    Ok(match shape {
        "time" | "microtime" => time(shape, numbers[1], numbers[2]),
        "duration" => {
            Some(age::go_string(Duration::from_nanos(u64::try_from(numbers[1]).unwrap_or(0))).into())
        }
        "quantity" => Some(text_of(texts[1]).into()),
        "intstr" if numbers[1] == 1 => Some(text_of(texts[3]).into()),
        "intstr" => Some(Value::from(numbers[2] as i32)),
        "raw" if texts[1].is_empty() => None,
        "raw" => Some(serde_json::from_slice(texts[1]).map_err(|_| ProtobufError::Malformed)?),
        name => Some(Value::Object(message(name, bytes, depth + 1)?)),
    })
}

fn time(shape: &str, seconds: i64, nanos: i64) -> Option<Value> {
    if seconds == 0 && nanos == 0 {
        return None;
    }
    let micro = shape == "microtime";
    let time = Timestamp::new(seconds, if micro { i32::try_from(nanos).unwrap_or(0) } else { 0 }).ok()?;
    let format = if micro { "%Y-%m-%dT%H:%M:%S%.6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Some(time.strftime(format).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![u8::try_from(number << 3 | 2).unwrap(), u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [entry(1, version.as_bytes()), entry(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), entry(1, &meta), entry(2, raw)].concat()
    }

    #[test]
    fn a_message_becomes_the_json_that_it_stands_for() {
        // A Service with a port whose target is the port named http.
        let target = [vec![1 << 3, 1, 2 << 3, 0], entry(3, b"http")].concat();
        let port = [entry(1, b"web"), vec![3 << 3, 80], entry(4, &target)].concat();
        let label = [entry(1, b"app"), entry(2, b"x")].concat();
        let meta = [entry(1, b"s"), entry(8, &[]), entry(11, &label)].concat();
        let service = [entry(1, &meta), entry(2, &entry(1, &port))].concat();
        let json: Value =
            serde_json::from_slice(&to_json(&body("v1", "Service", &service)).unwrap()).unwrap();
        let expected = serde_json::json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "labels": {"app": "x"}},
            "spec": {"ports": [{"name": "web", "port": 80, "targetPort": "http"}]},
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn fields_of_an_embedded_struct_belong_to_the_outer_one() {
        // A Pod with a volume `v` that is an emptyDir.
        let source = entry(2, &[]);
        let volume = [entry(1, b"v"), entry(2, &source)].concat();
        let pod = entry(2, &entry(1, &volume));
        let json: Value = serde_json::from_slice(&to_json(&body("v1", "Pod", &pod)).unwrap()).unwrap();
        assert_eq!(json["spec"]["volumes"], serde_json::json!([{"name": "v", "emptyDir": {}}]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(to_json(b"{}"), Err(ProtobufError::Magic));
        assert_eq!(to_json(b"k8s\0\x0a\xff"), Err(ProtobufError::Malformed));
        assert!(matches!(to_json(&body("v1", "Nonsense", &[])), Err(ProtobufError::UnknownKind { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = to_json(&bytes);
            let _ = to_json(&body("v1", "Pod", &bytes));
        }
    }
}
