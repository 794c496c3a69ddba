//! NetworkPolicy: which connections the pods of a namespace may take and make.
// Models pkg/registry/networking/networkpolicy, pkg/apis/networking/v1 (defaults) and pkg/apis/networking/validation.

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Traits};
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::cidr::Cidr;
use crate::meta::names;

/// In the order in which errors name them.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
const POLICY_TYPES: [&str; 2] = ["Ingress", "Egress"];

/// `networking.k8s.io/v1` NetworkPolicy.
pub struct NetworkPolicyKind;

impl Kind for NetworkPolicyKind {
    type Object = NetworkPolicy;
    const SHORT_NAMES: &'static [&'static str] = &["netpol"];
    const TRAITS: Traits = Traits { status: false, generation: true, scale: false };

    fn default(policy: &mut NetworkPolicy) {
        let spec = policy.spec.get_or_insert_default();
        for port in directions_mut(spec) {
            port.protocol.get_or_insert_with(|| "TCP".to_owned());
        }
        if spec.policy_types.as_ref().is_none_or(Vec::is_empty) {
            let egress = spec.egress.as_ref().is_some_and(|rules| !rules.is_empty());
            let types = POLICY_TYPES[..if egress { 2 } else { 1 }].iter();
            spec.policy_types = Some(types.map(|name| (*name).to_owned()).collect());
        }
    }

    fn validate(policy: &NetworkPolicy) -> Vec<FieldError> {
        validate_spec(&policy.spec.clone().unwrap_or_default(), &[])
    }

    fn validate_update(new: &NetworkPolicy, old: &NetworkPolicy) -> Vec<FieldError> {
        // Ranges that were taken once, by an older server maybe, may stay.
        let known: Vec<String> =
            old.spec.iter().flat_map(blocks).flat_map(|(_, block)| ranges(block).cloned()).collect();
        validate_spec(&new.spec.clone().unwrap_or_default(), &known)
    }

    fn warnings(policy: &NetworkPolicy, _old: Option<&NetworkPolicy>) -> Vec<String> {
        let mut warnings = vec![];
        for (field, block) in policy.spec.iter().flat_map(blocks) {
            warnings.extend(range_warnings(&block.cidr, &field.child("cidr")));
            for (index, except) in block.except.iter().flatten().enumerate() {
                warnings.extend(range_warnings(except, &field.child("except").index(index)));
            }
        }
        warnings
    }

    fn columns() -> Vec<Column> {
        vec![Column::NAME, Column::string("Pod-Selector", "Which pods the policy is about"), Column::AGE]
    }

    fn row(policy: &NetworkPolicy, now: Timestamp) -> Vec<Cell> {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.clone()).unwrap_or_default();
        vec![
            cells::name(&policy.metadata),
            cells::or_none(cells::selector(&selector)).into(),
            cells::age(&policy.metadata, now),
        ]
    }
}

fn directions_mut(spec: &mut NetworkPolicySpec) -> impl Iterator<Item = &mut NetworkPolicyPort> {
    let ingress = spec.ingress.iter_mut().flatten().flat_map(|rule| rule.ports.iter_mut().flatten());
    let egress = spec.egress.iter_mut().flatten().flat_map(|rule| rule.ports.iter_mut().flatten());
    ingress.chain(egress)
}

/// The rules of both directions: where each is, its ports, its peers and where those are.
fn rules(
    spec: &NetworkPolicySpec,
) -> Vec<(FieldPath, &[NetworkPolicyPort], FieldPath, &[NetworkPolicyPeer])> {
    let at = |direction: &str, index: usize| FieldPath::new("spec").child(direction).index(index);
    let ingress = spec.ingress.iter().flatten().enumerate().map(|(index, rule)| {
        let (field, peers) = (at("ingress", index), rule.from.as_deref().unwrap_or_default());
        (field.child("ports"), rule.ports.as_deref().unwrap_or_default(), field.child("from"), peers)
    });
    let egress = spec.egress.iter().flatten().enumerate().map(|(index, rule)| {
        let (field, peers) = (at("egress", index), rule.to.as_deref().unwrap_or_default());
        (field.child("ports"), rule.ports.as_deref().unwrap_or_default(), field.child("to"), peers)
    });
    ingress.chain(egress).collect()
}

/// Every block of addresses, and where it is.
fn blocks(spec: &NetworkPolicySpec) -> Vec<(FieldPath, &IPBlock)> {
    let mut all = vec![];
    for (_, _, field, peers) in rules(spec) {
        for (index, peer) in peers.iter().enumerate() {
            all.extend(peer.ip_block.as_ref().map(|block| (field.index(index).child("ipBlock"), block)));
        }
    }
    all
}

