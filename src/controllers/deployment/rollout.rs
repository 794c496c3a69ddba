//! What a reconcile of a Deployment does: a pure function from the objects to a [`Plan`].
//!
//! Kubernetes writes, reads back and goes on within one sync; here the same steps run on a draft, and each ReplicaSet that
//! came out different is written once, in the order in which the steps touched them.
// Models pkg/controller/deployment/{sync,rolling,recreate}.go.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::draft::Draft;
use super::{sets, status};

/// What to do, in order: first the ReplicaSets, then the Deployment's status.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Writes of ReplicaSets.
    pub(crate) actions: Vec<Action>,
    /// The Deployment with a new status or revision, if it has one.
    pub(crate) deployment: Option<Deployment>,
    /// When to look again though nothing happens.
    pub(crate) again: Option<Duration>,
}

/// One write.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Creates a ReplicaSet; the messages are told if that succeeds.
    Create(Box<ReplicaSet>, Vec<String>),
    /// Updates one; the messages are told if that succeeds.
    Update(Box<ReplicaSet>, Vec<String>),
    /// Deletes the one of that name.
    Delete(String),
}

/// What a plan is made from.
#[derive(Debug)]
pub(crate) struct World {
    /// The Deployment.
    pub(crate) deployment: Deployment,
    /// The ReplicaSets that it controls.
    pub(crate) sets: Vec<ReplicaSet>,
    /// The UIDs of ReplicaSets that have pods which have not come to their end.
    pub(crate) populated: Vec<String>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// Plans one reconcile.
// Models syncDeployment.
pub(crate) fn plan(world: World) -> Plan {
    let mut draft = Draft::new(world);
    if draft.deployment.metadata.deletion_timestamp.is_some() {
        draft.find_new_set(false);
        let status = draft.calculated();
        return draft.finish(status);
    }
    draft.note_pause();
    if draft.is_paused() || draft.is_scaling() {
        draft.find_new_set(false);
        draft.scale();
        if draft.is_paused() {
            draft.clean_up();
        }
        let status = draft.calculated();
        return draft.finish(status);
    }
    match sets::is_rolling(&draft.deployment) {
        true => draft.roll(),
        false => draft.recreate(),
    }
    let all = draft.sets();
    let new = draft.new_set().cloned();
    let status = status::of_rollout(&draft.deployment, &all, new.as_ref(), draft.now);
    draft.finish(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use k8s_openapi::api::apps::v1::ReplicaSetStatus;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    fn deployment(replicas: i32, image: &str, strategy: &str) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1},
            "spec": {
                "replicas": replicas, "revisionHistoryLimit": 1, "progressDeadlineSeconds": 600,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": strategy, "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": image}]},
                },
            },
        }))
        .unwrap()
    }

    /// A cluster of one Deployment where a reconcile follows each change.
    struct Cluster {
        deployment: Deployment,
        sets: Vec<ReplicaSet>,
        told: Vec<String>,
        now: Timestamp,
    }

    impl Cluster {
        fn new(deployment: Deployment) -> Self {
            Self { deployment, sets: vec![], told: vec![], now: VIRTUAL_START }
        }

        /// One reconcile; returns whether it changed anything.
        fn reconcile(&mut self) -> bool {
            let populated =
                self.sets.iter().filter(|s| sets::actual(s) > 0).filter_map(|s| s.metadata.uid.clone());
            let plan = plan(World {
                deployment: self.deployment.clone(),
                sets: self.sets.clone(),
                populated: populated.collect(),
                now: self.now,
            });
            let changed = !plan.actions.is_empty() || plan.deployment.is_some();
            for action in plan.actions {
                let messages = match action {
                    Action::Create(mut set, messages) => {
                        set.metadata.uid = set.metadata.name.clone();
                        set.metadata.creation_timestamp = Some(Time(self.now));
                        self.sets.push(*set);
                        messages
                    }
                    Action::Update(set, messages) => {
                        let old =
                            self.sets.iter_mut().find(|s| s.metadata.name == set.metadata.name).unwrap();
                        *old = *set;
                        messages
                    }
                    Action::Delete(name) => {
                        self.sets.retain(|set| set.metadata.name.as_ref() != Some(&name));
                        vec![format!("Deleted {name}")]
                    }
                };
                self.told.extend(messages);
            }
            self.deployment = plan.deployment.unwrap_or_else(|| self.deployment.clone());
            changed
        }

        /// Lets pods come and go as the ReplicaSets ask; those of `broken` never become available.
        fn settle(&mut self, broken: Option<&str>) {
            self.now += jiff::SignedDuration::from_secs(1);
            for set in &mut self.sets {
                let size = sets::size(set);
                let works = set.metadata.name.as_deref() != broken;
                set.status = Some(ReplicaSetStatus {
                    replicas: size,
                    available_replicas: works.then_some(size),
                    ready_replicas: works.then_some(size),
                    terminating_replicas: Some(0),
                    observed_generation: set.metadata.generation,
                    ..ReplicaSetStatus::default()
                });
            }
        }

        fn run(&mut self, broken: Option<&str>) {
            for _ in 0..50 {
                if !self.reconcile() {
                    return;
                }
                self.settle(broken);
            }
            panic!("the rollout does not come to rest: {:#?}", self.told);
        }

        fn change(&mut self, change: impl FnOnce(&mut k8s_openapi::api::apps::v1::DeploymentSpec)) {
            change(self.deployment.spec.as_mut().unwrap());
            *self.deployment.metadata.generation.as_mut().unwrap() += 1;
        }

        fn name(&self, i: usize) -> String {
            self.sets[i].metadata.name.clone().unwrap()
        }

        fn set_image(&mut self, image: &str) {
            self.change(|spec| {
                spec.template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned())
            });
        }

        /// What was told since the last call, with the ReplicaSets' hashes as `#0`, `#1`.
        fn story(&mut self) -> Vec<String> {
            let mut names: Vec<String> =
                self.sets.iter().map(|set| set.metadata.name.clone().unwrap()).collect();
            names.sort_by_key(|name| self.sets.iter().position(|s| s.metadata.name.as_ref() == Some(name)));
            let short = |text: String| {
                names
                    .iter()
                    .enumerate()
                    .fold(text, |text, (i, name)| text.replace(name.as_str(), &format!("#{i}")))
            };
            std::mem::take(&mut self.told)
                .into_iter()
                .map(short)
                .map(|t| t.replace(" replica set", ""))
                .collect()
        }

        fn conditions(&self) -> Vec<String> {
            let conditions = self.deployment.status.clone().unwrap().conditions.unwrap();
            conditions
                .into_iter()
                .map(|c| format!("{} {} {}", c.type_, c.status, c.reason.unwrap()))
                .collect()
        }
    }

    #[test]
    fn a_rolling_update_moves_pod_by_pod_as_a_real_cluster_tells_it() {
        let mut cluster = Cluster::new(deployment(4, "v1", "RollingUpdate"));
        cluster.run(None);
        assert_eq!(cluster.story(), ["Scaled up #0 from 0 to 4"]);
        assert_eq!(
            cluster.conditions(),
            ["Available True MinimumReplicasAvailable", "Progressing True NewReplicaSetAvailable"]
        );
        cluster.set_image("v2");
        cluster.run(None);
        assert_eq!(
            cluster.story(),
            [
                "Scaled up #1 from 0 to 1",
                "Scaled down #0 from 4 to 3",
                "Scaled up #1 from 1 to 2",
                "Scaled down #0 from 3 to 1",
                "Scaled up #1 from 2 to 4",
                "Scaled down #0 from 1 to 0",
            ]
        );
        assert_eq!(cluster.deployment.metadata.annotations.as_ref().unwrap()[sets::REVISION], "2");
    }

    #[test]
    fn going_back_takes_the_old_replica_set_and_a_new_number() {
        let mut cluster = Cluster::new(deployment(1, "v1", "RollingUpdate"));
        cluster.run(None);
        cluster.set_image("v2");
        cluster.run(None);
        cluster.set_image("v1");
        cluster.run(None);
        assert_eq!(cluster.sets.len(), 2);
        assert_eq!(sets::revision(&cluster.sets[0]), 3);
        assert_eq!(cluster.sets[0].metadata.annotations.as_ref().unwrap()[sets::REVISION_HISTORY], "1");
    }

    #[test]
    fn scaling_is_one_message_and_history_is_limited() {
        let mut cluster = Cluster::new(deployment(1, "v1", "RollingUpdate"));
        cluster.run(None);
        cluster.story();
        cluster.change(|spec| spec.replicas = Some(3));
        cluster.run(None);
        assert_eq!(cluster.story(), ["Scaled up #0 from 1 to 3"]);
        let first = cluster.name(0);
        for image in ["v2", "v3"] {
            cluster.set_image(image);
            cluster.run(None);
        }
        assert_eq!(cluster.sets.len(), 2, "one old ReplicaSet is kept");
        assert!(cluster.told.contains(&format!("Deleted {first}")));
    }

    #[test]
    fn recreate_waits_until_the_old_pods_are_gone() {
        let mut cluster = Cluster::new(deployment(3, "v1", "Recreate"));
        cluster.run(None);
        cluster.set_image("v2");
        cluster.story();
        cluster.reconcile();
        assert_eq!(cluster.story(), ["Scaled down #0 from 3 to 0"]);
        cluster.reconcile();
        assert_eq!(cluster.sets.len(), 1, "the old pods still run");
        cluster.settle(None);
        cluster.run(None);
        assert_eq!(cluster.story(), ["Scaled up #1 from 0 to 3"]);
    }

    #[test]
    fn a_rollout_that_stands_still_is_told_after_the_deadline() {
        let mut cluster = Cluster::new(deployment(2, "v1", "RollingUpdate"));
        cluster.run(None);
        cluster.set_image("broken");
        cluster.reconcile();
        let broken = cluster.name(1);
        cluster.settle(Some(&broken));
        cluster.run(Some(&broken));
        let world = World {
            deployment: cluster.deployment.clone(),
            sets: cluster.sets.clone(),
            populated: vec![],
            now: cluster.now,
        };
        assert!(
            plan(world).again.is_some_and(|delay| delay.as_secs() <= 601),
            "must look again when the time is up"
        );
        cluster.now += jiff::SignedDuration::from_secs(601);
        cluster.run(Some(&broken));
        assert_eq!(
            cluster.conditions(),
            ["Available True MinimumReplicasAvailable", "Progressing False ProgressDeadlineExceeded"]
        );
        let message = cluster.deployment.status.unwrap().conditions.unwrap()[1].message.clone().unwrap();
        assert_eq!(message, format!("ReplicaSet {broken:?} has timed out progressing."));
    }

    #[test]
    fn a_paused_deployment_scales_but_does_not_roll() {
        let mut cluster = Cluster::new(deployment(2, "v1", "RollingUpdate"));
        cluster.run(None);
        cluster.change(|spec| spec.paused = Some(true));
        cluster.set_image("v2");
        cluster.change(|spec| spec.replicas = Some(4));
        cluster.story();
        cluster.run(None);
        assert_eq!(cluster.story(), ["Scaled up #0 from 2 to 4"]);
        assert!(cluster.conditions().contains(&"Progressing Unknown DeploymentPaused".to_owned()));
    }

    #[test]
    fn a_rollout_scaled_midway_grows_in_proportion() {
        let mut cluster = Cluster::new(deployment(10, "v1", "RollingUpdate"));
        cluster.run(None);
        cluster.set_image("broken");
        cluster.reconcile();
        let broken = cluster.name(1);
        for _ in 0..5 {
            cluster.settle(Some(&broken));
            cluster.reconcile();
        }
        let sizes = |c: &Cluster| c.sets.iter().map(sets::size).collect::<Vec<_>>();
        assert_eq!(sizes(&cluster), [8, 5]);
        cluster.change(|spec| spec.replicas = Some(15));
        cluster.reconcile();
        assert_eq!(sizes(&cluster), [12, 7]);
    }
}
