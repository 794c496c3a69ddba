//! The `-o` flag and its companions: which printer they ask for.
// Models k8s.io/cli-runtime/pkg/genericclioptions (print_flags.go, json_yaml_flags.go, kube_template_flags.go).

use serde_json::{Value, json};

use super::columns::ColumnsPrinter;
use super::json::JsonPrinter;
use super::jsonpath::JsonPathPrinter;
use super::kyaml::KyamlPrinter;
use super::name::NamePrinter;
use super::template::TemplatePrinter;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::yaml;

/// Prints objects one after another.
pub trait ResourcePrinter: Send {
    /// Adds an object to `out`. What was added before an error is printed, too.
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()>;
}

/// What was done to an object, for printers that say so.
#[derive(Clone, Debug, Default)]
pub struct Operation(pub String);

impl Operation {
    /// `created`, `configured`, ...
    pub fn new(done: &str) -> Self {
        Self(done.to_owned())
    }

    /// The same with ` (dry run)` or ` (server dry run)` behind it. `dry_run` is the flag's value.
    #[must_use]
    pub fn dry_run(self, dry_run: &str) -> Self {
        match dry_run {
            "client" => Self(format!("{} (dry run)", self.0)),
            "server" => Self(format!("{} (server dry run)", self.0)),
            _ => self,
        }
    }
}

/// The formats that every verb with `-o` knows.
pub const FORMATS: [&str; 11] = [
    "json",
    "yaml",
    "kyaml",
    "name",
    "go-template",
    "go-template-file",
    "template",
    "templatefile",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
];

/// `-o`, `--template`, `--allow-missing-template-keys`, `--show-managed-fields`.
pub fn print_flags() -> Vec<Flag> {
    vec![
        Flag::string("output", "", format!("Output format. One of: ({}).", FORMATS.join(", "))).short('o'),
        Flag::string("template", "", "A Go template, or the path of one for -o=go-template-file."),
        Flag::bool(
            "allow-missing-template-keys",
            true,
            "Print nothing for keys that templates do not find, rather than fail.",
        ),
        Flag::bool("show-managed-fields", false, "Keep managedFields when printing JSON or YAML."),
    ]
}

/// The printer that the flags ask for. Without `-o` it is the line that says what was done.
pub async fn printer(
    session: &Session,
    flags: &Flags,
    operation: &Operation,
) -> Result<Box<dyn ResourcePrinter>> {
    let output = flags.string("output");
    match printer_for(session, flags, &FORMATS).await? {
        Some(printer) => Ok(printer),
        None if output.is_empty() => Ok(Box::new(NamePrinter { operation: operation.0.clone() })),
        None => Err(no_printer(output, &FORMATS)),
    }
}

/// The error of an unknown format.
pub fn no_printer(output: &str, formats: &[&str]) -> KubectlError {
    let mut formats = formats.to_vec();
    formats.sort_unstable();
    let formats = formats.join(",");
    let text = format!(
        "unable to match a printer suitable for the output format {output:?}, allowed formats are: {formats}"
    );
    KubectlError::message(text)
}

