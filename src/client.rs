//! `kube::Client`s over the in-process API server, one a component.
//!
//! A component's client names it (`User-Agent`) and says which revision it reacted to ([`because_of`]), which the store
//! keeps with what is written. Calls go straight into the server's tower service: no socket. Only a protocol upgrade
//! (exec, attach, port-forward) gets a pipe in memory with HTTP on it, since there is a connection to hand over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as ServerBody;
use http::{HeaderValue, Request, Response, header};
use kube::client::Body as ClientBody;
use tower::Service;

use crate::api::auth::UserInfo;
pub use crate::api::server::{ApiService, CAUSE_HEADER};
use crate::store::Revision;

tokio::task_local! {
    static CAUSE: Revision;
}

/// Runs `reconcile`; what it writes is on record as an answer to the event of `revision`.
pub async fn because_of<F: Future>(revision: Option<Revision>, reconcile: F) -> F::Output {
    match revision {
        Some(revision) => CAUSE.scope(revision, reconcile).await,
        None => reconcile.await,
    }
}

/// The revision that the running reconcile answers to, if it said.
pub fn cause() -> Option<Revision> {
    CAUSE.try_with(|revision| *revision).ok()
}

/// A client for the component of that name, acting as `user`.
pub fn component(service: &ApiService, name: &str, user: UserInfo) -> kube::Client {
    let agent = HeaderValue::from_str(name).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
    kube::Client::new(
        InProcess { service: service.clone(), agent: Some(agent), who: Who::User(user) },
        "default",
    )
}

/// A client that sends what it is given, acting as `user`: for kubectl, which names itself.
pub fn as_user(service: &ApiService, user: UserInfo) -> kube::Client {
    kube::Client::new(InProcess { service: service.clone(), agent: None, who: Who::User(user) }, "default")
}

/// A client that says who it is with a bearer token, which the server checks.
pub fn with_token(service: &ApiService, token: &str) -> kube::Client {
    // A token that is no header value is nobody's token.
    let token = HeaderValue::from_str(&format!("Bearer {token}"))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
    kube::Client::new(InProcess { service: service.clone(), agent: None, who: Who::Token(token) }, "default")
}

/// The tower service under an in-process client.
#[derive(Clone)]
struct InProcess {
    service: ApiService,
    agent: Option<HeaderValue>,
    who: Who,
}

/// As whom a client acts.
#[derive(Clone)]
enum Who {
    /// Beyond doubt: the caller is a part of this process.
    User(UserInfo),
    /// Whoever the token is for.
    Token(HeaderValue),
}

impl Who {
    fn sign<B>(&self, request: &mut Request<B>) {
        match self {
            Self::User(user) => drop(request.extensions_mut().insert(user.clone())),
            Self::Token(token) => drop(request.headers_mut().insert(header::AUTHORIZATION, token.clone())),
        }
    }
}

impl Service<Request<ClientBody>> for InProcess {
    type Response = Response<ServerBody>;
    type Error = tower::BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        let mut request = request.map(ServerBody::new);
        if let Some(agent) = &self.agent {
            request.headers_mut().insert(header::USER_AGENT, agent.clone());
        }
        let who = self.who.clone();
        let mut service = self.service.clone();
        // kube calls this in a task of its own and gives the future back to the caller: only in there is its cause known.
        Box::pin(async move {
            if let Some(revision) = cause() {
                request.headers_mut().insert(CAUSE_HEADER, HeaderValue::from(revision));
            }
            if request.headers().contains_key(header::UPGRADE) {
                return upgrade::call(service, request, who).await;
            }
            who.sign(&mut request);
            Ok(service.call(request).await?)
        })
    }
}

/// Requests that turn into something else than HTTP.
mod upgrade {
    use super::*;
    use hyper_util::rt::TokioIo;

    /// How many bytes a direction of the pipe holds.
    const BUFFER_BYTES: usize = 64 * 1024;

    /// Sends one request over a pipe with HTTP/1.1 on it, so that the connection can be handed over afterwards.
    pub(super) async fn call(
        service: ApiService,
        request: Request<ServerBody>,
        who: Who,
    ) -> Result<Response<ServerBody>, tower::BoxError> {
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        tokio::spawn(async move {
            let handler = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                let mut request = request.map(ServerBody::new);
                who.sign(&mut request);
                let mut service = service.clone();
                async move { service.call(request).await }
            });
            let server = hyper::server::conn::http1::Builder::new();
            // The client's end tells of what went wrong.
            let _ = server.serve_connection(TokioIo::new(far), handler).with_upgrades().await;
        });
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await?;
        tokio::spawn(connection.with_upgrades());
        let mut request = request;
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("kubernetes.default.svc"));
        }
        // HTTP/1.1 sends the path alone.
        let path = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        *request.uri_mut() = path.parse()?;
        Ok(sender.send_request(request).await?.map(ServerBody::new))
    }
}
