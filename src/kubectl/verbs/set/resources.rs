//! `kubectl set resources` and `kubectl set serviceaccount`.
// Models kubectl/pkg/cmd/set (set_resources.go, set_serviceaccount.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::change::{self, Sending, object_error, picked, pod_spec_path};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::create::plain::resource_list;
use crate::kubectl::verbs::targets::{check_all, check_local};
use crate::kubectl::verbs::writing::{DryRun, dry_run};

/// `kubectl set resources`.
pub struct Resources;

#[async_trait]
impl Verb for Resources {
    fn name(&self) -> &'static str {
        "resources"
    }
    fn short(&self) -> &'static str {
        "Update resource requests/limits on objects with pod templates"
    }
    fn long(&self) -> &'static str {
        "Set how much CPU and memory containers ask for and may use."
    }
    fn examples(&self) -> &'static str {
        "# Limits for one container\nkubectl set resources deployment web -c=nginx --limits=cpu=200m,memory=512Mi"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = change::recorded_flags();
        flags.extend([
            Flag::string("containers", "*", "The containers, * for any part of their names.").short('c'),
            Flag::string("limits", "", "The limits, as RESOURCE=QUANTITY with commas between them."),
            Flag::string("requests", "", "The requests, as RESOURCE=QUANTITY with commas between them."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let infos = change::objects(session, flags, args).await?;
        check_local(flags, dry_run == DryRun::Server)?;
        check_all(flags)?;
        let (limits, requests) = (flags.string("limits"), flags.string("requests"));
        if limits.is_empty() && requests.is_empty() {
            let text =
                "you must specify an update to requests or limits (in the form of --requests/--limits)";
            return Err(KubectlError::message(text));
        }
        let mut lists = vec![];
        for (field, text) in [("limits", limits), ("requests", requests)] {
            if !text.is_empty() {
                lists.push((field, resource_list(text)?));
            }
        }
        let done = "resource requirements updated";
        let sending = Sending {
            session,
            flags,
            dry_run,
            done,
            failed: "failed to patch resources update to pod template ",
        };
        let mut errors = vec![];
        for info in &infos {
            let mut after = info.object.clone();
            let pattern = flags.string("containers");
            match pod_spec_path(&info.object).map(|path| after.pointer_mut(path)) {
                Ok(Some(spec)) => {
                    let containers = picked(spec, pattern);
                    if containers.is_empty() {
                        errors.push(KubectlError::message(format!(
                            "error: unable to find container named {pattern}"
                        )));
                    }
                    containers.into_iter().for_each(|container| set_lists(container, &lists));
                }
                Ok(None) => {}
                Err(why) => {
                    errors.push(object_error(info, &why));
                    continue;
                }
            }
            errors.extend(sending.send(info, &after).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

fn set_lists(container: &mut Value, lists: &[(&str, Value)]) {
    for (field, amounts) in lists {
        if !container["resources"].is_object() {
            container["resources"] = json!({});
        }
        if !container["resources"][*field].is_object() {
            container["resources"][*field] = json!({});
        }
        for (name, amount) in amounts.as_object().into_iter().flatten() {
            container["resources"][*field][name.as_str()] = amount.clone();
        }
    }
}

/// `kubectl set serviceaccount`.
pub struct ServiceAccount;

#[async_trait]
impl Verb for ServiceAccount {
    fn name(&self) -> &'static str {
        "serviceaccount"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["sa"]
    }
    fn short(&self) -> &'static str {
        "Update the service account of a resource"
    }
    fn long(&self) -> &'static str {
        "Set the service account that pods run as."
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT"
    }
    fn flags(&self) -> Vec<Flag> {
        change::recorded_flags()
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        check_local(flags, dry_run == DryRun::Server)?;
        let Some((account, resources)) = args.split_last() else {
            return Err(KubectlError::message("serviceaccount is required"));
        };
        let infos = change::objects(session, flags, resources).await?;
        let done = "serviceaccount updated";
        let sending =
            Sending { session, flags, dry_run, done, failed: "failed to patch ServiceAccountName " };
        let mut errors = vec![];
        for info in &infos {
            let mut after = info.object.clone();
            match pod_spec_path(&info.object).map(|path| after.pointer_mut(path)) {
                Ok(Some(spec)) => spec["serviceAccountName"] = json!(account),
                Ok(None) => {}
                Err(why) => {
                    errors.push(object_error(info, &why));
                    continue;
                }
            }
            errors.extend(sending.send(info, &after).await.err());
        }
        KubectlError::aggregate(errors)
    }
}
