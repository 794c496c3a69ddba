//! The host as kubectl sees it: its sockets and its editors. For `k8s-learn kubectl` on a person's own machine.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::net::TcpStream;

use super::editor::{EditRequest, Editor};
use super::network::Network;
use crate::net::{BoxIo, Dial, HostListener, Listen, Listener};

/// The sockets of the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostNetwork;

impl Dial for HostNetwork {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as BoxIo) })
    }
}

impl Listen for HostNetwork {
    fn listen(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move { Ok(Box::new(HostListener::bind(address).await?) as Box<dyn Listener>) })
    }
}

impl Network for HostNetwork {
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// The programs of the host that edit files. They get the terminal while they run.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostEditor;

#[async_trait]
impl Editor for HostEditor {
    async fn edit(&self, request: EditRequest<'_>) -> Result<(), String> {
        // The command may have arguments and quotes of its own: a shell takes it apart, as kubectl has it done.
        let script = format!("{} \"$0\"", request.command);
        let status = tokio::process::Command::new("/bin/sh")
            .args(["-c", &script, request.path])
            .current_dir(request.cwd)
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .status()
            .await
            .map_err(|error| format!("unable to launch the editor {:?}: {error}", request.command))?;
        if status.success() {
            return Ok(());
        }
        match status.code() {
            Some(code) => {
                Err(format!("there was a problem with the editor {:?}: exit status {code}", request.command))
            }
            None => Err(format!("there was a problem with the editor {:?}", request.command)),
        }
    }
}
