//! The API server as a value: what it is made of, and the service that in-process callers and the TLS front use.
//!
//! [`ApiServer`] is a cheap clone of one shared state. `cluster` makes it from a [`Config`], gives it a dialer for kubelets
//! and pods, hands [`ApiServer::service`] to clients and runs [`ApiServer::run`] and, if wanted, `serve_tls`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Body;
use http::{Request, Response};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::util::BoxCloneSyncService;

use super::admission::Chain;
use super::allocations::Allocations;
use super::auth::{Authenticator, Authorizers, UserInfo};
use super::handler;
use super::metrics::Metrics;
use super::openapi::OpenApi;
use super::registry::Registry;
use super::rest::Rest;
use crate::clock::Clock;
use crate::net::Dial;
use crate::seed::Seed;
use crate::store::Store;

/// The API server as its in-process callers see it. The caller's [`UserInfo`] is in the request's extensions.
pub type ApiService = BoxCloneSyncService<Request<Body>, Response<Body>, std::convert::Infallible>;

/// The header in which a component says which revision made it act. The server believes it of in-process callers only.
pub const CAUSE_HEADER: &str = "x-k8s-learn-cause";

/// The header in which the API server shows kubelets its token: its connections to them stay in this process, without TLS.
pub const KUBELET_TOKEN_HEADER: &str = "x-k8s-learn-api-server";

/// What an API server is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where objects are kept.
    pub store: Store,
    /// The kinds that are served.
    pub registry: Registry,
    /// The cluster's time.
    pub clock: Clock,
    /// The cluster's source of chance.
    pub seed: Seed,
    /// The Services' IPs and ports that are taken.
    pub allocations: Arc<Allocations>,
    /// Bearer tokens that never change, and whose they are.
    pub tokens: BTreeMap<String, UserInfo>,
    /// The address that discovery tells clients, like `192.168.49.2:8443`.
    pub address: String,
    /// By what kubelets know this server; empty: they do not ask.
    pub kubelet_token: Arc<str>,
}

impl Config {
    /// A server of every built-in kind over `store`, without static tokens.
    pub fn new(store: Store, clock: Clock, seed: Seed) -> Self {
        Self {
            store,
            registry: Registry::built_in(),
            clock,
            seed,
            allocations: Arc::default(),
            tokens: BTreeMap::new(),
            address: "127.0.0.1:6443".to_owned(),
            kubelet_token: "".into(),
        }
    }
}

/// An API server. Cheap to clone; clones are one server.
#[derive(Clone)]
pub struct ApiServer {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) rest: Rest,
    pub(super) authenticator: Authenticator,
    authorizers: Authorizers,
    pub(super) metrics: Metrics,
    pub(super) address: String,
    kubelet_token: Arc<str>,
    pub(super) open_api: OpenApi,
    dialer: RwLock<Option<Arc<dyn Dial>>>,
    /// Ends the streams that run beside their requests when the last handle goes.
    streams: DropGuard,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server over a store, which may be empty; `bootstrap` fills in what every cluster has.
    pub fn new(config: Config) -> Self {
        let Config { store, registry, clock, seed, allocations, tokens, address, kubelet_token } = config;
        let authenticator = Authenticator::new(&store, &clock, &seed, tokens);
        let open_api = OpenApi::new(registry.clone());
        let rest = Rest::new(store, registry, clock, seed, allocations, Chain::built_in());
        let shared = Shared {
            rest,
            authenticator,
            authorizers: Authorizers::built_in(),
            metrics: Metrics::default(),
            address,
            kubelet_token,
            open_api,
            dialer: RwLock::default(),
            streams: CancellationToken::new().drop_guard(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The generic machinery, for those who write without a request.
    pub fn rest(&self) -> &Rest {
        &self.shared.rest
    }

    /// Who may say who they are.
    pub fn authenticator(&self) -> &Authenticator {
        &self.shared.authenticator
    }

    /// Says what users may.
    pub fn authorizers(&self) -> &Authorizers {
        &self.shared.authorizers
    }

    /// Sets how kubelets, pods and Services are reached. Without it they are not.
    pub fn set_dialer(&self, dialer: Arc<dyn Dial>) {
        *self.shared.dialer.write().unwrap_or_else(PoisonError::into_inner) = Some(dialer);
    }

    /// How kubelets, pods and Services are reached.
    pub(super) fn dialer(&self) -> Option<Arc<dyn Dial>> {
        self.shared.dialer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says in a request's headers that it comes from this server.
    pub(super) fn introduce(&self, headers: &mut http::HeaderMap) {
        headers.remove(KUBELET_TOKEN_HEADER);
        if let Ok(token) = http::HeaderValue::from_str(&self.shared.kubelet_token) {
            headers.insert(KUBELET_TOKEN_HEADER, token);
        }
    }

    /// Is cancelled when the server goes.
    pub(super) fn streams(&self) -> CancellationToken {
        self.shared.streams.token().clone()
    }

    /// The server as a service without a socket.
    pub fn service(&self) -> ApiService {
        let server = self.clone();
        let answer = move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok(handler::handle(&server, request).await) }
        };
        BoxCloneSyncService::new(tower::service_fn(answer))
    }

    /// Does what has to be done without a request (leases that end). Runs until it is dropped.
    pub async fn run(self) {
        self.rest().clone().keep_leases().await;
    }
}
