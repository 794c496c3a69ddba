//! What is written behind a goal's word, taken apart key by key, so that a key that nobody knows is told.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The keys of a goal that have not been read yet.
pub(super) struct Options {
    left: Map<String, Value>,
    known: Vec<&'static str>,
}

impl Options {
    /// The keys of a map.
    pub(super) fn of(written: Value) -> Result<Self, String> {
        match written {
            Value::Object(left) => Ok(Self { left, known: vec![] }),
            other => Err(format!("expected keys like {{of: pods, ...}}, found {other}")),
        }
    }

    /// The value of a key, if it was written.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<Option<T>, String> {
        self.known.push(key);
        match self.left.remove(key) {
            None => Ok(None),
            Some(value) => {
                let shown = value.to_string();
                serde_json::from_value(value).map(Some).map_err(|why| format!("`{key}: {shown}`: {why}"))
            }
        }
    }

    /// The value of a key that must be there.
    pub(super) fn need<T: DeserializeOwned>(&mut self, key: &'static str) -> Result<T, String> {
        self.take(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    /// A regular expression, if it was written.
    pub(super) fn regex(&mut self, key: &'static str) -> Result<Option<regex::Regex>, String> {
        let Some(text) = self.take::<String>(key)? else { return Ok(None) };
        regex::Regex::new(&text).map(Some).map_err(|why| format!("`{key}` is no regular expression: {why}"))
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), String> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("unknown key `{key}`: expected {}", self.known.join(", "))),
        }
    }
}
