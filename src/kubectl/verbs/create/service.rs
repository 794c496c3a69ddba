//! `create service clusterip|nodeport|loadbalancer|externalname`.
// Models kubectl/pkg/cmd/create (create_service.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::generator::{Call, Generator};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;
use crate::meta::names;

/// A sub-command for one type of Service.
pub struct Service {
    name: &'static str,
    kind: &'static str,
    short: &'static str,
    usage: &'static str,
    failed: &'static str,
}

/// `create service clusterip`.
pub static CLUSTER_IP: Service = Service {
    name: "clusterip",
    kind: "ClusterIP",
    short: "Create a ClusterIP service",
    usage: "NAME [--tcp=<port>:<targetPort>] [--dry-run=server|client|none]",
    failed: "failed to create ClusterIP service: ",
};
/// `create service nodeport`.
pub static NODE_PORT: Service = Service {
    name: "nodeport",
    kind: "NodePort",
    short: "Create a NodePort service",
    usage: "NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    failed: "failed to create NodePort service: ",
};
/// `create service loadbalancer`.
pub static LOAD_BALANCER: Service = Service {
    name: "loadbalancer",
    kind: "LoadBalancer",
    short: "Create a LoadBalancer service",
    usage: "NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    failed: "failed to create LoadBalancer service: ",
};
/// `create service externalname`.
pub static EXTERNAL_NAME: Service = Service {
    name: "externalname",
    kind: "ExternalName",
    short: "Create an ExternalName service",
    usage: "NAME --external-name external.name [--dry-run=server|client|none]",
    failed: "failed to create ExternalName service: ",
};

#[async_trait]
impl Generator for &'static Service {
    fn name(&self) -> &'static str {
        self.name
    }
    fn short(&self) -> &'static str {
        self.short
    }
    fn usage(&self) -> &'static str {
        self.usage
    }
    fn plural(&self) -> &'static str {
        "services"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags =
            vec![Flag::strings("tcp", "A port and the container's port behind it, as PORT:TARGETPORT.")];
        match self.kind {
            "ClusterIP" => {
                flags.push(Flag::string(
                    "clusterip",
                    "",
                    "The service's own IP, or None for a headless service.",
                ));
            }
            "NodePort" => {
                flags.push(Flag::int("node-port", 0, "The port of every node that leads to the service."))
            }
            "ExternalName" => {
                flags.push(Flag::string("external-name", "", "The DNS name that the service stands for."))
            }
            _ => {}
        }
        flags
    }
    fn required(&self) -> &'static [&'static str] {
        if self.kind == "ExternalName" { &["external-name"] } else { &[] }
    }
    fn failed(&self) -> &'static str {
        self.failed
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (tcp, cluster_ip) = (call.flags.strings("tcp"), call.flags.string("clusterip"));
        let external_name = call.flags.string("external-name");
        if cluster_ip != "None" && tcp.is_empty() && self.kind != "ExternalName" {
            return Err(KubectlError::message("at least one tcp port specifier must be provided"));
        }
        if self.kind == "ExternalName" && !names::dns1123_subdomain(external_name, false).is_empty() {
            return Err(KubectlError::message(format!("invalid service external name {external_name}")));
        }
        let mut spec = json!({"selector": {"app": call.name}, "type": self.kind});
        if !tcp.is_empty() {
            let ports: Result<Vec<Value>> =
                tcp.iter().map(|pair| port(pair, call.flags.int("node-port"))).collect();
            spec["ports"] = json!(ports?);
        }
        for (field, value) in [("clusterIP", cluster_ip), ("externalName", external_name)] {
            if !value.is_empty() {
                spec[field] = json!(value);
            }
        }
        let mut metadata = call.metadata();
        metadata["labels"] = json!({"app": call.name});
        Ok(json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec,
            "status": {"loadBalancer": {}}}))
    }
}

fn port(pair: &str, node_port: i64) -> Result<Value> {
    let (port, target) = parse_ports(pair).map_err(KubectlError::message)?;
    let mut object =
        json!({"name": pair.replace(':', "-"), "port": port, "protocol": "TCP", "targetPort": target});
    if node_port != 0 {
        object["nodePort"] = json!(node_port);
    }
    Ok(object)
}

/// `80`, `80:8080`, `80:http`.
fn parse_ports(pair: &str) -> std::result::Result<(i64, Value), String> {
    let mut parts = pair.split(':');
    let first = parts.next().unwrap_or_default();
    let port: i64 = first.parse::<u16>().map(i64::from).map_err(|_| parse_error(first))?;
    let Some(target) = parts.next() else { return Ok((port, json!(port))) };
    match target.parse::<i64>() {
        Ok(number) => match &names::port_number(number)[..] {
            [] => Ok((port, json!(number))),
            errors => Err(errors.join(",")),
        },
        Err(_) => match &names::port_name(target)[..] {
            [] => Ok((port, json!(target))),
            errors => Err(errors.join(",")),
        },
    }
}

/// What Go says of a text that is no port.
fn parse_error(text: &str) -> String {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if all_digits { "value out of range" } else { "invalid syntax" };
    format!("strconv.ParseUint: parsing {text:?}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_in_pairs() {
        assert_eq!(parse_ports("80").unwrap(), (80, json!(80)));
        assert_eq!(parse_ports("80:http").unwrap(), (80, json!("http")));
        assert_eq!(parse_ports("x").unwrap_err(), "strconv.ParseUint: parsing \"x\": invalid syntax");
        assert_eq!(
            parse_ports("99999").unwrap_err(),
            "strconv.ParseUint: parsing \"99999\": value out of range"
        );
        assert_eq!(parse_ports("80:99999").unwrap_err(), "must be between 1 and 65535, inclusive");
    }

    proptest::proptest! {
        #[test]
        fn any_ports_are_read_or_refused(pair in "[0-9:a-z]{0,14}|\\PC{0,20}") {
            let _ = parse_ports(&pair);
        }
    }
}
