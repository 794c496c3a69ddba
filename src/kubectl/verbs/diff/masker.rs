//! What a Secret holds is not shown: stars stand for it, with a word behind them where it changes.
// Models k8s.io/kubectl/pkg/cmd/diff (Masker).

use serde_json::{Value, json};

const MASK: &str = "***";
const BEFORE: &str = "*** (before)";
const AFTER: &str = "*** (after)";

/// Puts stars into the data of a Secret as it is and as it would be.
pub(super) fn mask(from: &mut Value, to: &mut Value) {
    let before = from["data"].as_object().cloned().unwrap_or_default();
    let after = to["data"].as_object().cloned().unwrap_or_default();
    let cover = |object: &mut Value, own: &str| {
        for (key, value) in object.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
            let changed = matches!((before.get(key), after.get(key)), (Some(a), Some(b)) if a != b);
            *value = json!(if changed { own } else { MASK });
        }
    };
    cover(from, BEFORE);
    cover(to, AFTER);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_say_what_changes_and_nothing_else() {
        let mut from = json!({"data": {"same": "YQ==", "other": "Yg==", "gone": "Yw=="}});
        let mut to = json!({"data": {"same": "YQ==", "other": "ZA==", "new": "ZQ=="}});
        mask(&mut from, &mut to);
        assert_eq!(from, json!({"data": {"same": MASK, "other": BEFORE, "gone": MASK}}));
        assert_eq!(to, json!({"data": {"same": MASK, "other": AFTER, "new": MASK}}));
        let mut nothing = Value::Null;
        mask(&mut nothing, &mut to);
        assert_eq!((nothing, &to["data"]["other"]), (Value::Null, &json!(MASK)));
    }
}
