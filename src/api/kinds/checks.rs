//! Checks of single values that the validation of several kinds shares.
// Models pkg/apis/core/validation and k8s.io/apimachinery/pkg/apis/meta/v1/validation.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::api::field::{FieldError, FieldPath};
use crate::meta::names;

/// The most that all annotations of an object may hold, in bytes.
const MAX_ANNOTATION_BYTES: usize = 256 * 1024;
/// The transport protocols of ports.
pub(crate) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// One `Invalid` for each of `messages`.
pub(crate) fn each(messages: Vec<String>, field: &FieldPath, value: &str) -> Vec<FieldError> {
    messages.into_iter().map(|message| FieldError::invalid(field, value, message)).collect()
}

/// Numbers that count or wait must not be negative.
pub(crate) fn nonnegative(value: i64, field: &FieldPath) -> Vec<FieldError> {
    if value < 0 {
        vec![FieldError::invalid(field, value, "must be greater than or equal to 0")]
    } else {
        vec![]
    }
}

/// Fields that never change.
pub(crate) fn immutable<T: PartialEq + serde::Serialize>(
    new: &T,
    old: &T,
    field: &FieldPath,
) -> Vec<FieldError> {
    if new == old {
        return vec![];
    }
    let value = serde_json::to_value(new).unwrap_or(Value::Null);
    vec![FieldError::invalid(field, value, "field is immutable")]
}

/// A DNS label.
pub(crate) fn dns_label(value: &str, field: &FieldPath) -> Vec<FieldError> {
    each(names::dns1123_label(value, false), field, value)
}

/// A DNS subdomain.
pub(crate) fn dns_subdomain(value: &str, field: &FieldPath) -> Vec<FieldError> {
    each(names::dns1123_subdomain(value, false), field, value)
}

/// A name with an optional prefix: a label's key.
pub(crate) fn qualified_name(value: &str, field: &FieldPath) -> Vec<FieldError> {
    each(names::qualified_name(value), field, value)
}

/// The labels of an object or a template.
pub(crate) fn labels(labels: Option<&BTreeMap<String, String>>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (key, value) in labels.into_iter().flatten() {
        errors.extend(qualified_name(key, field));
        errors.extend(each(names::label_value(value), field, value));
    }
    errors
}

/// The annotations of an object or a template.
pub(crate) fn annotations(
    annotations: Option<&BTreeMap<String, String>>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let (mut errors, mut size) = (vec![], 0);
    for (key, value) in annotations.into_iter().flatten() {
        errors.extend(each(names::qualified_name(&key.to_lowercase()), field, key));
        size += key.len() + value.len();
    }
    if size > MAX_ANNOTATION_BYTES {
        errors.push(FieldError::too_long(field, MAX_ANNOTATION_BYTES));
    }
    errors
}

/// The metadata of an object inside another one: labels and annotations are all that it may have.
pub(crate) fn template_meta(meta: Option<&ObjectMeta>, field: &FieldPath) -> Vec<FieldError> {
    let Some(meta) = meta else { return vec![] };
    let mut errors = annotations(meta.annotations.as_ref(), &field.child("annotations"));
    errors.extend(labels(meta.labels.as_ref(), &field.child("labels")));
    errors
}

/// A label selector.
pub(crate) fn label_selector(selector: &LabelSelector, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = labels(selector.match_labels.as_ref(), &field.child("matchLabels"));
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        let field = field.child("matchExpressions").index(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        match requirement.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(&field.child("values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(&field.child("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.push(FieldError::invalid(
                &field.child("operator"),
                other,
                "not a valid selector operator",
            )),
        }
        errors.extend(qualified_name(&requirement.key, &field.child("key")));
        for (index, value) in values.iter().enumerate() {
            errors.extend(each(names::label_value(value), &field.child("values").index(index), value));
        }
    }
    errors
}

/// Whether a selector has no requirement at all.
pub(crate) fn is_empty_selector(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// The number of a port.
pub(crate) fn port_number(port: i32, field: &FieldPath) -> Vec<FieldError> {
    names::port_number(port.into())
        .into_iter()
        .map(|message| FieldError::invalid(field, port, message))
        .collect()
}

/// A port, by number or by name.
pub(crate) fn port(port: &IntOrString, field: &FieldPath) -> Vec<FieldError> {
    match port {
        IntOrString::Int(number) => port_number(*number, field),
        IntOrString::String(name) => each(names::port_name(name), field, name),
    }
}

/// A transport protocol.
pub(crate) fn protocol(protocol: &str, field: &FieldPath) -> Vec<FieldError> {
    match protocol {
        "" => vec![FieldError::required(field, "")],
        known if PROTOCOLS.contains(&known) => vec![],
        other => vec![FieldError::not_supported(field, other, &PROTOCOLS)],
    }
}

/// A number or a percentage, neither negative.
pub(crate) fn int_or_percent(value: &IntOrString, field: &FieldPath) -> Vec<FieldError> {
    match value {
        IntOrString::Int(number) => nonnegative((*number).into(), field),
        IntOrString::String(text) if percent(text).is_none() => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                       used for validation is '[0-9]+%')";
            vec![FieldError::invalid(field, text.as_str(), why)]
        }
        IntOrString::String(_) => vec![],
    }
}

