//! `kubectl expose`: a Service for what has pods.
// Models kubectl/pkg/cmd/expose and kubectl/pkg/polymorphichelpers (canbeexposed.go, mapbasedselectorforobject.go,
// portsforobject.go, multiprotocolsforobject.go).

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::create::plain::int_or_text;
use super::overrides;
use super::targets::{Finding, find};
use super::writing::{
    DryRun, WriteOptions, create_request, dry_run, dry_run_flag, field_manager_flag, save_config_flag,
    save_configuration, tell,
};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record, record_flag};

/// `kubectl expose`.
pub struct Expose;

/// The longest name of a Service.
const MAX_NAME: usize = 63;

#[async_trait]
impl Verb for Expose {
    fn name(&self) -> &'static str {
        "expose"
    }
    fn short(&self) -> &'static str {
        "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service"
    }
    fn long(&self) -> &'static str {
        "Make a Service for a deployment, service, replica set, replication controller or pod. Its selector, ports and labels \
         are taken from there if flags do not say otherwise."
    }
    fn examples(&self) -> &'static str {
        "# A Service on port 80 for the pods' port 8000\nkubectl expose deployment web --port=80 --target-port=8000\n\n# One \
         that every node has a port for\nkubectl expose deployment web --type=NodePort --port=80"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] \
         [--external-ip=external-ip-of-service] [--type=type]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("identifying the resource to expose a service"));
        flags.extend(overrides::flags("merge"));
        flags.extend([
            dry_run_flag(),
            field_manager_flag("kubectl-expose"),
            save_config_flag(),
            record_flag(),
            Flag::string("cluster-ip", "", "The Service's IP, or None for a headless one."),
            Flag::string("external-ip", "", "An IP outside of Kubernetes that leads to the Service, too."),
            Flag::string("labels", "", "The Service's labels.").short('l'),
            Flag::string("load-balancer-ip", "", "The IP of a LoadBalancer."),
            Flag::string("name", "", "The Service's name."),
            Flag::string("port", "", "The Service's port; the object's if not given."),
            Flag::string("protocol", "", "The protocol: TCP, UDP or SCTP."),
            Flag::string("selector", "", "The labels of the pods; the object's if not given."),
            Flag::string("session-affinity", "", "None, or ClientIP to send a client to the same pod."),
            Flag::string("target-port", "", "The pods' port, by number or name."),
            Flag::string("type", "", "ClusterIP, NodePort, LoadBalancer or ExternalName."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let found = find(session, flags, args, Finding::default()).await?;
        let mut errors = found.errors;
        for info in &found.infos {
            if let Err(error) = expose(session, flags, info, dry_run).await {
                errors.push(error);
            }
        }
        KubectlError::aggregate(errors)
    }
}

async fn expose(session: &Session, flags: &Flags, info: &Info, dry_run: DryRun) -> Result<()> {
    can_be_exposed(info.mapping()?)?;
    let (namespace, enforce) = session.namespace()?;
    let options = Options::new(flags, info)?;
    let service = service(flags, &options)?;
    let mapper = session.mapper().await?;
    let mapping = mapper
        .for_kind("", Some("v1"), "Service")
        .ok_or_else(|| KubectlError::message("no matches for kind \"Service\" in version \"v1\""))?;
    let mut service = overrides::apply(flags, &mapping, service)?;
    record(session, &mut service);
    if dry_run == DryRun::Client {
        if enforce {
            service["metadata"]["namespace"] = json!(namespace);
        }
        return tell(session, flags, &service, "exposed", dry_run).await;
    }
    save_configuration(&mut service, flags.bool("save-config"));
    let write = WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation: "" };
    let request = create_request(mapping.path(&namespace, "", ""), &service, &write);
    let created = session.client().await?.json(request).await?;
    tell(session, flags, &created, "exposed", dry_run).await
}

fn can_be_exposed(mapping: &Mapping) -> Result<()> {
    let exposable = ["ReplicationController", "Service", "Pod"].contains(&mapping.kind.as_str())
        && mapping.group.is_empty();
    let apps = ["Deployment", "ReplicaSet"].contains(&mapping.kind.as_str()) && mapping.group == "apps";
    if exposable || apps {
        return Ok(());
    }
    let kind = if mapping.group.is_empty() {
        mapping.kind.clone()
    } else {
        format!("{}.{}", mapping.kind, mapping.group)
    };
    Err(KubectlError::message(format!("cannot expose a {kind}")))
}

