//! What every changing verb shares: dry runs, field managers, validation, the annotation of `apply`, telling what was done.
// Models kubectl/pkg/cmd/util (helpers.go), kubectl/pkg/util (apply.go) and cli-runtime/pkg/resource (helper.go).

use serde_json::{Value, json};

use crate::kubectl::client::Request;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::{Operation, json::compact, print_flags, printer};
use crate::kubectl::session::Session;

/// The annotation that keeps what `apply` was given last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a verb only says what it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It does it.
    None,
    /// Nothing is sent.
    Client,
    /// The server goes through it and keeps nothing.
    Server,
}

impl DryRun {
    /// The value of the `dryRun` parameter.
    pub fn parameter(self) -> &'static str {
        if self == Self::Server { "All" } else { "" }
    }

    /// What stands behind the operation.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }

    fn operation(self, operation: &str) -> Operation {
        Operation::new(&format!("{operation}{}", self.suffix()))
    }
}

/// `--dry-run`.
pub fn dry_run_flag() -> Flag {
    let usage =
        "Whether to only say what would be done: none, client (nothing is sent) or server (nothing is kept).";
    Flag::string("dry-run", "none", usage).no_value("unchanged")
}

/// Reads `--dry-run`, with a warning for its old forms.
// Models cmdutil.GetDryRunStrategy.
pub async fn dry_run(session: &Session, flags: &Flags) -> Result<DryRun> {
    let value = flags.string("dry-run");
    let (strategy, old) = match value {
        "none" | "" => (DryRun::None, String::new()),
        "client" => (DryRun::Client, String::new()),
        "server" => (DryRun::Server, String::new()),
        "unchanged" => {
            (DryRun::Client, "--dry-run is deprecated and can be replaced with --dry-run=client.".to_owned())
        }
        "true" | "1" | "t" | "T" | "TRUE" | "True" => (
            DryRun::Client,
            format!(
                "--dry-run={value} is deprecated (boolean value) and can be replaced with --dry-run=client."
            ),
        ),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => (
            DryRun::None,
            format!(
                "--dry-run={value} is deprecated (boolean value) and can be replaced with --dry-run=none."
            ),
        ),
        other => {
            let text =
                format!("Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\".");
            return Err(KubectlError::message(text));
        }
    };
    if !old.is_empty() {
        let now = session.clock.now().strftime("%m%d %H:%M:%S%.6f");
        session.err.line(format!("W{now}       1 helpers.go:719] {old}")).await?;
    }
    Ok(strategy)
}

/// `--field-manager`.
pub fn field_manager_flag(default: &str) -> Flag {
    Flag::string("field-manager", default, "The name under which the server keeps who owns which field.")
}

/// `--save-config`.
pub fn save_config_flag() -> Flag {
    Flag::bool("save-config", false, "Keep the object's configuration in its annotation, for a later apply.")
}

/// `--validate`.
pub fn validate_flag() -> Flag {
    let usage = "What to do about unknown fields: strict (or true) refuses, warn warns, ignore (or false) says nothing.";
    Flag::string("validate", "strict", usage).no_value("strict")
}

/// The `fieldValidation` parameter that `--validate` asks for.
// Models cmdutil.GetValidationDirective.
pub fn validation(flags: &Flags) -> Result<&'static str> {
    match flags.string("validate") {
        "strict" | "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok("Strict"),
        "warn" => Ok("Warn"),
        "ignore" | "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok("Ignore"),
        other => Err(KubectlError::message(format!(
            "invalid - validate option {other:?}; must be one of: strict (or true), warn, ignore (or false)"
        ))),
    }
}

/// The flags of a verb that makes an object from its arguments.
pub fn creating_flags(manager: &str) -> Vec<Flag> {
    let mut flags = print_flags();
    flags.extend([dry_run_flag(), field_manager_flag(manager), save_config_flag(), validate_flag()]);
    flags
}

