//! Makes the runtime have what the pod says: carries out what `actions.rs` plans.
// Models pkg/kubelet/kuberuntime (SyncPod, startContainer, doBackOff).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, Secret};

use super::actions::Actions;
use super::containers::{Making, hosts_file, hosts_volume, sandbox};
use super::environment::variables;
use super::fields::PodFacts;
use super::kill::{Ending, kill_container, kill_pod};
use super::kubelet::Shared;
use super::lifecycle;
use super::prober::Target;
use super::runtime_pod::RuntimePod;
use super::spec::{self, Class};
use super::status::Reason;
use super::volumes::Claimed;
use crate::events::EventType;
use crate::meta::age;
use crate::runtime::api::{ContainerState, ContainerStatus};

/// Why a container was not started: the reason and message of its waiting state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartError {
    pub(super) reason: Reason,
    /// When to try again, if that is known.
    pub(super) retry_at: Option<Timestamp>,
}

impl StartError {
    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: Reason { reason: reason.to_owned(), message: message.into() }, retry_at: None }
    }
}

/// What a sync came to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Each container that was to start, and why it did not.
    pub(super) starts: Vec<(String, Option<StartError>)>,
    /// What else went wrong.
    pub(super) error: Option<String>,
}

impl Outcome {
    fn failed(error: impl ToString) -> Self {
        Self { error: Some(error.to_string()), ..Self::default() }
    }

    /// Whether all is as it should be.
    pub(super) fn is_good(&self) -> bool {
        self.error.is_none() && self.starts.iter().all(|(_, error)| error.is_none())
    }

    /// When the first back-off is over.
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        self.starts.iter().filter_map(|(_, error)| error.as_ref()?.retry_at).min()
    }
}

/// One sync.
pub(super) struct Sync<'a> {
    pub(super) shared: &'a Shared,
    pub(super) pod: &'a Pod,
    pub(super) runtime: &'a RuntimePod,
    pub(super) secrets: Vec<Secret>,
    /// The volumes behind the pod's claims.
    pub(super) claimed: &'a BTreeMap<String, Claimed>,
}

