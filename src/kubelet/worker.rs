//! A pod's worker: one task that brings the pod up, keeps it up, and takes it down.
//!
//! It sleeps until the kubelet's loop, a probe or a back-off wakes it.
// Models pkg/kubelet/pod_workers.go and pkg/kubelet/kubelet.go (SyncPod, SyncTerminatingPod, SyncTerminatedPod).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};

use super::actions;
use super::admission;
use super::kill::kill_pod;
use super::kubelet::Shared;
use super::last_words;
use super::pod::PodEntry;
use super::prober::{ProbeKind, Probes};
use super::runtime_pod::RuntimePod;
use super::spec;
use super::status::{self, Inputs, Reasons};
use super::sync::{Outcome, Sync};
use super::volumes::{Setup, Volumes, has_limits, over_limit};
use crate::client;
use crate::events::EventType;
use crate::informer::revision_of;
use crate::runtime::api::{ContainerState, RuntimeError};

/// How long until the next try when it is not known better.
const RETRY: Duration = Duration::from_secs(10);
/// The longest time between two tries.
const RESYNC: Duration = Duration::from_secs(60);
/// How long until volumes that could not be made are tried again, doubled each time up to the other.
const MOUNT_RETRY: Duration = Duration::from_millis(500);
const MOUNT_RETRY_MAX: Duration = Duration::from_secs(122);

/// How often it is looked how much volumes with a limit hold.
// Models evictionMonitoringPeriod of pkg/kubelet.
const USAGE_INTERVAL: Duration = Duration::from_secs(10);
/// The reason of a pod that had to go for what it used.
const EVICTED: &str = "Evicted";

/// What a sync leaves to do.
enum Next {
    /// Nothing until woken, or until then.
    Wait(Option<Timestamp>),
    /// The pod is over.
    Terminate,
}

/// The task's state.
pub(super) struct Worker {
    shared: Arc<Shared>,
    entry: Arc<PodEntry>,
    reasons: Reasons,
    probes: Probes,
    volumes: Volumes,
    mount_retry: Duration,
    /// The pod as the runtime had it when the last sync began.
    seen: Option<RuntimePod>,
    /// Whether the pod ran before this kubelet.
    adopted: bool,
    /// Why the kubelet ends the pod itself: reason and message.
    evicted: Option<(&'static str, String)>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, entry: Arc<PodEntry>) -> Self {
        Self {
            shared,
            entry,
            reasons: Reasons::new(),
            probes: Probes::default(),
            volumes: Volumes::default(),
            mount_retry: MOUNT_RETRY,
            seen: None,
            adopted: false,
            evicted: None,
        }
    }

    /// Runs until the pod is gone from the API and from the node.
    pub(super) async fn run(mut self) {
        if let Ok(runtime) = self.observe().await {
            self.adopted = !runtime.sandboxes.is_empty();
        }
        if !self.adopted && !self.is_over() && !self.admit().await {
            self.finish(true).await;
            return;
        }
        loop {
            if self.is_over() {
                break;
            }
            // What is known by now is in the sync.
            self.entry.take_news();
            match self.interruptible_sync().await {
                Next::Terminate => break,
                Next::Wait(at) => self.wait(at).await,
            }
        }
        self.terminate().await;
        self.finish(false).await;
    }

    fn is_over(&self) -> bool {
        let pod = self.entry.pod();
        let ended = pod.status.as_ref().is_some_and(status::is_terminal);
        spec::is_deleted(&pod) || self.entry.is_removed() || ended
    }

    /// What is told of a volume that holds more than it may.
    async fn over_limit(&self) -> Option<String> {
        let deps = &self.shared.deps;
        over_limit(deps.runtime.as_ref(), &self.entry.pod(), deps.host.node()).await
    }

    /// Returns when one of the pod's volumes holds more than it may.
    async fn outgrown(&self) {
        if self.evicted.is_some() || !has_limits(&self.entry.pod()) {
            return std::future::pending().await;
        }
        while self.over_limit().await.is_none() {
            self.shared.deps.clock.sleep(USAGE_INTERVAL).await;
        }
    }