/// Fails as cobra does if flags that must be given were not.
pub fn require(flags: &Flags, names: &[&str]) -> Result<()> {
    let missing: Vec<String> =
        names.iter().filter(|name| !flags.changed(name)).map(|name| format!("{name:?}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(KubectlError::message(format!("required flag(s) {} not set", missing.join(", "))))
}

/// Tells what was done to an object, or prints it as `-o` asks.
pub async fn tell(
    session: &Session,
    flags: &Flags,
    object: &Value,
    operation: &str,
    dry_run: DryRun,
) -> Result<()> {
    let mut text = String::new();
    printer(session, flags, &dry_run.operation(operation)).await?.print(object, &mut text)?;
    session.out.write(text).await
}

/// A POST that creates.
pub fn create_request(path: String, object: &Value, options: &WriteOptions<'_>) -> Request {
    options.on(Request::post(path)).json(object)
}

/// The parameters of a write.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions<'a> {
    /// Whether the server keeps it.
    pub dry_run: DryRun,
    /// The field manager; empty for the server's own choice.
    pub field_manager: &'a str,
    /// `Strict`, `Warn`, `Ignore`, or empty.
    pub validation: &'a str,
}

impl WriteOptions<'_> {
    /// Puts the parameters on a request.
    pub fn on(&self, request: Request) -> Request {
        request
            .query("dryRun", self.dry_run.parameter())
            .query("fieldManager", self.field_manager)
            .query("fieldValidation", self.validation)
    }
}

/// JSON on one line, with keys in order, as Go writes it.
pub fn go_json(value: &Value) -> String {
    compact(value)
}

/// What `apply` keeps of an object: the object without that annotation, on one line.
// Models kubectl/pkg/util (GetModifiedConfiguration).
pub fn configuration(object: &Value) -> String {
    let mut bare = object.clone();
    if let Some(metadata) = bare.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        match annotations.as_object_mut() {
            Some(annotations) => {
                annotations.remove(LAST_APPLIED);
            }
            None => *annotations = json!({}),
        }
    }
    format!("{}\n", go_json(&bare))
}

/// Puts the annotation of `apply` into an object. With it, it takes part in a later apply.
pub fn annotate_configuration(object: &mut Value) {
    let text = configuration(object);
    let metadata = &mut object["metadata"];
    if !metadata.is_null() && !metadata.is_object() {
        // The server says what is wrong with it.
        return;
    }
    if !metadata["annotations"].is_object() {
        metadata["annotations"] = json!({});
    }
    metadata["annotations"][LAST_APPLIED] = json!(text);
}

/// Brings the annotation of `apply` up to date if the object has it or `always` asks for it.
// Models kubectl/pkg/util (CreateOrUpdateAnnotation).
pub fn save_configuration(object: &mut Value, always: bool) {
    if always || object["metadata"]["annotations"][LAST_APPLIED].is_string() {
        annotate_configuration(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_leaves_itself_out() {
        let mut object = json!({"kind": "X", "metadata": {"name": "a"}});
        annotate_configuration(&mut object);
        let first = object["metadata"]["annotations"][LAST_APPLIED].clone();
        assert_eq!(first, "{\"kind\":\"X\",\"metadata\":{\"annotations\":{},\"name\":\"a\"}}\n");
        save_configuration(&mut object, false);
        assert_eq!(object["metadata"]["annotations"][LAST_APPLIED], first);
    }

    #[test]
    fn validation_reads_words_and_booleans() {
        let read = |value: &str| {
            let args = [format!("--validate={value}")];
            validation(&crate::kubectl::flags::parse(&[validate_flag()], &args).unwrap().0)
                .map_err(|e| e.to_string())
        };
        assert_eq!((read("true"), read("warn"), read("false")), (Ok("Strict"), Ok("Warn"), Ok("Ignore")));
        assert!(read("no").unwrap_err().starts_with("invalid - validate option \"no\""));
    }
}
