//! How the processes beside the API server are: asked on their ports when somebody reads ComponentStatuses.
// Models pkg/registry/core/componentstatus and pkg/registry/core/rest (serversToValidate).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::server::ApiServer;
use super::subresources::dial;

/// The ports on the API server's own loopback, by component.
const SERVERS: [(&str, u16); 2] = [("controller-manager", 10_257), ("scheduler", 10_259)];

/// What the components answered. Empty: none was asked.
#[derive(Clone, Debug, Default)]
pub struct Probes(BTreeMap<&'static str, Result<(), String>>);

impl Probes {
    /// What became of asking a component, if it was asked. The error is what the real API server's HTTP client says.
    pub fn of(&self, component: &str) -> Option<&Result<(), String>> {
        self.0.get(component)
    }

    /// Asks every component. One that takes connections is well: it has no other way of being ill.
    pub(super) async fn ask(server: &ApiServer) -> Self {
        let mut probes = BTreeMap::new();
        for (component, port) in SERVERS {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let answer = dial(server, address).await.map(drop);
            probes.insert(
                component,
                answer.map_err(|error| format!("Get \"https://{address}/healthz\": {error}")),
            );
        }
        Self(probes)
    }
}
