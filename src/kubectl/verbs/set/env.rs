//! `kubectl set env`.
// Models kubectl/pkg/cmd/set (set_env.go) and kubectl/pkg/cmd/set/env.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::change::{self, Sending, object_error, picked, pod_spec_path, set_or_remove};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::Builder;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::targets::{check_all, check_local};
use crate::kubectl::verbs::writing::{DryRun, dry_run};
use crate::meta::names;

/// `kubectl set env`.
pub struct Env;

#[derive(Clone, Debug, Default)]
struct Changes {
    set: Vec<Value>,
    remove: Vec<String>,
}

#[async_trait]
impl Verb for Env {
    fn name(&self) -> &'static str {
        "env"
    }
    fn short(&self) -> &'static str {
        "Update environment variables on a pod template"
    }
    fn long(&self) -> &'static str {
        "Set variables with KEY=VALUE, take them away with KEY-, take them from a ConfigMap or Secret with --from, or list them."
    }
    fn examples(&self) -> &'static str {
        "# Set a variable\nkubectl set env deployment/web STORAGE_DIR=/local\n\n# List variables\nkubectl set env deployment/web \
         --list\n\n# Take them from a secret\nkubectl set env --from=secret/mysecret deployment/web"
    }
    fn usage(&self) -> &'static str {
        "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = change::flags();
        flags.extend([
            Flag::string("containers", "*", "The containers, * for any part of their names.").short('c'),
            Flag::string_array("env", "A variable to set, as KEY=VALUE.").short('e'),
            Flag::string("from", "", "The ConfigMap or Secret to take variables from, as TYPE/NAME."),
            Flag::strings("keys", "With --from: the keys to take."),
            Flag::bool("list", false, "List the variables."),
            Flag::bool("overwrite", true, "Change variables that are there already."),
            Flag::string("prefix", "", "What to put in front of the names."),
            Flag::bool("resolve", false, "With --list: show what references stand for."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        check_all(flags)?;
        let is_env = |arg: &String| {
            (arg.contains('=') && !arg.starts_with('='))
                || (arg.ends_with('-') && arg.len() > 1)
                || arg == "-"
        };
        let first = args.iter().position(is_env).unwrap_or(args.len());
        let (resources, env_args) = args.split_at(first);
        if env_args.iter().any(|arg| !is_env(arg)) {
            let text =
                format!("all resources must be specified before environment changes: {}", args.join(" "));
            return Err(KubectlError::message(text));
        }
        let dry_run = dry_run(session, flags).await?;
        validate(flags, resources, dry_run)?;
        let mut changes = parse(session, flags.strings("env").iter().chain(env_args)).await?;
        if !flags.string("from").is_empty() {
            changes.set.extend(from(session, flags).await?);
        }
        for variable in changes.set.iter_mut().filter(|_| !flags.string("prefix").is_empty()) {
            let name = variable["name"].as_str().unwrap_or_default();
            variable["name"] = json!(format!("{}{name}", flags.string("prefix")));
        }
        let failed = "failed to patch env update to pod template: ";
        let sending = Sending { session, flags, dry_run, done: "env updated", failed };
        let mut errors = vec![];
        for info in &change::objects(session, flags, resources).await? {
            let mut after = info.object.clone();
            let path = match pod_spec_path(&info.object) {
                Ok(path) => path,
                Err(why) => {
                    errors.push(object_error(info, &why));
                    continue;
                }
            };
            let Some(spec) = after.pointer_mut(path) else { continue };
            match change_object(session, flags, &info.object, spec, &changes).await {
                Err(error) => errors.push(object_error(info, &error.to_string())),
                Ok(()) if flags.bool("list") => {}
                Ok(()) => errors.extend(sending.send(info, &after).await.err()),
            }
        }
        if flags.bool("list") { Ok(()) } else { KubectlError::aggregate(errors) }
    }
}

fn validate(flags: &Flags, resources: &[String], dry_run: DryRun) -> Result<()> {
    check_local(flags, dry_run == DryRun::Server)?;
    let problem = if flags.strings("filename").is_empty() && resources.is_empty() {
        "one or more resources must be specified as <resource> <name> or <resource>/<name>"
    } else if flags.bool("list") && flags.changed("output") {
        "--list and --output may not be specified together"
    } else if !flags.strings("keys").is_empty() && flags.string("from").is_empty() {
        "when specifying --keys, a configmap or secret must be provided with --from"
    } else {
        return Ok(());
    };
    Err(KubectlError::message(problem))
}

async fn parse(session: &Session, args: impl Iterator<Item = &String>) -> Result<Changes> {
    let mut changes = Changes::default();
    for arg in args {
        if arg == "-" {
            let text = session.read_stdin().await?;
            for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty()) {
                changes.set.push(variable(line)?);
            }
        } else if arg.contains('=') {
            changes.set.push(variable(arg)?);
        } else if let Some(name) = arg.strip_suffix('-') {
            changes.remove.push(name.to_owned());
        } else {
            return Err(KubectlError::message(format!("unknown environment variable: {arg}")));
        }
    }
    if let Some(name) =
        changes.remove.iter().find(|name| changes.set.iter().any(|variable| variable["name"] == json!(name)))
    {
        let text = format!(
            "can not both modify and remove the same environment variable in the same command: {name}"
        );
        return Err(KubectlError::message(text));
    }
    Ok(changes)
}