/// The printer of a format; `None` if `-o` is not given or is none of `formats`.
pub async fn printer_for(
    session: &Session,
    flags: &Flags,
    formats: &[&str],
) -> Result<Option<Box<dyn ResourcePrinter>>> {
    let mut output = flags.string("output").to_owned();
    let template = flags.string("template");
    if !template.is_empty() && !flags.changed("output") {
        "go-template".clone_into(&mut output);
    }
    let show_managed = flags.bool("show-managed-fields");
    let plain: Option<Box<dyn ResourcePrinter>> = match output.to_lowercase().as_str() {
        "json" => Some(Box::new(JsonPrinter)),
        "yaml" => Some(Box::new(YamlPrinter::default())),
        "kyaml" => Some(Box::new(KyamlPrinter)),
        "name" if formats.contains(&"name") => {
            return Ok(Some(Box::new(NamePrinter { operation: String::new() })));
        }
        _ => None,
    };
    if let Some(printer) = plain {
        return Ok(Some(if show_managed { printer } else { Box::new(WithoutManagedFields(printer)) }));
    }
    let (format, argument) = split_format(&output, template, formats);
    if format.is_empty() {
        return Ok(None);
    }
    let missing_ok = !flags.knows("allow-missing-template-keys") || flags.bool("allow-missing-template-keys");
    let printer: Box<dyn ResourcePrinter> = match format.as_str() {
        "go-template" | "template" | "go-template-file" | "templatefile" => {
            if argument.is_empty() {
                return Err(KubectlError::message("template format specified but no template given"));
            }
            let file = format.ends_with("file");
            let text = if file { read(session, &argument, "--template").await? } else { argument };
            Box::new(TemplatePrinter::new(&text, missing_ok)?)
        }
        "jsonpath" | "jsonpath-as-json" | "jsonpath-file" => {
            if argument.is_empty() {
                return Err(KubectlError::message("template format specified but no template given"));
            }
            let file = format == "jsonpath-file";
            let text = if file { read(session, &argument, "--template").await? } else { argument };
            Box::new(JsonPathPrinter::new(&text, missing_ok, format == "jsonpath-as-json")?)
        }
        "custom-columns" => Box::new(ColumnsPrinter::from_spec(&argument, flags.bool("no-headers"))?),
        "custom-columns-file" => {
            if argument.is_empty() {
                return Err(KubectlError::message(
                    "custom-columns format specified but no custom columns given",
                ));
            }
            let content = session.read_file(&argument).await;
            let content = content
                .map_err(|e| KubectlError::message(format!("error reading template {argument}, {e}\n")))?;
            Box::new(ColumnsPrinter::from_file(&String::from_utf8_lossy(&content), flags.bool("no-headers"))?)
        }
        _ => return Ok(None),
    };
    Ok(Some(printer))
}

/// Formats that take an argument, the longer names first.
const WITH_ARGUMENT: [&str; 9] = [
    "go-template-file",
    "go-template",
    "templatefile",
    "template",
    "jsonpath-as-json",
    "jsonpath-file",
    "jsonpath",
    "custom-columns-file",
    "custom-columns",
];

/// The format and its argument: `jsonpath={.x}`, or `jsonpath` and `--template`.
fn split_format(output: &str, template: &str, formats: &[&str]) -> (String, String) {
    for format in WITH_ARGUMENT.iter().filter(|format| formats.contains(format)) {
        if output == *format {
            return ((*format).to_owned(), template.to_owned());
        }
        if let Some(argument) = output.strip_prefix(format).and_then(|rest| rest.strip_prefix('=')) {
            return ((*format).to_owned(), argument.to_owned());
        }
    }
    (String::new(), String::new())
}

async fn read(session: &Session, path: &str, flag: &str) -> Result<String> {
    let content = session.read_file(path).await;
    let content =
        content.map_err(|error| KubectlError::message(format!("error reading {flag} {path}, {error}\n")))?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// `-o yaml`: documents with `---` between.
#[derive(Default)]
struct YamlPrinter {
    printed: usize,
}

impl ResourcePrinter for YamlPrinter {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        if self.printed > 0 {
            *out += "---\n";
        }
        self.printed += 1;
        *out += &yaml::to_string(object);
        Ok(())
    }
}

/// Leaves out what server-side apply keeps in objects.
struct WithoutManagedFields(Box<dyn ResourcePrinter>);

impl ResourcePrinter for WithoutManagedFields {
    fn print(&mut self, object: &Value, out: &mut String) -> Result<()> {
        let mut object = object.clone();
        omit_managed_fields(&mut object);
        self.0.print(&object, out)
    }
}

/// Takes `managedFields` out of an object, of a watch event's object and of a list's items.
pub fn omit_managed_fields(object: &mut Value) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(omit_managed_fields);
    }
    if object.get("type").is_some() && object.get("object").is_some_and(Value::is_object) {
        omit_managed_fields(&mut object["object"]);
    }
    // Indexing must not leave a null behind.
    if object["metadata"] == json!(null)
        && let Some(map) = object.as_object_mut()
    {
        map.remove("metadata");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_format_is_named_with_its_argument(format in 0..WITH_ARGUMENT.len(), argument in "\\PC{0,20}") {
            let name = WITH_ARGUMENT[format];
            let both = (name.to_owned(), argument.clone());
            proptest::prop_assert_eq!(split_format(&format!("{name}={argument}"), "", &WITH_ARGUMENT), both.clone());
            proptest::prop_assert_eq!(split_format(name, &argument, &WITH_ARGUMENT), both);
        }
    }
}
