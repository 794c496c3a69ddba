//! Keeps Services' EndpointSlices. Started from the controllers' table.
// Models pkg/controller/endpointslice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, PostParams};

use super::super::context::{
    Context, Error, Handle, Workshop, gone_is_fine, is_namespace_terminating, message,
};
use super::super::queue::Queue;
use super::backends::{self, TriggerTimes, selector};
use super::slices::{MANAGED_BY, MANAGER, SERVICE_NAME, World, plan};
use crate::events::{EventType, Recorder, reference_to};
use crate::informer::{Change, Informer, ObjectKey, key_of, revision_of};
use crate::store::Revision;

const NAME: &str = "endpointslice-controller";

struct Controller {
    client: kube::Client,
    recorder: Recorder,
    services: Informer<Service>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    slices: Informer<EndpointSlice>,
    times: Arc<TriggerTimes>,
    /// What was written and must be in the cache before the next look, by slice.
    written: Mutex<BTreeMap<ObjectKey, Written>>,
}

/// A write that the cache may not show yet.
struct Written {
    /// The Service whose slice it is.
    service: String,
    /// The revision that must be there; none for a deletion.
    revision: Option<Revision>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<ObjectKey> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        recorder: context.recorder("endpoint-slice-controller"),
        services: context.informers.of(),
        pods: context.informers.of(),
        nodes: context.informers.of(),
        slices: context.informers.of(),
        times: Arc::default(),
        written: Mutex::default(),
    });
    let mut workshop = Workshop::new();
    backends::follow(&mut workshop, &queue, (&controller.services, &controller.pods), &controller.times);
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.slices, move |change| {
        this.slice_seen(change);
        let meta = &change.object().metadata;
        if let Some(service) = service_of(change.object()) {
            wake.add((meta.namespace.clone().unwrap_or_default(), service), revision_of(meta));
        }
    });
    // A pod's node may come after it; and its zone may change.
    let (this, wake) = (controller.clone(), queue.clone());
    workshop.on(&controller.nodes, move |change| {
        let zone = |node: &Node| node.metadata.labels.as_ref()?.get("topology.kubernetes.io/zone").cloned();
        let relevant = match change {
            Change::Added(_) => true,
            Change::Modified(old, new) => zone(old) != zone(new),
            Change::Deleted(_) => false,
        };
        if relevant {
            let all = this.services.list();
            all.iter().for_each(|service| {
                wake.add(key_of(&service.metadata), revision_of(&change.object().metadata))
            });
        }
    });
    workshop.work(NAME, queue, move |key| {
        let this = controller.clone();
        async move { this.reconcile(&key).await }
    })
}

/// The Service of a slice that this controller keeps.
fn service_of(slice: &EndpointSlice) -> Option<String> {
    let labels = slice.metadata.labels.as_ref()?;
    let ours = labels.get(MANAGED_BY).map(String::as_str) == Some(MANAGER);
    labels.get(SERVICE_NAME).filter(|_| ours).cloned()
}

impl Controller {
    fn slice_seen(&self, change: &Change<EndpointSlice>) {
        let meta = &change.object().metadata;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key_of(meta);
        let caught_up = match (written.get(&key).map(|written| written.revision), change) {
            (None, _) => return,
            (_, Change::Deleted(_)) => true,
            (Some(None), _) => false,
            (Some(Some(revision)), _) => revision_of(meta) >= Some(revision),
        };
        if caught_up {
            written.remove(&key);
        }
    }

    fn wrote(&self, service: &str, key: ObjectKey, revision: Option<Revision>) {
        // Under the lock, so that the event cannot slip in between the look and the note.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = self.slices.get(&key.0, &key.1);
        let is_there = match revision {
            Some(revision) => cached.is_some_and(|slice| revision_of(&slice.metadata) >= Some(revision)),
            None => cached.is_none(),
        };
        if !is_there {
            written.insert(key, Written { service: service.to_owned(), revision });
        }
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Option<Duration>, Error> {
        let Some(service) = self.services.get(&key.0, &key.1) else {
            // Its slices go with it: they are its dependents.
            self.times.forget(key);
            return Ok(None);
        };
        let Some(selector) = selector(&service).filter(|_| service.metadata.deletion_timestamp.is_none())
        else {
            return Ok(None);
        };
        let mut slices = self.slices.list_namespace(&key.0);
        slices.retain(|slice| service_of(slice).as_deref() == Some(key.1.as_str()));
        if self.is_behind(key) {
            // The event that closes the gap brings the Service here again.
            return Ok(None);
        }
        let mut pods = self.pods.list_namespace(&key.0);
        pods.retain(|pod| selector.matches_optional(pod.metadata.labels.as_ref()));
        let trigger = self.times.next(&service, &pods);
        let world = World { service: &service, pods: &pods, slices: &slices, trigger };
        let plan = plan(&world, |name| self.nodes.get("", name));
        let outcome = self.carry_out(key, plan).await;
        if let Err(error) = &outcome {
            let text =
                format!("Error updating Endpoint Slices for Service {}/{}: {}", key.0, key.1, message(error));
            let reference = reference_to(&*service);
            self.recorder.event(&reference, EventType::Warning, "FailedToUpdateEndpointSlices", text);
        }
        outcome?;
        Ok(None)
    }

    fn is_behind(&self, service: &ObjectKey) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written
            .iter()
            .any(|((namespace, _), written)| *namespace == service.0 && written.service == service.1)
    }

    async fn carry_out(&self, key: &ObjectKey, mut plan: super::slices::Plan) -> Result<(), kube::Error> {
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &key.0);
        let params = PostParams::default();
        // A slice that would be deleted serves for one that would be created.
        while !plan.create.is_empty() && !plan.delete.is_empty() {
            let Some(old) = plan.delete.last().and_then(|name| self.slices.get(&key.0, name)) else { break };
            let owners = &old.metadata.owner_references;
            let suits = |new: &EndpointSlice| {
                new.address_type == old.address_type && new.metadata.owner_references == *owners
            };
            if !plan.create.last().is_some_and(suits) {
                break;
            }
            plan.delete.pop();
            let Some(mut new) = plan.create.pop() else { break };
            new.metadata.name.clone_from(&old.metadata.name);
            new.metadata.resource_version.clone_from(&old.metadata.resource_version);
            new.metadata.uid.clone_from(&old.metadata.uid);
            plan.update.push(new);
        }
        for slice in plan.create {
            match api.create(&params, &slice).await {
                Ok(created) => self.wrote(&key.1, key_of(&created.metadata), revision_of(&created.metadata)),
                Err(error) if is_namespace_terminating(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        for slice in plan.update {
            let name = slice.metadata.name.clone().unwrap_or_default();
            let updated = api.replace(&name, &params, &slice).await?;
            self.wrote(&key.1, key_of(&updated.metadata), revision_of(&updated.metadata));
        }
        for name in plan.delete {
            gone_is_fine(api.delete(&name, &DeleteParams::default()).await)?;
            self.wrote(&key.1, (key.0.clone(), name), None);
        }
        Ok(())
    }
}
