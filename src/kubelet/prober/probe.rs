//! One probe: a command in the container, an HTTP or gRPC request to the pod, a TCP connection.
// Models pkg/probe/{exec,http,tcp,grpc} and pkg/kubelet/prober (runProbe).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Pod, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::config::Dependencies;
use super::super::expansion::expand;
use super::super::spec;
use crate::meta::age;
use crate::net::{BoxIo, Dial};
use crate::runtime::api::RuntimeError;

/// The most bytes of an answer that are read.
const MAX_BODY_BYTES: usize = 10 << 10;
/// How often a redirect is followed.
const MAX_REDIRECTS: usize = 10;
/// How the kubelet names itself to what it probes.
const USER_AGENT_VERSION: &str = "1.36";

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Success,
    /// Success, with a remark.
    Warning(String),
    Failure(String),
    /// The probe itself could not be made.
    Error(String),
}

/// What is probed.
pub(in crate::kubelet) struct Target<'a> {
    pub(in crate::kubelet) deps: &'a Dependencies,
    pub(in crate::kubelet) pod: &'a Pod,
    pub(in crate::kubelet) container: &'a Container,
    pub(in crate::kubelet) container_id: &'a str,
    pub(in crate::kubelet) pod_ip: &'a str,
}

impl Target<'_> {
    /// Makes a probe.
    pub(super) async fn probe(&self, probe: &Probe) -> Finding {
        let seconds = probe.timeout_seconds.unwrap_or(1).max(1);
        let timeout = Duration::from_secs(u64::from(seconds.unsigned_abs()));
        if let Some(exec) = &probe.exec {
            return self.exec(exec.command.as_deref().unwrap_or_default(), timeout).await;
        }
        if let Some(get) = &probe.http_get {
            return match http_get(self, get, "probe", timeout).await {
                Ok((200..=299, _)) => Finding::Success,
                Ok((300..=399, body)) => {
                    Finding::Warning(format!("Probe terminated redirects, Response body: {body}"))
                }
                Ok((code, _)) => Finding::Failure(format!("HTTP probe failed with statuscode: {code}")),
                Err(HttpError::Made(text)) => Finding::Failure(text),
                Err(HttpError::NotMade(text)) => Finding::Error(text),
            };
        }
        if let Some(tcp) = &probe.tcp_socket {
            let host = tcp.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(self.pod_ip);
            let port = match self.port(&tcp.port) {
                Ok(port) => port,
                Err(error) => return Finding::Error(error),
            };
            return match self.dial(host, port, timeout).await {
                Ok(_) => Finding::Success,
                Err(error) => Finding::Failure(error),
            };
        }
        if let Some(grpc) = &probe.grpc {
            return self.grpc(grpc.port, grpc.service.as_deref().unwrap_or_default(), timeout).await;
        }
        Finding::Error(format!(
            "missing probe handler for {}:{}",
            spec::format(self.pod),
            self.container.name
        ))
    }

    async fn exec(&self, command: &[String], timeout: Duration) -> Finding {
        let value = |name: &str| {
            let variable = self.container.env.iter().flatten().find(|variable| variable.name == name)?;
            variable.value.clone()
        };
        let command: Vec<String> = command.iter().map(|word| expand(word, value)).collect();
        match self.deps.runtime.exec_sync(self.container_id, &command, timeout).await {
            Ok(result) if result.exit_code == 0 => Finding::Success,
            Ok(result) => {
                let mut output = String::from_utf8_lossy(&result.stdout).into_owned();
                output.push_str(&String::from_utf8_lossy(&result.stderr));
                let end = output
                    .char_indices()
                    .map(|(at, _)| at)
                    .find(|at| *at >= MAX_BODY_BYTES)
                    .unwrap_or(output.len());
                output.truncate(end);
                Finding::Failure(output)
            }
            Err(RuntimeError::DeadlineExceeded(_)) => Finding::Failure(format!(
                "command timed out: {:?} timed out after {}",
                command.join(" "),
                age::go_string(timeout)
            )),
            Err(error) => Finding::Error(format!("rpc error: code = Unknown desc = {error}")),
        }
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => i64::from(*number),
            IntOrString::String(name) => {
                let named =
                    self.container.ports.iter().flatten().find(|port| port.name.as_ref() == Some(name));
                match (named, name.parse::<i64>()) {
                    (Some(port), _) => i64::from(port.container_port),
                    (None, Ok(number)) => number,
                    (None, Err(_)) => return Err(format!("couldn't find port: {port:?} in pod spec")),
                }
            }
        };
        u16::try_from(number)
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("invalid port number: {number}"))
    }

    /// Connects, or says why not in Go's words.
    async fn dial(&self, host: &str, port: u16, timeout: Duration) -> Result<BoxIo, String> {
        let ip = match host {
            "localhost" => "127.0.0.1".parse(),
            other => other.parse::<std::net::IpAddr>(),
        };
        let ip = match ip {
            Ok(ip) => ip,
            Err(_) => match self.deps.host.fabric().resolve(host).await.first() {
                Some(ip) => *ip,
                None => return Err(format!("dial tcp: lookup {host}: no such host")),
            },
        };
        let address = SocketAddr::new(ip, port);
        match self.deps.clock.timeout(timeout, self.deps.host.dial(address)).await {
            Ok(Ok(io)) => Ok(io),
            Ok(Err(error)) => Err(format!("dial tcp {address}: {}", dial_error(&error))),
            Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
        }
    }

    async fn grpc(&self, port: i32, service: &str, timeout: Duration) -> Finding {
        let address = format!("{}:{port}", self.pod_ip);
        let number = u16::try_from(port).unwrap_or(0);
        let io = match self.dial(self.pod_ip, number, timeout).await {
            Ok(io) => io,
            Err(_) => {
                let within = age::go_string(timeout);
                return Finding::Failure(format!(
                    "timeout: failed to connect service {address:?} within {within}: context deadline exceeded"
                ));
            }
        };
        match self.deps.clock.timeout(timeout, grpc_check(io, &address, service)).await {
            Ok(finding) => finding,
            Err(_) => Finding::Failure(format!(
                "timeout: health rpc did not complete within {}",
                age::go_string(timeout)
            )),
        }
    }
}

