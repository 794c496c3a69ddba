//! The cluster's DNS: names of Services and pods, answered from the shared caches.
// Models the DNS-based service discovery specification that CoreDNS' kubernetes plugin follows.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::fabric::Resolve;
use super::proxy::SERVICE_NAME_LABEL;
use crate::informer::{Informer, Informers};

/// The domain under which the cluster's names live.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

/// The address of the cluster's name server.
pub const CLUSTER_DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// The cluster's name server. It holds nothing of its own.
#[derive(Debug)]
pub struct ClusterDns {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
}

impl ClusterDns {
    /// A name server over the shared caches.
    pub fn new(informers: &Informers) -> Self {
        Self { services: informers.of(), slices: informers.of() }
    }

    /// `web.default.svc`: the cluster IP, or the endpoints of a headless Service; through at most a few ExternalNames.
    fn service(&self, namespace: &str, name: &str, hops: u8) -> Vec<IpAddr> {
        let Some(service) = self.services.get(namespace, name) else { return vec![] };
        let Some(spec) = &service.spec else { return vec![] };
        if spec.type_.as_deref() == Some("ExternalName") {
            let target = spec.external_name.as_deref().unwrap_or_default();
            return if hops == 0 { vec![] } else { self.lookup(target, hops - 1) };
        }
        if spec.cluster_ip.as_deref() == Some("None") {
            let all = spec.publish_not_ready_addresses == Some(true);
            return self.endpoints(namespace, name, None, all);
        }
        spec.cluster_ip.iter().filter_map(|ip| ip.parse().ok()).collect()
    }

    /// The addresses behind a headless Service, or of the one endpoint with that host name.
    fn endpoints(
        &self,
        namespace: &str,
        service: &str,
        hostname: Option<&str>,
        unready: bool,
    ) -> Vec<IpAddr> {
        let slices = self.slices.list_namespace(namespace).into_iter().filter(|slice| {
            slice
                .metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get(SERVICE_NAME_LABEL))
                .is_some_and(|name| name == service)
        });
        let mut addresses = vec![];
        for slice in slices {
            for endpoint in slice.endpoints.iter().flatten() {
                let ready =
                    endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false));
                let dashed = |address: &String| Some(address.replace(['.', ':'], "-").as_str()) == hostname;
                let named = hostname.is_none()
                    || endpoint.hostname.as_deref() == hostname
                    || (endpoint.hostname.is_none() && endpoint.addresses.iter().any(dashed));
                if (ready || unready) && named {
                    addresses.extend(
                        endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()),
                    );
                }
            }
        }
        addresses.sort();
        addresses.dedup();
        addresses
    }

    fn lookup(&self, name: &str, hops: u8) -> Vec<IpAddr> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let Some(inside) = name.strip_suffix(CLUSTER_DOMAIN).and_then(|rest| rest.strip_suffix('.')) else {
            return vec![];
        };
        match inside.split('.').collect::<Vec<_>>()[..] {
            [service, namespace, "svc"] => self.service(namespace, service, hops),
            [hostname, service, namespace, "svc"] => {
                let unready = self
                    .services
                    .get(namespace, service)
                    .and_then(|s| s.spec.as_ref()?.publish_not_ready_addresses);
                self.endpoints(namespace, service, Some(hostname), unready == Some(true))
            }
            [dashed, _namespace, "pod"] => dashed.replace('-', ".").parse().into_iter().collect(),
            _ => vec![],
        }
    }
}

impl Resolve for ClusterDns {
    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        self.lookup(name, 4)
    }
}
