//! `kubectl config set` and `unset`: single values by path.
// Models k8s.io/kubectl/pkg/cmd/config (navigation_step_parser.go, set.go, unset.go).

use async_trait::async_trait;
use base64::Engine;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::contexts::unexpected;
use super::write;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::kubeconfig::Kubeconfig;
use crate::kubectl::session::Session;

/// `kubectl config set`.
pub struct Set;
/// `kubectl config unset`.
pub struct Unset;

/// The fields of entries that can be set, and whether they hold bytes (`b`), a bool (`t`) or text (`s`).
const FIELDS: [(&str, &[(&str, char)]); 3] = [
    (
        "clusters",
        &[
            ("server", 's'),
            ("tls-server-name", 's'),
            ("insecure-skip-tls-verify", 't'),
            ("certificate-authority", 's'),
            ("certificate-authority-data", 'b'),
            ("proxy-url", 's'),
            ("disable-compression", 't'),
        ],
    ),
    (
        "users",
        &[
            ("client-certificate", 's'),
            ("client-certificate-data", 'b'),
            ("client-key", 's'),
            ("client-key-data", 'b'),
            ("token", 's'),
            ("tokenFile", 's'),
            ("as", 's'),
            ("as-uid", 's'),
            ("username", 's'),
            ("password", 's'),
        ],
    ),
    ("contexts", &[("cluster", 's'), ("user", 's'), ("namespace", 's')]),
];

/// A parsed path: a list with an entry and perhaps a field of it; or the current context.
enum Path {
    CurrentContext,
    List(&'static str),
    Entry(&'static str, String),
    Field(&'static str, String, &'static str, char),
}

fn unable(rest: &str) -> KubectlError {
    KubectlError::message(format!("unable to parse {rest} after [] at api.Config"))
}

/// Reads a path. Names of entries may have dots: the field is what is behind the last one.
fn parse(path: &str) -> Result<Path> {
    if path == "current-context" {
        return Ok(Path::CurrentContext);
    }
    let (list, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some((list, fields)) = FIELDS.iter().find(|(name, _)| *name == list) else {
        return Err(unable(path));
    };
    if rest.is_empty() {
        return Ok(Path::List(list));
    }
    let field = fields
        .iter()
        .filter_map(|(field, kind)| Some((rest.strip_suffix(field)?.strip_suffix('.')?, *field, *kind)));
    match field.max_by_key(|(_, field, _)| field.len()) {
        Some((name, field, kind)) => Ok(Path::Field(list, name.to_owned(), field, kind)),
        None => Ok(Path::Entry(list, rest.to_owned())),
    }
}

fn map_to_value(list: &str) -> KubectlError {
    KubectlError::message(format!("can't set a map to a value: {list}"))
}

/// The value as the field's type wants it.
fn typed(kind: char, value: &str, raw_bytes: bool) -> Result<Value> {
    match kind {
        't' => match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(json!(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(json!(false)),
            _ => Err(KubectlError::message(format!("strconv.ParseBool: parsing {value:?}: invalid syntax"))),
        },
        'b' if raw_bytes => Ok(json!(base64::engine::general_purpose::STANDARD.encode(value))),
        'b' => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(value);
            let at = |error| match error {
                base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                _ => value.len() / 4 * 4,
            };
            let wrong = |error| {
                KubectlError::message(format!(
                    "error decoding input value: illegal base64 data at input byte {}",
                    at(error)
                ))
            };
            decoded.map_err(wrong)?;
            Ok(json!(value))
        }
        _ => Ok(json!(value)),
    }
}

/// Changes one entry through its JSON form. `None` removes the field.
fn with_field<T: Serialize + DeserializeOwned + Default>(
    entry: &mut T,
    field: &str,
    value: Option<Value>,
) -> Result<()> {
    let mut form = serde_json::to_value(&*entry).unwrap_or_default();
    match value {
        Some(value) => form[field] = value,
        None => {
            if let Some(map) = form.as_object_mut() {
                map.remove(field);
            }
        }
    }
    *entry = serde_json::from_value(form).map_err(|error| KubectlError::message(error.to_string()))?;
    Ok(())
}

fn change(config: &mut Kubeconfig, list: &str, name: &str, field: &str, value: Option<Value>) -> Result<()> {
    let invalid = || KubectlError::message(format!("current map key `{name}` is invalid"));
    let removing = value.is_none();
    match list {
        "clusters" if removing => {
            with_field(config.clusters.get_mut(name).ok_or_else(invalid)?, field, value)
        }
        "clusters" => with_field(config.clusters.entry(name.to_owned()).or_default(), field, value),
        "users" if removing => with_field(config.users.get_mut(name).ok_or_else(invalid)?, field, value),
        "users" => with_field(config.users.entry(name.to_owned()).or_default(), field, value),
        _ if removing => with_field(config.contexts.get_mut(name).ok_or_else(invalid)?, field, value),
        _ => with_field(config.contexts.entry(name.to_owned()).or_default(), field, value),
    }
}

#[async_trait]
impl Verb for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn short(&self) -> &'static str {
        "Set an individual value in a kubeconfig file"
    }

    fn long(&self) -> &'static str {
        "Set one value in a kubeconfig file.\n\nPROPERTY_NAME is a path like clusters.my-cluster.server, or current-context.\n\nPROPERTY_VALUE \
         is the new value. Fields whose names end in -data want base64, or plain text with --set-raw-bytes."
    }

