//! One task a probe: asks again and again, counts, and wakes the pod's worker when the answer has changed.
// Models pkg/kubelet/prober (worker, manager).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Probe};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::super::config::Dependencies;
use super::super::pod::PodEntry;
use super::super::spec;
use super::super::status::{RUNTIME_PREFIX, is_terminal};
use super::probe::{Finding, Target};
use super::results::ProbeKind;
use crate::events::EventType;

/// How often a probe that could not be made is made again at once.
const RETRIES: usize = 3;

/// The probes of one pod.
#[derive(Debug, Default)]
pub(in crate::kubelet) struct Probes {
    tasks: BTreeMap<(String, ProbeKind), (AbortOnDropHandle<()>, Arc<Notify>)>,
}

impl Probes {
    /// Starts the probes that do not run yet: of ordinary containers and of sidecars.
    pub(in crate::kubelet) fn start(&mut self, deps: &Dependencies, entry: &Arc<PodEntry>) {
        let pod = entry.pod();
        let sidecars =
            spec::init_containers(&pod).iter().filter(|container| spec::is_restartable_init(container));
        for container in spec::containers(&pod).iter().chain(sidecars) {
            let probes = [
                (ProbeKind::Startup, &container.startup_probe),
                (ProbeKind::Readiness, &container.readiness_probe),
                (ProbeKind::Liveness, &container.liveness_probe),
            ];
            for (kind, probe) in probes {
                let Some(probe) = probe else { continue };
                self.tasks.entry((container.name.clone(), kind)).or_insert_with(|| {
                    let trigger = Arc::new(Notify::new());
                    let worker = Worker {
                        deps: deps.clone(),
                        entry: entry.clone(),
                        container: container.clone(),
                        probe: probe.clone(),
                        kind,
                        id: String::new(),
                        last: None,
                        run: 0,
                        on_hold: false,
                    };
                    (AbortOnDropHandle::new(tokio::spawn(worker.run(trigger.clone()))), trigger)
                });
            }
        }
    }

    /// Has a container's readiness looked at now, since its status was asked for and it is not known.
    pub(in crate::kubelet) fn trigger_readiness(&self, container: &str) {
        if let Some((_, trigger)) = self.tasks.get(&(container.to_owned(), ProbeKind::Readiness)) {
            trigger.notify_one();
        }
    }

    /// Ends what could kill containers.
    pub(in crate::kubelet) fn stop_liveness_and_startup(&mut self) {
        self.tasks.retain(|(_, kind), _| *kind == ProbeKind::Readiness);
    }

    /// Ends all probes.
    pub(in crate::kubelet) fn stop(&mut self) {
        self.tasks.clear();
    }
}

struct Worker {
    deps: Dependencies,
    entry: Arc<PodEntry>,
    container: Container,
    probe: Probe,
    kind: ProbeKind,
    /// The container that was last looked at.
    id: String,
    last: Option<bool>,
    /// How often in a row the result was the same.
    run: i32,
    /// No more until there is another container.
    on_hold: bool,
}

impl Worker {
    async fn run(mut self, trigger: Arc<Notify>) {
        let period =
            Duration::from_secs(u64::from(self.probe.period_seconds.unwrap_or(10).max(1).unsigned_abs()));
        let mut next = self.deps.clock.after(period);
        while self.once().await {
            tokio::select! { biased;
                () = self.deps.clock.sleep_until(next) => {
                    // Like a ticker: an instant that has passed meanwhile is not made up for.
                    let now = self.deps.clock.now();
                    next = self.deps.clock.after(period).min(next.saturating_add(signed(period)).unwrap_or(next)).max(now);
                }
                () = trigger.notified() => next = self.deps.clock.after(period),
            }
        }
    }

    fn set(&self, result: bool) {
        if self.entry.results.set(self.kind, &self.id, result) {
            self.entry.wake();
        }
    }

