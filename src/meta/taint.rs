//! Taints and tolerations: which taints of a node a pod puts up with.
// Models k8s.io/component-helpers/scheduling/corev1 (TolerationsTolerateTaint).

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// Keeps new pods off.
pub const NO_SCHEDULE: &str = "NoSchedule";
/// Keeps new pods off if there is a choice.
pub const PREFER_NO_SCHEDULE: &str = "PreferNoSchedule";
/// Keeps new pods off and puts running ones out.
pub const NO_EXECUTE: &str = "NoExecute";

/// Whether the toleration covers the taint. An empty effect covers all, an empty key with `Exists` every key.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let set = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    if set(&toleration.effect).is_some_and(|effect| effect != taint.effect) {
        return false;
    }
    if set(&toleration.key).is_some_and(|key| key != taint.key) {
        return false;
    }
    match toleration.operator.as_deref() {
        Some("Exists") => true,
        None | Some("" | "Equal") => {
            set(&toleration.key).is_some()
                && toleration.value.as_deref().unwrap_or_default()
                    == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    }
}

/// Whether one of the tolerations covers the taint.
pub fn is_tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// The first taint with one of the effects that no toleration covers.
pub fn find_untolerated<'a>(
    taints: &'a [Taint],
    tolerations: &[Toleration],
    effects: &[&str],
) -> Option<&'a Taint> {
    taints.iter().find(|taint| effects.contains(&taint.effect.as_str()) && !is_tolerated(tolerations, taint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(toleration: Value, expected: bool) {
        let taint: Taint =
            serde_json::from_value(json!({"key": "a", "value": "b", "effect": "NoSchedule"})).unwrap();
        let toleration: Toleration = serde_json::from_value(toleration).unwrap();
        assert_eq!(tolerates(&toleration, &taint), expected, "{toleration:?}");
    }

    #[test]
    fn tolerations_cover_what_they_name() {
        check(json!({"key": "a", "value": "b", "effect": "NoSchedule"}), true);
        check(json!({"key": "a", "operator": "Equal", "value": "c"}), false);
        check(json!({"key": "a", "operator": "Exists"}), true);
        check(json!({"operator": "Exists"}), true);
        check(json!({"key": "a", "operator": "Exists", "effect": "NoExecute"}), false);
        check(json!({"key": "b", "operator": "Exists"}), false);
    }
}
