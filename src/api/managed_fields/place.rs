//! How server-side apply sees a value by its schema: a leaf, a map or a list, and how list elements are told apart. Also the
//! set of all fields of a value.
// Models sigs.k8s.io/structured-merge-diff/typed (resolveSchema, listItemToPathElement, toFieldSet).

use serde_json::{Map, Value};

use super::set::{FieldSet, PathElement};
use crate::api::schema::{FieldInfo, ListType, Shape, TypeInfo};

/// A place in a schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub shape: &'a Shape,
    list: &'a ListType,
    atomic: bool,
}

/// What a place holds.
#[derive(Clone, Copy)]
pub(super) enum Atom<'a> {
    /// One value, whatever is in it.
    Leaf,
    /// Fields or keys of their own.
    Map(MapOf<'a>),
    /// Elements of their own.
    List(&'a Shape, &'a ListType),
}

/// What a map's entries are.
#[derive(Clone, Copy)]
pub(super) enum MapOf<'a> {
    Fields(&'a TypeInfo),
    Values(&'a Shape),
}

static ATOMIC: ListType = ListType::Atomic;
static RAW: Shape = Shape::Raw;

impl<'a> Place<'a> {
    pub fn of(shape: &'a Shape) -> Self {
        Self { shape, list: &ATOMIC, atomic: false }
    }

    pub fn field(field: &'a FieldInfo) -> Self {
        Self { shape: &field.value, list: &field.list, atomic: field.map_atomic }
    }

    /// What the place holds, for these values (either may be missing).
    pub fn atom(self, values: [Option<&Value>; 2]) -> Atom<'a> {
        match self.shape {
            _ if self.atomic => Atom::Leaf,
            Shape::Type(reference) if reference.get().atomic => Atom::Leaf,
            Shape::Type(reference) => Atom::Map(MapOf::Fields(reference.get())),
            Shape::Map(element) => Atom::Map(MapOf::Values(element)),
            Shape::List(element) if *self.list != ListType::Atomic => Atom::List(element, self.list),
            // Without a schema maps are taken apart, lists are not.
            Shape::Raw if values.iter().flatten().all(|value| value.is_object()) => {
                Atom::Map(MapOf::Values(&RAW))
            }
            _ => Atom::Leaf,
        }
    }
}

impl<'a> MapOf<'a> {
    /// The place of an entry; `None` if there is no such field.
    pub fn entry(self, key: &str) -> Option<Place<'a>> {
        match self {
            Self::Fields(info) => match info.field(key) {
                Some(field) => Some(Place::field(field)),
                None => info.preserve_unknown.then_some(Place::of(&RAW)),
            },
            Self::Values(element) => Some(Place::of(element)),
        }
    }

    /// Whether it is a struct with that field.
    pub fn names(self, key: &str) -> bool {
        matches!(self, Self::Fields(info) if info.field(key).is_some())
    }
}

/// How an element of a list is told apart.
pub(super) fn element_of(list: &ListType, shape: &Shape, element: &Value) -> Result<PathElement, String> {
    let keys = match list {
        ListType::Map(keys) => keys,
        ListType::Set => return set_element(element),
        ListType::Atomic => return Err("invalid indexing of non-associative list".to_owned()),
    };
    let map = match element {
        Value::Object(map) => map,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut key = Map::new();
    for name in keys {
        let default = || {
            let field = shape.type_info().and_then(|info| info.field(name))?;
            serde_json::from_str(field.default?).ok()
        };
        if let Some(value) = map.get(&**name).cloned().or_else(default) {
            key.insert(name.clone().into_owned(), value);
        }
    }
    if key.is_empty() {
        let names: Vec<String> = keys.iter().map(|name| format!("{name:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    Ok(PathElement::Key(Value::Object(key).to_string()))
}

fn set_element(element: &Value) -> Result<PathElement, String> {
    match element {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        scalar => Ok(PathElement::Value(scalar.to_string())),
    }
}

/// Every leaf and every element of a value of the type; the value must fit it.
pub fn field_set(info: &TypeInfo, value: &Value) -> FieldSet {
    let mut walk = Walk { set: FieldSet::default(), path: vec![] };
    match value {
        Value::Object(map) if !info.atomic => walk.map(map, MapOf::Fields(info)),
        _ => {}
    }
    walk.set
}

struct Walk {
    set: FieldSet,
    path: Vec<PathElement>,
}

impl Walk {
    fn value(&mut self, value: &Value, place: Place<'_>) {
        match (place.atom([Some(value), None]), value) {
            (Atom::Leaf, _) => self.set.insert(&self.path),
            (Atom::Map(entries), Value::Object(map)) => self.map(map, entries),
            (Atom::List(shape, list), Value::Array(items)) => self.list(items, shape, list),
            _ => {}
        }
    }

    fn map(&mut self, map: &Map<String, Value>, entries: MapOf<'_>) {
        for (key, value) in map {
            let Some(place) = entries.entry(key) else { continue };
            self.path.push(PathElement::field(key));
            self.value(value, place);
            let nothing_inside = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            if nothing_inside || !entries.names(key) {
                self.set.insert(&self.path);
            }
            self.path.pop();
        }
    }

    fn list(&mut self, items: &[Value], shape: &Shape, list: &ListType) {
        let elements: Vec<_> = items.iter().map(|item| element_of(list, shape, item)).collect();
        for (item, element) in items.iter().zip(&elements) {
            let Ok(element) = element else { continue };
            self.path.push(element.clone());
            let repeated = elements.iter().filter(|other| other.as_ref() == Ok(element)).count() > 1;
            if !repeated {
                self.value(item, Place::of(shape));
            }
            self.set.insert(&self.path);
            self.path.pop();
        }
    }
}
