//! `kubectl port-forward`: local ports that lead into a pod.
// Models k8s.io/kubectl/pkg/cmd/portforward and client-go/tools/portforward.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::task::JoinSet;

use super::exec::{pod_timeout, pod_timeout_flag};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::klog;
use crate::kubectl::pods::{self, Preference};
use crate::kubectl::remote;
use crate::kubectl::resources::Builder;
use crate::kubectl::session::Session;
use crate::net::{BoxIo, Listener};
use crate::streams::client::{self, Forwarder};
use crate::streams::tunnel::Tunnel;
use crate::streams::websocket;

/// The protocol of forwarded ports inside a WebSocket.
const PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";

/// The verb.
pub struct PortForward;

/// A local port and the pod's port that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    local: u16,
    remote: u16,
}

#[async_trait]
impl Verb for PortForward {
    fn name(&self) -> &'static str {
        "port-forward"
    }
    fn short(&self) -> &'static str {
        "Forward one or more local ports to a pod"
    }
    fn long(&self) -> &'static str {
        "Forward one or more local ports to a pod.\n\nA Deployment, Service or the like stands for one of its pods. The forwarding \
         ends with that pod, and is not taken up by another."
    }
    fn examples(&self) -> &'static str {
        "# Lead ports 5000 and 6000 to the same ports of a pod\nkubectl port-forward pod/web 5000 6000\n\n\
         # Lead port 8080 to the port that a service calls http\nkubectl port-forward service/web 8080:http\n\n\
         # Take any free local port\nkubectl port-forward pod/web :80"
    }
    fn usage(&self) -> &'static str {
        "TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut address = Flag::strings("address", "Addresses to listen on: IPs or localhost");
        address.default = "localhost".to_owned();
        vec![address, pod_timeout_flag("1m0s")]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let [name, wanted @ ..] = args else { return Err(needs_arguments(session)) };
        if wanted.is_empty() {
            return Err(needs_arguments(session));
        }
        let timeout = pod_timeout(session, flags)?;
        let (namespace, _) = session.namespace()?;
        let builder = Builder::new(session).namespace(&namespace).default_namespace().continue_on_error();
        let infos = builder.resource_names("pods", std::slice::from_ref(name)).visit().await?.into_infos()?;
        let info = infos.into_iter().next().ok_or_else(|| needs_arguments(session))?;
        let (pod, _) = pods::pod_for(session, &info.object, timeout, Preference::Active).await?;
        let numbers = if info.object["kind"] == "Service" {
            let service: Service = serde_json::from_value(info.object)
                .map_err(|error| KubectlError::message(format!("unable to decode the service: {error}")))?;
            check_udp(wanted, &service_ports(&service))?;
            through_service(wanted, &service, &pod)?
        } else {
            check_udp(wanted, &pod_ports(&pod))?;
            through_pod(wanted, &pod)?
        };
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        if phase != "Running" {
            let text = format!("unable to forward port because pod is not running. Current status={phase}");
            return Err(KubectlError::message(text));
        }
        let ports = numbers.iter().map(|text| parse(text)).collect::<Result<Vec<Port>>>()?;
        let addresses = addresses(flags.strings("address"))?;
        let forwarder = connect(session, &pod).await?;
        let listeners = listen(session, &addresses, &ports).await?;
        serve(session, forwarder, listeners).await
    }
}

fn needs_arguments(session: &Session) -> KubectlError {
    KubectlError::usage(&session.command_path, "TYPE/NAME and list of ports are required for port-forward")
}

/// `local:remote`, or one number for both.
fn split(port: &str) -> (&str, &str) {
    match port.split(':').collect::<Vec<_>>()[..] {
        [local, remote] => (local, remote),
        [first, ..] => (first, first),
        [] => ("", ""),
    }
}

/// Name, number and protocol of ports.
type Ports = Vec<(String, i32, String)>;

fn service_ports(service: &Service) -> Ports {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let row = |port: &k8s_openapi::api::core::v1::ServicePort| {
        (port.name.clone().unwrap_or_default(), port.port, port.protocol.clone().unwrap_or_default())
    };
    ports.into_iter().flatten().map(row).collect()
}

fn pod_ports(pod: &Pod) -> Ports {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let row = |port: &k8s_openapi::api::core::v1::ContainerPort| {
        (
            port.name.clone().unwrap_or_default(),
            port.container_port,
            port.protocol.clone().unwrap_or_default(),
        )
    };
    ports.map(row).collect()
}

/// Fails for ports that are there for UDP only.
fn check_udp(wanted: &[String], ports: &Ports) -> Result<()> {
    for text in wanted {
        let (_, remote) = split(text);
        let same =
            |(name, number, _): &&(String, i32, String)| *name == remote || number.to_string() == remote;
        let protocols: Vec<&str> =
            ports.iter().filter(same).map(|(_, _, protocol)| protocol.as_str()).collect();
        if protocols.contains(&"UDP") && !protocols.contains(&"TCP") {
            return Err(KubectlError::message(format!("UDP protocol is not supported for {remote}")));
        }
    }
    Ok(())
}

