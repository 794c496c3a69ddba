//! YAML bodies as the nodes that the JSON reader makes.
// Models sigs.k8s.io/yaml (YAMLToJSON, YAMLToJSONStrict).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::DuplicateKeyPolicy;

use super::node::{MAX_DEPTH, Node};

/// Reads one YAML document; of repeated keys the last counts.
pub(super) fn read(text: &[u8]) -> Result<Node<'static>, String> {
    read_with(text, DuplicateKeyPolicy::LastWins)
}

/// What is wrong with repeated keys, if there are any.
pub(super) fn repeated_keys(text: &[u8]) -> Option<String> {
    read_with(text, DuplicateKeyPolicy::Error).err()
}

fn read_with(text: &[u8], duplicate_keys: DuplicateKeyPolicy) -> Result<Node<'static>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let options = serde_saphyr::options! { duplicate_keys: duplicate_keys, legacy_octal_numbers: true };
    let tree: Tree = serde_saphyr::from_str_with_options(text, options).map_err(|e| words(&e))?;
    let depth = depth(&tree.0);
    if depth > MAX_DEPTH { Err("yaml: exceeded max depth".to_owned()) } else { Ok(tree.0) }
}

/// The first line of the reader's error, with go-yaml's prefix.
fn words(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match error.location() {
        Some(at) => format!("error converting YAML to JSON: yaml: line {}: {first}", at.line()),
        None => format!("error converting YAML to JSON: yaml: {first}"),
    }
}

fn depth(node: &Node<'_>) -> usize {
    match node {
        Node::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Node::Object(entries) => 1 + entries.iter().map(|(_, node)| depth(node)).max().unwrap_or(0),
        _ => 0,
    }
}

struct Tree(Node<'static>);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Node<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool(flag))
    }
    fn visit_i64<E>(self, whole: i64) -> Result<Self::Value, E> {
        Ok(Node::Number(whole.to_string().into()))
    }
    fn visit_u64<E>(self, whole: u64) -> Result<Self::Value, E> {
        Ok(Node::Number(whole.to_string().into()))
    }
    fn visit_i128<E>(self, whole: i128) -> Result<Self::Value, E> {
        Ok(Node::Number(whole.to_string().into()))
    }
    fn visit_u128<E>(self, whole: u128) -> Result<Self::Value, E> {
        Ok(Node::Number(whole.to_string().into()))
    }
    fn visit_f64<E>(self, float: f64) -> Result<Self::Value, E> {
        Ok(Node::Number(serde_json::Value::from(float).to_string().into()))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::String(text.to_owned().into()))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = vec![];
        while let Some(Tree(node)) = sequence.next_element()? {
            items.push(node);
        }
        Ok(Node::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(Cow<'static, str>, Node<'static>)> = vec![];
        while let Some((Tree(key), Tree(node))) = map.next_entry()? {
            let key = match key {
                Node::String(text) | Node::Number(text) => text,
                Node::Bool(flag) => flag.to_string().into(),
                Node::Null => "null".into(),
                Node::Array(_) | Node::Object(_) => {
                    return Err(serde::de::Error::custom("unsupported map key: only scalars can be keys"));
                }
            };
            entries.push((key, node));
        }
        Ok(Node::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn yaml_becomes_the_same_nodes() {
        let node = read(b"a: 1\nb: [x, true, ~, 1.5]\n1: yes\n2: z\n").unwrap();
        assert_eq!(node.to_value().to_string(), r#"{"1":true,"2":"z","a":1,"b":["x",true,null,1.5]}"#);
        assert!(repeated_keys(b"a: 1\na: 2\n").is_some());
        assert_eq!(read(b"a: 1\na: 2\n").unwrap().to_value().to_string(), r#"{"a":2}"#);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z0-9:\\-\\[\\]{}\"' \n#&*!|>]{0,60}") {
            let _ = read(text.as_bytes());
        }
    }
}
