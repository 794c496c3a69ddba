//! Takes connections and sends requests to their handlers.
// Models pkg/kubelet/server/server.go (InstallAuthRequiredHandlers).

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use tokio::task::JoinSet;

use super::super::kubelet::Shared;
use super::{auth, logs, stats, streams};
use crate::net::{BoxIo, Listener};

/// An answer that is not what was asked for: a code and a text, as the kubelet words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: StatusCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(super) fn no_such_pod() -> Self {
        Self::new(StatusCode::NOT_FOUND, "pod does not exist")
    }
}

pub(super) type Answer = Result<Response<Body>, Refusal>;

/// An answer in plain text.
pub(super) fn plain(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

pub(super) fn json(value: &impl serde::Serialize) -> Answer {
    let bytes = serde_json::to_vec(value)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Serves the kubelet's API for as long as it is not dropped.
pub(in crate::kubelet) async fn serve(shared: Arc<Shared>, listener: Box<dyn Listener>) {
    accept(listener, move |io| connection(shared.clone(), io)).await;
}

/// Serves the health check on the node's loopback.
pub(in crate::kubelet) async fn serve_health(listener: Box<dyn Listener>) {
    accept(listener, |io| async move {
        let handler = hyper::service::service_fn(|request: Request<Incoming>| async move {
            let healthy = request.uri().path() == "/healthz";
            let code = if healthy { StatusCode::OK } else { StatusCode::NOT_FOUND };
            Ok::<_, Infallible>(plain(code, if healthy { "ok" } else { "404 page not found\n" }))
        });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), handler).await;
    })
    .await;
}

async fn accept<F, C>(mut listener: Box<dyn Listener>, serve: F)
where
    F: Fn(BoxIo) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! { biased;
            accepted = listener.accept() => match accepted {
                Ok((io, _)) => {
                    connections.spawn(serve(io));
                }
                // The network is gone.
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, io: BoxIo) {
    let Some((io, entry)) = auth::greet(&shared, io).await else { return };
    let sessions = streams::Sessions::default();
    let handler = hyper::service::service_fn(|request: Request<Incoming>| {
        let (shared, sessions, entry) = (shared.clone(), sessions.clone(), entry.clone());
        async move {
            let answer = match auth::check(&shared, &entry, &request).await {
                Ok(()) => route(shared, sessions, request).await,
                Err(refusal) => Err(refusal),
            };
            Ok::<_, Infallible>(answer.unwrap_or_else(|refusal| plain(refusal.code, refusal.text)))
        }
    });
    let builder = hyper::server::conn::http1::Builder::new();
    let _ = builder.serve_connection(TokioIo::new(io), handler).with_upgrades().await;
    // What an upgraded connection serves goes on after HTTP is over.
    sessions.finished().await;
}

async fn route(shared: Arc<Shared>, sessions: streams::Sessions, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let decoded: Vec<String> = path
        .split('/')
        .skip(1)
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let get = request.method() == Method::GET;
    let streams_method = get || request.method() == Method::POST;
    match parts[..] {
        ["healthz"] if get => Ok(plain(StatusCode::OK, "ok")),
        ["pods"] if get => json(&pods(&shared)),
        ["stats", "summary"] if get => stats::summary(&shared).await,
        ["metrics"] if get => Ok(stats::metrics(&shared).await),
        ["metrics", "resource"] if get => Ok(stats::resource_metrics(&shared).await),
        ["containerLogs", namespace, pod, container] if get => {
            logs::serve(&shared, namespace, pod, container, request.uri().query().unwrap_or_default()).await
        }
        ["exec", namespace, pod, container] | ["exec", namespace, pod, _, container] if streams_method => {
            streams::exec(shared, sessions, request, [namespace, pod, container]).await
        }
        ["attach", namespace, pod, container] | ["attach", namespace, pod, _, container]
            if streams_method =>
        {
            streams::attach(shared, sessions, request, [namespace, pod, container]).await
        }
        ["portForward", namespace, pod] | ["portForward", namespace, pod, _] if streams_method => {
            streams::port_forward(shared, sessions, request, [namespace, pod]).await
        }
        [
            "exec" | "attach" | "portForward" | "containerLogs" | "pods" | "healthz" | "metrics" | "stats",
            ..,
        ] => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed")),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "404 page not found\n")),
    }
}

fn pods(shared: &Shared) -> List<Pod> {
    let with_status = |entry: &Arc<super::super::pod::PodEntry>| {
        let mut pod = entry.pod().as_ref().clone();
        pod.status = Some(entry.known_status());
        pod
    };
    List { items: shared.pods().iter().map(with_status).collect(), ..List::default() }
}