fn ranges(block: &IPBlock) -> impl Iterator<Item = &String> {
    std::iter::once(&block.cidr).chain(block.except.iter().flatten())
}

fn validate_spec(spec: &NetworkPolicySpec, known: &[String]) -> Vec<FieldError> {
    let field = FieldPath::new("spec");
    let selector = spec.pod_selector.clone().unwrap_or_default();
    let mut errors = checks::label_selector(&selector, &field.child("podSelector"));
    for (ports_field, ports, peers_field, peers) in rules(spec) {
        for (index, port) in ports.iter().enumerate() {
            errors.extend(validate_port(port, &ports_field.index(index)));
        }
        for (index, peer) in peers.iter().enumerate() {
            errors.extend(validate_peer(peer, &peers_field.index(index), known));
        }
    }
    let (types, field) = (spec.policy_types.as_deref().unwrap_or_default(), field.child("policyTypes"));
    if types.len() > POLICY_TYPES.len() {
        errors.push(FieldError::invalid(&field, types.to_vec(), "may not specify more than two policyTypes"));
        return errors;
    }
    for (index, name) in types.iter().enumerate().filter(|(_, name)| !POLICY_TYPES.contains(&name.as_str())) {
        errors.push(FieldError::not_supported(&field.index(index), name.as_str(), &POLICY_TYPES));
    }
    errors
}

fn validate_port(port: &NetworkPolicyPort, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if let Some(protocol) = port.protocol.as_deref().filter(|protocol| !PROTOCOLS.contains(protocol)) {
        errors.push(FieldError::not_supported(&field.child("protocol"), protocol, &PROTOCOLS));
    }
    let (own, end_field) = (field.child("port"), field.child("endPort"));
    match (&port.port, port.end_port) {
        (Some(IntOrString::Int(number)), end) => {
            errors.extend(checks::port_number(*number, &own));
            if let Some(end) = end {
                if end < *number {
                    let why = "must be greater than or equal to `port`";
                    errors.push(FieldError::invalid(&end_field, *number, why));
                }
                errors.extend(checks::port_number(end, &end_field));
            }
        }
        (Some(IntOrString::String(name)), end) => {
            if let Some(end) = end {
                let why = "may not be specified when `port` is non-numeric";
                errors.push(FieldError::invalid(&end_field, end, why));
            }
            errors.extend(checks::each(names::port_name(name), &own, name));
        }
        (None, Some(end)) => {
            let why = "may not be specified when `port` is not specified";
            errors.push(FieldError::invalid(&end_field, end, why));
        }
        (None, None) => {}
    }
    errors
}

fn validate_peer(peer: &NetworkPolicyPeer, field: &FieldPath, known: &[String]) -> Vec<FieldError> {
    let mut errors = vec![];
    for (selector, name) in
        [(&peer.pod_selector, "podSelector"), (&peer.namespace_selector, "namespaceSelector")]
    {
        if let Some(selector) = selector {
            errors.extend(checks::label_selector(selector, &field.child(name)));
        }
    }
    let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match &peer.ip_block {
        Some(block) => {
            errors.extend(validate_block(block, &field.child("ipBlock"), known));
            if selects {
                errors.push(FieldError::forbidden(field, "may not specify both ipBlock and another peer"));
            }
        }
        None if !selects => errors.push(FieldError::required(field, "must specify a peer")),
        None => {}
    }
    errors
}

fn validate_block(block: &IPBlock, field: &FieldPath, known: &[String]) -> Vec<FieldError> {
    if block.cidr.is_empty() {
        return vec![FieldError::required(&field.child("cidr"), "")];
    }
    let mut errors = validate_range(&block.cidr, &field.child("cidr"), known);
    let Some(whole) = Cidr::parse_sloppy(&block.cidr) else { return errors };
    for (index, except) in block.except.iter().flatten().enumerate() {
        let field = field.child("except").index(index);
        errors.extend(validate_range(except, &field, known));
        if Cidr::parse_sloppy(except).is_some_and(|range| !range.is_strictly_within(&whole)) {
            let why = "must be a strict subset of `cidr`";
            errors.push(FieldError::invalid(&field, except.as_str(), why));
        }
    }
    errors
}

// Models k8s.io/apimachinery/pkg/util/validation (IsValidCIDRForLegacyField, with the feature StrictIPCIDRValidation).
fn validate_range(text: &str, field: &FieldPath, known: &[String]) -> Vec<FieldError> {
    if known.iter().any(|known| known == text) {
        return vec![];
    }
    let why = match Cidr::parse_sloppy(text) {
        None => "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned(),
        Some(range) => match range.slip(text) {
            None => return vec![],
            Some(slip) => slip.to_string(),
        },
    };
    vec![FieldError::invalid(field, text, why)]
}

