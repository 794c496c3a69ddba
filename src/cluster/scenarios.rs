//! Things that are done to a cluster again and again by benches and tests: each returns when it has come true.

use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::run::Cluster;

/// Creates a Deployment of nginx in `default` and waits until so many replicas are available.
pub async fn create_deployment(cluster: &Cluster, name: &str, replicas: i32) -> Result<(), kube::Error> {
    let deployments = Api::<Deployment>::namespaced(cluster.admin(), "default");
    let labels = json!({"app": name});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nginx", "image": "nginx:1.27"}]}});
    let spec = json!({"replicas": replicas, "selector": {"matchLabels": labels}, "template": template});
    let deployment = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}));
    let deployment: Deployment = deployment.map_err(kube::Error::SerdeError)?;
    let created = deployments.create(&PostParams::default(), &deployment).await?;
    available(&deployments, created, replicas).await
}

/// Scales a Deployment and waits until so many replicas are available.
pub async fn scale_deployment(cluster: &Cluster, name: &str, replicas: i32) -> Result<(), kube::Error> {
    let deployments = Api::<Deployment>::namespaced(cluster.admin(), "default");
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let scaled = deployments.patch(name, &PatchParams::default(), &patch).await?;
    available(&deployments, scaled, replicas).await
}

/// Follows one Deployment from `from` on until it has so many available replicas.
async fn available(
    deployments: &Api<Deployment>,
    from: Deployment,
    replicas: i32,
) -> Result<(), kube::Error> {
    let name = from.metadata.name.unwrap_or_default();
    let version = from.metadata.resource_version.unwrap_or_default();
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = std::pin::pin!(deployments.watch(&params, &version).await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Modified(deployment) = event
            && deployment.status.and_then(|status| status.available_replicas) == Some(replicas)
        {
            break;
        }
    }
    Ok(())
}
