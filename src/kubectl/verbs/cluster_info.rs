//! `kubectl cluster-info` and its `dump`.
// Models k8s.io/kubectl/pkg/cmd/clusterinfo.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::kubectl::client::{Client, Request};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::json;
use crate::kubectl::output::print_flags::no_printer;
use crate::kubectl::resources::list_items;
use crate::kubectl::session::Session;
use crate::yaml;

/// `kubectl cluster-info`.
pub struct ClusterInfo;

/// `kubectl cluster-info dump`.
struct Dump;

#[async_trait]
impl Verb for ClusterInfo {
    fn name(&self) -> &'static str {
        "cluster-info"
    }

    fn short(&self) -> &'static str {
        "Display cluster information"
    }

    fn long(&self) -> &'static str {
        "Display the addresses of the control plane and of services with the label kubernetes.io/cluster-service=true. To look into problems of \
         the cluster, use 'kubectl cluster-info dump'."
    }

    fn examples(&self) -> &'static str {
        "# Print the addresses of the control plane and of cluster services\nkubectl cluster-info"
    }

    fn verbs(&self) -> &'static [&'static dyn Verb] {
        &[&Dump]
    }

    fn runnable(&self) -> bool {
        true
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        let (namespace, explicit) = session.namespace()?;
        let namespace = if explicit { namespace } else { "kube-system".to_owned() };
        let asked = async {
            session.mapper().await?;
            let client = session.client().await?;
            let request = Request::get(format!("/api/v1/namespaces/{namespace}/services"));
            let list =
                client.json(request.query("labelSelector", "kubernetes.io/cluster-service=true")).await?;
            Ok((client, list))
        };
        let mut text = String::new();
        let failed = match asked.await {
            Ok((client, list)) => {
                text += &format!("Kubernetes control plane is running at {}\n", client.server());
                for service in list_items(list) {
                    let label = service["metadata"]["labels"]["kubernetes.io/name"].as_str();
                    let name = label.or(service["metadata"]["name"].as_str()).unwrap_or_default();
                    text += &format!("{name} is running at {}\n", link(client.server(), &service));
                }
                None
            }
            Err(error) => Some(error),
        };
        text += "\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n";
        session.out.write(text).await?;
        failed.map_or(Ok(()), Err)
    }
}

/// Where a service is reached: its load balancer, or through the API server.
fn link(server: &str, service: &Value) -> String {
    let ports = service["spec"]["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let ingress = &service["status"]["loadBalancer"]["ingress"][0];
    if ingress.is_object() {
        let host = ingress["ip"].as_str().or(ingress["hostname"].as_str()).unwrap_or_default();
        return ports.iter().map(|port| format!("http://{host}:{} ", port["port"])).collect();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut name = text(&service["metadata"]["name"]);
    if let Some(port) = ports.first() {
        let port_name = text(&port["name"]);
        let secure = port_name == "https" || port["port"] == 443;
        name = match (secure, port_name.is_empty()) {
            (true, _) => format!("https:{name}:{port_name}"),
            (false, false) => format!("{name}:{port_name}"),
            (false, true) => name,
        };
    }
    format!("{server}/api/v1/namespaces/{}/services/{name}/proxy", text(&service["metadata"]["namespace"]))
}

#[async_trait]
impl Verb for Dump {
    fn name(&self) -> &'static str {
        "dump"
    }

    fn short(&self) -> &'static str {
        "Dump relevant information for debugging and diagnosis"
    }

    fn long(&self) -> &'static str {
        "Write out what helps to look into problems of a cluster: nodes, and of each namespace the events, workloads, pods and their \
         logs.\n\nIt goes to standard output, or into files of a directory with --output-directory. Without --namespaces or \
         --all-namespaces, it is of the current namespace and of kube-system."
    }

    fn examples(&self) -> &'static str {
        "# Write the state of the cluster to standard output\nkubectl cluster-info dump\n\n# Write it into a directory\nkubectl cluster-info \
         dump --output-directory=/path/to/cluster-state\n\n# Write that of all namespaces\nkubectl cluster-info dump --all-namespaces"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool("all-namespaces", false, "Dump all namespaces. --namespaces does not count then.")
                .short('A'),
            Flag::strings("namespaces", "The namespaces to dump, separated by commas."),
            Flag::string("output", "json", "Output format. One of: (json, yaml).").short('o'),
            Flag::string(
                "output-directory",
                "",
                "The directory to write files into. Empty or '-' means standard output.",
            ),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, _: &[String]) -> Result<()> {
        let output = flags.string("output");
        if !matches!(output, "json" | "yaml") {
            return Err(no_printer(output, &["json", "yaml"]));
        }
        let client = session.client().await?;
        let mut dump = Writer { session, directory: flags.string("output-directory"), format: output };
        dump.object("nodes", &client.json(Request::get("/api/v1/nodes")).await?).await?;
        let namespaces = if flags.bool("all-namespaces") {
            let list = list_items(client.json(Request::get("/api/v1/namespaces")).await?);
            list.iter().filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
        } else if flags.strings("namespaces").is_empty() {
            vec!["kube-system".to_owned(), session.namespace()?.0]
        } else {
            flags.strings("namespaces").to_vec()
        };
        for namespace in namespaces {
            dump_namespace(&client, &mut dump, &namespace).await?;
        }
        match dump.directory {
            "" | "-" => Ok(()),
            directory => session.out.line(format!("Cluster info dumped to {directory}")).await,
        }
    }
}

