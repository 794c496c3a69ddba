//! Sets of field paths, and their JSON form (FieldsV1): `f:name`, `k:{"name":"web"}`, `v:"x"` and `.`.
// Models sigs.k8s.io/structured-merge-diff/fieldpath (Set, PathElement and their serialization).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// Deeper sets are refused; objects are not as deep either.
const MAX_DEPTH: usize = 256;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathElement {
    /// A field of a struct, or a key of a map.
    Field(String),
    /// An element of a list whose elements are told apart by fields: those, as a JSON object with sorted keys.
    Key(String),
    /// An element of a list of values: that value, as JSON.
    Value(String),
    /// An element of a list by its place.
    Index(u64),
}

impl PathElement {
    /// A field.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// The form in FieldsV1.
    fn serialized(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(json) => format!("k:{json}"),
            Self::Value(json) => format!("v:{json}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = text.split_once(':') else {
            return Err(format!("missing colon: {text}"));
        };
        let json = || serde_json::from_str::<Value>(rest).map_err(|error| error.to_string());
        Ok(Some(match kind {
            "f" => Self::Field(rest.to_owned()),
            "k" => match json()? {
                key @ Value::Object(_) => Self::Key(key.to_string()),
                _ => return Err("parsing key: expected a map".to_owned()),
            },
            "v" => Self::Value(json()?.to_string()),
            "i" => Self::Index(rest.parse().map_err(|_| format!("parsing {rest:?}: invalid syntax"))?),
            // Kinds of elements from the future are ignored.
            _ => return Ok(None),
        }))
    }
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(json) => {
                let key: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
                let fields: Vec<String> = key.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Value(json) => write!(f, "[={json}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path, for messages: `.spec.containers[name="web"].image`.
pub(super) fn path_text(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: BTreeMap<PathElement, Node>,
}

/// What a set knows of one step: whether the path ends here, and how it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    children: FieldSet,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }
}

static EMPTY: FieldSet = FieldSet { nodes: BTreeMap::new() };

impl FieldSet {
    /// A set of these paths of fields.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path.iter().map(|name| PathElement::field(name)).collect::<Vec<_>>());
        }
        set
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a path; an empty one is no path.
    pub fn insert(&mut self, path: &[PathElement]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let node = self.nodes.entry(first.clone()).or_default();
        if rest.is_empty() {
            node.member = true;
        } else {
            node.children.insert(rest);
        }
    }

    /// Whether the path is in it.
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.has_member(last),
            [first, rest @ ..] => self.below(first).has(rest),
        }
    }

    /// Whether the path of one step is in it.
    pub(super) fn has_member(&self, element: &PathElement) -> bool {
        self.nodes.get(element).is_some_and(|node| node.member)
    }

    /// What goes on below a step.
    pub(super) fn below(&self, element: &PathElement) -> &Self {
        self.nodes.get(element).map_or(&EMPTY, |node| &node.children)
    }

    fn kept(nodes: impl Iterator<Item = (PathElement, Node)>) -> Self {
        Self { nodes: nodes.filter(|(_, node)| !node.is_empty()).collect() }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        for (element, node) in &other.nodes {
            let mine = result.nodes.entry(element.clone()).or_default();
            mine.member |= node.member;
            mine.children = mine.children.union(&node.children);
        }
        result
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::kept(self.nodes.iter().filter_map(|(element, node)| {
            let theirs = other.nodes.get(element)?;
            let children = node.children.intersection(&theirs.children);
            Some((element.clone(), Node { member: node.member && theirs.member, children }))
        }))
    }

    /// What is not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self::kept(self.nodes.iter().map(|(element, node)| {
            let rest = other.nodes.get(element).map_or_else(
                || node.clone(),
                |theirs| Node {
                    member: node.member && !theirs.member,
                    children: node.children.difference(&theirs.children),
                },
            );
            (element.clone(), rest)
        }))
    }

    /// What is neither in the other nor below one of its paths.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        Self::kept(self.nodes.iter().filter_map(|(element, node)| match other.nodes.get(element) {
            None => Some((element.clone(), node.clone())),
            Some(theirs) if theirs.member => None,
            Some(theirs) => {
                let children = node.children.recursive_difference(&theirs.children);
                Some((element.clone(), Node { member: node.member, children }))
            }
        }))
    }

    /// The set in which steps for which `named` says so (it is given the steps so far) are members if paths go through
    /// them: fields of structs, as against keys of maps.
    pub(super) fn with_members(
        &self,
        path: &mut Vec<PathElement>,
        named: &dyn Fn(&[PathElement]) -> bool,
    ) -> Self {
        let nodes = self.nodes.iter().map(|(element, node)| {
            path.push(element.clone());
            let member = node.member || (!node.children.is_empty() && named(path));
            let children = node.children.with_members(path, named);
            path.pop();
            (element.clone(), Node { member, children })
        });
        Self { nodes: nodes.collect() }
    }

    /// Every path, in order.
    pub fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut all = vec![];
        self.collect(&mut vec![], &mut all);
        all
    }

    fn collect(&self, path: &mut Vec<PathElement>, all: &mut Vec<Vec<PathElement>>) {
        for (element, node) in &self.nodes {
            path.push(element.clone());
            if node.member {
                all.push(path.clone());
            }
            node.children.collect(path, all);
            path.pop();
        }
    }

    /// The JSON form.
    pub fn to_fields_v1(&self) -> Value {
        let fields = self.nodes.iter().map(|(element, node)| {
            let mut children = node.children.to_fields_v1();
            if let (true, false, Value::Object(map)) = (node.member, node.children.is_empty(), &mut children)
            {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (element.serialized(), children)
        });
        Value::Object(fields.collect())
    }

    /// Reads the JSON form.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, String> {
        Self::read(fields, 0).map(|(set, _)| set)
    }

    /// The set, and whether `.` was in it.
    fn read(fields: &Value, depth: usize) -> Result<(Self, bool), String> {
        let Value::Object(map) = fields else {
            return Err("expected a map".to_owned());
        };
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        let mut set = Self::default();
        let mut itself = false;
        for (key, value) in map {
            if key == "." {
                itself = true;
                continue;
            }
            let Some(element) = PathElement::parse(key)? else { continue };
            let (children, dot) = Self::read(value, depth + 1)?;
            let member = dot || children.is_empty();
            set.nodes.insert(element, Node { member, children });
        }
        Ok((set, itself))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn any_set() -> impl Strategy<Value = FieldSet> {
        let element = prop_oneof![
            "[a-c]".prop_map(PathElement::Field),
            "[a-b]".prop_map(|name| PathElement::Key(json!({ "name": name }).to_string())),
            (0..3_i64).prop_map(|value| PathElement::Value(value.to_string())),
        ];
        proptest::collection::vec(proptest::collection::vec(element, 1..4), 0..6).prop_map(|paths| {
            let mut set = FieldSet::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    #[test]
    fn the_json_form_is_kubernetes() {
        let fields = json!({"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"a\"": {}},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}});
        let set = FieldSet::from_fields_v1(&fields).unwrap();
        assert_eq!(set.to_fields_v1(), fields);
        let paths: Vec<String> = set.paths().iter().map(|path| path_text(path)).collect();
        let expected = [
            ".finalizers[=\"a\"]",
            ".labels",
            ".labels.app",
            ".ports[containerPort=80,protocol=\"TCP\"].name",
        ];
        assert_eq!(paths, expected);
    }

    proptest! {
        #[test]
        fn sets_survive_their_json_form(set in any_set()) {
            prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()).unwrap(), set);
        }

        #[test]
        fn sets_are_sets(one in any_set(), other in any_set()) {
            let paths = |set: &FieldSet| set.paths().into_iter().collect::<std::collections::BTreeSet<_>>();
            let (a, b) = (paths(&one), paths(&other));
            prop_assert_eq!(paths(&one.union(&other)), a.union(&b).cloned().collect());
            prop_assert_eq!(paths(&one.intersection(&other)), a.intersection(&b).cloned().collect());
            prop_assert_eq!(paths(&one.difference(&other)), a.difference(&b).cloned().collect());
            let outside = |path: &Vec<PathElement>| !b.iter().any(|prefix| path.starts_with(prefix));
            prop_assert_eq!(paths(&one.recursive_difference(&other)), a.iter().filter(|p| outside(p)).cloned().collect());
            prop_assert!(a.iter().all(|path| one.has(path)));
        }

        #[test]
        fn no_json_makes_it_panic(fields in crate::api::testing::any_json()) {
            let _ = FieldSet::from_fields_v1(&fields);
        }
    }
}
