//! Gives every namespace the certificate of the cluster's authority, in the ConfigMap `kube-root-ca.crt`, and puts it
//! right when somebody changes it. Started from the table.
// Models pkg/controller/certificates/rootcacertpublisher.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};

use super::context::{Context, Error, Handle, Workshop, is_already_exists, is_namespace_terminating};
use super::queue::Queue;
use crate::informer::Informer;

const NAME: &str = "root-ca-certificate-publisher-controller";
const CONFIG_MAP: &str = "kube-root-ca.crt";
const DESCRIPTION_KEY: &str = "kubernetes.io/description";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
    such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
    Kubernetes clusters.";

struct Controller {
    client: kube::Client,
    root_ca: Arc<str>,
    namespaces: Informer<Namespace>,
    maps: Informer<ConfigMap>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        root_ca: context.root_ca.clone(),
        namespaces: context.informers.of(),
        maps: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    workshop.wake(&controller.namespaces, &queue, |change| change.object().metadata.name.clone());
    workshop.wake(&controller.maps, &queue, |change| {
        let meta = &change.object().metadata;
        meta.namespace.clone().filter(|_| meta.name.as_deref() == Some(CONFIG_MAP))
    });
    workshop.work(NAME, queue, move |name| {
        let this = controller.clone();
        async move { this.reconcile(&name).await }
    })
}

impl Controller {
    async fn reconcile(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(namespace) = self.namespaces.get("", name) else { return Ok(None) };
        if namespace.metadata.deletion_timestamp.is_some() {
            return Ok(None);
        }
        let data = BTreeMap::from([("ca.crt".to_owned(), self.root_ca.to_string())]);
        let notes = BTreeMap::from([(DESCRIPTION_KEY.to_owned(), DESCRIPTION.to_owned())]);
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), name);
        let Some(map) = self.maps.get(name, CONFIG_MAP) else {
            let metadata = ObjectMeta {
                name: Some(CONFIG_MAP.to_owned()),
                annotations: Some(notes),
                ..ObjectMeta::default()
            };
            let map = ConfigMap { metadata, data: Some(data), ..ConfigMap::default() };
            return match api.create(&PostParams::default(), &map).await {
                Err(error) if !is_already_exists(&error) && !is_namespace_terminating(&error) => {
                    Err(error.into())
                }
                _ => Ok(None),
            };
        };
        let has_note = map.metadata.annotations.as_ref().is_some_and(|map| map.contains_key(DESCRIPTION_KEY));
        if map.data.as_ref() == Some(&data) && has_note {
            return Ok(None);
        }
        let mut fixed = ConfigMap::clone(&map);
        fixed.data = Some(data);
        fixed.metadata.annotations.get_or_insert_default().extend(notes);
        api.replace(CONFIG_MAP, &PostParams::default(), &fixed).await?;
        Ok(None)
    }
}
