//! The learner's machine as kubectl sees it: how the cluster is reached from it, its network, its editors.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::api::auth::{UserInfo, user_of_pem};
use crate::bash::{Bash, BashConfig, Stdio};
use crate::client::{self, ApiService};
use crate::kubectl::editor::{EditRequest, Editor};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::{ClusterConfig, Connect, Network};
use crate::net::{BoxIo, Dial, Listen, Listener};
use crate::network::NetHost;

/// Connects to the sandbox's own cluster, in process. There is no other.
pub(super) struct SandboxConnect {
    pub(super) url: String,
    pub(super) service: ApiService,
}

#[async_trait]
impl Connect for SandboxConnect {
    async fn connect(&self, config: &ClusterConfig) -> Result<kube::Client> {
        if config.server.trim_end_matches('/') != self.url {
            let address = config.server.trim_start_matches("https://").trim_start_matches("http://");
            return Err(KubectlError::Refused(address.trim_end_matches('/').to_owned()));
        }
        if let Some(token) = &config.token {
            return Ok(client::with_token(&self.service, token));
        }
        let certificate = config.client_certificate.as_deref().and_then(user_of_pem);
        let anonymous = || UserInfo {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..UserInfo::default()
        };
        Ok(client::as_user(&self.service, certificate.unwrap_or_else(anonymous)))
    }
}

/// The learner's machine in the fabric: its loopback, the nodes and what they route to.
pub(super) struct SandboxNetwork(pub(super) NetHost);

impl Dial for SandboxNetwork {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>> {
        self.0.dial(address)
    }
}

impl Listen for SandboxNetwork {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        self.0.listen(address)
    }
}

impl Network for SandboxNetwork {
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let ip: IpAddr = match host.trim_matches(['[', ']']).parse() {
                Ok(ip) => ip,
                Err(_) if host == "localhost" => Ipv4Addr::LOCALHOST.into(),
                Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::NotFound,
                        format!("lookup {host}: no such host"),
                    ));
                }
            };
            Ok(vec![SocketAddr::new(ip, port)])
        })
    }
}

/// Editors of the sandbox: a command line of its shell, like `sed -i s/a/b/`, or an editor of the host on a terminal.
pub(super) struct SandboxEditor {
    pub(super) shell: Arc<dyn Fn() -> BashConfig + Send + Sync>,
}

#[async_trait]
impl Editor for SandboxEditor {
    async fn edit(&self, request: EditRequest<'_>) -> std::result::Result<(), String> {
        let name = request.command.split_whitespace().next().unwrap_or_default();
        if super::programs::is_editor(name) {
            return super::programs::edit_on_host(name, request.files, request.path, request.terminal).await;
        }
        let mut bash =
            Bash::new(BashConfig { cwd: request.cwd.to_owned(), env: request.env.clone(), ..(self.shell)() });
        let script = format!("{} '{}'", request.command, request.path.replace('\'', "'\\''"));
        match bash.execute(&script, Stdio::null()).await {
            0 => Ok(()),
            code => {
                Err(format!("there was a problem with the editor {:?}: exit status {code}", request.command))
            }
        }
    }
}