/// The number of a percentage.
pub(crate) fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(i64::MAX))
}

/// An IP address. Leading zeros, which older parsers took, are allowed.
pub(crate) fn ip(value: &str, field: &FieldPath) -> Vec<FieldError> {
    match parse_ip(value) {
        Some(_) => vec![],
        None => vec![FieldError::invalid(
            field,
            value,
            "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        )],
    }
}

/// Reads an IP address, with leading zeros allowed.
pub(crate) fn parse_ip(value: &str) -> Option<IpAddr> {
    if let Ok(ip) = value.parse() {
        return Some(ip);
    }
    let parts: Vec<&str> = value.split('.').collect();
    let numeric = parts.len() == 4
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let octets: Option<Vec<u8>> = parts.iter().map(|part| part.parse().ok()).collect();
    let octets: [u8; 4] = octets.filter(|_| numeric)?.try_into().ok()?;
    Some(IpAddr::from(octets))
}

/// An IP address that traffic can be sent to.
// Models ValidateEndpointIP.
pub(crate) fn endpoint_ip(value: &str, field: &FieldPath) -> Vec<FieldError> {
    let Some(ip) = parse_ip(value) else {
        return vec![FieldError::invalid(field, value, "must be a valid IP address")];
    };
    let (link_local, link_multicast) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.is_unicast_link_local(), ip.segments()[0] & 0xff0f == 0xff02),
    };
    let why = if ip.is_unspecified() {
        format!("may not be unspecified ({value})")
    } else if ip.is_loopback() {
        "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()
    } else if link_local {
        "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()
    } else if link_multicast {
        "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
    } else {
        return vec![];
    };
    vec![FieldError::invalid(field, value, why)]
}

/// The numbers of replicas in a status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReplicaCounts {
    pub(crate) replicas: i32,
    pub(crate) fully_labeled: i32,
    pub(crate) ready: i32,
    pub(crate) available: i32,
    pub(crate) observed_generation: i64,
    pub(crate) terminating: Option<i32>,
}

/// The status of a ReplicaSet or ReplicationController: its numbers must fit together.
// Models ValidateReplicaSetStatus and ValidateReplicationControllerStatus.
pub(crate) fn replica_status(counts: &ReplicaCounts, field: &FieldPath) -> Vec<FieldError> {
    let numbers = [
        ("replicas", counts.replicas.into()),
        ("fullyLabeledReplicas", counts.fully_labeled.into()),
        ("readyReplicas", counts.ready.into()),
        ("availableReplicas", counts.available.into()),
        ("observedGeneration", counts.observed_generation),
        ("terminatingReplicas", counts.terminating.unwrap_or_default().into()),
    ];
    let mut errors: Vec<FieldError> =
        numbers.iter().flat_map(|(name, number)| nonnegative(*number, &field.child(name))).collect();
    let all = "status.replicas";
    errors.extend(at_most("fullyLabeledReplicas", counts.fully_labeled, counts.replicas, all, field));
    errors.extend(at_most("readyReplicas", counts.ready, counts.replicas, all, field));
    errors.extend(at_most("availableReplicas", counts.available, counts.replicas, all, field));
    errors.extend(at_most("availableReplicas", counts.available, counts.ready, "readyReplicas", field));
    errors
}

/// The number in `name`, which must not be greater than another one.
pub(crate) fn at_most(
    name: &str,
    part: i32,
    whole: i32,
    whole_name: &str,
    field: &FieldPath,
) -> Option<FieldError> {
    let why = format!("cannot be greater than {whole_name}");
    (part > whole).then(|| FieldError::invalid(&field.child(name), part, why))
}

/// An IP range.
pub(crate) fn cidr(value: &str, field: &FieldPath) -> Vec<FieldError> {
    let bits = |ip: IpAddr| if ip.is_ipv4() { 32 } else { 128 };
    let parsed = value.split_once('/').and_then(|(ip, length)| {
        let (ip, length) = (parse_ip(ip)?, length.parse::<u8>().ok()?);
        (length <= bits(ip)).then_some(ip)
    });
    match parsed {
        Some(_) => vec![],
        None => vec![FieldError::invalid(
            field,
            value,
            "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
        )],
    }
}