fn dial_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "connect: no route to host".to_owned()
        }
        io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    }
}

/// Why there is no answer.
pub(in crate::kubelet) enum HttpError {
    /// The request was made and failed.
    Made(String),
    /// The request could not be made.
    NotMade(String),
}

/// Asks with GET; the answer is a status code and the body.
pub(in crate::kubelet) async fn http_get(
    target: &Target<'_>,
    action: &HTTPGetAction,
    purpose: &str,
    timeout: Duration,
) -> Result<(u16, String), HttpError> {
    let scheme = action.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let host = action.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(target.pod_ip).to_owned();
    let port = target.port(&action.port).map_err(HttpError::NotMade)?;
    if scheme != "http" {
        return Err(HttpError::NotMade(format!("probes by {scheme} are not supported by this kubelet")));
    }
    let mut path = action.path.clone().unwrap_or_default();
    for _ in 0..=MAX_REDIRECTS {
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        let authority =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let url = format!("http://{authority}{path}");
        let made = |text: String| HttpError::Made(format!("Get {url:?}: {text}"));
        let io = target.dial(&host, port, timeout).await.map_err(made)?;
        let request = request(action, &path, &authority, purpose).map_err(HttpError::NotMade)?;
        let answer = target.deps.clock.timeout(timeout, send(io, request)).await;
        let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
        let (code, location, body) = answer.map_err(|_| made(late.to_owned()))?.map_err(made)?;
        match location.filter(|_| (300..400).contains(&code)).and_then(|to| local_path(&to, &authority)) {
            Some(next) => path = next,
            None => return Ok((code, body)),
        }
    }
    Err(HttpError::Made(format!("Get {path:?}: stopped after 10 redirects")))
}

/// The path of a redirect that stays at the same host.
fn local_path(location: &str, authority: &str) -> Option<String> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(location.to_owned());
    }
    let rest = location.strip_prefix("http://")?.strip_prefix(authority)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
}