    /// Looks once; says whether to go on.
    async fn once(&mut self) -> bool {
        let Some(status) = self.entry.status() else { return true };
        if is_terminal(&status) {
            return false;
        }
        let lists = [&status.container_statuses, &status.init_container_statuses];
        let found =
            lists.into_iter().flat_map(|list| list.iter().flatten()).find(|c| c.name == self.container.name);
        let Some(seen) = found.filter(|seen| seen.container_id.is_some()).cloned() else { return true };
        self.change_container(&seen);
        if self.on_hold {
            return true;
        }
        let state = seen.state.clone().unwrap_or_default();
        let Some(running) = state.running else {
            self.set(false);
            let Some(ended) = state.terminated else { return true };
            return spec::should_restart(&self.container, &self.entry.pod(), ended.exit_code);
        };
        let pod = self.entry.pod();
        if spec::is_deleted(&pod) && self.kind != ProbeKind::Readiness {
            self.set(true);
            return false;
        }
        let delay = SignedDuration::from_secs(i64::from(self.probe.initial_delay_seconds.unwrap_or(0)));
        let age = running
            .started_at
            .map_or(SignedDuration::MAX, |started| self.deps.clock.now().duration_since(started.0));
        let started = seen.started == Some(true);
        if age < delay || started == (self.kind == ProbeKind::Startup) {
            return true;
        }
        let ip = status.pod_ip.clone().unwrap_or_default();
        let target = Target {
            deps: &self.deps,
            pod: &pod,
            container: &self.container,
            container_id: &self.id,
            pod_ip: &ip,
        };
        let mut finding = target.probe(&self.probe).await;
        for _ in 1..RETRIES {
            if !matches!(finding, Finding::Error(_)) {
                break;
            }
            finding = target.probe(&self.probe).await;
        }
        if let Some(result) = self.judge(&pod, finding) {
            self.count(result);
        }
        true
    }

    /// A new container begins with what is assumed of it.
    fn change_container(&mut self, seen: &ContainerStatus) {
        let id = seen.container_id.as_deref().unwrap_or_default().trim_start_matches(RUNTIME_PREFIX);
        if self.id == id {
            return;
        }
        if !self.id.is_empty() {
            self.entry.results.remove(self.kind, &self.id);
        }
        self.id = id.to_owned();
        self.on_hold = false;
        match self.kind {
            // One that was ready before this kubelet stays so until it is found out.
            ProbeKind::Readiness if seen.ready => self.set(true),
            ProbeKind::Readiness => self.set(false),
            ProbeKind::Liveness => self.set(true),
            ProbeKind::Startup => {
                if seen.started == Some(true) {
                    self.set(true);
                }
            }
        }
    }

    /// Tells of what was found; `None`: it does not count.
    fn judge(&self, pod: &k8s_openapi::api::core::v1::Pod, finding: Finding) -> Option<bool> {
        let reference = spec::container_reference(pod, &self.container.name);
        let kind = self.kind.name();
        let tell = |reason: &str, text: String| {
            self.deps.recorder.event(&reference, EventType::Warning, reason, text);
        };
        match finding {
            Finding::Success => Some(true),
            Finding::Warning(text) => {
                tell("ProbeWarning", format!("{kind} probe warning: {text}"));
                Some(true)
            }
            Finding::Failure(text) => {
                tell("Unhealthy", format!("{kind} probe failed: {text}"));
                Some(false)
            }
            Finding::Error(text) => {
                tell("Unhealthy", format!("{kind} probe errored and resulted in unknown state: {text}"));
                None
            }
        }
    }

    fn count(&mut self, result: bool) {
        if self.last == Some(result) {
            self.run += 1;
        } else {
            self.last = Some(result);
            self.run = 1;
        }
        let needed = if result {
            self.probe.success_threshold.unwrap_or(1)
        } else {
            self.probe.failure_threshold.unwrap_or(3)
        };
        if self.run < needed {
            return;
        }
        if self.kind == ProbeKind::Startup || (self.kind == ProbeKind::Liveness && !result) {
            self.on_hold = true;
            self.run = 0;
        }
        self.set(result);
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