fn named_pod_port(pod: &Pod, name: &str) -> Result<i32> {
    let found = pod_ports(pod).into_iter().find(|(port, _, _)| port == name);
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    found
        .map(|(_, number, _)| number)
        .ok_or_else(|| KubectlError::message(format!("Pod '{pod_name}' does not have a named port '{name}'")))
}

fn through_pod(wanted: &[String], pod: &Pod) -> Result<Vec<String>> {
    let one = |text: &String| {
        let (local, remote) = split(text);
        if remote.is_empty() {
            return Err(KubectlError::message("remote port cannot be empty"));
        }
        let number = match remote.parse::<i64>() {
            Ok(_) => remote.to_owned(),
            Err(_) => named_pod_port(pod, remote)?.to_string(),
        };
        Ok(if local == remote { number } else { format!("{local}:{number}") })
    };
    wanted.iter().map(one).collect()
}

/// Ports of a Service become the pod's ports that they lead to.
fn through_service(wanted: &[String], service: &Service, pod: &Pod) -> Result<Vec<String>> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.clone()).unwrap_or_default();
    let headless = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()) == Some("None");
    let one = |text: &String| {
        let (mut local, remote) = (split(text).0.to_owned(), split(text).1);
        let number = match remote.parse::<i32>() {
            Ok(number) => number,
            Err(_) => {
                let port = ports.iter().find(|port| port.name.as_deref() == Some(remote));
                let missing = || {
                    KubectlError::message(format!("Service '{name}' does not have a named port '{remote}'"))
                };
                let number = port.ok_or_else(missing)?.port;
                if local == remote {
                    local = number.to_string();
                }
                number
            }
        };
        let missing =
            || KubectlError::message(format!("Service {name} does not have a service port {number}"));
        let port = ports.iter().find(|port| port.port == number).ok_or_else(missing)?;
        let target = match &port.target_port {
            _ if headless => number,
            Some(IntOrString::Int(0)) | None => number,
            Some(IntOrString::Int(target)) => *target,
            Some(IntOrString::String(name)) => named_pod_port(pod, name)?,
        };
        Ok(if local == target.to_string() { local } else { format!("{local}:{target}") })
    };
    wanted.iter().map(one).collect()
}

// Models client-go's parsePorts.
fn parse(text: &str) -> Result<Port> {
    let parts: Vec<&str> = text.split(':').collect();
    let (local, remote) = match parts[..] {
        [one] => (one, one),
        ["", remote] => ("0", remote),
        [local, remote] => (local, remote),
        _ => return Err(KubectlError::message(format!("invalid port format '{text}'"))),
    };
    let number = |what: &str, text: &str| {
        let why = match text.parse::<u64>() {
            Ok(_) => "value out of range",
            Err(_) => "invalid syntax",
        };
        text.parse::<u16>().map_err(|_| {
            KubectlError::message(format!(
                "error parsing {what} port '{text}': strconv.ParseUint: parsing {text:?}: {why}"
            ))
        })
    };
    let port = Port { local: number("local", local)?, remote: number("remote", remote)? };
    if port.remote == 0 {
        return Err(KubectlError::message("remote port must be > 0"));
    }
    Ok(port)
}

/// The addresses to listen on; those of localhost may be missing, as long as one is there.
fn addresses(names: &[String]) -> Result<Vec<(IpAddr, bool)>> {
    let mut addresses = vec![];
    for name in names {
        if name == "localhost" {
            addresses.push((IpAddr::V4(Ipv4Addr::LOCALHOST), true));
            addresses.push((IpAddr::V6(Ipv6Addr::LOCALHOST), true));
        } else {
            let ip = name.parse().map_err(|_| KubectlError::message(format!("{name} is not a valid IP")))?;
            addresses.push((ip, false));
        }
    }
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

async fn connect(session: &Session, pod: &Pod) -> Result<Forwarder> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/portforward");
    let key = BASE64.encode(session.seed.uuid().as_bytes());
    let request = websocket::request(&path, &key, &[PROTOCOL]).map_err(remote::broken)?;
    let response = session.client().await?.raw(request.map(|()| kube::client::Body::empty())).await?;
    let failed = |error: KubectlError| KubectlError::message(format!("error upgrading connection: {error}"));
    let connection = client::upgraded(response).await.map_err(|error| failed(remote::broken(error)))?;
    let tunnel = Tunnel::new(websocket::client(connection).await);
    Forwarder::new(tunnel).map_err(|error| failed(remote::broken(error)))
}

struct Open {
    listener: Box<dyn Listener>,
    local: u16,
    remote: u16,
}

