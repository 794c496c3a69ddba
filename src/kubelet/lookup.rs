//! ConfigMaps, Secrets and Services as the kubelet sees them: the cluster's informers, and the API server for what they do
//! not have yet.
// Models pkg/kubelet/{configmap,secret} (watch based managers).

use std::collections::BTreeMap;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use kube::api::Api;

use super::config::Dependencies;
use super::environment::{Lookup, service_variables};
use super::spec;
use crate::informer::Informer;

/// The caches.
#[derive(Clone)]
pub(super) struct Caches {
    pub(super) config_maps: Informer<ConfigMap>,
    pub(super) secrets: Informer<Secret>,
    services: Informer<Service>,
    client: kube::Client,
}

impl std::fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependencies").field("node", &self.host.node()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").finish_non_exhaustive()
    }
}

impl Caches {
    pub(super) fn new(deps: &Dependencies) -> Self {
        Self {
            config_maps: deps.informers.of(),
            secrets: deps.informers.of(),
            services: deps.informers.of(),
            client: deps.client.clone(),
        }
    }

    /// The variables that tell a pod of Services.
    pub(super) async fn service_variables(&self, pod: &Pod) -> BTreeMap<String, String> {
        self.services.synced().await;
        let services = self.services.list();
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        service_variables(services.iter().map(AsRef::as_ref), spec::namespace(pod), links)
    }

    /// The pull secrets of a pod that there are.
    pub(super) async fn pull_secrets(&self, pod: &Pod) -> Vec<Secret> {
        let references =
            pod.spec.as_ref().and_then(|spec| spec.image_pull_secrets.clone()).unwrap_or_default();
        let mut found = vec![];
        for reference in references {
            // A pod with a secret that is missing may still pull.
            if let Ok(Some(secret)) = self.secret(spec::namespace(pod), &reference.name).await {
                found.push(secret);
            }
        }
        found
    }
}

fn words(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    }
}

#[async_trait]
impl Lookup for Caches {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>, String> {
        if let Some(found) = self.config_maps.get(namespace, name) {
            return Ok(Some(found.as_ref().clone()));
        }
        Api::namespaced(self.client.clone(), namespace).get_opt(name).await.map_err(words)
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, String> {
        if let Some(found) = self.secrets.get(namespace, name) {
            return Ok(Some(found.as_ref().clone()));
        }
        Api::namespaced(self.client.clone(), namespace).get_opt(name).await.map_err(words)
    }
}
