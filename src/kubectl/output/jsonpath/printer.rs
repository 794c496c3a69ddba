//! `-o jsonpath`, `-o jsonpath-as-json`, and the relaxed spelling that other flags take.
// Models k8s.io/cli-runtime/pkg/printers/jsonpath.go and kubectl/pkg/cmd/get (RelaxedJSONPathExpression).

use serde_json::Value;

use super::eval::JsonPath;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::output::gofmt;
use crate::kubectl::output::print_flags::ResourcePrinter;

/// Prints what a template finds.
pub struct JsonPathPrinter {
    template: String,
    path: JsonPath,
    as_json: bool,
}

impl JsonPathPrinter {
    /// A printer for a template.
    pub fn new(template: &str, allow_missing_keys: bool, as_json: bool) -> Result<Self> {
        let path = JsonPath::parse(template);
        let path =
            path.map_err(|why| KubectlError::message(format!("error parsing jsonpath {template}, {why}")))?;
        Ok(Self { template: template.to_owned(), path: path.allow_missing_keys(allow_missing_keys), as_json })
    }
}

impl ResourcePrinter for JsonPathPrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        let text = if self.as_json { self.path.execute_as_json(object) } else { self.path.execute(object) };
        let told = |why: String| {
            let (template, quoted, shown) =
                (&self.template, gofmt::quote(&self.template), gofmt::syntax(object));
            KubectlError::message(format!(
                "error executing jsonpath {quoted}: Error executing template: {why}. Printing more information for debugging the \
                 template:\n\ttemplate was:\n\t\t{template}\n\tobject given to jsonpath engine was:\n\t\t{shown}\n\n\n"
            ))
        };
        *out += &text.map_err(told)?;
        Ok(())
    }
}

/// `x.y`, `.x.y`, `{x.y}` or `{.x.y}` as `{.x.y}`.
pub fn relaxed(expression: &str) -> Result<String> {
    if expression.is_empty() {
        return Ok(String::new());
    }
    let bad = || {
        KubectlError::message(
            "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'",
        )
    };
    let inner = match (expression.strip_prefix('{'), expression.strip_suffix('}')) {
        (Some(_), Some(_)) => &expression[1..expression.len() - 1],
        (None, None) => expression,
        _ => return Err(bad()),
    };
    let spec = inner.strip_prefix('.').unwrap_or(inner);
    if spec.is_empty() || spec.starts_with('{') || spec.contains(['{', '}']) {
        return Err(bad());
    }
    Ok(format!("{{.{spec}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_be_written_loosely() {
        for spelling in ["x.y", ".x.y", "{x.y}", "{.x.y}"] {
            assert_eq!(relaxed(spelling).unwrap(), "{.x.y}");
        }
        assert!(relaxed("{x").is_err() && relaxed("{}").is_err());
    }
}
