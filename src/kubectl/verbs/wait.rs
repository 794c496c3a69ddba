//! `kubectl wait`.
// Models kubectl/pkg/cmd/wait.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::targets::{
    Finding, all_flag, all_namespaces_flag, field_selector_flag, find, local_flag, selector_flag,
};
use super::watching::{Seen, Target, WEEK, until};
use super::writing::{DryRun, tell};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::describe::fields::plain;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::jsonpath::{JsonPath, relaxed};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{FilenameOptions, Info};
use crate::kubectl::session::Session;

/// `kubectl wait`.
pub struct Wait;

/// How often `--for=create` looks: a name that is not there yet cannot be watched by what the builder knows.
const CREATE_INTERVAL: Duration = Duration::from_millis(500);

/// What is waited for.
enum Condition {
    Create,
    Delete,
    Status { name: String, value: String },
    Path { path: JsonPath, value: String },
}

#[async_trait]
impl Verb for Wait {
    fn name(&self) -> &'static str {
        "wait"
    }
    fn short(&self) -> &'static str {
        "Wait for a specific condition on one or many resources"
    }
    fn long(&self) -> &'static str {
        "Wait until something is true of objects: a condition in their status, a field, that they are there, or that they are \
         gone.\n\nTells of each object when it is true of it, and fails when the time is up."
    }
    fn examples(&self) -> &'static str {
        "# Wait until a pod is ready\nkubectl wait --for=condition=Ready pod/web\n\n# Wait until its phase is Running\nkubectl \
         wait --for=jsonpath='{.status.phase}'=Running pod/web\n\n# Wait a minute until it is gone\nkubectl wait --for=delete \
         pod/web --timeout=60s"
    }
    fn usage(&self) -> &'static str {
        "([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) \
         [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("identifying the resource."));
        flags.extend([
            all_flag(),
            all_namespaces_flag(),
            field_selector_flag(),
            local_flag(),
            selector_flag(),
            Flag::string_array("for", "What to wait for: create, delete, condition=NAME[=VALUE], jsonpath='{PATH}'[=VALUE]. Repeat the flag for several, one after another."),
            Flag::duration("timeout", "30s", "How long to wait; zero looks once, and a negative time waits for a week."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let conditions = conditions(flags.strings("for"))?;
        let timeout = flags.duration("timeout").unwrap_or(WEEK);
        let deadline = session.clock.after(timeout);
        let left = || Duration::try_from(deadline.duration_since(session.clock.now())).unwrap_or_default();
        if conditions.iter().any(|condition| matches!(condition, Condition::Create)) {
            let created = wait_for_creation(session, flags, args);
            if timeout.is_zero() {
                lookup(session, flags, args).await?;
            } else {
                let late = || KubectlError::message("timed out waiting for the condition");
                session.clock.timeout(left(), created).await.unwrap_or_else(|_| Err(late()))?;
            }
        }
        let deleting = conditions.iter().any(|condition| matches!(condition, Condition::Delete));
        let mut found = find(
            session,
            flags,
            args,
            Finding { latest: true, local: flags.bool("local"), ..Finding::default() },
        )
        .await?;
        if deleting {
            found.ignore_errors(KubectlError::is_not_found);
        }
        if found.errors.is_empty() && found.infos.is_empty() && !deleting {
            return Err(KubectlError::message("no matching resources found"));
        }
        let mut errors = found.errors;
        for info in &found.infos {
            for condition in &conditions {
                let limit = (!timeout.is_zero()).then(left);
                match one(session, info, condition, limit).await {
                    Ok(object) => tell(session, flags, &object, "condition met", DryRun::None).await?,
                    Err(error) => {
                        errors.push(error);
                        break;
                    }
                }
            }
        }
        KubectlError::aggregate(errors)
    }
}

fn conditions(texts: &[String]) -> Result<Vec<Condition>> {
    if texts.is_empty() {
        return Err(KubectlError::message("unrecognized condition: []"));
    }
    texts.iter().map(|text| condition(text)).collect()
}

fn condition(text: &str) -> Result<Condition> {
    if text.eq_ignore_ascii_case("delete") {
        return Ok(Condition::Delete);
    }
    if text.eq_ignore_ascii_case("create") {
        return Ok(Condition::Create);
    }
    if let Some(condition) = text.strip_prefix("condition=") {
        let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
        return Ok(Condition::Status { name: name.to_owned(), value: value.to_owned() });
    }
    if let Some(input) = text.strip_prefix("jsonpath=") {
        let (path, value) = path_and_value(input)?;
        let path = JsonPath::parse(&path).map_err(KubectlError::message)?.allow_missing_keys(true);
        return Ok(Condition::Path { path, value });
    }
    Err(KubectlError::message(format!("unrecognized condition: {text:?}")))
}

fn path_and_value(input: &str) -> Result<(String, String)> {
    let parts = split_at_equals(input);
    let (path, value) = match &parts[..] {
        [path] => (path, ""),
        [path, value] => {
            let value = value.trim_matches(['\'', '"']);
            if value.is_empty() {
                let text = "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3";
                return Err(KubectlError::message(text));
            }
            (path, value)
        }
        _ => {
            let text = "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or \
                        --for=jsonpath='{.status.readyReplicas}'";
            return Err(KubectlError::message(text));
        }
    };
    let path = relaxed(path)?;
    if path.is_empty() {
        return Err(KubectlError::message("jsonpath expression cannot be empty"));
    }
    Ok((path, value.to_owned()))
}

/// Splits at single equals signs; two of them are a comparison.
fn split_at_equals(input: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = input.chars().peekable();
    while let Some(letter) = letters.next() {
        let last = parts.len() - 1;
        match letter {
            '=' if letters.peek() == Some(&'=') => {
                letters.next();
                parts[last].push_str("==");
            }
            '=' => parts.push(String::new()),
            other => parts[last].push(other),
        }
    }
    parts
}

async fn wait_for_creation(session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
    loop {
        match lookup(session, flags, args).await {
            Ok(true) => return Ok(()),
            Ok(false) => session.clock.sleep(CREATE_INTERVAL).await,
            Err(error) => return Err(error),
        }
    }
}

async fn lookup(session: &Session, flags: &Flags, args: &[String]) -> Result<bool> {
    let found = find(session, flags, args, Finding { latest: true, ..Finding::default() }).await?;
    match found.errors.into_iter().next() {
        Some(error) if error.is_not_found() => Ok(false),
        Some(error) => Err(error),
        None => Ok(!found.infos.is_empty()),
    }
}

/// Waits for one condition of one object; without a limit it looks once.
async fn one(
    session: &Session,
    info: &Info,
    condition: &Condition,
    limit: Option<Duration>,
) -> Result<Value> {
    let mapping = info.mapping()?;
    if info.name.is_empty() {
        return Err(KubectlError::message("resource name must be provided"));
    }
    let name = format!("{}/{}", mapping.resource, info.name);
    let Some(limit) = limit else {
        let current = session.client().await?.json(Request::get(info.path()?)).await;
        return match (current, condition) {
            (Err(error), Condition::Delete) if error.is_not_found() => Ok(info.object.clone()),
            (Err(error), _) => Err(error),
            (Ok(object), condition) if met(condition, &object)? => Ok(object),
            _ => Err(KubectlError::message(format!("condition not met for {name}"))),
        };
    };
    let mut last = info.object.clone();
    let target = Target { mapping, namespace: &info.namespace, name: &info.name };
    let deleting = matches!(condition, Condition::Delete);
    let waiting = until(session, target, |seen| match seen {
        Seen::Absent | Seen::Deleted if deleting => Ok(true),
        Seen::Absent => Err(not_found(info)),
        Seen::Deleted => Ok(false),
        Seen::Present(object) => {
            last = object.clone();
            met(condition, object)
        }
    });
    let late = || KubectlError::message(format!("timed out waiting for the condition on {name}"));
    session.clock.timeout(limit, waiting).await.unwrap_or_else(|_| Err(late()))?;
    Ok(last)
}

fn not_found(info: &Info) -> KubectlError {
    let resource = info.mapping.as_ref().map(|mapping| mapping.group_resource()).unwrap_or_default();
    let text = format!("{resource} {:?} not found", info.name);
    KubectlError::Status(crate::api::status::ApiError::new(404, "NotFound", text).0)
}

fn met(condition: &Condition, object: &Value) -> Result<bool> {
    match condition {
        Condition::Create => Ok(true),
        Condition::Delete => Ok(false),
        Condition::Status { name, value } => Ok(status_is(object, name, value)),
        Condition::Path { path, value } => path_is(path, object, value),
    }
}

fn status_is(object: &Value, name: &str, value: &str) -> bool {
    let same = |text: &Value, other: &str| {
        text.as_str().is_some_and(|text| text.to_lowercase() == other.to_lowercase())
    };
    let conditions = object["status"]["conditions"].as_array();
    let Some(condition) = conditions.into_iter().flatten().find(|condition| same(&condition["type"], name))
    else {
        return false;
    };
    let observed =
        condition["observedGeneration"].as_i64().or_else(|| object["status"]["observedGeneration"].as_i64());
    if let (Some(observed), Some(generation)) = (observed, object["metadata"]["generation"].as_i64())
        && observed < generation
    {
        return false;
    }
    same(&condition["status"], value)
}

// Models kubectl/pkg/cmd/wait (json.go).
fn path_is(path: &JsonPath, object: &Value, value: &str) -> Result<bool> {
    let results = path.find(object).map_err(KubectlError::message)?;
    let Some(first) = results.first().and_then(|found| found.first()) else { return Ok(false) };
    if results.len() > 1 {
        return Err(KubectlError::message("given jsonpath expression matches more than one list"));
    }
    if results[0].len() > 1 {
        return Err(KubectlError::message("given jsonpath expression matches more than one value"));
    }
    if value.is_empty() {
        return Ok(true);
    }
    if first.is_array() || first.is_object() {
        return Err(KubectlError::message(
            "jsonpath leads to a nested object or list which is not supported",
        ));
    }
    Ok(plain(first).trim() == value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_condition_is_read_or_refused(text in "(jsonpath=|condition=)?[{}.a-z='\"\\[\\]@?()]{0,30}|\\PC{0,30}") {
            let _ = condition(&text);
            let rejoined = split_at_equals(&text).join("=");
            proptest::prop_assert_eq!(rejoined, text);
        }
    }
}
