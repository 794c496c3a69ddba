//! Which client has which backend (`sessionAffinity: ClientIP`), as long as it comes back in time.
// Models pkg/proxy/nftables (the affinity sets of endpoints, renewed by each new connection).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use jiff::{SignedDuration, Timestamp};

use super::rules::ServicePort;

/// Who asks for which port of a Service: the node whose rules apply, the port, the client.
type Key = (String, String, IpAddr);

/// The clients' backends.
#[derive(Debug, Default)]
pub(super) struct Affinities {
    kept: BTreeMap<Key, (SocketAddr, Timestamp)>,
}

impl Affinities {
    /// The backend for a new connection of `client` by the rules of `node`; `draw` chooses for one who has none.
    pub(super) fn choose(
        &mut self,
        node: &str,
        port: &ServicePort,
        client: IpAddr,
        now: Timestamp,
        draw: u64,
    ) -> Option<SocketAddr> {
        let Some(timeout) = port.affinity else { return port.choose(draw).map(|backend| backend.address) };
        self.kept.retain(|_, (_, until)| *until > now);
        let key = (node.to_owned(), port.name.clone(), client);
        let known = self.kept.get(&key).map(|(address, _)| *address);
        let known = known.filter(|address| port.backends.iter().any(|backend| backend.address == *address));
        let address = known.or_else(|| port.choose(draw).map(|backend| backend.address))?;
        let until = SignedDuration::try_from(timeout).ok().and_then(|timeout| now.checked_add(timeout).ok());
        self.kept.insert(key, (address, until.unwrap_or(Timestamp::MAX)));
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use crate::network::rules::Backend;
    use std::time::Duration;

    #[test]
    fn a_client_keeps_its_backend_until_it_stays_away_too_long_or_the_backend_goes() {
        let backend = |last: u8| Backend { address: ([10, 244, 0, last], 80).into(), node: None };
        let mut port = ServicePort {
            name: "default/web:".to_owned(),
            backends: (2..6).map(backend).collect(),
            affinity: Some(Duration::from_secs(10)),
            ..ServicePort::default()
        };
        let mut affinities = Affinities::default();
        let (a, b) = (IpAddr::from([10, 244, 0, 9]), IpAddr::from([10, 244, 0, 10]));
        let mut ask = |port: &ServicePort, client, second: i64, draw| {
            let now = VIRTUAL_START + SignedDuration::from_secs(second);
            affinities.choose("minikube", port, client, now, draw).unwrap().ip().to_string()
        };
        assert_eq!(ask(&port, a, 0, 1), "10.244.0.3");
        assert_eq!(ask(&port, b, 0, 2), "10.244.0.4", "another client draws for itself");
        assert_eq!(ask(&port, a, 9, 3), "10.244.0.3", "it comes back in time");
        assert_eq!(ask(&port, a, 18, 3), "10.244.0.3", "each connection begins the time anew");
        assert_eq!(ask(&port, a, 28, 3), "10.244.0.5", "it stayed away too long");
        port.backends.remove(3);
        assert_eq!(ask(&port, a, 29, 0), "10.244.0.2", "its backend is gone");
        port.affinity = None;
        assert_eq!(ask(&port, a, 30, 1), "10.244.0.3", "no affinity, no memory");
    }
}
