//! `kubectl describe networkpolicy`.
// Models kubectl/pkg/describe (NetworkPolicyDescriber).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::fields::{
    format_selector, int_or_text, list, or_none, plain, some, some_int, some_text, text, texts, time,
};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// What stands before everything that is told of a rule.
const INDENT: &str = "    ";
/// How Go prints a time that was never set.
const ZERO_TIME: &str = "0001-01-01 00:00:00 +0000 UTC";

/// The network policy's describer.
pub struct NetworkPolicy;

/// What a direction is called in the API and in the description.
struct Direction {
    policy_type: &'static str,
    rules: &'static str,
    peers: &'static str,
    title: &'static str,
    name: &'static str,
    any: &'static str,
}

const DIRECTIONS: [Direction; 2] = [
    Direction {
        policy_type: "Ingress",
        rules: "/spec/ingress",
        peers: "/from",
        title: "From:",
        name: "ingress",
        any: "source",
    },
    Direction {
        policy_type: "Egress",
        rules: "/spec/egress",
        peers: "/to",
        title: "To:",
        name: "egress",
        any: "destination",
    },
];

#[async_trait]
impl Describer for NetworkPolicy {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("networking.k8s.io", "NetworkPolicy")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        _settings: Settings,
    ) -> Result<String, Failure> {
        let resource = Resource::new("networking.k8s.io/v1", "networkpolicies");
        let policy = related.get(resource, namespace, name).await?;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &policy);
        let created = time(&policy, "/metadata/creationTimestamp").map_or_else(
            || ZERO_TIME.to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        );
        put!(w, 0, "Created on:\t{created}\n");
        metadata::labels_and_annotations(&mut w, &policy);
        spec(&mut w, &policy);
        Ok(w.finish())
    }
}

fn spec(w: &mut Writer, policy: &Value) {
    let selected =
        match some(policy, "/spec/podSelector").map(|_| format_selector(policy, "/spec/podSelector")) {
            Some(selector) if selector != "<none>" => selector,
            _ => "<none> (Allowing the specific traffic to all pods in this namespace)".to_owned(),
        };
    put!(w, 0, "Spec:\n");
    // The value is indented as if it stood on a line of its own.
    put!(w, 1, "PodSelector:     {selected}\n");
    let types = texts(policy, "/spec/policyTypes");
    for direction in &DIRECTIONS {
        if types.contains(&direction.policy_type) {
            put!(w, 1, "Allowing {} traffic:\n", direction.name);
            rules(w, list(policy, direction.rules), direction);
        } else {
            put!(w, 1, "Not affecting {} traffic\n", direction.name);
        }
    }
    put!(w, 1, "Policy Types: {}\n", or_none(&types.join(", ")));
}

fn rules(w: &mut Writer, rules: &[Value], direction: &Direction) {
    if rules.is_empty() {
        put!(w, 0, "{INDENT}<none> (Selected pods are isolated for {} connectivity)\n", direction.name);
    }
    for (index, rule) in rules.iter().enumerate() {
        if index > 0 {
            put!(w, 0, "{INDENT}----------\n");
        }
        let (allowed, peers) = (list(rule, "/ports"), list(rule, direction.peers));
        if allowed.is_empty() {
            put!(w, 0, "{INDENT}To Port: <any> (traffic allowed to all ports)\n");
        }
        allowed.iter().for_each(|allowed| port(w, allowed));
        if peers.is_empty() {
            put!(w, 0, "{INDENT}{} <any> (traffic not restricted by {})\n", direction.title, direction.any);
        }
        for allowed in peers {
            put!(w, 0, "{INDENT}{}\n", direction.title);
            peer(w, allowed);
        }
    }
}

fn port(w: &mut Writer, port: &Value) {
    let protocol = some_text(port, "/protocol").unwrap_or("TCP");
    let number = some(port, "/port").map_or_else(|| plain(&Value::Null), |_| int_or_text(port, "/port"));
    match some_int(port, "/endPort") {
        None => put!(w, 0, "{INDENT}To Port: {number}/{protocol}\n"),
        Some(end) => put!(w, 0, "{INDENT}To Port Range: {number}-{end}/{protocol}\n"),
    }
}

fn peer(w: &mut Writer, peer: &Value) {
    let mut selects = false;
    for (name, path) in [("NamespaceSelector", "/namespaceSelector"), ("PodSelector", "/podSelector")] {
        if some(peer, path).is_some() {
            put!(w, 1, "{INDENT}{name}: {}\n", format_selector(peer, path));
            selects = true;
        }
    }
    if !selects && some(peer, "/ipBlock").is_some() {
        put!(w, 1, "{INDENT}IPBlock:\n");
        put!(w, 2, "{INDENT}CIDR: {}\n", text(peer, "/ipBlock/cidr"));
        put!(w, 2, "{INDENT}Except: {}\n", texts(peer, "/ipBlock/except").join(", "));
    }
}