    async fn wait(&self, at: Option<Timestamp>) {
        let deadline = self.deadline();
        let first = [at, deadline, self.volumes.renew_at()].into_iter().flatten().min();
        loop {
            tokio::select! { biased;
                () = self.entry.woken() => {
                    if self.entry.take_news() || self.runtime_has_news().await {
                        return;
                    }
                }
                () = async {
                    match first {
                        Some(at) => self.shared.deps.clock.sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                } => return,
                () = self.outgrown() => return,
            }
        }
    }

    /// Whether the runtime has other containers than the last sync saw. What a sync itself started is told of while it runs and
    /// once more after it: each sync too many would count as one more try to start what failed.
    async fn runtime_has_news(&self) -> bool {
        match (self.observe().await, &self.seen) {
            (Ok(now), Some(seen)) => now.has_news_since(seen),
            _ => true,
        }
    }

    /// When the pod has been active for as long as it may.
    fn deadline(&self) -> Option<Timestamp> {
        let pod = self.entry.pod();
        let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
        let start = self.entry.known_status().start_time?.0;
        start.checked_add(SignedDuration::from_secs(seconds)).ok()
    }

    async fn observe(&self) -> crate::runtime::api::Result<RuntimePod> {
        RuntimePod::observe(self.shared.deps.runtime.as_ref(), &self.entry.uid).await
    }

    async fn admit(&mut self) -> bool {
        let pod = self.entry.pod();
        let others = self.shared.other_active_pods(&self.entry.uid);
        let Err((reason, message)) =
            admission::admit(&pod, &others, &self.shared.node(), &self.shared.config)
        else {
            return true;
        };
        self.shared.deps.recorder.event(&spec::reference(&pod), EventType::Warning, &reason, &message);
        let status = status::reject(&pod, &reason, &message);
        self.publish(&pod, status, false).await;
        false
    }

    /// A sync that is broken off once the pod is to go: what is not started by then is not started any more.
    // Models pkg/kubelet/pod_workers.go (cancelFn of UpdatePod).
    async fn interruptible_sync(&mut self) -> Next {
        let entry = self.entry.clone();
        let missed = AtomicBool::new(false);
        let too_late = async {
            while !entry.is_removed() && !spec::is_deleted(&entry.pod()) {
                entry.woken().await;
                missed.store(true, Ordering::Relaxed);
            }
        };
        let revision = revision_of(&self.entry.pod().metadata);
        let next = tokio::select! { biased;
            next = client::because_of(revision, self.sync()) => next,
            () = too_late => Next::Terminate,
        };
        if missed.load(Ordering::Relaxed) {
            // News came while the sync ran, and may not be in it: `wait` looks what it was.
            self.entry.wake_for_runtime();
        }
        next
    }

    async fn sync(&mut self) -> Next {
        let shared = self.shared.clone();
        let pod = self.entry.pod();
        let now = shared.deps.clock.now();
        if self.evicted.is_none() && self.deadline().is_some_and(|deadline| now >= deadline) {
            let (reason, why) =
                ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
            shared.deps.recorder.event(&spec::reference(&pod), EventType::Normal, reason, why);
            self.evicted = Some((reason, why.to_owned()));
        }
        if self.evicted.is_none()
            && let Some(why) = self.over_limit().await
        {
            shared.deps.recorder.event(&spec::reference(&pod), EventType::Warning, EVICTED, why.clone());
            self.evicted = Some((EVICTED, why));
        }
        let runtime = match self.observe().await {
            Ok(runtime) => runtime,
            Err(error) => {
                let message = format!("error determining status: {error}");
                shared.deps.recorder.event(&spec::reference(&pod), EventType::Warning, "FailedSync", message);
                return self.later(RETRY);
            }
        };
        self.seen = Some(runtime.clone());
        let made = self.make_status(&pod, &runtime, false).await;
        let over = status::is_terminal(&made);
        self.look_at_readiness(&pod, &made);
        let written = self.publish(&pod, made, true).await;
        self.prune(&runtime).await;
        if over {
            return Next::Terminate;
        }
        if !self.mount(&pod, &runtime).await {
            let next = self.later(self.mount_retry);
            self.mount_retry = (self.mount_retry * 2).min(MOUNT_RETRY_MAX);
            return next;
        }
        self.mount_retry = MOUNT_RETRY;
        self.probes.start(&shared.deps, &self.entry);
        let results = self.entry.clone();
        let plan = actions::plan(&pod, &runtime, &|kind, id| results.results.get(kind, id));
        let secrets = shared.caches.pull_secrets(&pod).await;
        let claimed = self.volumes.claimed();
        let sync = Sync { shared: &shared, pod: &pod, runtime: &runtime, secrets, claimed };
        let outcome = sync.run(plan, async || self.sandbox_is_ready(&pod).await).await;
        self.settle(&outcome, written)
    }

    /// Keeps only the last life of each container that has ended. While it waits to be started again its log is the present
    /// one, and what `logs --previous` asks for is gone.
    // Models pkg/kubelet (cleanUpContainersInPod, getContainersToDeleteInPod).
    async fn prune(&self, runtime: &RuntimePod) {
        let mut seen = BTreeSet::new();
        for dead in runtime.containers.iter().filter(|status| status.state == ContainerState::Exited) {
            if seen.insert(&dead.name) {
                continue;
            }
            match self.shared.deps.runtime.remove_container(&dead.id).await {
                Ok(()) | Err(RuntimeError::NotFound(_)) => {}
                Err(error) => tracing::debug!(%error, "an old container could not be removed"),
            }
        }
    }

    /// Takes the reasons of a sync and says when the next one is due.
    fn settle(&mut self, outcome: &Outcome, written: bool) -> Next {
        for (container, error) in &outcome.starts {
            match error {
                Some(error) => self.reasons.insert(container.clone(), error.reason.clone()),
                None => self.reasons.remove(container),
            };
        }
        if outcome.is_good() && written {
            return Next::Wait(None);
        }
        if let Some(error) = &outcome.error {
            tracing::debug!(pod = self.entry.name, %error, "a sync failed");
        }
        let now = self.shared.deps.clock.now();
        match outcome.retry_at() {
            Some(at) => {
                let left = Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO);
                self.later(left.min(RESYNC))
            }
            None => self.later(RETRY),
        }
    }

