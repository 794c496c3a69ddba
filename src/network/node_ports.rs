//! Node ports on the machine that we run on: a real socket a node port, carried into the fabric.
//!
//! Used by `k8s-learn up`, so that a browser or curl on the same machine reaches a NodePort Service at 127.0.0.1.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Service;
use tokio::net::TcpListener;

use super::host::NetHost;
use super::rules::Protocol;
use crate::informer::{Informer, Informers};
use crate::net::Dial;

/// Open sockets for node ports; dropping it closes them.
#[derive(Debug)]
pub struct HostNodePorts {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for HostNodePorts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HostNodePorts {
    /// Opens on `address` of this machine whatever node ports there are and will be; `from` connects to the node at `target`.
    pub fn start(address: IpAddr, from: NetHost, target: IpAddr, informers: &Informers) -> Self {
        let services = informers.of::<Service>();
        Self { task: tokio::spawn(follow(address, Way { from, target }, services)) }
    }
}

/// The way of connections into the cluster.
#[derive(Clone)]
struct Way {
    from: NetHost,
    /// The node that they enter by.
    target: IpAddr,
}

/// A socket's task, ended with its handle.
struct OpenPort(tokio::task::JoinHandle<()>);

impl Drop for OpenPort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(address: IpAddr, way: Way, services: Informer<Service>) {
    let mut changes = services.subscribe();
    let mut open: BTreeMap<u16, OpenPort> = BTreeMap::new();
    while changes.recv().await.is_some() {
        while changes.try_recv().is_ok() {}
        let wanted = node_ports(&services);
        open.retain(|port, _| wanted.contains(port));
        for port in wanted {
            if open.contains_key(&port) {
                continue;
            }
            match TcpListener::bind((address, port)).await {
                Ok(listener) => {
                    open.insert(port, OpenPort(tokio::spawn(serve(listener, way.clone(), port))));
                }
                Err(error) => {
                    tracing::warn!(port, %error, "this machine's port of a NodePort Service is not free")
                }
            }
        }
    }
}

/// The node ports that are TCP's.
fn node_ports(services: &Informer<Service>) -> Vec<u16> {
    let services = services.list();
    let ports = services.iter().filter_map(|service| service.spec.as_ref()?.ports.as_ref()).flatten();
    let tcp = ports.filter(|port| Protocol::of(port.protocol.as_deref()) == Some(Protocol::Tcp));
    tcp.filter_map(|port| u16::try_from(port.node_port?).ok()).filter(|port| *port > 0).collect()
}

/// Carries connections until the socket's task is ended, which ends those too.
async fn serve(listener: TcpListener, way: Way, port: u16) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! { biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                // An error here is about one connection (or too many open files): the next one may do better.
                let Ok((mut outside, _)) = accepted else { continue };
                let way = way.clone();
                connections.spawn(async move {
                    let target = SocketAddr::new(way.target, port);
                    // Nobody behind the port: the connection is closed, which is as near to a refusal as we get here.
                    if let Ok(mut inside) = way.from.dial(target).await {
                        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                    }
                });
            }
        }
    }
}