fn variable(text: &str) -> Result<Value> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| KubectlError::message(format!("invalid environment variable: {text}")))?;
    if !names::env_var_name(name).is_empty() {
        return Err(KubectlError::message(format!(
            "{name:?} is not a valid key name: {}",
            names::env_var_name(name).join(",")
        )));
    }
    if value.is_empty() { Ok(json!({"name": name})) } else { Ok(json!({"name": name, "value": value})) }
}

/// Variables that refer to the keys of a ConfigMap or Secret.
async fn from(session: &Session, flags: &Flags) -> Result<Vec<Value>> {
    let (namespace, _) = session.namespace()?;
    let builder = Builder::new(session).continue_on_error().namespace(&namespace).default_namespace();
    let from = [flags.string("from").to_owned()];
    let found = builder.resource_type_or_name_args(false, &from).flatten().latest().visit().await?;
    let mut variables = vec![];
    for info in found.into_infos()? {
        let field = match info.object["kind"].as_str().unwrap_or_default() {
            "Secret" => "secretKeyRef",
            "ConfigMap" => "configMapKeyRef",
            _ => return Err(KubectlError::message("unsupported resource specified in --from")),
        };
        for key in info.object["data"].as_object().into_iter().flat_map(|data| data.keys()) {
            if !flags.strings("keys").is_empty() && !flags.strings("keys").contains(key) {
                continue;
            }
            let letter =
                |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' };
            let name: String = key.chars().map(letter).collect();
            if name != *key {
                session.err.line(format!("Warning: key {key} transferred to {name}")).await?;
            }
            variables.push(json!({"name": name, "valueFrom": {field: {"key": key, "name": info.name}}}));
        }
    }
    Ok(variables)
}

async fn change_object(
    session: &Session,
    flags: &Flags,
    object: &Value,
    spec: &mut Value,
    changes: &Changes,
) -> Result<()> {
    let pattern = flags.string("containers");
    let (kind, name) = (
        object["kind"].as_str().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default(),
    );
    let containers = picked(spec, pattern);
    if containers.is_empty() {
        let text = format!("Warning: {kind}/{name} does not have any containers matching {pattern:?}");
        return session.err.line(text).await;
    }
    for container in containers {
        let current = container["env"].as_array().cloned().unwrap_or_default();
        if !flags.bool("overwrite") {
            refuse_overwrites(&current, &changes.set)?;
        }
        let env = updated(current, changes);
        if flags.bool("list") {
            let head =
                format!("# {kind} {name}, container {}", container["name"].as_str().unwrap_or_default());
            session.out.line(head).await?;
            list(session, flags, object, &env).await?;
        }
        set_or_remove(container, "env", json!(env));
    }
    Ok(())
}

fn refuse_overwrites(current: &[Value], set: &[Value]) -> Result<()> {
    for variable in set {
        if let Some(old) = current.iter().find(|old| old["name"] == variable["name"] && *old != variable) {
            let (name, value) =
                (old["name"].as_str().unwrap_or_default(), old["value"].as_str().unwrap_or_default());
            let text = format!("'{name}' already has a value ({value}), and --overwrite is false");
            return Err(KubectlError::message(text));
        }
    }
    Ok(())
}