    /// A little later than that, so that not all pods come at once.
    fn later(&self, wait: Duration) -> Next {
        let jitter = wait.mul_f64(self.shared.deps.seed.below(500) as f64 / 1000.0);
        Next::Wait(Some(self.shared.deps.clock.after(wait + jitter)))
    }

    fn look_at_readiness(&self, pod: &Pod, status: &PodStatus) {
        let lists = [&status.container_statuses, &status.init_container_statuses];
        for container in lists.into_iter().flat_map(|list| list.iter().flatten()) {
            let probed = spec::find(pod, &container.name).is_some_and(|(_, c)| c.readiness_probe.is_some());
            let running = container.state.as_ref().is_some_and(|state| state.running.is_some());
            if probed && running && container.started == Some(true) && !container.ready {
                self.probes.trigger_readiness(&container.name);
            }
        }
    }

    async fn make_status(&self, pod: &Pod, runtime: &RuntimePod, terminal: bool) -> PodStatus {
        let words = last_words::collect(&self.shared.deps, pod, runtime).await;
        let old = self.entry.known_status();
        let results = &self.entry.results;
        let probe = move |kind: ProbeKind, id: &str| results.get(kind, id);
        let inputs = Inputs {
            pod,
            runtime,
            old: &old,
            reasons: &self.reasons,
            probe: &probe,
            last_words: &words,
            host_ip: &self.shared.config.node.ip.to_string(),
            terminal,
        };
        let mut made = status::generate(&inputs);
        if let Some((reason, message)) = &self.evicted {
            made.phase = Some("Failed".to_owned());
            made.reason = Some((*reason).to_owned());
            made.message = Some(message.clone());
        }
        made
    }

