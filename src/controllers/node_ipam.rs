//! Gives every node a range of pod addresses, `10.244.N.0/24`, and the annotation by which kubelets know how long they may
//! cache what pods refer to. Started from the table as two controllers.
// Models pkg/controller/nodeipam (RangeAllocator) and pkg/controller/ttl.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::context::{Context, Error, Handle, Workshop, gone_is_fine};
use super::queue::Queue;
use crate::events::{EventType, reference_to};
use crate::informer::{Informer, revision_of};

const IPAM: &str = "node-ipam-controller";
const TTL: &str = "ttl-controller";
const TTL_ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";
/// How many ranges of 256 addresses there are in 10.244.0.0/16.
const RANGES: u16 = 256;

/// Starts the allocator of pod ranges.
pub(crate) fn start_ipam(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let nodes: Informer<Node> = context.informers.of();
    let (client, recorder) = (context.client(IPAM), context.recorder(IPAM));
    // Ranges that were given out but are not in the cache yet, by node.
    let given = Arc::new(std::sync::Mutex::new(std::collections::BTreeMap::<String, u16>::new()));
    let mut workshop = Workshop::new();
    let wake = queue.clone();
    workshop.on(&nodes, move |change| {
        let meta = &change.object().metadata;
        wake.add(meta.name.clone().unwrap_or_default(), revision_of(meta));
    });
    workshop.work(IPAM, queue, move |name| {
        let (client, recorder, nodes, given) =
            (client.clone(), recorder.clone(), nodes.clone(), given.clone());
        async move {
            let Some(node) = nodes.get("", &name) else {
                given.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&name);
                return Ok(None);
            };
            if range_of(&node).is_some() || node.spec.as_ref().is_some_and(|spec| spec.pod_cidr.is_some()) {
                return Ok(None);
            }
            let range = {
                let mut given = given.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let cached = nodes.list().iter().filter_map(|node| range_of(node)).collect::<BTreeSet<u16>>();
                let taken: BTreeSet<u16> =
                    given.iter().filter(|(other, _)| **other != name).map(|(_, n)| *n).collect();
                let free = (0..RANGES).find(|n| !cached.contains(n) && !taken.contains(n));
                if let Some(free) = free {
                    given.insert(name.clone(), free);
                }
                free
            };
            let Some(range) = range else {
                let text = format!("Node {name} status is now: CIDRNotAvailable");
                recorder.event(&reference_to(&*node), EventType::Normal, "CIDRNotAvailable", text);
                return Err(Error::Inconsistent(
                    "CIDR allocation failed; there are no remaining CIDRs left".to_owned(),
                ));
            };
            let cidr = format!("10.244.{range}.0/24");
            let patch = json!({"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}});
            patch_node(&client, &name, patch).await
        }
    })
}

/// The third number of the node's range, if it is one of ours.
fn range_of(node: &Node) -> Option<u16> {
    let cidr = node.spec.as_ref()?.pod_cidr.as_deref()?;
    cidr.strip_prefix("10.244.")?.strip_suffix(".0/24")?.parse().ok()
}

/// Starts the annotator of time-to-live. Clusters of up to a hundred nodes have 0 seconds.
pub(crate) fn start_ttl(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let nodes: Informer<Node> = context.informers.of();
    let client = context.client(TTL);
    let mut workshop = Workshop::new();
    let wake = queue.clone();
    workshop.on(&nodes, move |change| {
        let meta = &change.object().metadata;
        wake.add(meta.name.clone().unwrap_or_default(), revision_of(meta));
    });
    workshop.work(TTL, queue, move |name| {
        let (client, nodes) = (client.clone(), nodes.clone());
        async move {
            let Some(node) = nodes.get("", &name) else { return Ok(None) };
            let ttl = ttl_seconds(nodes.list().len()).to_string();
            if node.metadata.annotations.as_ref().and_then(|map| map.get(TTL_ANNOTATION)) == Some(&ttl) {
                return Ok(None);
            }
            patch_node(&client, &name, json!({"metadata": {"annotations": {TTL_ANNOTATION: ttl}}})).await
        }
    })
}

fn ttl_seconds(nodes: usize) -> u32 {
    match nodes {
        0..=100 => 0,
        101..=500 => 15,
        501..=1000 => 30,
        1001..=2000 => 60,
        _ => 300,
    }
}

async fn patch_node(
    client: &kube::Client,
    name: &str,
    patch: serde_json::Value,
) -> Result<Option<Duration>, Error> {
    let api: Api<Node> = Api::all(client.clone());
    gone_is_fine(api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await)?;
    Ok(None)
}
