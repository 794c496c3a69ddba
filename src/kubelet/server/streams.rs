//! Exec, attach and port-forward: agrees on a protocol, upgrades the connection, and connects it with the runtime.
// Models pkg/kubelet/server/server.go (getExec, getAttach, getPortForward) and k8s.io/cri-streaming.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::super::kubelet::Shared;
use super::super::runtime_pod::RuntimePod;
use super::super::spec;
use super::router::{Answer, Refusal};
use crate::net::BoxIo;
use crate::runtime::api::{ContainerState, RuntimeError, SandboxState, Streams, TerminalSize};
use crate::streams::port_forward::{self, Connect};
use crate::streams::protocol::{
    PORT_FORWARD, PORT_FORWARD_TUNNEL, PROTOCOL_HEADER, is_spdy_request, list_header, negotiate,
    query_values, spdy_response,
};
use crate::streams::tunnel::Tunnel;
use crate::streams::{Outcome, Session, StreamOptions, channels, spdy, websocket};
use crate::watch;

/// The tasks behind the upgraded connections of one connection: at most one, but it outlives HTTP.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<JoinSet<()>>>);

impl Sessions {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    /// Waits until they are over; dropping this drops them.
    pub(super) async fn finished(self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

/// How a connection is carried after the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    WebSocket(&'static str),
    Spdy(&'static str),
}

/// Agrees on a protocol, and makes the answer that says so.
fn agree(
    headers: &HeaderMap,
    over_websocket: &[&'static str],
    over_spdy: &[&'static str],
) -> Result<(Carrier, Response<()>), Refusal> {
    let bad = |text: String| Refusal::new(StatusCode::BAD_REQUEST, text);
    if websocket::is_websocket_request(headers) {
        let offered = list_header(headers, websocket::PROTOCOL);
        let Some(protocol) = negotiate(&offered, over_websocket) else {
            return Err(bad(format!(
                "unable to upgrade websocket connection: no supported protocol found in {offered:?}; the server supports \
                 {over_websocket:?}"
            )));
        };
        let response = websocket::accept(headers, Some(protocol)).map_err(|error| bad(error.to_string()))?;
        return Ok((Carrier::WebSocket(protocol), response));
    }
    if !is_spdy_request(headers) {
        return Err(bad("unable to upgrade: missing upgrade headers in request".to_owned()));
    }
    let offered = list_header(headers, PROTOCOL_HEADER);
    let oldest = over_spdy.last().copied().unwrap_or_default();
    let protocol = if offered.is_empty() { Some(oldest) } else { negotiate(&offered, over_spdy) };
    let Some(protocol) = protocol else {
        let text = format!(
            "unable to upgrade: unable to negotiate protocol: client supports {offered:?}, server accepts {over_spdy:?}"
        );
        return Err(Refusal::new(StatusCode::FORBIDDEN, text));
    };
    Ok((Carrier::Spdy(protocol), spdy_response((!offered.is_empty()).then_some(protocol))))
}

fn switching(response: Response<()>) -> Response<Body> {
    response.map(|()| Body::empty())
}

async fn upgraded(request: Request<Incoming>) -> Option<BoxIo> {
    let upgraded = hyper::upgrade::on(request).await.ok()?;
    Some(Box::new(TokioIo::new(upgraded)))
}

/// A running container of a pod by its name.
async fn running_container(shared: &Shared, uid: &str, name: &str) -> Option<String> {
    let runtime = RuntimePod::observe(shared.deps.runtime.as_ref(), uid).await.ok()?;
    runtime
        .find(name)
        .filter(|status| status.state == ContainerState::Running)
        .map(|status| status.id.clone())
}

fn failure(text: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

fn command_options(query: &str) -> Result<StreamOptions, Refusal> {
    StreamOptions::from_query(query).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// Runs a command in a container.
pub(super) async fn exec(
    shared: Arc<Shared>,
    sessions: Sessions,
    request: Request<Incoming>,
    [namespace, pod, container]: [&str; 3],
) -> Answer {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let options = command_options(&query)?;
    let entry = shared.pod(namespace, pod).ok_or_else(Refusal::no_such_pod)?;
    let Some(id) = running_container(&shared, &entry.uid, container).await else {
        return Err(failure(format!("container not found ({container:?})")));
    };
    let command: Vec<String> = query_values(&query, "command").collect();
    let (carrier, response) = agree(request.headers(), &channels::PROTOCOLS, &spdy::command::PROTOCOLS)?;
    sessions.spawn(async move {
        let Some(session) = open(&shared, request, carrier, options).await else { return };
        let runtime = shared.deps.runtime.clone();
        run(session, options.tty, async move |streams| match runtime.exec(&id, &command, streams).await {
            Ok(0) => Outcome::Success,
            Ok(code) => Outcome::ExitCode(code),
            Err(error) => Outcome::Error(format!("error executing command in container: {error}")),
        })
        .await;
    });
    Ok(switching(response))
}

/// Joins a container's own process.
pub(super) async fn attach(
    shared: Arc<Shared>,
    sessions: Sessions,
    request: Request<Incoming>,
    [namespace, pod, container]: [&str; 3],
) -> Answer {
    let mut options = command_options(request.uri().query().unwrap_or_default())?;
    let entry = shared.pod(namespace, pod).ok_or_else(Refusal::no_such_pod)?;
    let Some(id) = running_container(&shared, &entry.uid, container).await else {
        return Err(failure(format!("container {container} not found in pod {pod}_{namespace}")));
    };
    // A process has the terminal that it was started with.
    options.tty = spec::find(&entry.pod(), container).is_some_and(|(_, spec)| spec.tty == Some(true));
    options.stderr &= !options.tty;
    let (carrier, response) = agree(request.headers(), &channels::PROTOCOLS, &spdy::command::PROTOCOLS)?;
    sessions.spawn(async move {
        let Some(session) = open(&shared, request, carrier, options).await else { return };
        let runtime = shared.deps.runtime.clone();
        run(session, options.tty, async move |streams| match runtime.attach(&id, streams).await {
            Ok(()) => Outcome::Success,
            Err(error) => Outcome::Error(format!("error attaching to container: {error}")),
        })
        .await;
    });
    Ok(switching(response))
}

async fn open(
    shared: &Shared,
    request: Request<Incoming>,
    carrier: Carrier,
    options: StreamOptions,
) -> Option<Session> {
    let io = upgraded(request).await?;
    match carrier {
        Carrier::WebSocket(protocol) => {
            Some(channels::serve(io, protocol, options, shared.deps.clock.clone()).await)
        }
        Carrier::Spdy(protocol) => spdy::command::serve(io, protocol, options, &shared.deps.clock).await.ok(),
    }
}

/// Runs with a session's streams until the end of the process or of the client.
async fn run(mut session: Session, tty: bool, process: impl AsyncFnOnce(Streams) -> Outcome) {
    let (sizes, resize) = watch::channel(TerminalSize { width: 80, height: 24 });
    let streams = Streams {
        stdin: session.stdin.take(),
        stdout: session.stdout.take(),
        stderr: session.stderr.take(),
        tty,
        resize: tty.then_some(resize),
    };
    let resizing = forward_sizes(session.resize.take(), sizes);
    let outcome = tokio::select! { biased;
        outcome = process(streams) => Some(outcome),
        () = session.gone() => None,
        () = resizing => None,
    };
    if let Some(outcome) = outcome {
        session.finish(outcome).await;
    }
}

/// Never ends, so that it can be waited for beside a process.
async fn forward_sizes(
    from: Option<watch::Receiver<crate::streams::TerminalSize>>,
    to: watch::Sender<TerminalSize>,
) {
    if let Some(mut from) = from {
        loop {
            let size = *from.borrow_and_update();
            if size.width > 0 && size.height > 0 {
                to.send_replace(TerminalSize { width: size.width, height: size.height });
            }
            if from.changed().await.is_err() {
                break;
            }
        }
    }
    std::future::pending::<()>().await;
    drop(to);
}

/// Forwards ports to a pod.
pub(super) async fn port_forward(
    shared: Arc<Shared>,
    sessions: Sessions,
    request: Request<Incoming>,
    [namespace, pod]: [&str; 2],
) -> Answer {
    let entry = shared.pod(namespace, pod).ok_or_else(Refusal::no_such_pod)?;
    let runtime = RuntimePod::observe(shared.deps.runtime.as_ref(), &entry.uid).await.unwrap_or_default();
    let ready = runtime.sandboxes.iter().find(|sandbox| sandbox.state == SandboxState::Ready);
    let Some(sandbox) = ready.map(|sandbox| sandbox.id.clone()) else {
        return Err(failure(format!("pod not found (\"{pod}_{namespace}\")")));
    };
    let (carrier, response) = agree(request.headers(), &[PORT_FORWARD_TUNNEL], &[PORT_FORWARD])?;
    sessions.spawn(async move {
        let Some(io) = upgraded(request).await else { return };
        let clock = shared.deps.clock.clone();
        let ports: Arc<dyn Connect> = Arc::new(Ports { shared, sandbox });
        let result = match carrier {
            Carrier::WebSocket(_) => {
                let tunnel = Tunnel::new(websocket::server(io).await);
                port_forward::serve(tunnel, ports, clock).await
            }
            Carrier::Spdy(_) => port_forward::serve(io, ports, clock).await,
        };
        if let Err(error) = result {
            tracing::debug!(%error, "forwarding ports ended");
        }
    });
    Ok(switching(response))
}

struct Ports {
    shared: Arc<Shared>,
    sandbox: String,
}

impl Connect for Ports {
    fn connect(&self, port: u16) -> BoxFuture<'_, Result<BoxIo, String>> {
        Box::pin(async move {
            let connected = self.shared.deps.runtime.port_forward(&self.sandbox, port).await;
            connected.map_err(|error: RuntimeError| {
                format!("error forwarding port {port} to pod {}, uid : {error}", self.sandbox)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn old_and_new_clients_get_what_they_speak() {
        let check = |list: &[(&'static str, &str)]| {
            agree(&headers(list), &channels::PROTOCOLS, &spdy::command::PROTOCOLS).map(|(carrier, _)| carrier)
        };
        let websocket = |protocols| {
            [
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-key", "a"),
                ("sec-websocket-protocol", protocols),
            ]
        };
        let spdy = |protocols| {
            [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", protocols)]
        };
        assert_eq!(
            check(&websocket("v5.channel.k8s.io, v4.channel.k8s.io")),
            Ok(Carrier::WebSocket("v5.channel.k8s.io"))
        );
        assert_eq!(check(&websocket("v4.channel.k8s.io")), Ok(Carrier::WebSocket("v4.channel.k8s.io")));
        assert_eq!(check(&spdy("v4.channel.k8s.io")), Ok(Carrier::Spdy("v4.channel.k8s.io")));
        assert_eq!(check(&spdy("v9")).map_err(|refusal| refusal.code), Err(StatusCode::FORBIDDEN));
        assert_eq!(check(&[]).map_err(|refusal| refusal.code), Err(StatusCode::BAD_REQUEST));
    }
}
