//! The API on the cluster's own network: `https://192.168.49.2:8443`, which the Service `kubernetes` stands for.
//!
//! Components do not come this way, they have the service in process; pods and the learner's curl do.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::config::{API_PORT, ClusterError};
use super::node;
use crate::api::auth::{Identity, Pki, PkiError};
use crate::api::server::ApiServer;
use crate::api::server_config;
use crate::clock::Clock;
use crate::net::{Listen, Listener, Wire};
use crate::network::NetHost;

/// The open port. Dropping it closes it and its connections.
#[derive(Debug)]
pub(super) struct FrontDoor {
    _task: AbortOnDropHandle<()>,
}

impl FrontDoor {
    /// Opens the port on the control plane's node.
    pub(super) async fn open(
        api: ApiServer,
        pki: Pki,
        host: NetHost,
        clock: Clock,
    ) -> Result<Self, ClusterError> {
        Self::open_on(&host, host.ip(), api, pki, clock).await
    }

    /// Opens the port on an address of a network.
    pub(super) async fn open_on(
        network: &dyn Listen,
        ip: IpAddr,
        api: ApiServer,
        pki: Pki,
        clock: Clock,
    ) -> Result<Self, ClusterError> {
        let address = SocketAddr::new(ip, API_PORT);
        let listener = network.listen(address).await.map_err(|_| ClusterError::Address(ip))?;
        Ok(Self { _task: AbortOnDropHandle::new(tokio::spawn(accept(api, pki, listener, clock))) })
    }
}

async fn accept(api: ApiServer, pki: Pki, mut listener: Box<dyn Listener>, clock: Clock) {
    let mut connections = JoinSet::new();
    // Made when the first client comes: most clusters never see one.
    let mut tls = None;
    loop {
        tokio::select! { biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                if tls.is_none() {
                    tls = acceptor(&pki).inspect_err(|error| tracing::error!(%error, "the API has no certificate")).ok();
                }
                let Some(acceptor) = tls.clone() else { continue };
                connections.spawn(api.clone().serve_connection(acceptor, clock.clone(), Wire::new(stream)));
            }
        }
    }
}

fn acceptor(pki: &Pki) -> Result<TlsAcceptor, PkiError> {
    let config = server_config(pki, &identity(pki, &[])?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The certificate of the API server, for the names that clusters know it by and `more`.
pub(super) fn identity(pki: &Pki, more: &[String]) -> Result<Identity, PkiError> {
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    .map(str::to_owned)
    .into();
    names.extend(more.iter().filter(|name| name.parse::<IpAddr>().is_err()).cloned());
    let mut ips: Vec<IpAddr> =
        vec![[127, 0, 0, 1].into(), [10, 96, 0, 1].into(), IpAddr::V4(node::address(0))];
    ips.extend(more.iter().filter_map(|name| name.parse::<IpAddr>().ok()));
    pki.server(&names, &ips)
}
