//! `kubectl rollout status`.
// Models kubectl/pkg/cmd/rollout (rollout_status.go) and kubectl/pkg/polymorphichelpers (rollout_status.go).

use async_trait::async_trait;
use serde_json::Value;

use super::group::{finding_flags, found};
use crate::kubectl::command::Verb;
use crate::kubectl::describe::fields::{int, list, some, some_int, text};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::resources::Info;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::watching::{Seen, Target, until};

/// `kubectl rollout status`.
pub struct Status;

/// What a rollout is like now, and whether it is done.
type Progress = std::result::Result<(String, bool), String>;

#[async_trait]
impl Verb for Status {
    fn name(&self) -> &'static str {
        "status"
    }
    fn short(&self) -> &'static str {
        "Show the status of the rollout"
    }
    fn long(&self) -> &'static str {
        "Show how far the newest rollout is, and wait until it is done.\n\n--watch=false shows it once. If another rollout \
         begins in the meantime, that one is waited for; --revision sticks to one."
    }
    fn examples(&self) -> &'static str {
        "# Watch the rollout of a deployment\nkubectl rollout status deployment/web"
    }
    fn usage(&self) -> &'static str {
        "(TYPE NAME | TYPE/NAME) [flags]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = finding_flags();
        flags.extend([
            Flag::int("revision", 0, "The revision to stick to; 0 for the newest."),
            Flag::duration("timeout", "0s", "How long to watch; zero for as long as it takes."),
            Flag::bool("watch", true, "Watch until the rollout is done.").short('w'),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let revision = flags.int("revision");
        let found = found(session, flags, args).await?;
        if revision < 0 {
            return Err(KubectlError::message(format!("revision must be a positive integer: {revision}")));
        }
        KubectlError::aggregate(found.errors)?;
        let mut errors = vec![];
        for info in &found.infos {
            errors.extend(follow(session, flags, info).await.err());
        }
        KubectlError::aggregate(errors)?;
        if found.infos.is_empty() {
            let (namespace, _) = session.namespace()?;
            session.err.line(format!("No resources found in {namespace} namespace.")).await?;
        }
        Ok(())
    }
}

/// Prints each change of the rollout until it is done.
async fn follow(session: &Session, flags: &Flags, info: &Info) -> Result<()> {
    let mapping = info.mapping()?;
    let viewer = viewer(mapping)?;
    let (revision, watch) = (flags.int("revision"), flags.bool("watch"));
    let (lines, mut printed) = tokio::sync::mpsc::unbounded_channel::<String>();
    let target = Target { mapping, namespace: &info.namespace, name: &info.name };
    let watching = async {
        let ended = until(session, target, move |seen| match seen {
            Seen::Absent => Ok(false),
            Seen::Deleted => Err(KubectlError::message("object has been deleted")),
            Seen::Present(object) => {
                let (line, done) = viewer(object, revision).map_err(KubectlError::message)?;
                // The receiver lives as long as this future.
                let _ = lines.send(line);
                Ok(done || !watch)
            }
        });
        match flags.duration("timeout").filter(|timeout| !timeout.is_zero()) {
            None => ended.await,
            Some(timeout) => {
                let late = || KubectlError::message("timed out waiting for the condition");
                session.clock.timeout(timeout, ended).await.unwrap_or_else(|_| Err(late()))
            }
        }
    };
    let printing = async {
        while let Some(line) = printed.recv().await {
            session.out.write(line).await?;
        }
        Ok(())
    };
    let (watched, written) = futures::future::join(watching, printing).await;
    watched.and(written)
}

fn viewer(mapping: &Mapping) -> Result<fn(&Value, i64) -> Progress> {
    match (mapping.group.as_str(), mapping.kind.as_str()) {
        ("apps" | "extensions", "Deployment") => Ok(deployment),
        ("apps" | "extensions", "DaemonSet") => Ok(daemon_set),
        ("apps", "StatefulSet") => Ok(stateful_set),
        (group, kind) => {
            let name = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
            Err(KubectlError::message(format!("no status viewer has been implemented for {name}")))
        }
    }
}