/// What is taken from the object where flags say nothing.
struct Options {
    name: String,
    selector: String,
    labels: String,
    ports: String,
    protocols: BTreeMap<String, Vec<String>>,
}

impl Options {
    fn new(flags: &Flags, info: &Info) -> Result<Self> {
        let text = |name: &str| flags.string(name).to_owned();
        let mut name = info.name.clone();
        name.truncate(MAX_NAME);
        let mut options = Self {
            name,
            selector: text("selector"),
            labels: text("labels"),
            ports: text("port"),
            protocols: protocols(&info.object),
        };
        if !text("name").is_empty() {
            options.name = text("name");
        }
        if options.selector.is_empty() {
            let why = |error: String| {
                KubectlError::message(format!(
                    "couldn't retrieve selectors via --selector flag or introspection: {error}"
                ))
            };
            options.selector = selector(&info.object).map_err(why)?;
        }
        if options.ports.is_empty() {
            let ports = ports(&info.object);
            if ports.is_empty() && flags.string("cluster-ip") != "None" {
                return Err(KubectlError::message("couldn't find port via --port flag or introspection"));
            }
            options.ports = ports.join(",");
        }
        if options.labels.is_empty() {
            options.labels = pairs(&info.object["metadata"]["labels"]);
        }
        Ok(options)
    }
}

fn pairs(labels: &Value) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    labels.as_object().into_iter().flatten().map(pair).collect::<Vec<_>>().join(",")
}

/// The labels that select an object's pods.
fn selector(object: &Value) -> std::result::Result<String, String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let labels = match kind {
        "ReplicationController" => &object["spec"]["selector"],
        "Pod" => {
            let labels = &object["metadata"]["labels"];
            if labels.as_object().is_none_or(serde_json::Map::is_empty) {
                return Err("the pod has no labels and cannot be exposed".to_owned());
            }
            labels
        }
        "Service" => {
            let selector = &object["spec"]["selector"];
            if selector.is_null() {
                return Err("the service has no pod selector set".to_owned());
            }
            selector
        }
        "Deployment" | "ReplicaSet" => {
            let selector = &object["spec"]["selector"];
            if selector["matchExpressions"].as_array().is_some_and(|expressions| !expressions.is_empty()) {
                let text = "couldn't convert expressions";
                return Err(format!(
                    "{text} - \"{}\" to map-based selector format",
                    selector["matchExpressions"]
                ));
            }
            if selector.is_null() || selector["matchLabels"].as_object().is_none_or(serde_json::Map::is_empty)
            {
                return Err(format!("invalid {} selector", kind.to_lowercase()));
            }
            &selector["matchLabels"]
        }
        other => return Err(format!("cannot extract pod selector from {other}")),
    };
    Ok(pairs(labels))
}

/// The pod spec in an object, or the object's own.
fn pod_spec(object: &Value) -> &Value {
    if object["kind"] == "Pod" { &object["spec"] } else { &object["spec"]["template"]["spec"] }
}

fn ports(object: &Value) -> Vec<String> {
    let mut ports = vec![];
    each_port(object, |port, _| ports.push(port.to_string()));
    ports
}

fn protocols(object: &Value) -> BTreeMap<String, Vec<String>> {
    let mut protocols: BTreeMap<String, Vec<String>> = BTreeMap::new();
    each_port(object, |port, protocol| {
        let known = protocols.entry(port.to_string()).or_default();
        let protocol = if protocol.is_empty() { "TCP" } else { protocol };
        if !known.iter().any(|other| other == protocol) {
            known.push(protocol.to_owned());
        }
    });
    protocols
}

fn each_port(object: &Value, mut visit: impl FnMut(i64, &str)) {
    let mut read = |port: &Value, field: &str| {
        visit(port[field].as_i64().unwrap_or_default(), port["protocol"].as_str().unwrap_or_default());
    };
    if object["kind"] == "Service" {
        object["spec"]["ports"].as_array().into_iter().flatten().for_each(|port| read(port, "port"));
        return;
    }
    for container in pod_spec(object)["containers"].as_array().into_iter().flatten() {
        container["ports"].as_array().into_iter().flatten().for_each(|port| read(port, "containerPort"));
    }
}

