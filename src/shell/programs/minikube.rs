//! `minikube` for the sandbox shell: the few commands that tutorials use, about the cluster that is already there.

use async_trait::async_trait;
use clap::{Parser, Subcommand};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::api::{Api, ListParams};
use tokio::io::AsyncWriteExt;

use crate::bash::{Program, ProgramContext, SharedWriter, Stdio};
use crate::shell::NodeShell;

/// The release of minikube whose answers these are modelled on.
const VERSION: &str = "v1.38.0";
/// The Kubernetes that it runs.
const KUBERNETES: &str = "v1.36.2";

/// The command, as a user of the cluster who may read everything.
#[derive(Clone)]
pub struct Minikube {
    client: kube::Client,
    /// The control plane's first.
    nodes: Vec<NodeShell>,
}

impl Minikube {
    /// `minikube` for the cluster behind `client`, with those nodes to log in on.
    pub fn new(client: kube::Client, nodes: Vec<NodeShell>) -> Self {
        Self { client, nodes }
    }
}

#[derive(Parser)]
#[command(name = "minikube", about = "Tells about the local cluster", disable_version_flag = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the version
    Version {
        /// Only the number
        #[arg(long)]
        short: bool,
    },
    /// Start the cluster (here it runs already)
    Start {
        /// Options of the real one are taken and have no effect here
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        options: Vec<String>,
    },
    /// Tell what runs
    Status,
    /// Print the address of a node
    Ip {
        /// The node
        #[arg(short, long)]
        node: Option<String>,
    },
    /// Print the URL of a Service, or of all with `list`
    Service {
        /// The Service, or `list`
        name: String,
        /// The Service's namespace
        #[arg(short, long, default_value = "default")]
        namespace: String,
        /// Only the URL
        #[arg(long)]
        url: bool,
    },
    /// The nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Log in on a node, or run a command there
    Ssh {
        /// The node
        #[arg(short, long)]
        node: Option<String>,
        /// The command, which the node's own shell reads
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Print the kubeconfig context in use
    Profile,
}

#[derive(Subcommand)]
enum NodeCommand {
    /// List the nodes with their addresses
    List,
}

#[async_trait]
impl Program for Minikube {
    async fn run(&self, context: ProgramContext) -> i32 {
        let ProgramContext { args, stdio, .. } = context;
        let parsed = CommandLine::try_parse_from(&args);
        if let Ok(CommandLine { command: Command::Ssh { node, command } }) = parsed {
            return self.ssh(node.as_deref(), &command, stdio).await;
        }
        let (mut stdout, mut stderr) = (stdio.stdout, stdio.stderr);
        let (text, code) = match parsed {
            Err(error) if error.use_stderr() => (Err(error.to_string()), error.exit_code()),
            Err(error) => (Ok(error.to_string()), 0),
            Ok(line) => match self.answer(line.command).await {
                Ok(text) => (Ok(text), 0),
                Err(Refusal { message, code }) => (Err(format!("{message}\n")), code),
            },
        };
        // Nobody reads: nothing to tell.
        let _ = match text {
            Ok(text) => stdout.write_all(text.as_bytes()).await,
            Err(text) => stderr.write_all(text.as_bytes()).await,
        };
        code
    }
}

/// A message for standard error, and the exit code that goes with it.
struct Refusal {
    message: String,
    code: i32,
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        Self { message: format!("X The cluster does not answer: {error}"), code: 1 }
    }
}

impl Minikube {
    async fn answer(&self, command: Command) -> Result<String, Refusal> {
        Ok(match command {
            Command::Version { short: true } => format!("{VERSION}\n"),
            Command::Version { short: false } => {
                format!("minikube version: {VERSION}\ncommit: k8s-learn sandbox\n")
            }
            Command::Start { .. } => self.start().await?,
            Command::Status => self.status().await?,
            Command::Ip { node } => format!("{}\n", self.node_ip(node.as_deref()).await?),
            Command::Service { name, .. } if name == "list" => self.service_list().await?,
            Command::Service { name, namespace, url } => self.service(&namespace, &name, url).await?,
            Command::Node(NodeCommand::List) => {
                let nodes = self.nodes().await?;
                nodes.iter().map(|(name, ip)| format!("{name}\t{ip}\n")).collect()
            }
            Command::Profile | Command::Ssh { .. } => "minikube\n".to_owned(),
        })
    }

    /// Logs in. As the real one's, the code is 1 whatever the command's was, which goes to standard error.
    async fn ssh(&self, node: Option<&str>, command: &[String], mut stdio: Stdio) -> i32 {
        let shell = match node {
            Some(name) => self.nodes.iter().find(|shell| shell.name() == name),
            None => self.nodes.first(),
        };
        let Some(shell) = shell else {
            stdio.err(format!("{}\n", missing_node(node).message)).await;
            return missing_node(node).code;
        };
        let errors = SharedWriter::new(stdio.stderr);
        let stdio = Stdio { stderr: Box::new(errors.clone()), ..stdio };
        let code = match command {
            [] => shell.open(stdio).await,
            words => shell.run(&words.join(" "), stdio).await,
        };
        if code == 0 {
            return 0;
        }
        // Nobody reads: nothing to tell.
        let _ = errors.put(format!("ssh: Process exited with status {code}\n").as_bytes()).await;
        1
    }

    async fn nodes(&self) -> Result<Vec<(String, String)>, Refusal> {
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await?;
        Ok(nodes
            .iter()
            .map(|node| (node.metadata.name.clone().unwrap_or_default(), internal_ip(node)))
            .collect())
    }

