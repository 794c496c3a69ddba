//! Conflicts of an apply with other managers, and the answer that names them.
// Models apimachinery/pkg/util/managedfields/internal/conflict.go.

use std::collections::BTreeMap;

use super::entries::Manager;
use super::set::{FieldSet, path_text};
use crate::api::status::ApiError;

/// Fields that others own and that the configuration would change.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts(pub BTreeMap<Manager, FieldSet>);

impl Conflicts {
    /// All the fields.
    pub fn fields(&self) -> FieldSet {
        self.0.values().fold(FieldSet::default(), |all, fields| all.union(fields))
    }

    /// Without these fields.
    pub fn without(&self, allowed: &FieldSet) -> Self {
        let kept = self.0.iter().map(|(manager, fields)| (manager.clone(), fields.difference(allowed)));
        Self(kept.filter(|(_, fields)| !fields.is_empty()).collect())
    }
}

impl From<Conflicts> for ApiError {
    fn from(conflicts: Conflicts) -> Self {
        let mut all = vec![];
        for (manager, fields) in &conflicts.0 {
            all.extend(fields.paths().into_iter().map(|path| (manager, path_text(&path))));
        }
        let text = match &all[..] {
            [(manager, path)] => format!("Apply failed with 1 conflict: conflict with {manager}: {path}"),
            many => {
                // By the identifiers that Kubernetes sorts, which begin with the name.
                let mut lines = vec![];
                let mut managers: Vec<&Manager> = conflicts.0.keys().collect();
                managers.sort_by_key(|manager| {
                    (&manager.name, manager.operation, &manager.api_version, &manager.subresource)
                });
                for manager in managers {
                    lines.push(format!("conflicts with {manager}:"));
                    lines.extend(
                        many.iter()
                            .filter(|(other, _)| *other == manager)
                            .map(|(_, path)| format!("- {path}")),
                    );
                }
                format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
            }
        };
        let error = Self::new(409, "Conflict", text);
        all.iter().fold(error, |error, (manager, path)| {
            error.cause("FieldManagerConflict", &format!("conflict with {manager}"), Some(path))
        })
    }
}
