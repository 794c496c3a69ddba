//! What a namespace on its way out is told: five conditions, in Kubernetes' words. Pure functions.
// Models pkg/controller/namespace/deletion/status_condition_utils.go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NamespaceCondition, NamespaceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Type, reason and message of each condition when all is well, in their order.
const FINE: [(&str, &str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
];

/// How the deletion of a namespace's content went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Why the kinds could not be found out.
    pub(crate) discovery_error: Option<String>,
    /// What could not be deleted.
    pub(crate) errors: Vec<String>,
    /// How many objects are left, by `<plural>.<group>`.
    pub(crate) remaining: BTreeMap<String, usize>,
    /// How many objects wait for each finalizer.
    pub(crate) finalizers: BTreeMap<String, usize>,
    /// How many seconds pods may still take.
    pub(crate) estimate: i64,
}

impl Progress {
    /// Reason and message of the conditions that are not fine.
    fn troubles(&self, with_totals: bool) -> BTreeMap<&'static str, (&'static str, String)> {
        let mut troubles = BTreeMap::new();
        if let Some(error) = &self.discovery_error {
            troubles.insert("NamespaceDeletionDiscoveryFailure", ("DiscoveryFailed", error.clone()));
        }
        if !self.errors.is_empty() {
            let mut errors = self.errors.clone();
            errors.sort();
            let text = format!(
                "Failed to delete all resource types, {} remaining: {}",
                errors.len(),
                errors.join(", ")
            );
            troubles.insert("NamespaceDeletionContentFailure", ("ContentDeletionFailed", text));
        }
        if with_totals && !self.remaining.is_empty() {
            let parts: Vec<String> = self
                .remaining
                .iter()
                .map(|(kind, count)| format!("{kind} has {count} resource instances"))
                .collect();
            let text = format!("Some resources are remaining: {}", parts.join(", "));
            troubles.insert("NamespaceContentRemaining", ("SomeResourcesRemain", text));
        }
        if with_totals && !self.finalizers.is_empty() {
            let parts: Vec<String> = self
                .finalizers
                .iter()
                .map(|(name, count)| format!("{name} in {count} resource instances"))
                .collect();
            let text =
                format!("Some content in the namespace has finalizers remaining: {}", parts.join(", "));
            troubles.insert("NamespaceFinalizersRemaining", ("SomeFinalizersRemain", text));
        }
        troubles
    }

    /// Brings the status up to date; `false` if it was. While pods are left nothing is told of the rest.
    pub(crate) fn update(&self, status: &mut NamespaceStatus, only_pods: bool, now: Timestamp) -> bool {
        let troubles = self.troubles(!only_pods);
        let conditions = status.conditions.get_or_insert_default();
        let mut changed = false;
        for (kind, reason, message) in FINE {
            let (word, reason, message) = match troubles.get(kind) {
                Some((reason, message)) => ("True", *reason, message.clone()),
                None => ("False", reason, message.to_owned()),
            };
            let new = NamespaceCondition {
                type_: kind.to_owned(),
                status: word.to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: Some(Time(now)),
            };
            match conditions.iter_mut().find(|old| old.type_ == kind) {
                None => {
                    conditions.push(new);
                    changed = true;
                }
                Some(old)
                    if (&old.status, &old.reason, &old.message)
                        == (&new.status, &new.reason, &new.message) => {}
                Some(old) => {
                    let since = old.last_transition_time.clone().filter(|_| old.status == new.status);
                    *old = NamespaceCondition {
                        last_transition_time: since.or(new.last_transition_time.clone()),
                        ..new
                    };
                    changed = true;
                }
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;

    #[test]
    fn what_is_left_is_told_once() {
        let mut status = NamespaceStatus::default();
        let mut progress = Progress::default();
        progress.remaining.insert("widgets.example.com".to_owned(), 2);
        progress.finalizers.insert("example.com/hold".to_owned(), 2);
        assert!(progress.update(&mut status, false, VIRTUAL_START));
        assert!(!progress.update(&mut status, false, VIRTUAL_START));
        let told: Vec<String> = status
            .conditions
            .iter()
            .flatten()
            .filter(|c| c.status == "True")
            .map(|c| c.message.clone().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                "Some resources are remaining: widgets.example.com has 2 resource instances",
                "Some content in the namespace has finalizers remaining: example.com/hold in 2 resource instances",
            ]
        );
        assert!(Progress::default().update(&mut status, false, VIRTUAL_START));
        assert!(status.conditions.iter().flatten().all(|c| c.status == "False"));
    }
}