    fn examples(&self) -> &'static str {
        "# Set the server of a cluster\nkubectl config set clusters.my-cluster.server https://1.2.3.4\n\n# Set the cluster of a \
         context\nkubectl config set contexts.my-context.cluster my-cluster"
    }

    fn usage(&self) -> &'static str {
        "PROPERTY_NAME PROPERTY_VALUE"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool(
                "set-raw-bytes",
                false,
                "Take the value of a -data field as it is, rather than as base64.",
            )
            .no_value("true"),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let [path, value] = args else { return Err(unexpected(session, args).await) };
        let old = write::start(session).await?;
        let mut new = old.clone();
        match parse(path)? {
            Path::CurrentContext => new.current_context.clone_from(value),
            Path::List(list) => return Err(map_to_value(list)),
            Path::Entry(list, _) => return Err(map_to_value(list)),
            Path::Field(list, name, field, kind) => {
                let value = typed(kind, value, flags.bool("set-raw-bytes"))?;
                change(&mut new, list, &name, field, Some(value))?;
            }
        }
        write::modify(session, &old, &new).await?;
        session.out.line(format!("Property {path:?} set.")).await
    }
}

#[async_trait]
impl Verb for Unset {
    fn name(&self) -> &'static str {
        "unset"
    }

    fn short(&self) -> &'static str {
        "Unset an individual value in a kubeconfig file"
    }

    fn long(&self) -> &'static str {
        "Remove one value from a kubeconfig file.\n\nPROPERTY_NAME is a path like contexts.my-context.namespace, or current-context."
    }

    fn examples(&self) -> &'static str {
        "# Have no current context\nkubectl config unset current-context\n\n# Remove the namespace of a context\nkubectl config unset \
         contexts.foo.namespace"
    }

    fn usage(&self) -> &'static str {
        "PROPERTY_NAME"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        let [path] = args else { return Err(unexpected(session, args).await) };
        let old = write::start(session).await?;
        let mut new = old.clone();
        match parse(path)? {
            Path::CurrentContext => new.current_context.clear(),
            Path::List("clusters") => new.clusters.clear(),
            Path::List("users") => new.users.clear(),
            Path::List(_) => new.contexts.clear(),
            Path::Entry("clusters", name) => drop(new.clusters.remove(&name)),
            Path::Entry("users", name) => drop(new.users.remove(&name)),
            Path::Entry(_, name) => drop(new.contexts.remove(&name)),
            Path::Field(list, name, field, _) => change(&mut new, list, &name, field, None)?,
        }
        write::modify(session, &old, &new).await?;
        session.out.line(format!("Property {path:?} unset.")).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_path_is_read_or_refused(path in "(clusters|users|contexts|current-context)?[.a-z-]{0,30}|\\PC{0,30}") {
            let _ = parse(&path);
        }
    }
}
