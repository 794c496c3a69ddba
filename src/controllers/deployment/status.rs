//! A Deployment's status: counts and conditions. Pure functions for `rollout`.
// Models pkg/controller/deployment/progress.go and sync.go (calculateStatus).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::sets;

pub(crate) const AVAILABLE: &str = "Available";
pub(crate) const PROGRESSING: &str = "Progressing";
pub(crate) const REPLICA_FAILURE: &str = "ReplicaFailure";
pub(crate) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";
pub(crate) const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition that has just become so.
pub(crate) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

/// The condition of that type.
pub(crate) fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

fn reason<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a str> {
    find(status, kind)?.reason.as_deref()
}

/// Sets a condition, behind the others, unless its status and reason are known already.
pub(crate) fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(current) = find(status, &condition.type_)
        && current.status == condition.status
    {
        if current.reason == condition.reason {
            return;
        }
        condition.last_transition_time = current.last_transition_time.clone();
    }
    remove(status, &condition.type_.clone());
    status.conditions.get_or_insert_default().push(condition);
}

/// Takes a condition away.
pub(crate) fn remove(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
    }
}

/// Whether progress is watched at all: a deadline of i32's maximum means no deadline.
pub(crate) fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds =
        deployment.spec.as_ref()?.progress_deadline_seconds.filter(|&seconds| seconds != i32::MAX)?;
    Some(SignedDuration::from_secs(i64::from(seconds)))
}

/// The counts, and whether enough is available. Zeros are left out, as Kubernetes writes them.
pub(crate) fn calculate(
    deployment: &Deployment,
    all: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let sum = |number: fn(&ReplicaSet) -> i32| all.iter().map(number).sum::<i32>();
    let number = |count: i32| Some(count).filter(|&count| count != 0);
    let (available, total) = (sum(sets::available), sum(sets::size));
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: number(sum(sets::actual)),
        updated_replicas: number(new.map_or(0, sets::actual)),
        ready_replicas: number(sum(|set| set.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0))),
        available_replicas: number(available),
        unavailable_replicas: number((total - available).max(0)),
        terminating_replicas: terminating(all),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let enough = available >= sets::replicas(deployment) - sets::max_unavailable(deployment);
    let (word, reason, text) = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    set(&mut status, condition(AVAILABLE, word, reason, text.to_owned(), now));
    status
}

/// The pods on their way out; unknown as soon as one ReplicaSet does not say.
fn terminating(all: &[ReplicaSet]) -> Option<i32> {
    let mut sum = 0;
    for status in all.iter().filter_map(|set| set.status.as_ref()) {
        match status.terminating_replicas {
            Some(count) => sum += count,
            // Its controller has not looked at it yet.
            None if status.observed_generation.unwrap_or(0) == 0 => {}
            None => return None,
        }
    }
    Some(sum)
}

/// Whether everything is up to date, available, and nothing else is left.
pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = sets::replicas(deployment);
    status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0)
}

fn is_progressing(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let number = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    number(new.updated_replicas) > number(old.updated_replicas)
        || outdated(new) < outdated(old)
        || number(new.ready_replicas) > number(old.ready_replicas)
        || number(new.available_replicas) > number(old.available_replicas)
}

fn is_timed_out(deadline: SignedDuration, status: &DeploymentStatus, now: Timestamp) -> bool {
    let Some(condition) = find(status, PROGRESSING) else { return false };
    match condition.reason.as_deref() {
        Some(NEW_SET_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        _ => condition.last_update_time.as_ref().is_some_and(|from| now.duration_since(from.0) > deadline),
    }
}

/// The status of a rollout: [`calculate`] and how it gets along.
// Models syncRolloutStatus.
pub(crate) fn of_rollout(
    deployment: &Deployment,
    all: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let mut status = calculate(deployment, all, new, now);
    match deadline(deployment) {
        None => remove(&mut status, PROGRESSING),
        Some(deadline) => {
            let was_complete = status.replicas == status.updated_replicas
                && reason(&old, PROGRESSING) == Some(NEW_SET_AVAILABLE);
            if !was_complete {
                note_progress(deployment, &old, &mut status, new, deadline, now);
            }
        }
    }
    let of_set = |set: &ReplicaSet| {
        let conditions = set.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        conditions.into_iter().find(|condition| condition.type_ == REPLICA_FAILURE)
    };
    match new.and_then(of_set).or_else(|| all.iter().find_map(of_set)) {
        Some(failure) => {
            let failure = DeploymentCondition {
                type_: failure.type_,
                status: failure.status,
                reason: failure.reason,
                message: failure.message,
                last_update_time: failure.last_transition_time.clone(),
                last_transition_time: failure.last_transition_time,
            };
            set(&mut status, failure);
        }
        None => remove(&mut status, REPLICA_FAILURE),
    }
    status
}

fn note_progress(
    deployment: &Deployment,
    old: &DeploymentStatus,
    status: &mut DeploymentStatus,
    new: Option<&ReplicaSet>,
    deadline: SignedDuration,
    now: Timestamp,
) {
    let subject = match new.and_then(|set| set.metadata.name.as_ref()) {
        Some(name) => format!("ReplicaSet {name:?}"),
        None => format!("Deployment {:?}", deployment.metadata.name.as_deref().unwrap_or_default()),
    };
    if is_complete(deployment, status) {
        let text = format!("{subject} has successfully progressed.");
        set(status, condition(PROGRESSING, "True", NEW_SET_AVAILABLE, text, now));
    } else if is_progressing(old, status) {
        let mut progress =
            condition(PROGRESSING, "True", "ReplicaSetUpdated", format!("{subject} is progressing."), now);
        if let Some(current) = find(old, PROGRESSING) {
            if current.status == "True" {
                progress.last_transition_time = current.last_transition_time.clone();
            }
            // Taken away first, so that its time of update moves on with each step.
            remove(status, PROGRESSING);
        }
        set(status, progress);
    } else if is_timed_out(deadline, status, now) {
        let text = format!("{subject} has timed out progressing.");
        set(status, condition(PROGRESSING, "False", TIMED_OUT, text, now));
    }
}

/// When to look again at a rollout that does not move, to tell when its time is up.
// Models requeueStuckDeployment.
pub(crate) fn next_look(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let (deadline, current) = (deadline(deployment)?, find(status, PROGRESSING)?);
    if is_complete(deployment, status) || current.reason.as_deref() == Some(TIMED_OUT) {
        return None;
    }
    let left = deadline - now.duration_since(current.last_update_time.as_ref()?.0);
    // A second more, since times are kept in whole seconds.
    Duration::try_from(left.max(SignedDuration::ZERO) + SignedDuration::from_secs(1)).ok()
}

/// The status with zeros left out, to compare one that was read with one that was reckoned.
pub(crate) fn normalized(mut status: DeploymentStatus) -> DeploymentStatus {
    for number in [
        &mut status.replicas,
        &mut status.updated_replicas,
        &mut status.ready_replicas,
        &mut status.available_replicas,
        &mut status.unavailable_replicas,
    ] {
        *number = number.filter(|&count| count != 0);
    }
    status.conditions = status.conditions.filter(|conditions| !conditions.is_empty());
    status
}