fn service(flags: &Flags, options: &Options) -> Result<Value> {
    let text = |name: &str| flags.string(name);
    if options.selector.is_empty() {
        return Err(KubectlError::message("selector must be specified"));
    }
    let mut spec = json!({"selector": parse_labels(&options.selector)?});
    let ports = service_ports(flags, options)?;
    if !ports.is_empty() {
        spec["ports"] = json!(ports);
    }
    for (field, flag) in [("type", "type"), ("clusterIP", "cluster-ip")] {
        if !text(flag).is_empty() {
            spec[field] = json!(text(flag));
        }
    }
    if !text("external-ip").is_empty() {
        spec["externalIPs"] = json!([text("external-ip")]);
    }
    if text("type") == "LoadBalancer" && !text("load-balancer-ip").is_empty() {
        spec["loadBalancerIP"] = json!(text("load-balancer-ip"));
    }
    match text("session-affinity") {
        "" => {}
        affinity @ ("None" | "ClientIP") => spec["sessionAffinity"] = json!(affinity),
        other => return Err(KubectlError::message(format!("unknown session affinity: {other}"))),
    }
    let mut metadata = json!({"name": options.name});
    if !options.labels.is_empty() {
        metadata["labels"] = parse_labels(&options.labels)?;
    }
    Ok(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}),
    )
}

fn service_ports(flags: &Flags, options: &Options) -> Result<Vec<Value>> {
    let mut ports = vec![];
    let numbers: Vec<&str> = options.ports.split(',').filter(|_| !options.ports.is_empty()).collect();
    let (target, protocol) = (flags.string("target-port"), flags.string("protocol"));
    for (index, text) in numbers.iter().enumerate() {
        let port: i64 = text
            .parse()
            .map_err(|_| KubectlError::message(format!("strconv.Atoi: parsing {text:?}: invalid syntax")))?;
        let target = if target.is_empty() { json!(port) } else { int_or_text(target) };
        let mut push = |name: String, protocol: &str| {
            let mut entry = json!({"port": port, "protocol": protocol, "targetPort": target});
            if !name.is_empty() {
                entry["name"] = json!(name);
            }
            ports.push(entry);
        };
        let name = if numbers.len() > 1 { format!("port-{}", index + 1) } else { String::new() };
        let known = options.protocols.get(*text).map(Vec::as_slice).unwrap_or_default();
        match known {
            _ if !protocol.is_empty() => push(name, protocol),
            [] => push(name, "TCP"),
            [one] => push(name, one),
            several => {
                several.iter().for_each(|one| push(format!("port-{}-{}", index + 1, one.to_lowercase()), one))
            }
        }
    }
    Ok(ports)
}

/// `a=b,c=d` as a map.
pub fn parse_labels(text: &str) -> Result<Value> {
    let mut labels = json!({});
    for part in text.split(',') {
        let pair: Vec<&str> = part.split('=').collect();
        let [key, value] = pair[..] else {
            return Err(KubectlError::message(format!("unexpected label spec: {part}")));
        };
        if key.is_empty() {
            return Err(KubectlError::message("unexpected empty label key"));
        }
        labels[key] = json!(value);
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(object: Value, args: &[&str]) -> std::result::Result<Value, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let flags = crate::kubectl::flags::parse(&Expose.flags(), &args).unwrap().0;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let info = Info { name, object, ..Info::default() };
        let made = Options::new(&flags, &info).and_then(|options| service(&flags, &options));
        made.map(|service| service["spec"].clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_takes_after_its_object() {
        let deployment = json!({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 53}]}]}}}});
        let spec =
            made(deployment.clone(), &["--port=8080", "--target-port=http", "--type=NodePort"]).unwrap();
        let port = json!([{"port": 8080, "protocol": "TCP", "targetPort": "http"}]);
        assert_eq!(spec, json!({"selector": {"app": "web"}, "type": "NodePort", "ports": port}));
        let spec = made(deployment, &[]).unwrap();
        assert_eq!(
            spec["ports"][1],
            json!({"name": "port-2", "port": 53, "protocol": "TCP", "targetPort": 53})
        );
        let bare = json!({"kind": "Pod", "metadata": {"name": "p", "labels": {"run": "p"}}, "spec": {"containers": [{}]}});
        assert_eq!(made(bare, &[]).unwrap_err(), "couldn't find port via --port flag or introspection");
    }

    proptest::proptest! {
        #[test]
        fn any_labels_are_read_or_refused(text in "[a-z=,]{0,20}|\\PC{0,30}") {
            let _ = parse_labels(&text);
        }
    }
}