fn request(
    action: &HTTPGetAction,
    path: &str,
    authority: &str,
    purpose: &str,
) -> Result<http::Request<Full<Bytes>>, String> {
    let mut request = http::Request::get(path);
    let headers = action.http_headers.as_deref().unwrap_or_default();
    let given = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if given("host").is_none() {
        request = request.header("host", authority);
    }
    if given("user-agent").is_none() {
        request = request.header("user-agent", format!("kube-{purpose}/{USER_AGENT_VERSION}"));
    }
    if given("accept").is_none() {
        request = request.header("accept", "*/*");
    }
    for header in headers
        .iter()
        .filter(|header| !(header.name.eq_ignore_ascii_case("accept") && header.value.is_empty()))
    {
        request = request.header(header.name.as_str(), header.value.as_str());
    }
    request.header("connection", "close").body(Full::default()).map_err(|error| error.to_string())
}

async fn send(
    io: BoxIo,
    request: http::Request<Full<Bytes>>,
) -> Result<(u16, Option<String>, String), String> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| {
            if error.is_incomplete_message() || error.is_canceled() {
                "EOF".to_owned()
            } else {
                error.to_string()
            }
        })?;
        let code = response.status().as_u16();
        let location = response.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
        let body =
            body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
        Ok((code, location, body))
    };
    let driving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! { biased;
        result = exchange => result,
        () = driving => Err("EOF".to_owned()),
    }
}

/// Asks `grpc.health.v1.Health/Check`.
async fn grpc_check(io: BoxIo, address: &str, service: &str) -> Finding {
    let failed = |text: String| Finding::Failure(format!("error: health rpc probe failed: {text}"));
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
    let (mut sender, connection) = match handshake {
        Ok(pair) => pair,
        Err(error) => return failed(error.to_string()),
    };
    // HealthCheckRequest with its one field, behind gRPC's own five bytes.
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        message.put_u8(service.len().min(127) as u8);
        message.put_slice(&service.as_bytes()[..service.len().min(127)]);
    }
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(message.len() as u32);
    body.extend_from_slice(&message);
    let request = http::Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", format!("kube-probe/{USER_AGENT_VERSION}"))
        .body(Full::new(body.freeze()));
    let request = match request {
        Ok(request) => request,
        Err(error) => return failed(error.to_string()),
    };
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let headers = response.headers().clone();
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?;
        let trailers = body.trailers().cloned().unwrap_or(headers);
        Ok((trailers, body.to_bytes()))
    };
    let answer: Result<(http::HeaderMap, Bytes), String> = tokio::select! { biased;
        result = exchange => result,
        _ = connection => Err("connection closed".to_owned()),
    };
    let (trailers, bytes) = match answer {
        Ok(answer) => answer,
        Err(error) => return failed(error),
    };
    let text = |name: &str| trailers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    match text("grpc-status").as_str() {
        "0" | "" => serving(&bytes),
        "12" => Finding::Failure(format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
            text("grpc-message")
        )),
        code => failed(format!("rpc error: code = {code} desc = {}", text("grpc-message"))),
    }
}

fn serving(bytes: &[u8]) -> Finding {
    let status =
        bytes.get(5..).and_then(|message| message.strip_prefix(&[0x08])).and_then(|rest| rest.first());
    match status {
        Some(1) => Finding::Success,
        Some(2) => Finding::Failure("service unhealthy (responded with \"NOT_SERVING\")".to_owned()),
        Some(3) => Finding::Failure("service unhealthy (responded with \"SERVICE_UNKNOWN\")".to_owned()),
        _ => Finding::Failure("service unhealthy (responded with \"UNKNOWN\")".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_redirects_are_followed() {
        let cases = [
            ("/there", Some("/there")),
            ("http://10.0.0.1:80/there", Some("/there")),
            ("http://elsewhere/", None),
            ("//elsewhere/", None),
            ("https://10.0.0.1:80/", None),
        ];
        for (location, expected) in cases {
            assert_eq!(local_path(location, "10.0.0.1:80").as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_health_answer_is_read() {
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Finding::Success);
        assert!(matches!(serving(&[0, 0, 0, 0, 2, 8, 2]), Finding::Failure(_)));
        assert!(matches!(serving(&[]), Finding::Failure(_)));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..30),
            location in "(http://a|/)?\\PC{0,30}",
        ) {
            let _ = (serving(&bytes), local_path(&location, "a"));
        }
    }
}
