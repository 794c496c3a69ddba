//! What can still be read of a damaged file of progress: every lesson whose own part is whole, wherever the damage is.
//!
//! Used by `progress` only, when the file as a whole is not to be understood.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::progress::LessonProgress;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Salvaged {
    /// The language.
    pub(super) language: Option<String>,
    /// The lesson that was played last.
    pub(super) last: Option<String>,
    /// The lessons.
    pub(super) lessons: BTreeMap<String, LessonProgress>,
}

/// Looks through the text for names and what follows them: `"basics/deploy-an-app": {...}`.
pub(super) fn salvage(bytes: &[u8]) -> Salvaged {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Salvaged::default();
    let mut rest = text.as_ref();
    while let Some(start) = rest.find('"') {
        rest = &rest[start..];
        let Some((Value::String(name), value)) = next_value(rest).filter(|(name, _)| name.is_string()) else {
            rest = &rest[1..];
            continue;
        };
        let Some(value) = value.trim_start().strip_prefix(':') else {
            // A string that is no name: what is behind it may be one.
            rest = &rest[1..];
            continue;
        };
        let Some((value, behind)) = next_value(value) else {
            rest = value;
            continue;
        };
        match (name.as_str(), &value) {
            ("language", Value::String(language)) => found.language = Some(language.clone()),
            ("last", Value::String(last)) => found.last = Some(last.clone()),
            // A whole map is looked through, too: its head may be what is wrong with it.
            (_, Value::Object(map)) if !is_lesson(map) => {
                rest = &rest[1..];
                continue;
            }
            (_, Value::Object(_)) => {
                if let Ok(lesson) = serde_json::from_value(value) {
                    found.lessons.insert(name, lesson);
                }
            }
            _ => {}
        }
        rest = behind;
    }
    found
}

/// The value that a text begins with, and the text behind it.
fn next_value(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    let end = values.byte_offset();
    Some((value, &text[end..]))
}

fn is_lesson(map: &Map<String, Value>) -> bool {
    map.contains_key("solved") && map.contains_key("done")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"{
  "version": 1,
  "language": "zh-TW",
  "last": "basics/b",
  "lessons": {
    "basics/a": { "step": null, "solved": ["one", "two"], "skipped": [], "done": true },
    "basics/b": { "step": "two", "solved": ["one"], "skipped": [], "done": false },
    "basics/c": { "step": "one", "solved": [], "skipped": [], "done": false }
  }
}"#;

    fn lessons(text: &str) -> Vec<String> {
        salvage(text.as_bytes()).lessons.into_keys().collect()
    }

    #[test]
    fn what_is_whole_is_found_on_either_side_of_the_damage() {
        assert_eq!(lessons(WHOLE), ["basics/a", "basics/b", "basics/c"]);
        let found = salvage(WHOLE.as_bytes());
        assert_eq!((found.language.as_deref(), found.last.as_deref()), (Some("zh-TW"), Some("basics/b")));
        assert_eq!(found.lessons["basics/b"].solved, ["one"]);
        let cut = &WHOLE[..WHOLE.find("basics/c").unwrap() + 20];
        assert_eq!(lessons(cut), ["basics/a", "basics/b"], "the end is missing");
        let begin = &WHOLE[WHOLE.find("two").unwrap()..];
        assert_eq!(lessons(begin), ["basics/b", "basics/c"], "the begin is missing");
        let zeros = WHOLE.replace("\"two\", \"solved\"", "\0\0\0\0");
        assert_eq!(lessons(&zeros), ["basics/a", "basics/c"], "a hole in the middle");
        let wrong = WHOLE.replace("[\"one\"]", "17");
        assert_eq!(lessons(&wrong), ["basics/a", "basics/c"], "one lesson is not what it should be");
        assert_eq!(salvage(b"\xff\xfe nothing"), Salvaged::default());
    }

    proptest! {
        #[test]
        fn no_damage_leads_to_a_panic_or_to_something_new(from in 0usize..420, length in 0usize..60, byte: u8) {
            let mut bytes = WHOLE.as_bytes().to_vec();
            let from = from.min(bytes.len());
            let to = (from + length).min(bytes.len());
            bytes[from..to].fill(byte);
            prop_assert!(salvage(&bytes).lessons.len() <= 3);
        }
    }
}
