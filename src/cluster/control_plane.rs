//! The scheduler and the controller manager as processes of the control plane's node: what they run, and their ports on
//! the node's loopback.
// Models cmd/kube-scheduler/app and cmd/kube-controller-manager/app.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio_util::task::AbortOnDropHandle;

use super::config::ClusterError;
use super::node::Shared;
use crate::api::auth::{Pki, UserInfo};
use crate::api::server_config;
use crate::client;
use crate::controllers;
use crate::net::Listen;
use crate::network::{NetHost, ServerTls, not_found, plain, serve};
use crate::scheduler::{self, Scheduler};
use crate::seed::Seed;

/// The port of the scheduler.
const SCHEDULER_PORT: u16 = 10_259;
/// The port of the controller manager.
const CONTROLLER_MANAGER_PORT: u16 = 10_257;
/// What everybody may ask.
const HEALTH_PATHS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// What the processes of the control plane are made of.
pub(super) struct ControlPlane {
    pub(super) shared: Shared,
    /// The node that they are on.
    pub(super) host: NetHost,
    /// The cluster's certificate authority, in PEM.
    pub(super) root_ca: Arc<str>,
}

/// A scheduler with its port.
#[derive(Debug)]
pub(super) struct KubeScheduler {
    scheduler: Scheduler,
    port: Option<Port>,
}

/// All controllers with their port.
#[derive(Debug)]
pub(super) struct ControllerManager {
    controllers: Vec<controllers::Handle>,
    port: Option<Port>,
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlPlane").field("host", &self.host.ip()).finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// Starts the scheduler.
    pub(super) async fn scheduler(&self) -> Result<KubeScheduler, ClusterError> {
        let Shared { service, informers, clock, seed, decisions, .. } = &self.shared;
        let port = Port::open("kube-scheduler", SCHEDULER_PORT, self).await;
        let client =
            client::component(service, "kube-scheduler", UserInfo::new("system:kube-scheduler", &[]));
        let scheduler = scheduler::start(client, informers, clock.clone(), seed.clone(), decisions.clone());
        Ok(KubeScheduler { scheduler, port })
    }

    /// Starts every controller.
    pub(super) async fn controller_manager(&self) -> Result<ControllerManager, ClusterError> {
        let Shared { service, informers, clock, seed, .. } = &self.shared;
        let port = Port::open("kube-controller-manager", CONTROLLER_MANAGER_PORT, self).await;
        let (service, user) = (service.clone(), UserInfo::new("system:kube-controller-manager", &[]));
        let context = controllers::Context {
            clients: Arc::new(move |name| client::component(&service, name, user.clone())),
            informers: informers.clone(),
            clock: clock.clone(),
            seed: seed.clone(),
            root_ca: self.root_ca.clone(),
            directories: self.shared.storage.directories(),
        };
        let controllers = controllers::all().iter().map(|controller| (controller.start)(&context)).collect();
        Ok(ControllerManager { controllers, port })
    }
}

impl KubeScheduler {
    /// Ends it, and returns when nothing of it is left.
    pub(super) async fn stop(self) {
        self.scheduler.stop().await;
        if let Some(port) = self.port {
            port.close().await;
        }
    }
}

impl ControllerManager {
    /// Ends them, and returns when nothing of them is left.
    pub(super) async fn stop(self) {
        for controller in self.controllers {
            controller.stop().await;
        }
        if let Some(port) = self.port {
            port.close().await;
        }
    }
}

/// A port of the control plane, behind TLS with a certificate that nobody else knows.
#[derive(Debug)]
struct Port(AbortOnDropHandle<()>);

impl Port {
    /// Opens it. `None`: somebody else has it, a pod of the host's network maybe, and the process does without.
    async fn open(name: &'static str, port: u16, plane: &ControlPlane) -> Option<Self> {
        let listener = match plane.host.listen((Ipv4Addr::LOCALHOST, port).into()).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(name, port, %error, "a port of the control plane is not free");
                return None;
            }
        };
        let tls = ServerTls::new(move || {
            let own = Pki::generate(Seed::from_entropy()).ok()?;
            let identity = own.server(&["localhost".to_owned()], &[Ipv4Addr::LOCALHOST.into()]).ok()?;
            server_config(&own, &identity).ok()
        });
        let serving = serve(listener, Some(tls), plane.shared.clock.clone(), answer);
        Some(Self(AbortOnDropHandle::new(tokio::spawn(serving))))
    }

    async fn close(self) {
        self.0.abort();
        // Being aborted is how it ends.
        let _ = self.0.await;
    }
}

fn answer(request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if HEALTH_PATHS.contains(&path) {
        return plain(StatusCode::OK, "ok");
    }
    forbidden(request.method(), path).unwrap_or_else(not_found)
}

/// What somebody without a name is told who asks for more than health.
// Models k8s.io/apiserver/pkg/endpoints/handlers/responsewriters (Forbidden).
fn forbidden(method: &Method, path: &str) -> Option<Response<Body>> {
    let message = format!(
        "forbidden: User \"system:anonymous\" cannot {} path \"{}\"",
        method.as_str().to_lowercase(),
        path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    );
    let text = format!(
        "{{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {{}},\n  \"status\": \"Failure\",\n  \
         \"message\": {},\n  \"reason\": \"Forbidden\",\n  \"details\": {{}},\n  \"code\": 403\n}}",
        serde_json::to_string(&message).ok()?
    );
    let mut response = plain(StatusCode::FORBIDDEN, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Some(response)
}
