//! Keeps a deleted volume for as long as it is bound. Started from the controllers' table.
// Models pkg/controller/volume/pvprotection.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolume;
use kube::api::{Api, PostParams};

use super::binding::volume_phase;
use crate::controllers::context::{Context, Error, Handle, Workshop, gone_is_fine};
use crate::controllers::queue::Queue;
use crate::informer::{Change, Informer};
use crate::meta::storage::{VOLUME_FINALIZER, has_finalizer};

const NAME: &str = "persistentvolume-protection-controller";

struct Controller {
    api: Api<PersistentVolume>,
    volumes: Informer<PersistentVolume>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let controller =
        Arc::new(Controller { api: Api::all(context.client(NAME)), volumes: context.informers.of() });
    let mut workshop = Workshop::new();
    workshop.wake(&controller.volumes, &queue, |change| {
        let meta = &change.object().metadata;
        let finalized = has_finalizer(meta, VOLUME_FINALIZER);
        let wanted = meta.deletion_timestamp.is_some() == finalized;
        meta.name.clone().filter(|_| wanted && !matches!(change, Change::Deleted(_)))
    });
    workshop.work(NAME, queue, move |name| {
        let this = controller.clone();
        async move { this.reconcile(&name).await }
    })
}

impl Controller {
    async fn reconcile(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(volume) = self.volumes.get("", name) else { return Ok(None) };
        let deleted = volume.metadata.deletion_timestamp.is_some();
        let finalized = has_finalizer(&volume.metadata, VOLUME_FINALIZER);
        let mut updated = PersistentVolume::clone(&volume);
        let finalizers = updated.metadata.finalizers.get_or_insert_default();
        if deleted && finalized && volume_phase(&volume) != "Bound" {
            finalizers.retain(|finalizer| finalizer != VOLUME_FINALIZER);
        } else if !deleted && !finalized {
            finalizers.push(VOLUME_FINALIZER.to_owned());
        } else {
            return Ok(None);
        }
        gone_is_fine(self.api.replace(name, &PostParams::default(), &updated).await)?;
        Ok(None)
    }
}