    /// Notes a status and writes it if the API has another. `false`: it has to be tried again.
    async fn publish(&self, pod: &Pod, mut made: PodStatus, may_run: bool) -> bool {
        let old = self.entry.known_status();
        status::reconcile_times(&mut made, &old, self.shared.deps.clock.now());
        self.entry.set_status(made.clone());
        let api_status = self.entry.api_status();
        let merged = status::merge(&api_status, &made, may_run);
        let Some(patch) = status::patch(&self.entry.uid, &api_status, &merged) else { return true };
        if self.entry.is_removed() {
            return true;
        }
        let api: Api<Pod> = Api::namespaced(self.shared.deps.client.clone(), spec::namespace(pod));
        match api.patch_status(&self.entry.name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Ok(written) => {
                self.entry.wrote(&written);
                true
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
            Err(error) => {
                tracing::debug!(pod = self.entry.name, %error, "a status could not be written");
                false
            }
        }
    }

    async fn sandbox_is_ready(&self, pod: &Pod) {
        let Some(mut made) = self.entry.status() else { return };
        for condition in made.conditions.iter_mut().flatten() {
            if condition.type_ == "PodReadyToStartContainers" {
                condition.status = "True".to_owned();
            }
        }
        self.publish(pod, made, true).await;
    }

    async fn mount(&mut self, pod: &Pod, runtime: &RuntimePod) -> bool {
        let shared = self.shared.clone();
        let facts = shared.facts(&runtime.ips());
        let setup =
            Setup { deps: &shared.deps, pod, facts: &facts, lookup: &shared.caches, adopted: self.adopted };
        let Err(errors) = self.volumes.set_up(&setup).await else { return true };
        for error in errors {
            shared.deps.recorder.event(&spec::reference(pod), EventType::Warning, "FailedMount", error.0);
        }
        false
    }

    /// Ends what runs and says so.
    async fn terminate(&mut self) {
        self.probes.stop_liveness_and_startup();
        loop {
            let pod = self.entry.pod();
            let Ok(runtime) = self.observe().await else {
                self.wait(Some(self.shared.deps.clock.after(RETRY))).await;
                continue;
            };
            let grace = self.grace(&pod);
            let revision = revision_of(&pod.metadata);
            let result = {
                let shared = self.shared.clone();
                let killing =
                    client::because_of(revision, kill_pod(&shared.deps, &pod, &runtime, Some(grace)));
                let entry = self.entry.clone();
                let shorter = async {
                    loop {
                        entry.woken().await;
                        if self.grace(&entry.pod()) < grace {
                            return;
                        }
                    }
                };
                tokio::select! { biased;
                    result = killing => Some(result),
                    () = shorter => None,
                }
            };
            match result {
                // The grace was cut: begin again with less.
                None => continue,
                Some(Ok(())) => break,
                Some(Err(error)) => {
                    let message = format!("error killing pod: {error}");
                    self.shared.deps.recorder.event(
                        &spec::reference(&pod),
                        EventType::Warning,
                        "FailedKillPod",
                        message,
                    );
                    self.wait(Some(self.shared.deps.clock.after(RETRY))).await;
                }
            }
        }
        self.probes.stop();
        let pod = self.entry.pod();
        let runtime = self.observe().await.unwrap_or_default();
        let mut made = self.make_status(&pod, &runtime, true).await;
        status::could_not_be_located(&mut made);
        let revision = revision_of(&pod.metadata);
        while !client::because_of(revision, self.publish(&pod, made.clone(), false)).await {
            self.wait(Some(self.shared.deps.clock.after(RETRY))).await;
        }
    }

    /// The pod's grace in seconds; at least one.
    fn grace(&self, pod: &Pod) -> i64 {
        let own = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        let own =
            if self.evicted.as_ref().is_some_and(|(reason, _)| *reason == EVICTED) { Some(1) } else { own };
        pod.metadata.deletion_grace_period_seconds.or(own).unwrap_or(30).max(1)
    }

    /// Waits until the pod is deleted, takes the object away, and then what is left of it on the node.
    async fn finish(&mut self, rejected: bool) {
        while !self.entry.is_removed() {
            let pod = self.entry.pod();
            if spec::is_deleted(&pod) && !self.delete(&pod).await {
                self.wait(Some(self.shared.deps.clock.after(RETRY))).await;
                continue;
            }
            self.entry.woken().await;
        }
        let pod = self.entry.pod();
        let deps = &self.shared.deps;
        if !rejected {
            let runtime = self.observe().await.unwrap_or_default();
            for sandbox in &runtime.sandboxes {
                if let Err(error) = deps.runtime.remove_pod_sandbox(&sandbox.id).await {
                    tracing::debug!(%error, "a sandbox could not be removed");
                }
            }
            let shared = self.shared.clone();
            self.volumes.tear_down(&shared.deps, &pod, shared.deps.host.node()).await;
            let _ = shared.deps.runtime.remove_volume(&super::containers::hosts_volume(&pod)).await;
        }
        self.shared.forget(&self.entry.uid);
    }

    /// Deletes the object for good; `false`: try again.
    async fn delete(&self, pod: &Pod) -> bool {
        let api: Api<Pod> = Api::namespaced(self.shared.deps.client.clone(), spec::namespace(pod));
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: pod.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::default()
        };
        let deleting = client::because_of(revision_of(&pod.metadata), api.delete(&self.entry.name, &params));
        match deleting.await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) => matches!(status.code, 404 | 409),
            Err(_) => false,
        }
    }
}

/// Termination messages by container id, as `last_words` finds them.
pub(super) type Words = BTreeMap<String, String>;
