//! `-o name`, and the line that a changing verb prints without `-o`: `deployment.apps/x created`.
// Models k8s.io/cli-runtime/pkg/printers/name.go.

use serde_json::Value;

use super::print_flags::ResourcePrinter;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::resources::{is_list, list_items};

/// Prints what an object is called, and what was done to it.
pub struct NamePrinter {
    /// What was done, like `created`; empty for the name alone.
    pub operation: String,
}

impl ResourcePrinter for NamePrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        if is_list(object) {
            return list_items(object.clone()).iter().try_for_each(|item| self.print(item, out));
        }
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind.is_empty() {
            return Err(KubectlError::message(
                "missing apiVersion or kind; try GetObjectKind().SetGroupVersionKind() if you know the type",
            ));
        }
        let name = object["metadata"]["name"].as_str().filter(|name| !name.is_empty()).unwrap_or("<unknown>");
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let resource = match (kind.to_lowercase(), group) {
            (kind, "") => kind,
            (kind, group) => format!("{kind}.{group}"),
        };
        let operation =
            if self.operation.is_empty() { String::new() } else { format!(" {}", self.operation) };
        *out += &format!("{resource}/{name}{operation}\n");
        Ok(())
    }
}