// Models k8s.io/apimachinery/pkg/util/validation (GetWarningsForCIDR).
fn range_warnings(text: &str, field: &FieldPath) -> Vec<String> {
    let Some(range) = Cidr::parse_sloppy(text) else { return vec![] };
    let mut warnings = vec![];
    if range.address() != range.network() {
        let single = format!("{}/{}", range.address(), range.bits());
        warnings.push(format!(
            "{field}: CIDR value {text:?} is ambiguous in this context (should be \"{range}\" or {single:?}?)"
        ));
    }
    use crate::meta::cidr::Slip::{LeadingZeros, Mapped};
    if matches!(range.slip(text), Some(LeadingZeros | Mapped)) {
        warnings.push(format!("{field}: non-standard CIDR value {text:?} is invalid: use \"{range}\""));
    }
    if warnings.is_empty() && range.address().is_ipv6() && range.to_string() != text {
        warnings.push(format!(
            "{field}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format (\"{range}\")"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{change_refused, defaulted, read, refused, row};

    fn policy(spec: &str) -> String {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: p}}, spec: {spec}}}"
        )
    }

    #[test]
    fn types_follow_from_the_rules_and_ports_are_tcp() {
        for (spec, expected) in [
            ("{podSelector: {}}", "- Ingress\n"),
            ("{podSelector: {}, egress: [{}]}", "- Ingress\n  - Egress\n"),
            ("{podSelector: {}, egress: [{}], policyTypes: [Egress]}", "policyTypes:\n  - Egress\n"),
            ("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}", "protocol: TCP"),
        ] {
            let shown = defaulted(&policy(spec));
            assert!(shown.contains(expected), "{spec}:\n{shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_kubernetes_words() {
        for (spec, expected) in [
            ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]: Required value: must specify a peer"),
            (
                "{egress: [{to: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}",
                "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (
                "{ingress: [{from: [{ipBlock: {cidr: ''}}]}]}",
                "spec.ingress[0].from[0].ipBlock.cidr: Required value",
            ),
            (
                "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}",
                "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length",
            ),
            (
                "{ingress: [{from: [{ipBlock: {cidr: ten}}]}]}",
                "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"ten\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            ),
            (
                "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}",
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
            ),
            (
                "{ingress: [{ports: [{port: 0, protocol: ICMP}]}]}",
                "spec.ingress[0].ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"\n\
                 spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ),
            (
                "{egress: [{ports: [{port: 90, endPort: 80}]}]}",
                "spec.egress[0].ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`",
            ),
            (
                "{egress: [{ports: [{port: http, endPort: 80}]}]}",
                "spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric",
            ),
            (
                "{egress: [{ports: [{endPort: 80}]}]}",
                "spec.egress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified",
            ),
            (
                "{policyTypes: [Ingress, Both]}",
                "spec.policyTypes[1]: Unsupported value: \"Both\": supported values: \"Ingress\", \"Egress\"",
            ),
            (
                "{podSelector: {matchExpressions: [{key: a, operator: Near}]}}",
                "spec.podSelector.matchExpressions[0].operator: Invalid value: \"Near\": not a valid selector operator",
            ),
        ] {
            assert_eq!(refused(&policy(spec)), expected, "{spec}");
        }
    }

    #[test]
    fn a_range_that_was_taken_may_stay() {
        let old = policy("{ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}");
        let new = policy("{egress: [{to: [{ipBlock: {cidr: 10.0.0.1/8}}]}]}");
        assert_eq!(change_refused(&old, &new), "");
    }

    #[test]
    fn odd_ranges_are_warned_of() {
        for (range, expected) in [
            ("10.0.0.0/8", ""),
            (
                "10.1.0.0/8",
                "spec.ingress[0].from[0].ipBlock.cidr: CIDR value \"10.1.0.0/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.1.0.0/8\"?)",
            ),
            (
                "FD00:0::/16",
                "spec.ingress[0].from[0].ipBlock.cidr: IPv6 CIDR value \"FD00:0::/16\" should be in RFC 5952 canonical format (\"fd00::/16\")",
            ),
        ] {
            let (kind, object) =
                read(&policy(&format!("{{ingress: [{{from: [{{ipBlock: {{cidr: '{range}'}}}}]}}]}}")));
            assert_eq!(kind.warnings(&*object, None).join("\n"), expected, "{range}");
        }
    }

    #[test]
    fn the_table_shows_the_selector() {
        let shown = row(&policy("{podSelector: {matchLabels: {app: web}}}"), "2026-11-20T08:00:00Z");
        assert!(shown.contains("POD-SELECTOR=app=web"), "{shown}");
    }
}
