//! `kubectl scale`.
// Models kubectl/pkg/cmd/scale and kubectl/pkg/scale.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::patching::MERGE_PATCH;
use super::targets::{Finding, all_flag, find, selector_flag};
use super::watching::{Seen, Target, until};
use super::writing::{DryRun, dry_run, dry_run_flag, require, tell};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record_flag, record_patch};

/// `kubectl scale`.
pub struct Scale;

/// How often a conflict is tried again, a second apart.
const RETRIES: usize = 300;

#[async_trait]
impl Verb for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }
    fn suggest_for(&self) -> &'static [&'static str] {
        &["resize"]
    }
    fn short(&self) -> &'static str {
        "Set a new size for a deployment, replica set, or replication controller"
    }
    fn long(&self) -> &'static str {
        "Set how many replicas a deployment, replica set, replication controller or stateful set is to have.\n\n\
         --current-replicas and --resource-version are checked first, and nothing is changed if they are different."
    }
    fn examples(&self) -> &'static str {
        "# Scale a deployment to 3\nkubectl scale --replicas=3 deployment/web\n\n# Scale it from 2 to 3 only\nkubectl scale \
         --current-replicas=2 --replicas=3 deployment/web\n\n# Scale what a file describes\nkubectl scale --replicas=3 -f web.yaml"
    }
    fn usage(&self) -> &'static str {
        "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("identifying the resource to set a new size"));
        flags.extend([
            all_flag(),
            record_flag(),
            dry_run_flag(),
            selector_flag(),
            Flag::int("current-replicas", -1, "Scale only what has this size now; -1 for any."),
            Flag::int("replicas", 0, "The new size."),
            Flag::string("resource-version", "", "Scale only what is of this version."),
            Flag::duration(
                "timeout",
                "0s",
                "How long to wait until the new size is there; zero for not at all.",
            ),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        require(flags, &["replicas"])?;
        let dry_run = dry_run(session, flags).await?;
        if flags.int("replicas") < 0 {
            let text = "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0";
            return Err(KubectlError::message(text));
        }
        if flags.int("current-replicas") < -1 {
            return Err(KubectlError::message(
                "The --current-replicas must specify an integer of -1 or greater",
            ));
        }
        let found = find(session, flags, args, Finding::default()).await?;
        if !flags.string("resource-version").is_empty() && found.infos.len() > 1 {
            return Err(KubectlError::message("cannot use --resource-version with multiple resources"));
        }
        if found.infos.is_empty() {
            KubectlError::aggregate(found.errors)?;
            return Err(KubectlError::message("no objects passed to scale"));
        }
        for mut info in found.infos {
            let mut size = flags.int("replicas");
            if dry_run != DryRun::Client {
                size = scale(session, flags, &info, dry_run).await?;
                wait_for_size(session, flags, &info, dry_run).await?;
            }
            let group = info.mapping()?.group.clone();
            if group == "apps" || group.is_empty() {
                info.object["spec"]["replicas"] = json!(size);
            }
            if dry_run != DryRun::Client {
                keep_cause(session, &info, dry_run).await?;
            }
            tell(session, flags, &info.object, "scaled", dry_run).await?;
        }
        KubectlError::aggregate(found.errors)
    }
}

/// Keeps the command line in the object, if that was asked for. kubectl goes on without a word where it cannot.
async fn keep_cause(session: &Session, info: &Info, dry_run: DryRun) -> Result<()> {
    let Some(patch) = record_patch(session, &info.object) else { return Ok(()) };
    let request = Request::patch(info.path()?).query("dryRun", dry_run.parameter());
    let _ = session.client().await?.json(request.body(MERGE_PATCH, patch.to_string())).await;
    Ok(())
}

/// Sets the size through the scale sub-resource and gives the size that the server kept.
async fn scale(session: &Session, flags: &Flags, info: &Info, dry_run: DryRun) -> Result<i64> {
    let mut last = KubectlError::message("timed out waiting for the condition");
    for attempt in 0..RETRIES {
        if attempt > 0 {
            session.clock.sleep(Duration::from_secs(1)).await;
        }
        match scale_once(session, flags, info, dry_run).await {
            Ok(scale) => return Ok(scale["spec"]["replicas"].as_i64().unwrap_or_default()),
            Err(error) if error.is_conflict() => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn scale_once(session: &Session, flags: &Flags, info: &Info, dry_run: DryRun) -> Result<Value> {
    let client = session.client().await?;
    let path = info.mapping()?.path(&info.namespace, &info.name, "scale");
    let size = flags.int("replicas");
    let (current, version) = (flags.int("current-replicas"), flags.string("resource-version"));
    if current == -1 && version.is_empty() {
        let request = Request::patch(path).query("dryRun", dry_run.parameter());
        return client.json(request.body(MERGE_PATCH, json!({"spec": {"replicas": size}}).to_string())).await;
    }
    let mut scale = client.json(Request::get(path.as_str())).await?;
    let has = scale["spec"]["replicas"].as_i64().unwrap_or_default();
    if current != -1 && has != current {
        return Err(KubectlError::message(format!("Expected replicas to be {current}, was {has}")));
    }
    let found = scale["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !version.is_empty() && found != version {
        return Err(KubectlError::message(format!("Expected resource version to be {version}, was {found}")));
    }
    scale["spec"]["replicas"] = json!(size);
    client.json(Request::put(path).query("dryRun", dry_run.parameter()).json(&scale)).await
}

/// Waits until as many replicas are there as were asked for, or somebody asked for others.
async fn wait_for_size(session: &Session, flags: &Flags, info: &Info, dry_run: DryRun) -> Result<()> {
    let timeout = flags.duration("timeout").unwrap_or_default();
    if timeout.is_zero() || dry_run != DryRun::None {
        return Ok(());
    }
    let mapping = info.mapping()?;
    let size = flags.int("replicas");
    let target = Target { mapping, namespace: &info.namespace, name: &info.name };
    let waiting = until(session, target, |seen| {
        let Seen::Present(object) = seen else { return Ok(true) };
        let wanted = object["spec"]["replicas"].as_i64().unwrap_or_default();
        let has = object["status"]["replicas"].as_i64().unwrap_or_default();
        Ok(wanted != size || has == size)
    });
    let late = || KubectlError::message(format!("timed out waiting for {:?} to be synced", info.name));
    session.clock.timeout(timeout, waiting).await.unwrap_or_else(|_| Err(late()))
}
