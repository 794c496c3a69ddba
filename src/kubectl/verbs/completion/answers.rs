//! `kubectl __complete`: what may stand where the cursor is. The scripts ask it, and so does the sandbox shell.
// Models cobra's __complete: a line an answer, and `:4` at the end (add no files).

use async_trait::async_trait;

use crate::kubectl::client::Request;
use crate::kubectl::command::{Verb, find};
use crate::kubectl::error::Result;
use crate::kubectl::factory::global_flags;
use crate::kubectl::flags::Flags;
use crate::kubectl::resources::list_items;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::GROUPS;

/// The verb.
pub struct Complete;

/// Verbs whose arguments are resources.
const WITH_TYPES: [&str; 14] = [
    "get",
    "describe",
    "delete",
    "edit",
    "label",
    "annotate",
    "patch",
    "scale",
    "expose",
    "wait",
    "explain",
    "autoscale",
    "status",
    "restart",
];
/// Verbs whose arguments are pods.
const WITH_PODS: [&str; 5] = ["logs", "exec", "attach", "port-forward", "debug"];
/// Verbs whose arguments are nodes.
const WITH_NODES: [&str; 3] = ["cordon", "uncordon", "drain"];

#[async_trait]
impl Verb for Complete {
    fn name(&self) -> &'static str {
        "__complete"
    }

    fn short(&self) -> &'static str {
        "Request shell completion choices for the specified command-line"
    }

    fn hidden(&self) -> bool {
        true
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        let Some((current, before)) = args.split_last() else { return session.out.line(":4").await };
        let mut answers = answers(session, before, current).await;
        // Where a path goes on behind the answer, no blank is added.
        let directive = if before.first().is_some_and(|verb| verb == "cp") { ":2" } else { ":4" };
        answers.retain(|answer| answer.starts_with(current.as_str()));
        answers.sort();
        answers.dedup();
        let text = answers.iter().fold(String::new(), |text, answer| text + answer + "\n");
        session.out.write(format!("{text}{directive}\n")).await
    }
}

/// What may follow `before`, where `current` has been begun.
async fn answers(session: &Session, before: &[String], current: &str) -> Vec<String> {
    let globals = global_flags("");
    let Ok(found) = find(GROUPS, &globals, before) else { return vec![] };
    if current.starts_with('-') {
        let own = found.verb.map(|verb| verb.flags()).unwrap_or_default();
        let all = own.iter().chain(&globals).filter(|flag| !flag.hidden);
        return all.map(|flag| format!("--{}", flag.name)).collect();
    }
    if let Some(flag) = before.last().filter(|flag| flag.starts_with('-')) {
        return match flag.as_str() {
            "-n" | "--namespace" => names(session, "namespaces").await,
            "-o" | "--output" => {
                ["json", "yaml", "wide", "name", "jsonpath=", "custom-columns="].map(str::to_owned).to_vec()
            }
            "--context" => session
                .factory
                .kubeconfig()
                .map(|config| config.contexts.keys().cloned().collect())
                .unwrap_or_default(),
            _ => vec![],
        };
    }
    let Some(verb) = found.verb else {
        let verbs = GROUPS.iter().flat_map(|group| group.verbs.iter()).filter(|verb| !verb.hidden());
        return verbs.map(|verb| verb.name().to_owned()).collect();
    };
    if !verb.verbs().is_empty() {
        return verb
            .verbs()
            .iter()
            .filter(|verb| !verb.hidden())
            .map(|verb| verb.name().to_owned())
            .collect();
    }
    let words: Vec<&String> = found.args.iter().filter(|word| !word.starts_with('-')).collect();
    match (verb.name(), &words[..]) {
        (name, _) if WITH_PODS.contains(&name) => names(session, "pods").await,
        ("cp", []) => copy_sources(session, current).await,
        ("cp", _) => vec![],
        (name, _) if WITH_NODES.contains(&name) => names(session, "nodes").await,
        ("use-context" | "delete-context" | "rename-context", _) => session
            .factory
            .kubeconfig()
            .map(|config| config.contexts.keys().cloned().collect())
            .unwrap_or_default(),
        (name, []) if WITH_TYPES.contains(&name) => match current.split_once('/') {
            Some((kind, _)) => {
                names(session, kind).await.into_iter().map(|name| format!("{kind}/{name}")).collect()
            }
            None => types(session).await,
        },
        (name, [kind, ..]) if WITH_TYPES.contains(&name) => names(session, kind).await,
        _ => vec![],
    }
}

/// What `cp` can copy: `POD:`, `NAMESPACE/`, `NAMESPACE/POD:`, or a path of this machine.
// Models the completion of k8s.io/kubectl/pkg/cmd/cp.
async fn copy_sources(session: &Session, current: &str) -> Vec<String> {
    if current.starts_with(['/', '.', '~']) || current.contains(':') {
        return vec![];
    }
    if let Some((namespace, _)) = current.split_once('/') {
        let pods = names_in(session, "pods", namespace).await;
        return pods.into_iter().map(|pod| format!("{namespace}/{pod}:")).collect();
    }
    let mut answers: Vec<String> =
        names(session, "namespaces").await.into_iter().map(|name| name + "/").collect();
    answers.extend(names(session, "pods").await.into_iter().map(|name| name + ":"));
    answers.retain(|answer| answer.starts_with(current));
    if current.is_empty() {
        answers.extend(["./".to_owned(), "/".to_owned()]);
    } else if !answers.is_empty() {
        for name in session.files.list(&session.cwd).await.unwrap_or_default() {
            let metadata = session.files.metadata(&session.absolute(&name)).await;
            let slash = if metadata.is_ok_and(|found| found.directory) { "/" } else { "" };
            answers.push(name + slash);
        }
    }
    answers
}

async fn types(session: &Session) -> Vec<String> {
    let Ok(mapper) = session.mapper().await else { return vec![] };
    mapper
        .preferred()
        .iter()
        .filter(|mapping| mapping.has_verb("get"))
        .map(|mapping| mapping.group_resource())
        .collect()
}

/// The names of a resource's objects in the current namespace; none if the server cannot be asked.
async fn names(session: &Session, word: &str) -> Vec<String> {
    match session.namespace() {
        Ok((namespace, _)) => names_in(session, word, &namespace).await,
        Err(_) => vec![],
    }
}

/// The names of a resource's objects in a namespace; none if the server cannot be asked.
async fn names_in(session: &Session, word: &str, namespace: &str) -> Vec<String> {
    let asked = async {
        let mapping = session.mapper().await?.find(word)?;
        session.client().await?.json(Request::get(mapping.path(namespace, "", ""))).await
    };
    let items = asked.await.map(list_items).unwrap_or_default();
    items.iter().filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
}
