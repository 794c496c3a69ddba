//! `kubectl set subject`.
// Models kubectl/pkg/cmd/set (set_subject.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::change::{self, Sending};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::targets::{check_all, check_local};
use crate::kubectl::verbs::writing::{DryRun, dry_run};

/// `kubectl set subject`.
pub struct Subject;

const GROUP: &str = "rbac.authorization.k8s.io";

#[async_trait]
impl Verb for Subject {
    fn name(&self) -> &'static str {
        "subject"
    }
    fn short(&self) -> &'static str {
        "Update the user, group, or service account in a role binding or cluster role binding"
    }
    fn long(&self) -> &'static str {
        "Add users, groups and service accounts to a role binding."
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] \
         [--dry-run=server|client|none]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = change::flags();
        flags.extend([
            Flag::string_array("group", "A group to add; repeat the flag for several."),
            Flag::string_array(
                "serviceaccount",
                "A service account to add, as NAMESPACE:NAME; repeat the flag for several.",
            ),
            Flag::string_array("user", "A user to add; repeat the flag for several."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let infos = change::objects(session, flags, args).await?;
        check_local(flags, dry_run == DryRun::Server)?;
        check_all(flags)?;
        let added = subjects(flags, &session.namespace()?.0)?;
        let sending = Sending {
            session,
            flags,
            dry_run,
            done: "subjects updated",
            failed: "failed to patch subjects to rolebinding: ",
        };
        let mut errors = vec![];
        for info in &infos {
            let mut after = info.object.clone();
            if !["RoleBinding", "ClusterRoleBinding"]
                .contains(&info.object["kind"].as_str().unwrap_or_default())
            {
                let text = "setting subjects is only supported for RoleBinding/ClusterRoleBinding";
                errors.push(KubectlError::message(format!(
                    "error: {}/{} {text}\n",
                    info.mapping()?.resource,
                    info.name
                )));
                continue;
            }
            let mut subjects = after["subjects"].as_array().cloned().unwrap_or_default();
            for subject in &added {
                if !subjects.contains(subject) {
                    subjects.push(subject.clone());
                }
            }
            after["subjects"] = json!(subjects);
            errors.extend(sending.send(info, &after).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

fn subjects(flags: &Flags, namespace: &str) -> Result<Vec<Value>> {
    let mut subjects = vec![];
    for (flag, kind) in [("user", "User"), ("group", "Group")] {
        subjects.extend(
            flags.strings(flag).iter().map(|name| json!({"apiGroup": GROUP, "kind": kind, "name": name})),
        );
    }
    for account in flags.strings("serviceaccount") {
        let wrong = || KubectlError::message("serviceaccount must be <namespace>:<name>");
        let (place, name) = account
            .split_once(':')
            .filter(|(_, name)| !name.is_empty() && !name.contains(':'))
            .ok_or_else(wrong)?;
        let place = if place.is_empty() { namespace } else { place };
        subjects.push(json!({"kind": "ServiceAccount", "name": name, "namespace": place}));
    }
    if subjects.is_empty() {
        return Err(KubectlError::message(
            "you must specify at least one value of user, group or serviceaccount",
        ));
    }
    Ok(subjects)
}