    async fn node_ip(&self, wanted: Option<&str>) -> Result<String, Refusal> {
        let nodes = self.nodes().await?;
        let node = match wanted {
            Some(wanted) => nodes.iter().find(|(name, _)| name == wanted),
            None => nodes.first(),
        };
        node.map(|(_, ip)| ip.clone()).ok_or_else(|| missing_node(wanted))
    }

    async fn start(&self) -> Result<String, Refusal> {
        let count = self.nodes().await?.len();
        let nodes = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
        Ok(format!(
            "* minikube {VERSION} in the k8s-learn sandbox\n\
             * The cluster \"minikube\" is running: Kubernetes {KUBERNETES}, {nodes}\n\
             * Done! kubectl is now configured to use \"minikube\" cluster and \"default\" namespace by default\n"
        ))
    }

    async fn status(&self) -> Result<String, Refusal> {
        let nodes = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await?;
        let blocks: Vec<String> = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| {
                let name = node.metadata.name.as_deref().unwrap_or_default();
                let kubelet = if is_ready(node) { "Running" } else { "Stopped" };
                match index {
                    0 => format!(
                        "{name}\ntype: Control Plane\nhost: Running\nkubelet: {kubelet}\napiserver: Running\nkubeconfig: Configured\n"
                    ),
                    _ => format!("{name}\ntype: Worker\nhost: Running\nkubelet: {kubelet}\n"),
                }
            })
            .collect();
        Ok(format!("{}\n", blocks.join("\n")))
    }

    async fn service(&self, namespace: &str, name: &str, url_only: bool) -> Result<String, Refusal> {
        let services = Api::<Service>::namespaced(self.client.clone(), namespace);
        let Some(service) = services.get_opt(name).await? else {
            let message = format!(
                "X Exiting due to SVC_NOT_FOUND: Service '{name}' was not found in '{namespace}' namespace."
            );
            return Err(Refusal { message, code: 115 });
        };
        let ip = self.node_ip(None).await?;
        let urls = urls(&service, &ip);
        if urls.is_empty() {
            let message = format!(
                "* service {namespace}/{name} has no node port\n! It is reachable inside the cluster only: use a port-forward, or make it a NodePort Service"
            );
            return Err(Refusal { message, code: 115 });
        }
        let lines: String = urls.iter().map(|(_, url)| format!("{url}\n")).collect();
        if url_only {
            return Ok(lines);
        }
        let rows =
            urls.iter().map(|(port, url)| [namespace.to_owned(), name.to_owned(), port.clone(), url.clone()]);
        Ok(format!("{}* Open it with curl:\n{lines}", framed(rows.collect())))
    }

    async fn service_list(&self) -> Result<String, Refusal> {
        let services = Api::<Service>::all(self.client.clone()).list(&ListParams::default()).await?;
        let ip = self.node_ip(None).await?;
        let mut rows = vec![];
        for service in services {
            let namespace = service.metadata.namespace.clone().unwrap_or_default();
            let name = service.metadata.name.clone().unwrap_or_default();
            let urls = urls(&service, &ip);
            if urls.is_empty() {
                rows.push([namespace.clone(), name.clone(), "No node port".to_owned(), String::new()]);
            }
            rows.extend(urls.into_iter().map(|(port, url)| [namespace.clone(), name.clone(), port, url]));
        }
        Ok(framed(rows))
    }
}

fn missing_node(wanted: Option<&str>) -> Refusal {
    let wanted = wanted.unwrap_or_default();
    Refusal { message: format!("X Exiting due to GUEST_NODE_RETRIEVE: node {wanted} not found"), code: 80 }
}

fn internal_ip(node: &Node) -> String {
    let addresses = node.status.as_ref().and_then(|status| status.addresses.as_ref());
    let internal = addresses.into_iter().flatten().find(|address| address.type_ == "InternalIP");
    internal.map(|address| address.address.clone()).unwrap_or_default()
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The Service's ports with the URLs that they have on a node.
fn urls(service: &Service, ip: &str) -> Vec<(String, String)> {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_ref());
    let url = |port: &k8s_openapi::api::core::v1::ServicePort| {
        let node_port = port.node_port.filter(|port| *port > 0)?;
        let label =
            port.name.as_ref().map_or_else(|| port.port.to_string(), |name| format!("{name}/{}", port.port));
        Some((label, format!("http://{ip}:{node_port}")))
    };
    ports.into_iter().flatten().filter_map(url).collect()
}

/// Rows in a frame of lines, under headings.
fn framed(rows: Vec<[String; 4]>) -> String {
    let headings = ["NAMESPACE", "NAME", "TARGET PORT", "URL"].map(str::to_owned);
    let width =
        |column: usize| rows.iter().chain([&headings]).map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let rule: String =
        widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))).collect::<String>() + "|\n";
    let line = |row: &[String; 4]| {
        row.iter().zip(&widths).map(|(cell, width)| format!("| {cell:width$} ")).collect::<String>() + "|\n"
    };
    let body: String = rows.iter().map(line).collect();
    format!("{rule}{}{rule}{body}{rule}", line(&headings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_framed() {
        let table =
            framed(vec![["default".into(), "web".into(), "80".into(), "http://192.168.49.2:30080".into()]]);
        insta::assert_snapshot!(table, @r"
        |-----------|------|-------------|---------------------------|
        | NAMESPACE | NAME | TARGET PORT | URL                       |
        |-----------|------|-------------|---------------------------|
        | default   | web  | 80          | http://192.168.49.2:30080 |
        |-----------|------|-------------|---------------------------|
        ");
    }
}
