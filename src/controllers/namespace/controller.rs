//! Empties namespaces that are being deleted, every kind that discovery knows, pods first. Started from the table.
// Models pkg/controller/namespace and .../deletion/namespaced_resources_deleter.go.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};

use super::super::context::{
    Context, Error, Handle, Workshop, gone_is_fine, is_conflict, is_not_found, message,
};
use super::super::discovery::{Kind, kinds};
use super::super::queue::Queue;
use super::conditions::Progress;
use crate::clock::Clock;
use crate::informer::{Change, Informer, revision_of};

const NAME: &str = "namespace-controller";
/// The finalizer that holds a namespace until this controller has emptied it.
const FINALIZER: &str = "kubernetes";
/// How long objects with finalizers are given before the next look.
const FINALIZER_ESTIMATE: i64 = 15;

struct Controller {
    client: kube::Client,
    clock: Clock,
    namespaces: Informer<Namespace>,
    pods: Informer<Pod>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        clock: context.clock.clone(),
        namespaces: context.informers.of(),
        pods: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    let wake = queue.clone();
    workshop.on(&controller.namespaces, move |change| {
        let meta = &change.object().metadata;
        if meta.deletion_timestamp.is_some() && !matches!(change, Change::Deleted(_)) {
            wake.add(meta.name.clone().unwrap_or_default(), revision_of(meta));
        }
    });
    // The last pod's end is what most namespaces wait for.
    let (wake, this) = (queue.clone(), controller.clone());
    workshop.on(&controller.pods, move |change| {
        let meta = &change.object().metadata;
        let namespace = meta.namespace.clone().unwrap_or_default();
        if matches!(change, Change::Deleted(_)) && this.is_going(&namespace) {
            wake.add(namespace, revision_of(meta));
        }
    });
    workshop.work(NAME, queue, move |name| {
        let this = controller.clone();
        async move { this.reconcile(&name).await }
    })
}