/// The lists that are written of a namespace: file and path.
const LISTS: [(&str, &str, &str); 7] = [
    ("events", "/api/v1", "events"),
    ("replication-controllers", "/api/v1", "replicationcontrollers"),
    ("services", "/api/v1", "services"),
    ("daemonsets", "/apis/apps/v1", "daemonsets"),
    ("deployments", "/apis/apps/v1", "deployments"),
    ("replicasets", "/apis/apps/v1", "replicasets"),
    ("pods", "/api/v1", "pods"),
];

async fn dump_namespace(client: &Client, dump: &mut Writer<'_>, namespace: &str) -> Result<()> {
    let mut pods = Value::Null;
    for (file, root, resource) in LISTS {
        let list = client.json(Request::get(format!("{root}/namespaces/{namespace}/{resource}"))).await?;
        dump.object(&format!("{namespace}/{file}"), &list).await?;
        pods = list;
    }
    for pod in list_items(pods) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut text = String::new();
        for container in containers(&pod) {
            text += &format!("==== START logs for container {container} of pod {namespace}/{name} ====\n");
            let request = Request::get(format!("/api/v1/namespaces/{namespace}/pods/{name}/log"))
                .query("container", container);
            text += &match client.bytes(request.accept("*/*")).await {
                Ok(log) => String::from_utf8_lossy(&log).into_owned(),
                // A container that has not started has no log.
                Err(error) => format!("Request log error: {error}\n"),
            };
            text += &format!("==== END logs for container {container} of pod {namespace}/{name} ====\n");
        }
        dump.text(&format!("{namespace}/{name}/logs.txt"), &text).await?;
    }
    Ok(())
}

/// The names of a pod's containers, those that run first in front.
fn containers(pod: &Value) -> Vec<&str> {
    let lists = ["initContainers", "containers"].iter().filter_map(|list| pod["spec"][*list].as_array());
    lists.flatten().filter_map(|container| container["name"].as_str()).collect()
}

struct Writer<'a> {
    session: &'a Session,
    directory: &'a str,
    format: &'a str,
}

impl Writer<'_> {
    async fn object(&mut self, file: &str, list: &Value) -> Result<()> {
        let mut list = list.clone();
        let items = list_items(list.clone());
        list["items"] = json!(items);
        let text =
            if self.format == "yaml" { yaml::to_string(&list) } else { json::pretty(&list, "    ") + "\n" };
        self.text(&format!("{file}.{}", self.format), &text).await
    }

    async fn text(&mut self, file: &str, text: &str) -> Result<()> {
        if matches!(self.directory, "" | "-") {
            return self.session.out.write(text).await;
        }
        let path = self.session.absolute(&format!("{}/{file}", self.directory));
        let failed = |error| KubectlError::message(format!("open {path}: {error}"));
        let parent = path.rsplit_once('/').map_or("/", |(parent, _)| parent);
        self.session.files.make_directory(parent).await.map_err(failed)?;
        self.session.files.write(&path, text.as_bytes()).await.map_err(failed)
    }
}
