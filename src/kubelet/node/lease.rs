//! The node's lease, renewed every ten seconds: how the control plane knows that the kubelet lives.
// Models k8s.io/component-helpers/apimachinery/lease and pkg/kubelet/util/nodelease.go.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, PostParams};

use super::super::kubelet::Shared;

const NAMESPACE: &str = "kube-node-lease";
const DURATION_SECONDS: i32 = 40;
const RENEW: Duration = Duration::from_secs(10);
/// How long until a try that failed is repeated.
const RETRY: Duration = Duration::from_secs(2);

/// Renews the lease for as long as it is not dropped.
pub(super) async fn keep(shared: &Shared) {
    let mut lease = None;
    loop {
        let wait = match renew(shared, lease.take()).await {
            Ok(renewed) => {
                lease = Some(renewed);
                RENEW
            }
            Err(error) => {
                tracing::debug!(%error, "the lease could not be renewed");
                RETRY
            }
        };
        shared.deps.clock.sleep(wait).await;
    }
}

async fn renew(shared: &Shared, lease: Option<Lease>) -> Result<Lease, kube::Error> {
    let name = &shared.config.node.name;
    let api: Api<Lease> = Api::namespaced(shared.deps.client.clone(), NAMESPACE);
    let params = PostParams::default();
    let now = MicroTime(shared.deps.clock.now());
    let lease = match lease {
        Some(lease) => Some(lease),
        None => api.get_opt(name).await?,
    };
    if let Some(mut lease) = lease {
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(name.clone());
        spec.lease_duration_seconds = Some(DURATION_SECONDS);
        spec.renew_time = Some(now);
        return api.replace(name, &params, &lease).await;
    }
    let node: Node = Api::all(shared.deps.client.clone()).get(name).await?;
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.clone(),
        uid: node.metadata.uid.unwrap_or_default(),
        ..OwnerReference::default()
    };
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }),
    };
    api.create(&params, &lease).await
}
