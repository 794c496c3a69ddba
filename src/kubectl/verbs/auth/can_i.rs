//! `kubectl auth can-i`.
// Models k8s.io/kubectl/pkg/cmd/auth/cani.go.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::rules;
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;

/// The verb.
pub struct CanI;

const RESOURCE_VERBS: [&str; 16] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
    "approve",
    "sign",
    "escalate",
    "attest",
];
const URL_VERBS: [&str; 8] = ["get", "put", "post", "head", "options", "delete", "patch", "*"];
/// Resources that authorization knows and no server serves.
const UNSERVED: [&str; 2] = ["users", "groups"];

#[async_trait]
impl Verb for CanI {
    fn name(&self) -> &'static str {
        "can-i"
    }

    fn short(&self) -> &'static str {
        "Check whether an action is allowed"
    }

    fn long(&self) -> &'static str {
        "Check whether you may do something.\n\nVERB is a verb of the API like 'get', 'list', 'watch' or 'delete'. TYPE is a resource; short \
         names and groups are understood. NONRESOURCEURL is a path that begins with \"/\". NAME is the name of one object."
    }

    fn examples(&self) -> &'static str {
        "# May I create pods in any namespace?\nkubectl auth can-i create pods --all-namespaces\n\n# May I list deployments in this \
         namespace?\nkubectl auth can-i list deployments.apps\n\n# May this service account list pods?\nkubectl auth can-i list pods \
         --as=system:serviceaccount:dev:foo -n prod\n\n# May I do everything here?\nkubectl auth can-i '*' '*'\n\n# May I read the logs of \
         pods?\nkubectl auth can-i get pods --subresource=log\n\n# May I get this path?\nkubectl auth can-i get /logs/\n\n# What may I \
         do?\nkubectl auth can-i --list --namespace=foo"
    }

    fn usage(&self) -> &'static str {
        "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool("all-namespaces", false, "Ask about all namespaces.").short('A'),
            Flag::bool("list", false, "List what you may do."),
            Flag::bool("no-headers", false, "Print no headers above the list."),
            Flag::bool("quiet", false, "Print nothing; the exit code tells.").short('q'),
            Flag::string("subresource", "", "The subresource, like pods/log or deployments/scale."),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        if flags.bool("list") {
            return list(session, flags, args).await;
        }
        let [verb, what] = args else {
            return Err(KubectlError::message(
                "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and \
                 examples.",
            ));
        };
        let attributes = attributes(session, flags, verb, what).await?;
        if flags.bool("no-headers") {
            return Err(KubectlError::message("--no-headers cannot be set without --list specified"));
        }
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": attributes});
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").json(&body);
        let status = session.client().await?.json(request).await?["status"].take();
        let allowed = status["allowed"] == true;
        if !flags.bool("quiet") {
            let why = |field: &str| {
                status[field]
                    .as_str()
                    .filter(|why| !why.is_empty())
                    .map(|why| format!(" - {why}"))
                    .unwrap_or_default()
            };
            let answer = if allowed {
                "yes".to_owned()
            } else {
                format!("no{}{}", why("reason"), why("evaluationError"))
            };
            session.out.line(answer).await?;
        }
        if allowed { Ok(()) } else { Err(KubectlError::Exit(1)) }
    }
}

async fn warn(session: &Session, text: String) -> Result<()> {
    session.err.line(format!("Warning: {text}\n")).await
}

/// What is asked about.
async fn attributes(session: &Session, flags: &Flags, verb: &str, what: &str) -> Result<Value> {
    let subresource = flags.string("subresource");
    if what.starts_with('/') {
        if !subresource.is_empty() {
            return Err(KubectlError::message("--subresource can not be used with NonResourceURL"));
        }
        if !URL_VERBS.contains(&verb) {
            warn(session, format!("verb '{verb}' is not a known verb")).await?;
        }
        return Ok(json!({"nonResourceAttributes": {"verb": verb, "path": what}}));
    }
    let (word, name) = what.split_once('/').unwrap_or((what, ""));
    let all = flags.bool("all-namespaces");
    let (mut group, mut resource) = (String::new(), word.to_owned());
    if word != "*" {
        let (plain, of_group) = word.split_once('.').unwrap_or((word, ""));
        match session.mapper().await?.find(word) {
            Ok(mapping) => {
                if !mapping.namespaced && !all {
                    let place = if mapping.group.is_empty() {
                        String::new()
                    } else {
                        format!(" in group '{}'", mapping.group)
                    };
                    warn(session, format!("resource '{}' is not namespace scoped{place}", mapping.resource))
                        .await?;
                }
                (group, resource) = (mapping.group.clone(), mapping.resource.clone());
            }
            Err(_) if UNSERVED.contains(&word) => {}
            Err(_) => {
                let (plain, of_group) = (plain.to_lowercase(), of_group.to_lowercase());
                let place =
                    if of_group.is_empty() { String::new() } else { format!(" in group '{of_group}'") };
                warn(session, format!("the server doesn't have a resource type '{plain}'{place}")).await?;
            }
        }
    }
    if !all && !RESOURCE_VERBS.contains(&verb) {
        warn(session, format!("verb '{verb}' is not a known verb")).await?;
    }
    let namespace = if all { String::new() } else { session.namespace()?.0 };
    let mut attributes = json!({"verb": verb, "resource": resource});
    for (field, value) in
        [("namespace", namespace.as_str()), ("group", &group), ("subresource", subresource), ("name", name)]
    {
        if !value.is_empty() {
            attributes[field] = json!(value);
        }
    }
    Ok(json!({"resourceAttributes": attributes}))
}

async fn list(session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return Err(KubectlError::message("list option must be specified with no arguments"));
    }
    if flags.bool("quiet") || flags.bool("all-namespaces") || !flags.string("subresource").is_empty() {
        let text =
            "list option can't be specified with neither quiet, all-namespaces nor subresource options";
        return Err(KubectlError::message(text));
    }
    let namespace = session.namespace()?.0;
    let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
    let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews").json(&body);
    let status = session.client().await?.json(request).await?["status"].take();
    if status["incomplete"] == true {
        let why = status["evaluationError"].as_str().unwrap_or_default();
        session.err.line(format!("Warning: the list may be incomplete: {why}")).await?;
    }
    session.out.write(rules::table(&status, !flags.bool("no-headers"))).await
}
