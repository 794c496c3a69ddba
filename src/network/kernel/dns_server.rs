//! The cluster's DNS on a real socket, which real pods are pointed at. Names of other domains are asked of the machine's own
//! name servers.
// Models CoreDNS with its plugins kubernetes and forward.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{
    Header, HeaderCounts, Message, MessageType, Metadata, OpCode, Query, ResponseCode,
};
use hickory_server::proto::rr::rdata::{A, AAAA};
use hickory_server::proto::rr::{RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use crate::clock::Clock;
use crate::network::dns::CLUSTER_DOMAIN;
use crate::network::fabric::Resolve;

/// How long an answer may be kept, in seconds.
const TTL: u32 = 30;
/// How long a connection may be silent.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer over TCP waits to be sent.
const TCP_BUFFER_BYTES: usize = 4096;
/// How long another name server may take.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer of another name server that is read.
const FORWARD_BYTES: usize = 4096;

/// A name server. Dropping it closes its sockets.
pub struct DnsServer {
    _server: Server<Handler>,
}

struct Handler {
    names: Arc<dyn Resolve>,
    clock: Clock,
    /// The machine's name servers.
    others: Vec<SocketAddr>,
}

impl DnsServer {
    /// Answers on UDP and TCP from what `names` knows.
    pub async fn start(
        address: SocketAddr,
        names: Arc<dyn Resolve>,
        clock: &Clock,
    ) -> Result<Self, std::io::Error> {
        let (udp, tcp) = (UdpSocket::bind(address).await?, TcpListener::bind(address).await?);
        let text = tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default();
        let mut server = Server::new(Handler { names, clock: clock.clone(), others: name_servers(&text) });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_TIMEOUT, TCP_BUFFER_BYTES);
        Ok(Self { _server: server })
    }
}

fn name_servers(resolv_conf: &str) -> Vec<SocketAddr> {
    let words = resolv_conf.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter(|words| words.first() == Some(&"nameserver"))
        .filter_map(|words| Some(SocketAddr::new(words.get(1)?.parse().ok()?, 53)))
        .collect()
}

impl Handler {
    async fn answer(&self, query: &Query) -> (ResponseCode, bool, Vec<Record>) {
        let name = query.name().to_string().to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        if name == CLUSTER_DOMAIN || name.ends_with(&format!(".{CLUSTER_DOMAIN}")) {
            let addresses = self.names.resolve(name);
            let code = if addresses.is_empty() { ResponseCode::NXDomain } else { ResponseCode::NoError };
            let records = addresses.iter().filter_map(|ip| {
                let data = match (ip, query.query_type()) {
                    (IpAddr::V4(ip), RecordType::A) => RData::A(A(*ip)),
                    (IpAddr::V6(ip), RecordType::AAAA) => RData::AAAA(AAAA(*ip)),
                    _ => return None,
                };
                Some(Record::from_rdata(query.name().clone(), TTL, data))
            });
            return (code, true, records.collect());
        }
        for server in &self.others {
            if let Ok(Ok(answer)) = self.clock.timeout(FORWARD_TIMEOUT, forward(*server, query)).await {
                return (answer.metadata.response_code, false, answer.answers);
            }
        }
        (ResponseCode::ServFail, false, vec![])
    }
}

/// Asks another name server.
async fn forward(server: SocketAddr, query: &Query) -> std::io::Result<Message> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(&message.to_vec().map_err(std::io::Error::other)?).await?;
    let mut answer = vec![0; FORWARD_BYTES];
    let count = socket.recv(&mut answer).await?;
    Message::from_vec(&answer[..count]).map_err(std::io::Error::other)
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let (code, ours, records) = match request.request_info() {
            Ok(info) if info.metadata.op_code == OpCode::Query => self.answer(info.query.original()).await,
            Ok(_) => (ResponseCode::NotImp, false, vec![]),
            Err(_) => (ResponseCode::FormErr, false, vec![]),
        };
        metadata.response_code = code;
        metadata.authoritative = ours;
        metadata.recursion_available = true;
        let none = || std::iter::empty::<&Record>();
        let builder = MessageResponseBuilder::from_message_request(request);
        let response = builder.build(metadata, records.iter(), none(), none(), none());
        match response_handle.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "a DNS answer could not be sent");
                let metadata = Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query);
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{HostSockets, Outside};

    struct Names;

    impl Resolve for Names {
        fn resolve(&self, name: &str) -> Vec<IpAddr> {
            if name == "web.default.svc.cluster.local" { vec![[10, 96, 0, 7].into()] } else { vec![] }
        }
    }

    #[test]
    fn other_name_servers_are_the_machines() {
        assert_eq!(
            name_servers("search x\nnameserver 127.0.0.53\n# nameserver 1.1.1.1\n"),
            [SocketAddr::from(([127, 0, 0, 53], 53))]
        );
    }

    #[tokio::test]
    async fn names_of_the_cluster_are_answered_or_denied() {
        let handler = Handler { names: Arc::new(Names), clock: Clock::real(), others: vec![] };
        let ask = async |name: &str, kind| {
            let query = Query::query(name.parse().unwrap(), kind);
            let (code, _, records) = handler.answer(&query).await;
            (code, records.len())
        };
        assert_eq!(ask("web.default.svc.cluster.local.", RecordType::A).await, (ResponseCode::NoError, 1));
        assert_eq!(ask("Web.Default.svc.cluster.local.", RecordType::AAAA).await, (ResponseCode::NoError, 0));
        assert_eq!(ask("no.default.svc.cluster.local.", RecordType::A).await, (ResponseCode::NXDomain, 0));
        assert_eq!(ask("example.com.", RecordType::A).await, (ResponseCode::ServFail, 0));
        // The client that programs in containers have finds nobody on a port of its own choice: it must not wait for ever.
        let nobody = HostSockets::only(Clock::real(), vec![[127, 0, 0, 1].into()]);
        assert!(nobody.resolve("web.default.svc.cluster.local").await.is_empty());
    }
}