/// New values stand where the old ones stood, new variables at the end.
fn updated(current: Vec<Value>, changes: &Changes) -> Vec<Value> {
    let (mut out, mut covered): (Vec<Value>, Vec<Value>) =
        (vec![], changes.remove.iter().map(|name| json!(name)).collect());
    for old in current {
        if covered.contains(&old["name"]) {
            continue;
        }
        match changes.set.iter().find(|new| new["name"] == old["name"]) {
            Some(new) => {
                covered.push(new["name"].clone());
                out.push(new.clone());
            }
            None => out.push(old),
        }
    }
    for new in &changes.set {
        if !covered.contains(&new["name"]) {
            covered.push(new["name"].clone());
            out.push(new.clone());
        }
    }
    out
}

async fn list(session: &Session, flags: &Flags, object: &Value, env: &[Value]) -> Result<()> {
    let mut problems: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for variable in env {
        let name = variable["name"].as_str().unwrap_or_default();
        let from = &variable["valueFrom"];
        if from.is_null() {
            session.out.line(format!("{name}={}", variable["value"].as_str().unwrap_or_default())).await?;
            continue;
        }
        let resolved = if flags.bool("resolve") { Some(resolve(session, object, from).await) } else { None };
        if let Some(Ok(value)) = resolved {
            session.out.line(format!("{name}={value}")).await?;
            continue;
        }
        session.out.line(format!("# {name} from {}", reference(from))).await?;
        if let Some(Err(error)) = resolved {
            problems.entry(error.to_string()).or_default().push(name.to_owned());
        }
    }
    for (error, mut names) in problems.clone() {
        names.sort();
        session.err.line(format!("error retrieving reference for {}: {error}", names.join(", "))).await?;
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(KubectlError::message("failed to retrieve valueFrom references"))
    }
}

fn reference(from: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !from["configMapKeyRef"].is_null() {
        let key = &from["configMapKeyRef"];
        return format!("configmap {}, key {}", text(&key["name"]), text(&key["key"]));
    }
    if !from["secretKeyRef"].is_null() {
        let key = &from["secretKeyRef"];
        return format!("secret {}, key {}", text(&key["name"]), text(&key["key"]));
    }
    if !from["fieldRef"].is_null() {
        return format!("field path {}", text(&from["fieldRef"]["fieldPath"]));
    }
    if !from["resourceFieldRef"].is_null() {
        let field = &from["resourceFieldRef"];
        let prefix = field["containerName"].as_str().map(|name| format!("{name}/")).unwrap_or_default();
        return format!("resource field {prefix}{}", text(&field["resource"]));
    }
    "invalid valueFrom".to_owned()
}

/// What a reference stands for.
async fn resolve(session: &Session, object: &Value, from: &Value) -> Result<String> {
    let (namespace, _) = session.namespace()?;
    let client = session.client().await?;
    for (field, plural, noun) in
        [("secretKeyRef", "secrets", "secret"), ("configMapKeyRef", "configmaps", "config map")]
    {
        let reference = &from[field];
        if reference.is_null() {
            continue;
        }
        let (name, key) =
            (reference["name"].as_str().unwrap_or_default(), reference["key"].as_str().unwrap_or_default());
        let holder =
            client.json(Request::get(format!("/api/v1/namespaces/{namespace}/{plural}/{name}"))).await?;
        let Some(value) = holder["data"][key].as_str() else {
            return Err(KubectlError::message(format!("key {key} not found in {noun} {name}")));
        };
        return Ok(if field == "secretKeyRef" {
            String::from_utf8_lossy(&STANDARD.decode(value).unwrap_or_default()).into_owned()
        } else {
            value.to_owned()
        });
    }
    let path = from["fieldRef"]["fieldPath"].as_str().unwrap_or_default();
    match path {
        "metadata.name" | "metadata.namespace" | "metadata.uid" => {
            let value = object.pointer(&format!("/{}", path.replace('.', "/")));
            Ok(value.and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        "" => Err(KubectlError::message("invalid valueFrom")),
        _ => Err(KubectlError::message(format!("unsupported fieldPath: {path}"))),
    }
}
