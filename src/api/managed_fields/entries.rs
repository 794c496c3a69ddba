//! `metadata.managedFields`: reading, writing, and the order of its entries.
// Models apimachinery/pkg/util/managedfields/internal/managedfields.go and capmanagers.go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::FieldSet;

/// So many managers that have only updated are told apart; the oldest become one.
const MAX_UPDATE_MANAGERS: usize = 10;
/// Who the oldest become.
const OLD_UPDATES: &str = "ancient-changes";

/// How a manager came by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// The word in an entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields: entries with the same of all these are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manager {
    /// How.
    pub operation: Operation,
    /// The name, like `kubectl-client-side-apply`.
    pub name: String,
    /// The version that the writer used; empty for appliers, who are the same in each version.
    pub api_version: String,
    /// Through which sub-resource; empty for none.
    pub subresource: String,
}

impl Manager {
    /// The manager of a write; nameless ones are `unknown`.
    pub fn new(name: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        let name = if name.is_empty() { "unknown" } else { name }.to_owned();
        let api_version = if operation == Operation::Apply { "" } else { api_version }.to_owned();
        Self { operation, name, api_version, subresource: subresource.to_owned() }
    }
}

impl std::fmt::Display for Manager {
    /// As conflicts name it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.name)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The version that the fields are of.
    pub api_version: String,
    /// The fields.
    pub fields: FieldSet,
    /// When the manager last changed something, if it did.
    pub time: Option<Timestamp>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managed(pub BTreeMap<Manager, Entry>);

impl Managed {
    /// Reads `metadata.managedFields`.
    pub fn read(entries: Option<&Value>) -> Result<Self, String> {
        let mut managed = Self::default();
        let entries = entries.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, entry) in entries.iter().enumerate() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            if text("apiVersion").is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match text("fieldsType") {
                "FieldsV1" => {}
                "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
                other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {index}")),
            }
            let fields = match entry.get("fieldsV1") {
                None | Some(Value::Null) => FieldSet::default(),
                Some(fields) => FieldSet::from_fields_v1(fields)
                    .map_err(|error| format!("error decoding set: {error}"))?,
            };
            let manager = Manager {
                operation,
                name: text("manager").to_owned(),
                api_version: if operation == Operation::Apply {
                    String::new()
                } else {
                    text("apiVersion").to_owned()
                },
                subresource: text("subresource").to_owned(),
            };
            let time = text("time").parse().ok();
            managed.0.insert(manager, Entry { api_version: text("apiVersion").to_owned(), fields, time });
        }
        Ok(managed)
    }

    /// What to write into `metadata.managedFields`; `None` if nobody owns anything.
    pub fn write(&self) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        let mut entries: Vec<(&Manager, &Entry)> = self.0.iter().collect();
        entries.sort_by_key(|(manager, entry)| {
            let seconds = entry.time.map_or(0, Timestamp::as_second);
            (manager.operation, seconds, &manager.name, &entry.api_version, &manager.subresource)
        });
        Some(Value::Array(entries.into_iter().map(|(manager, entry)| written(manager, entry)).collect()))
    }

    /// Makes one of the oldest updaters if there are too many.
    pub(super) fn cap_update_managers(&mut self) {
        let mut updaters: Vec<Manager> =
            self.0.keys().filter(|m| m.operation == Operation::Update).cloned().collect();
        let mut count = updaters.len();
        if count <= MAX_UPDATE_MANAGERS {
            return;
        }
        updaters.sort_by_key(|manager| {
            let seconds = self.0.get(manager).and_then(|entry| entry.time).map_or(0, Timestamp::as_second);
            (seconds, manager.clone())
        });
        let mut first_of_version: BTreeMap<String, Manager> = BTreeMap::new();
        for manager in updaters {
            if count <= MAX_UPDATE_MANAGERS {
                return;
            }
            let version = manager.api_version.clone();
            let Some(first) = first_of_version.get(&version) else {
                first_of_version.insert(version, manager);
                continue;
            };
            let bucket = Manager::new(OLD_UPDATES, Operation::Update, &version, "");
            let base = self.0.remove(&bucket).or_else(|| self.0.remove(first));
            let (Some(mut base), Some(entry)) = (base, self.0.remove(&manager)) else { continue };
            base.fields = base.fields.union(&entry.fields);
            base.time = entry.time;
            self.0.insert(bucket, base);
            count -= 1;
        }
    }
}

fn written(manager: &Manager, entry: &Entry) -> Value {
    let mut map = Map::new();
    map.insert("manager".to_owned(), manager.name.as_str().into());
    map.insert("operation".to_owned(), manager.operation.as_str().into());
    map.insert("apiVersion".to_owned(), entry.api_version.as_str().into());
    if let Some(time) = entry.time {
        map.insert("time".to_owned(), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    }
    map.insert("fieldsType".to_owned(), json!("FieldsV1"));
    map.insert("fieldsV1".to_owned(), entry.fields.to_fields_v1());
    if !manager.subresource.is_empty() {
        map.insert("subresource".to_owned(), manager.subresource.as_str().into());
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_entries_are_read_or_refused(text in "[\\[{\"fvk:.,}\\]0-9]{0,40}", operation in "Apply|Update|[a-z]{0,5}") {
            let fields: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            let entry = serde_json::json!({
                "manager": "m", "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
            });
            let _ = Managed::read(Some(&Value::Array(vec![entry, fields])));
        }
    }
}