impl Controller {
    fn is_going(&self, name: &str) -> bool {
        self.namespaces.get("", name).is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    async fn reconcile(&self, name: &str) -> Result<Option<Duration>, Error> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let Some(mut namespace) = api.get_opt(name).await? else { return Ok(None) };
        if namespace.metadata.deletion_timestamp.is_none() {
            return Ok(None);
        }
        if namespace.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Terminating") {
            namespace.status.get_or_insert_default().phase = Some("Terminating".to_owned());
            namespace = api.replace_status(name, &PostParams::default(), &namespace).await?;
        }
        if namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref()).is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        let progress = self.empty(&mut namespace).await?;
        if let Some(error) = progress.discovery_error.or(progress.errors.into_iter().next()) {
            return Err(Error::Inconsistent(error));
        }
        if progress.estimate > 0 || !progress.remaining.is_empty() {
            let seconds = u64::try_from(progress.estimate / 2 + 1).unwrap_or(1);
            return Ok(Some(Duration::from_secs(seconds)));
        }
        self.finalize(&api, namespace).await?;
        Ok(None)
    }

    /// Deletes what is in the namespace, and writes down how far that got.
    // Models deleteAllContent.
    async fn empty(&self, namespace: &mut Namespace) -> Result<Progress, Error> {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let mut progress = Progress::default();
        let kinds = match kinds(&self.client).await {
            Ok(kinds) => kinds,
            Err(error) => {
                progress.discovery_error = Some(message(&error));
                vec![]
            }
        };
        let mut kinds: Vec<Kind> =
            kinds.into_iter().filter(|k| k.namespaced && k.supports(&["delete"])).collect();
        let is_pods = |kind: &Kind| kind.resource.group.is_empty() && kind.resource.plural == "pods";
        kinds.sort_by_key(|kind| !is_pods(kind));
        let mut only_pods = false;
        for kind in kinds {
            self.empty_kind(&name, &kind, namespace, &mut progress).await;
            // The rest stays while pods run: they may need it.
            if is_pods(&kind) && !progress.remaining.is_empty() {
                only_pods = true;
                break;
            }
        }
        let mut status = namespace.status.clone().unwrap_or_default();
        if progress.update(&mut status, only_pods, self.clock.now()) {
            namespace.status = Some(status);
            let api: Api<Namespace> = Api::all(self.client.clone());
            match api.replace_status(&name, &PostParams::default(), namespace).await {
                Ok(updated) => *namespace = updated,
                Err(error) if is_conflict(&error) || is_not_found(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(progress)
    }

    // Models deleteAllContentForGroupVersionResource.
    async fn empty_kind(&self, name: &str, kind: &Kind, namespace: &Namespace, progress: &mut Progress) {
        let estimate = match kind.resource.plural.as_str() {
            "pods" if kind.resource.group.is_empty() => self.grace_left(name, namespace),
            _ => 0,
        };
        match self.delete_all(name, kind).await {
            Ok(left) if left.is_empty() => {}
            Ok(left) => {
                let resource = format!("{}.{}", kind.resource.plural, kind.resource.group);
                progress.remaining.insert(resource, left.len());
                let mut held = false;
                for finalizer in left.into_iter().flatten() {
                    held = true;
                    *progress.finalizers.entry(finalizer).or_insert(0) += 1;
                }
                let wait = if estimate == 0 && held { FINALIZER_ESTIMATE } else { estimate };
                progress.estimate = progress.estimate.max(wait);
                if wait == 0 {
                    let gvr = format!(
                        "{}/{}, Resource={}",
                        kind.resource.group, kind.resource.version, kind.resource.plural
                    );
                    progress
                        .errors
                        .push(format!("unexpected items still remain in namespace: {name} for gvr: {gvr}"));
                }
            }
            Err(error) => progress.errors.push(message(&error)),
        }
    }

    /// Deletes all objects of a kind. Returns the finalizers of each that is left.
    async fn delete_all(&self, name: &str, kind: &Kind) -> Result<Vec<Vec<String>>, kube::Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), name, &kind.resource);
        let (params, all) = (DeleteParams::background(), ListParams::default());
        if !kind.supports(&["list"]) {
            return Ok(vec![]);
        }
        if api.list_metadata(&all).await?.items.is_empty() {
            return Ok(vec![]);
        }
        if kind.supports(&["deletecollection"]) {
            gone_is_fine(api.delete_collection(&params, &all).await)?;
        } else {
            for object in api.list_metadata(&all).await?.items {
                gone_is_fine(api.delete(object.metadata.name.as_deref().unwrap_or_default(), &params).await)?;
            }
        }
        let left = api.list_metadata(&all).await?.items;
        Ok(left.into_iter().map(|object| object.metadata.finalizers.unwrap_or_default()).collect())
    }

    /// The longest grace period of a running pod, while that has not passed since the namespace was deleted.
    // Models estimateGracefulTermination.
    fn grace_left(&self, name: &str, namespace: &Namespace) -> i64 {
        let pods = self.pods.list_namespace(name);
        let running = pods.iter().filter(|pod| !super::super::pods::is_terminal(pod));
        let grace =
            running.filter_map(|pod| pod.spec.as_ref()?.termination_grace_period_seconds).max().unwrap_or(0);
        let since = namespace.metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let passed = since.map_or(0, |since| self.clock.now().duration_since(since).as_secs());
        if passed >= grace { 0 } else { grace }
    }

    /// Takes the finalizer off, which lets the namespace go.
    async fn finalize(&self, api: &Api<Namespace>, mut namespace: Namespace) -> Result<(), Error> {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        if let Some(finalizers) = namespace.spec.get_or_insert_default().finalizers.as_mut() {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        let params = PostParams::default();
        let result = api.replace_subresource("finalize", &name, &params, &namespace).await;
        Ok(gone_is_fine(result)?)
    }
}
