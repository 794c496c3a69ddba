//! The operators on a value: `is: 3`, `at-least: 500m`, `set: [a, b]`...

use regex::Regex;
use serde_json::Value;

use super::options::Options;
use crate::meta::quantity::Quantity;

/// What a value is held against.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Is(Value),
    IsNot(Value),
    AtLeast(Value),
    AtMost(Value),
    Contains(Value),
    Matches(Regex),
    Set(Vec<Value>),
    Present(bool),
}

impl Test {
    /// Reads the operators that were written, all of which must hold.
    pub(super) fn of(options: &mut Options) -> Result<Vec<Self>, String> {
        let mut tests = vec![];
        tests.extend(options.take("is")?.map(Self::Is));
        tests.extend(options.take("is-not")?.map(Self::IsNot));
        tests.extend(options.take("at-least")?.map(Self::AtLeast));
        tests.extend(options.take("at-most")?.map(Self::AtMost));
        tests.extend(options.take("contains")?.map(Self::Contains));
        tests.extend(options.regex("matches")?.map(Self::Matches));
        tests.extend(options.take("set")?.map(Self::Set));
        tests.extend(options.take("present")?.map(Self::Present));
        for test in &tests {
            if let Self::AtLeast(bound) | Self::AtMost(bound) = test
                && quantity(bound).is_none()
            {
                return Err(format!("{bound} is no number and no quantity"));
            }
        }
        match tests.is_empty() {
            true => Err(
                "an operator is missing: is, is-not, at-least, at-most, contains, matches, set or present"
                    .to_owned(),
            ),
            false => Ok(tests),
        }
    }

    /// Whether it holds for a value, which may be missing.
    pub(super) fn holds(&self, value: Option<&Value>) -> bool {
        let value = value.filter(|value| !value.is_null());
        if let Self::Present(wanted) = self {
            return value.is_some() == *wanted;
        }
        let Some(value) = value else { return matches!(self, Self::IsNot(_)) };
        match self {
            Self::Is(wanted) => same(value, wanted),
            Self::IsNot(wanted) => !same(value, wanted),
            Self::AtLeast(bound) => compare(value, bound).is_some_and(|order| order.is_ge()),
            Self::AtMost(bound) => compare(value, bound).is_some_and(|order| order.is_le()),
            Self::Contains(part) => match (value, part) {
                (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
                (Value::Array(elements), part) => elements.iter().any(|element| same(element, part)),
                (Value::Object(keys), Value::String(key)) => keys.contains_key(key),
                _ => false,
            },
            Self::Matches(regex) => match value {
                Value::String(text) => regex.is_match(text),
                other => regex.is_match(&other.to_string()),
            },
            Self::Set(wanted) => value.as_array().is_some_and(|elements| {
                elements.len() == wanted.len()
                    && wanted.iter().all(|one| elements.iter().any(|element| same(element, one)))
                    && elements.iter().all(|element| wanted.iter().any(|one| same(element, one)))
            }),
            Self::Present(_) => true,
        }
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn compare(value: &Value, bound: &Value) -> Option<std::cmp::Ordering> {
    quantity(value)?.as_f64().partial_cmp(&quantity(bound)?.as_f64())
}

/// Equal, quantities by their value.
fn same(value: &Value, wanted: &Value) -> bool {
    value == wanted || compare(value, wanted) == Some(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(written: Value, value: Option<Value>) -> bool {
        let mut options = Options::of(written).unwrap();
        let tests = Test::of(&mut options).unwrap();
        options.end().unwrap();
        tests.iter().all(|test| test.holds(value.as_ref()))
    }

    #[test]
    fn operators_hold_as_the_book_says() {
        for (written, value, wanted) in [
            (json!({"is": 3}), Some(json!(3)), true),
            (json!({"is": "500m"}), Some(json!("0.5")), true),
            (json!({"is": "1Gi"}), Some(json!("1024Mi")), true),
            (json!({"is": "web"}), Some(json!("api")), false),
            (json!({"is": 3}), None, false),
            (json!({"is-not": 3}), None, true),
            (json!({"is-not": 3}), Some(json!(3)), false),
            (json!({"at-least": 2, "at-most": 4}), Some(json!(3)), true),
            (json!({"at-least": "100m"}), Some(json!("50m")), false),
            (json!({"contains": "ngin"}), Some(json!("nginx:1.27")), true),
            (json!({"contains": "b"}), Some(json!(["a", "b"])), true),
            (json!({"contains": "app"}), Some(json!({"app": "web"})), true),
            (json!({"matches": "^v[12]$"}), Some(json!("v2")), true),
            (json!({"set": ["b", "a"]}), Some(json!(["a", "b"])), true),
            (json!({"set": ["b"]}), Some(json!(["a", "b"])), false),
            (json!({"present": true}), Some(json!("")), true),
            (json!({"present": false}), Some(json!(null)), true),
        ] {
            assert_eq!(holds(written.clone(), value.clone()), wanted, "{written} of {value:?}");
        }
    }

    #[test]
    fn an_operator_is_needed_and_bounds_are_numbers() {
        let read = |written| Test::of(&mut Options::of(written).unwrap());
        assert!(read(json!({})).unwrap_err().starts_with("an operator is missing"));
        assert_eq!(read(json!({"at-least": "many"})).unwrap_err(), "\"many\" is no number and no quantity");
        assert!(read(json!({"matches": "("})).unwrap_err().starts_with("`matches` is no regular expression"));
    }
}