impl Sync<'_> {
    /// Carries out a plan. `sandbox_ready` is called when a new sandbox stands, before images are pulled.
    pub(super) async fn run(&self, actions: Actions, sandbox_ready: impl AsyncFnOnce()) -> Outcome {
        let deps = &self.shared.deps;
        if actions.create_sandbox && actions.sandbox.is_some() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            deps.recorder.event(&spec::reference(self.pod), EventType::Normal, "SandboxChanged", message);
        }
        if actions.kill_pod {
            if let Err(error) = kill_pod(deps, self.pod, self.runtime, None).await {
                return Outcome::failed(error);
            }
        } else {
            let ips = self.runtime.ips();
            for kill in &actions.kill {
                let ending = Ending {
                    id: &kill.id,
                    name: &kill.name,
                    message: &kill.message,
                    probe: kill.probe,
                    grace: None,
                    pod_ip: ips.first().map(String::as_str).unwrap_or_default(),
                };
                if let Err(error) = kill_container(deps, self.pod, ending).await {
                    return Outcome::failed(error);
                }
            }
        }
        let mut ips = self.runtime.ips();
        let sandbox_id = if actions.create_sandbox {
            match self.create_sandbox(actions.attempt).await {
                Ok((id, new_ips)) => {
                    ips = new_ips;
                    sandbox_ready().await;
                    id
                }
                Err(outcome) => return outcome,
            }
        } else {
            match actions.sandbox {
                Some(id) => id,
                None => return Outcome::default(),
            }
        };
        if actions.kill_pod && !actions.create_sandbox {
            return Outcome::default();
        }
        if spec::host_network(self.pod) {
            ips = vec![self.shared.config.node.ip.to_string()];
        }
        let place = Place { sandbox: sandbox_id, ips };
        let mut outcome = Outcome::default();
        let ephemeral = spec::ephemeral_containers(self.pod);
        for container in actions.ephemeral.iter().filter_map(|index| ephemeral.get(*index)) {
            let error = self.start(container, Class::Ephemeral, &place).await.err();
            outcome.starts.push((container.name.clone(), error));
        }
        for container in actions.init.iter().filter_map(|index| spec::init_containers(self.pod).get(*index)) {
            let error = self.start(container, Class::Init, &place).await.err();
            let stops = error.is_some() && !spec::is_restartable_init(container);
            outcome.starts.push((container.name.clone(), error));
            if stops {
                return outcome;
            }
        }
        for container in actions.regular.iter().filter_map(|index| spec::containers(self.pod).get(*index)) {
            let error = self.start(container, Class::Regular, &place).await.err();
            outcome.starts.push((container.name.clone(), error));
        }
        outcome
    }

    async fn create_sandbox(&self, attempt: u32) -> Result<(String, Vec<String>), Outcome> {
        let deps = &self.shared.deps;
        let config = sandbox(self.pod, attempt, &self.shared.config);
        match deps.runtime.run_pod_sandbox(config).await {
            Ok(status) => {
                let ips: Vec<String> = status.ips.iter().map(ToString::to_string).collect();
                let hosts = hosts_file(self.pod, &ips, &self.shared.config);
                deps.runtime.write_volume(&hosts_volume(self.pod), hosts).await.map_err(Outcome::failed)?;
                Ok((status.id, ips))
            }
            Err(error) => {
                let message = format!("Failed to create pod sandbox: {error}");
                deps.recorder.event(
                    &spec::reference(self.pod),
                    EventType::Warning,
                    "FailedCreatePodSandBox",
                    message,
                );
                Err(Outcome::failed(error))
            }
        }
    }

    /// Refuses a start that comes too soon after the last end.
    fn back_off(&self, container: &Container) -> Result<(), StartError> {
        let shared = self.shared;
        // Of one that this sync has just killed it is the life before: that counts as long as nothing newer is seen.
        let has_ended = |status: &&ContainerStatus| {
            status.name == container.name && status.state == ContainerState::Exited
        };
        let newest = self.runtime.containers.iter().find(has_ended);
        let Some(ended) = newest.and_then(|status| status.finished_at) else { return Ok(()) };
        let key = format!("{}_{}_{}", spec::uid(self.pod), container.name, spec::hash(container));
        let now = shared.deps.clock.now();
        if !shared.crash_backoff.waits_since(&key, ended, now) {
            shared.crash_backoff.next(&key, ended, now);
            return Ok(());
        }
        let whose = spec::format(self.pod);
        let reference = spec::container_reference(self.pod, &container.name);
        let message = format!("Back-off restarting failed container {} in pod {whose}", container.name);
        shared.deps.recorder.event(&reference, EventType::Warning, "BackOff", message);
        let wait = shared.crash_backoff.get(&key);
        let message = format!(
            "back-off {} restarting failed container={} pod={whose}",
            age::go_string(wait),
            container.name
        );
        let retry_at = ended.saturating_add(signed(wait)).unwrap_or(Timestamp::MAX);
        Err(StartError { retry_at: Some(retry_at), ..StartError::new("CrashLoopBackOff", message) })
    }

    async fn start(&self, container: &Container, class: Class, place: &Place) -> Result<(), StartError> {
        self.back_off(container)?;
        let deps = &self.shared.deps;
        let reference = spec::container_reference(self.pod, &container.name);
        let failed = |text: &str| {
            deps.recorder.event(&reference, EventType::Warning, "Failed", format!("Error: {text}"))
        };
        let image = match self.shared.images.ensure(deps, self.pod, container, &self.secrets).await {
            Ok(image) => image,
            Err(error) => {
                failed(&error.reason.reason);
                return Err(error);
            }
        };
        let config = match self.config(container, image, place).await {
            Ok(config) => config,
            Err(message) => {
                failed(&message);
                return Err(StartError::new("CreateContainerConfigError", message));
            }
        };
        let id = match deps.runtime.create_container(&place.sandbox, config).await {
            Ok(id) => id,
            Err(error) => {
                failed(&error.to_string());
                return Err(StartError::new("CreateContainerError", error.to_string()));
            }
        };
        deps.recorder.event(&reference, EventType::Normal, "Created", "Container created");
        if let Err(error) = deps.runtime.start_container(&id).await {
            failed(&error.to_string());
            return Err(StartError::new("RunContainerError", error.to_string()));
        }
        deps.recorder.event(&reference, EventType::Normal, "Started", "Container started");
        if class == Class::Ephemeral {
            return Ok(());
        }
        self.post_start(container, &id, place).await
    }

    async fn config(
        &self,
        container: &Container,
        image: String,
        place: &Place,
    ) -> Result<crate::runtime::api::ContainerConfig, String> {
        let shared = self.shared;
        let facts = shared.facts(&place.ips);
        let services = shared.caches.service_variables(self.pod).await;
        let envs = variables(self.pod, container, &facts, &services, &shared.caches).await?;
        let before = self.runtime.find(&container.name);
        let found = shared.deps.runtime.image_status(&image).await.unwrap_or_default();
        let making = Making {
            pod: self.pod,
            container,
            attempt: before.map_or(0, |status| status.attempt + 1),
            image,
            found,
            envs,
            node: shared.deps.host.node(),
            claimed: self.claimed,
        };
        making.config()
    }

    async fn post_start(&self, container: &Container, id: &str, place: &Place) -> Result<(), StartError> {
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
        let Some(hook) = hook else { return Ok(()) };
        let deps = &self.shared.deps;
        let pod_ip = place.ips.first().map(String::as_str).unwrap_or_default();
        let target = Target { deps, pod: self.pod, container, container_id: id, pod_ip };
        let Err(message) = lifecycle::run(&target, hook).await else { return Ok(()) };
        let reference = spec::container_reference(self.pod, &container.name);
        deps.recorder.event(&reference, EventType::Warning, "FailedPostStartHook", "PostStartHook failed");
        let ending = Ending {
            id,
            name: &container.name,
            message: "FailedPostStartHook",
            probe: None,
            grace: None,
            pod_ip,
        };
        if let Err(error) = kill_container(deps, self.pod, ending).await {
            tracing::debug!(%error, "a container whose hook failed could not be killed");
        }
        Err(StartError::new("PostStartHookError", message))
    }
}

/// Where containers are started.
struct Place {
    sandbox: String,
    ips: Vec<String>,
}

impl Shared {
    /// What the downward API knows beside the pod.
    pub(super) fn facts(&self, ips: &[String]) -> PodFacts {
        PodFacts {
            pod_ips: ips.to_vec(),
            host_ip: self.config.node.ip.to_string(),
            allocatable: self.config.node.capacity.clone(),
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
