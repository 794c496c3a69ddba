//! What the `set` verbs share: finding objects, changing their pod specs, sending what changed.
// Models kubectl/pkg/cmd/set (helper.go) and kubectl/pkg/polymorphichelpers (updatepodspec.go).

use serde_json::Value;

use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::patching::{Patch, send};
use crate::kubectl::verbs::recording::{record, record_flag};
use crate::kubectl::verbs::targets::{Finding, all_flag, find, local_flag, selector_flag};
use crate::kubectl::verbs::writing::{DryRun, WriteOptions, dry_run_flag, field_manager_flag, tell};

/// The flags of every `set` verb.
pub fn flags() -> Vec<Flag> {
    let mut flags = print_flags();
    flags.extend(FilenameOptions::flags("identifying the resource to get from a server."));
    flags.extend([
        all_flag(),
        dry_run_flag(),
        field_manager_flag("kubectl-set"),
        local_flag(),
        selector_flag(),
    ]);
    flags
}

/// The flags of a `set` verb that can keep its command line.
pub fn recorded_flags() -> Vec<Flag> {
    let mut flags = flags();
    flags.push(record_flag());
    flags
}

/// The objects that a `set` verb works on.
pub async fn objects(session: &Session, flags: &Flags, args: &[String]) -> Result<Vec<Info>> {
    let local = flags.bool("local");
    if local && !args.is_empty() {
        let text = "error: you must specify resources by --filename when --local is set.\nExample resource specifications include:\n   \
                    '-f rsrc.yaml'\n   '--filename=rsrc.json'";
        return Err(KubectlError::message(text));
    }
    find(session, flags, args, Finding { latest: true, local, ..Finding::default() }).await?.into_infos()
}

/// Where the pod spec of an object is; kinds that have none are an error.
pub fn pod_spec_path(object: &Value) -> std::result::Result<&'static str, String> {
    match object["kind"].as_str().unwrap_or_default() {
        "Pod" => Ok("/spec"),
        "CronJob" => Ok("/spec/jobTemplate/spec/template/spec"),
        "ReplicationController" | "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet" | "Job" => {
            Ok("/spec/template/spec")
        }
        kind => Err(format!("the object is not a pod or does not have a pod template: *v1.{kind}")),
    }
}

/// The containers of a pod spec that a wildcard picks, ordinary ones first.
pub fn picked<'a>(spec: &'a mut Value, pattern: &str) -> Vec<&'a mut Value> {
    let Some(fields) = spec.as_object_mut() else { return vec![] };
    let mut containers = vec![];
    let mut initial = vec![];
    for (name, value) in fields.iter_mut() {
        let target = match name.as_str() {
            "containers" => &mut containers,
            "initContainers" => &mut initial,
            _ => continue,
        };
        target.extend(value.as_array_mut().into_iter().flatten());
    }
    containers.extend(initial);
    containers.retain(|container| matches(container["name"].as_str().unwrap_or_default(), pattern));
    containers
}

/// Whether a name fits a pattern with `*` for anything.
pub fn matches(name: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = &parts[..] else { return name == pattern };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(index) => rest = &rest[index + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// How a changed object is sent and told of.
pub struct Sending<'a> {
    pub session: &'a Session,
    pub flags: &'a Flags,
    pub dry_run: DryRun,
    /// What was done, like `image updated`.
    pub done: &'static str,
    /// What stands in front of the server's refusal.
    pub failed: &'static str,
}

impl Sending<'_> {
    /// Sends what is different, if anything is, and tells of it.
    pub async fn send(&self, info: &Info, after: &Value) -> Result<()> {
        let mut after = after.clone();
        record(self.session, &mut after);
        let after = &after;
        if *after == info.object {
            return Ok(());
        }
        if self.flags.bool("local") || self.dry_run == DryRun::Client {
            return tell(self.session, self.flags, after, self.done, self.dry_run).await;
        }
        let patch = Patch::between(info.mapping()?, &info.object, after)?;
        if patch.is_empty() {
            return Ok(());
        }
        let options = WriteOptions {
            dry_run: self.dry_run,
            field_manager: self.flags.string("field-manager"),
            validation: "",
        };
        let patched =
            send(self.session, info, &patch, &options).await.map_err(|error| match self.failed {
                "" => error,
                failed => KubectlError::message(format!("{failed}{error}")),
            })?;
        tell(self.session, self.flags, &patched, self.done, self.dry_run).await
    }
}

/// The failure of one object among several.
pub fn object_error(info: &Info, why: &str) -> KubectlError {
    let name = info
        .mapping
        .as_ref()
        .map_or_else(|| info.object_name(), |mapping| format!("{}/{}", mapping.resource, info.name));
    KubectlError::message(format!("error: {name} {why}\n"))
}

/// Sets a field, or takes it away if the value is empty.
pub fn set_or_remove(object: &mut Value, field: &str, value: Value) {
    let empty = value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty);
    match object.as_object_mut() {
        Some(fields) if empty => {
            fields.remove(field);
        }
        _ => object[field] = value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_pick_containers() {
        for (name, pattern, expected) in [
            ("web", "*", true),
            ("web", "web", true),
            ("web", "w*", true),
            ("web", "*b", true),
            ("web", "x*", false),
            ("a", "a*a", false),
        ] {
            assert_eq!(matches(name, pattern), expected, "{name} {pattern}");
        }
        let mut spec =
            json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]});
        let names: Vec<Value> =
            picked(&mut spec, "*").iter().map(|container| container["name"].clone()).collect();
        assert_eq!(json!(names), json!(["a", "b", "i"]));
    }
}