/// Opens every port on every address. A port that opens nowhere is complained of; if none opens at all, that is the end.
async fn listen(session: &Session, addresses: &[(IpAddr, bool)], ports: &[Port]) -> Result<Vec<Open>> {
    let mut open = vec![];
    for port in ports {
        let (mut errors, mut opened, mut hard) = (vec![], 0, false);
        for (ip, optional) in addresses {
            match session.network.listen(SocketAddr::new(*ip, port.local)).await {
                Ok(listener) => {
                    let address = listener.local_addr();
                    session.out.line(format!("Forwarding from {address} -> {}", port.remote)).await?;
                    // What Go prints for each connection is the port as it was asked for.
                    let local = if port.local == 0 { address.port() } else { port.local };
                    open.push(Open { listener, local, remote: port.remote });
                    opened += 1;
                }
                Err(error) => {
                    let network = if ip.is_ipv4() { "tcp4" } else { "tcp6" };
                    let address = SocketAddr::new(*ip, port.local);
                    let why = error.to_string().to_lowercase();
                    let why = why.split(" (os error").next().unwrap_or_default();
                    errors.push(format!(
                        "unable to create listener: Error listen {network} {address}: bind: {why}"
                    ));
                    hard |= !optional;
                }
            }
        }
        if opened == 0 || hard {
            let text =
                format!("Listeners failed to create with the following errors: [{}]", errors.join(" "));
            session.err.line(format!("Unable to listen on port {}: {text}", port.local)).await?;
        }
    }
    if open.is_empty() {
        let shown: Vec<String> =
            ports.iter().map(|port| format!("{{{} {}}}", port.local, port.remote)).collect();
        let text = format!("unable to listen on any of the requested ports: [{}]", shown.join(" "));
        return Err(KubectlError::message(text));
    }
    Ok(open)
}

/// Carries connections until the pod's end is gone. Dropping the future closes all of them.
async fn serve(session: &Session, forwarder: Forwarder, listeners: Vec<Open>) -> Result<()> {
    let mut connections: JoinSet<Option<String>> = JoinSet::new();
    let forwarder = Arc::new(forwarder);
    let accept = |mut open: Open| async move {
        let accepted = open.listener.accept().await;
        (open, accepted)
    };
    let mut accepting: FuturesUnordered<_> = listeners.into_iter().map(accept).collect();
    loop {
        tokio::select! { biased;
            () = forwarder.closed() => return Err(KubectlError::message("lost connection to pod")),
            Some(ended) = connections.join_next() => {
                if let Ok(Some(text)) = ended {
                    session.err.line(klog::unhandled(session, "portforward.go:522", &text)).await?;
                    // Newer kubectl gives up once a stream has failed.
                    return Err(KubectlError::message("lost connection to pod"));
                }
            }
            Some((open, accepted)) = accepting.next() => {
                let Ok((connection, _)) = accepted else { continue };
                session.out.line(format!("Handling connection for {}", open.local)).await?;
                connections.spawn(carry(forwarder.clone(), connection, open.local, open.remote));
                accepting.push(accept(open));
            }
        }
    }
}

/// Carries one connection; the text is what went wrong at the pod's end.
async fn carry(forwarder: Arc<Forwarder>, connection: BoxIo, local: u16, remote: u16) -> Option<String> {
    let error = forwarder.forward(connection, remote).await.err()?;
    match error {
        crate::streams::StreamError::Io(_) => None,
        other => Some(format!("an error occurred forwarding {local} -> {remote}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_client_go_reads_them() {
        assert_eq!(parse("80").unwrap(), Port { local: 80, remote: 80 });
        assert_eq!(parse(":80").unwrap(), Port { local: 0, remote: 80 });
        assert_eq!(parse("8080:80").unwrap(), Port { local: 8080, remote: 80 });
        let wrong = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(wrong("1:2:3"), "invalid port format '1:2:3'");
        assert_eq!(wrong("8080:0"), "remote port must be > 0");
        assert_eq!(
            wrong("x:80"),
            "error parsing local port 'x': strconv.ParseUint: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            wrong("70000"),
            "error parsing local port '70000': strconv.ParseUint: parsing \"70000\": value out of range"
        );
    }

    #[test]
    fn a_services_port_leads_to_its_target() {
        let service: Service = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web"},
            "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80, "targetPort": "web"}]},
        }))
        .unwrap();
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}]},
        }))
        .unwrap();
        let lead =
            |text: &str| through_service(&[text.to_owned()], &service, &pod).map(|ports| ports[0].clone());
        assert_eq!(lead("80").unwrap(), "80:8080");
        assert_eq!(lead("5000:http").unwrap(), "5000:8080");
        assert_eq!(lead("http").unwrap(), "80:8080");
        assert_eq!(lead("81").unwrap_err().to_string(), "Service web does not have a service port 81");
    }

    proptest::proptest! {
        #[test]
        fn any_port_is_read_or_refused(text in "[0-9:]{0,14}|\\PC{0,20}") {
            let _ = split(&text);
            if let Ok(port) = parse(&text) {
                let again = parse(&format!("{}:{}", port.local, port.remote)).unwrap();
                proptest::prop_assert_eq!((again.local, again.remote), (port.local, port.remote));
            }
        }
    }
}