fn deployment(object: &Value, revision: i64) -> Progress {
    let name = text(object, "/metadata/name");
    if revision > 0 {
        let running =
            object["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap_or("0");
        let running: i64 =
            running.parse().map_err(|_| format!("cannot get the revision of deployment {name:?}"))?;
        if revision != running {
            return Err(format!(
                "desired revision ({revision}) is different from the running revision ({running})"
            ));
        }
    }
    if int(object, "/metadata/generation") > int(object, "/status/observedGeneration") {
        return Ok(("Waiting for deployment spec update to be observed...\n".to_owned(), false));
    }
    let mut conditions = list(object, "/status/conditions").iter();
    let progressing = conditions.find(|condition| text(condition, "/type") == "Progressing");
    if progressing.is_some_and(|condition| text(condition, "/reason") == "ProgressDeadlineExceeded") {
        return Err(format!("deployment {name:?} exceeded its progress deadline"));
    }
    let [updated, all, available] = ["updatedReplicas", "replicas", "availableReplicas"]
        .map(|field| int(object, &format!("/status/{field}")));
    let waiting =
        |what: String| Ok((format!("Waiting for deployment {name:?} rollout to finish: {what}...\n"), false));
    match some_int(object, "/spec/replicas") {
        Some(wanted) if updated < wanted => {
            return waiting(format!("{updated} out of {wanted} new replicas have been updated"));
        }
        _ => {}
    }
    if all > updated {
        return waiting(format!("{} old replicas are pending termination", all - updated));
    }
    if available < updated {
        return waiting(format!("{available} of {updated} updated replicas are available"));
    }
    Ok((format!("deployment {name:?} successfully rolled out\n"), true))
}

fn daemon_set(object: &Value, _: i64) -> Progress {
    let name = text(object, "/metadata/name");
    if text(object, "/spec/updateStrategy/type") != "RollingUpdate" {
        return Err("rollout status is only available for RollingUpdate strategy type".to_owned());
    }
    if int(object, "/metadata/generation") > int(object, "/status/observedGeneration") {
        return Ok(("Waiting for daemon set spec update to be observed...\n".to_owned(), false));
    }
    let [updated, wanted, available] =
        ["updatedNumberScheduled", "desiredNumberScheduled", "numberAvailable"]
            .map(|field| int(object, &format!("/status/{field}")));
    let waiting =
        |what: String| Ok((format!("Waiting for daemon set {name:?} rollout to finish: {what}...\n"), false));
    if updated < wanted {
        return waiting(format!("{updated} out of {wanted} new pods have been updated"));
    }
    if available < wanted {
        return waiting(format!("{available} of {wanted} updated pods are available"));
    }
    Ok((format!("daemon set {name:?} successfully rolled out\n"), true))
}

fn stateful_set(object: &Value, _: i64) -> Progress {
    if text(object, "/spec/updateStrategy/type") != "RollingUpdate" {
        return Err("rollout status is only available for RollingUpdate strategy type".to_owned());
    }
    let observed = int(object, "/status/observedGeneration");
    if observed == 0 || int(object, "/metadata/generation") > observed {
        return Ok(("Waiting for statefulset spec update to be observed...\n".to_owned(), false));
    }
    let (wanted, ready) = (some_int(object, "/spec/replicas"), int(object, "/status/readyReplicas"));
    let updated = int(object, "/status/updatedReplicas");
    if let Some(wanted) = wanted.filter(|wanted| ready < *wanted) {
        return Ok((format!("Waiting for {} pods to be ready...\n", wanted - ready), false));
    }
    if some(object, "/spec/updateStrategy/rollingUpdate").is_some() {
        let partition = some_int(object, "/spec/updateStrategy/rollingUpdate/partition");
        if let (Some(wanted), Some(partition)) = (wanted, partition)
            && updated < wanted - partition
        {
            let new = wanted - partition;
            let line = format!(
                "Waiting for partitioned roll out to finish: {updated} out of {new} new pods have been updated...\n"
            );
            return Ok((line, false));
        }
        return Ok((
            format!("partitioned roll out complete: {updated} new pods have been updated...\n"),
            true,
        ));
    }
    let (update, current) = (text(object, "/status/updateRevision"), text(object, "/status/currentRevision"));
    if update != current {
        let line = format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update}...\n"
        );
        return Ok((line, false));
    }
    let now = int(object, "/status/currentReplicas");
    Ok((format!("statefulset rolling update complete {now} pods at revision {current}...\n"), true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployments_rollout_goes_through_its_stages() {
        let at = |generation: i64, [updated, all, available]: [i64; 3]| {
            let object = json!({"metadata": {"name": "web", "generation": 2}, "spec": {"replicas": 4}, "status": {
                "observedGeneration": generation, "updatedReplicas": updated, "replicas": all, "availableReplicas": available}});
            deployment(&object, 0).unwrap()
        };
        let waiting = "Waiting for deployment \"web\" rollout to finish: ";
        assert_eq!(at(1, [0; 3]).0, "Waiting for deployment spec update to be observed...\n");
        assert_eq!(at(2, [2, 5, 4]).0, format!("{waiting}2 out of 4 new replicas have been updated...\n"));
        assert_eq!(at(2, [4, 5, 4]).0, format!("{waiting}1 old replicas are pending termination...\n"));
        assert_eq!(at(2, [4, 4, 3]).0, format!("{waiting}3 of 4 updated replicas are available...\n"));
        assert_eq!(at(2, [4, 4, 4]), ("deployment \"web\" successfully rolled out\n".to_owned(), true));
    }
}
