//! `kubectl taint`.
// Models kubectl/pkg/cmd/taint.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::patching::{Patch, send};
use super::targets::selector_flag;
use super::writing::{
    DryRun, WriteOptions, dry_run, dry_run_flag, field_manager_flag, tell, validate_flag, validation,
};
use crate::kubectl::command::Verb;
use crate::kubectl::describe::fields::{list, text};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{Builder, Info};
use crate::kubectl::session::Session;
use crate::meta::names;

/// `kubectl taint`.
pub struct Taint;

/// `key=value:effect` as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Typed {
    key: String,
    value: String,
    effect: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    add: Vec<Typed>,
    remove: Vec<Typed>,
}

#[async_trait]
impl Verb for Taint {
    fn name(&self) -> &'static str {
        "taint"
    }
    fn short(&self) -> &'static str {
        "Update the taints on one or more nodes"
    }
    fn long(&self) -> &'static str {
        "Taint nodes with KEY=VALUE:EFFECT, and take taints away with KEY- or KEY:EFFECT-. The effects are NoSchedule, \
         PreferNoSchedule and NoExecute."
    }
    fn examples(&self) -> &'static str {
        "# Keep pods without a toleration away\nkubectl taint nodes minikube dedicated=special-user:NoSchedule\n\n# Take the taint \
         away\nkubectl taint nodes minikube dedicated:NoSchedule-"
    }
    fn usage(&self) -> &'static str {
        "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend([
            dry_run_flag(),
            field_manager_flag("kubectl-taint"),
            selector_flag(),
            validate_flag(),
            Flag::bool("all", false, "Taint all nodes."),
            Flag::bool("overwrite", false, "Change taints that are there already."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let validation = validation(flags)?;
        let is_taint = |arg: &String| arg.contains('=') || arg.contains(':') || arg.ends_with('-');
        let first = args.iter().position(is_taint).unwrap_or(args.len());
        let (resources, taints) = args.split_at(first);
        if let Some(late) = taints.iter().find(|arg| !is_taint(arg)) {
            return Err(KubectlError::message(format!(
                "all resources must be specified before taint changes: {late}"
            )));
        }
        if resources.is_empty() {
            return Err(KubectlError::message(
                "one or more resources must be specified as <resource> <name>",
            ));
        }
        if taints.is_empty() {
            return Err(KubectlError::message("at least one taint update is required"));
        }
        let changes = parse(taints).map_err(|text| KubectlError::usage(&session.command_path, text))?;
        validate(session, flags, resources, &changes).await?;
        let options = WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation };
        let mut errors = vec![];
        for info in nodes(session, flags, resources).await? {
            errors.extend(taint(session, flags, info, &changes, &options).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

async fn validate(session: &Session, flags: &Flags, resources: &[String], changes: &Changes) -> Result<()> {
    let kind = resources[0].to_lowercase();
    if session.mapper().await?.find(&kind)?.kind != "Node" {
        let text = format!("invalid resource type {kind}, only node types are supported");
        return Err(KubectlError::message(text));
    }
    let clashes = |remove: &&Typed| {
        changes
            .add
            .iter()
            .any(|add| add.key == remove.key && (remove.effect.is_empty() || add.effect == remove.effect))
    };
    let both: Vec<String> = changes
        .remove
        .iter()
        .filter(clashes)
        .map(|taint| format!("{}={}", taint.key, taint.effect))
        .collect();
    let problem = if !both.is_empty() {
        format!(
            "can not both modify and remove the following taint(s) in the same command: {}",
            both.join(", ")
        )
    } else if flags.bool("all") && !flags.string("selector").is_empty() {
        "setting 'all' parameter with a non empty selector is prohibited".to_owned()
    } else if !flags.bool("all") && flags.string("selector").is_empty() && resources.len() < 2 {
        "at least one resource name must be specified since 'all' parameter is not set".to_owned()
    } else {
        return Ok(());
    };
    Err(KubectlError::message(problem))
}

async fn nodes(session: &Session, flags: &Flags, resources: &[String]) -> Result<Vec<Info>> {
    let (namespace, _) = session.namespace()?;
    let mut builder =
        Builder::new(session).continue_on_error().namespace(&namespace).default_namespace().flatten();
    let selector = flags.string("selector");
    if !selector.is_empty() {
        builder = builder.label_selector(selector).resource_types(&["node"]);
    } else if flags.bool("all") {
        builder = builder.select_all(true).resource_types(&["node"]);
    } else {
        builder = builder.resource_names("node", &resources[1..]);
    }
    builder.latest().visit().await?.into_infos()
}

async fn taint(
    session: &Session,
    flags: &Flags,
    info: Info,
    changes: &Changes,
    options: &WriteOptions<'_>,
) -> Result<()> {
    let current = list(&info.object, "/spec/taints");
    let overwrite = flags.bool("overwrite");
    if !overwrite {
        let taken: Vec<&str> = changes
            .add
            .iter()
            .filter(|taint| current.iter().any(|old| same(old, taint)))
            .map(|t| t.key.as_str())
            .collect();
        if !taken.is_empty() {
            let text = format!(
                "node {} already has {} taint(s) with same effect(s) and --overwrite is false",
                info.name,
                taken.join(",")
            );
            return Err(KubectlError::message(text));
        }
    }
    let (operation, taints) = reorganize(current, changes, overwrite)?;
    let mut after = info.object.clone();
    if taints.is_empty() {
        if let Some(spec) = after["spec"].as_object_mut() {
            spec.remove("taints");
        }
    } else {
        after["spec"]["taints"] = json!(taints);
    }
    if options.dry_run == DryRun::Client {
        return tell(session, flags, &after, operation, options.dry_run).await;
    }
    let patch = Patch::between(info.mapping()?, &info.object, &after)?;
    let object = send(session, &info, &patch, options).await?;
    tell(session, flags, &object, operation, DryRun::None).await
}

fn same(taint: &Value, typed: &Typed) -> bool {
    text(taint, "/key") == typed.key && text(taint, "/effect") == typed.effect
}

/// The taints after the change, the new ones first, and what was done.
fn reorganize(current: &[Value], changes: &Changes, overwrite: bool) -> Result<(&'static str, Vec<Value>)> {
    let object = |typed: &Typed| {
        let mut taint = json!({"effect": typed.effect, "key": typed.key});
        if !typed.value.is_empty() {
            taint["value"] = json!(typed.value);
        }
        taint
    };
    let mut taints: Vec<Value> = changes.add.iter().map(object).collect();
    taints.extend(current.iter().filter(|old| !changes.add.iter().any(|typed| same(old, typed))).cloned());
    let added = current.len() != taints.len();
    let (mut removed, mut errors) = (false, vec![]);
    for typed in &changes.remove {
        let before = taints.len();
        taints.retain(|taint| {
            let other_effect = !typed.effect.is_empty() && text(taint, "/effect") != typed.effect;
            text(taint, "/key") != typed.key || other_effect
        });
        removed = taints.len() != before;
        if !removed {
            let name = if typed.effect.is_empty() {
                typed.key.clone()
            } else {
                format!("{}:{}", typed.key, typed.effect)
            };
            errors.push(KubectlError::message(format!("taint {name:?} not found")));
        }
    }
    KubectlError::aggregate(errors)?;
    let operation = match (added, removed) {
        _ if overwrite => "modified",
        (true, true) => "modified",
        (true, false) => "tainted",
        (false, _) => "untainted",
    };
    Ok((operation, taints))
}

fn parse(args: &[String]) -> std::result::Result<Changes, String> {
    let mut changes = Changes::default();
    for arg in args {
        if let Some(spec) = arg.strip_suffix('-') {
            let typed = parse_one(spec)?;
            changes.remove.push(Typed { value: String::new(), ..typed });
            continue;
        }
        let typed = parse_one(arg)?;
        if typed.effect.is_empty() {
            return Err(format!("invalid taint spec: {arg}"));
        }
        if changes.add.iter().any(|other| other.key == typed.key && other.effect == typed.effect) {
            let Typed { key, value, effect } = typed;
            return Err(format!(
                "duplicated taints with the same key and effect: {{{key} {value} {effect} <nil>}}"
            ));
        }
        changes.add.push(typed);
    }
    Ok(changes)
}

fn parse_one(spec: &str) -> std::result::Result<Typed, String> {
    let invalid = || format!("invalid taint spec: {spec}");
    let parts: Vec<&str> = spec.split(':').collect();
    let typed = match parts[..] {
        [key] => Typed { key: key.to_owned(), ..Typed::default() },
        [pair, effect] => {
            if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect) {
                return Err(format!("invalid taint effect: {effect}, unsupported taint effect"));
            }
            let pair: Vec<&str> = pair.split('=').collect();
            let (key, value) = match pair[..] {
                [key] => (key, ""),
                [key, value] => (key, value),
                _ => return Err(invalid()),
            };
            let errors = names::label_value(value);
            if !errors.is_empty() {
                return Err(format!("{}, {}", invalid(), errors.join("; ")));
            }
            Typed { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() }
        }
        _ => return Err(invalid()),
    };
    let errors = names::qualified_name(&typed.key);
    if errors.is_empty() { Ok(typed) } else { Err(format!("{}, {}", invalid(), errors.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(
        current: Value,
        args: &[&str],
        overwrite: bool,
    ) -> std::result::Result<(&'static str, Value), String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let changes = parse(&args)?;
        let done = reorganize(current.as_array().unwrap(), &changes, overwrite);
        done.map(|(operation, taints)| (operation, json!(taints))).map_err(|error| error.to_string())
    }

    #[test]
    fn taints_come_and_go() {
        let old = json!([{"key": "a", "value": "1", "effect": "NoSchedule"}]);
        let (operation, taints) = changed(old.clone(), &["b=2:NoExecute"], false).unwrap();
        assert_eq!((operation, &taints[0]["key"], &taints[1]["key"]), ("tainted", &json!("b"), &json!("a")));
        assert_eq!(changed(old.clone(), &["a-"], false).unwrap(), ("untainted", json!([])));
        assert_eq!(changed(old.clone(), &["b:NoExecute", "a-"], false).unwrap().0, "modified");
        assert_eq!(changed(old.clone(), &["a=2:NoSchedule"], true).unwrap().0, "modified");
        assert_eq!(changed(old.clone(), &["c-"], false).unwrap_err(), "taint \"c\" not found");
        assert_eq!(
            changed(old, &["k=v:Never"], false).unwrap_err(),
            "invalid taint effect: Never, unsupported taint effect"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_taint_is_read_or_refused(spec in "[a-z=:/-]{0,20}(:NoSchedule|:NoExecute)?-?|\\PC{0,30}") {
            let _ = parse(&[spec]);
        }
    }
}
