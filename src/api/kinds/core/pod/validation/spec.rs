//! The spec of a pod as a whole; `whole` puts it into pods and templates.
// Models pkg/apis/core/validation (ValidatePodSpec).

use k8s_openapi::api::core::v1::{PodResourceClaim, PodSpec, ResourceRequirements};

use super::containers::{self, Surroundings};
use super::resources::{self, Whose};
use super::{network, scheduling, security, volumes};
use crate::api::field::{FieldError, FieldErrorKind, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;
use std::collections::BTreeSet;

/// `pod` is the pod's name, if it is a pod.
pub(super) fn validate_spec(spec: &PodSpec, pod: Option<&str>, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let (good, wrong) =
        volumes::validate(spec.volumes.as_deref().unwrap_or_default(), pod, &field.child("volumes"));
    errors.extend(wrong);
    errors.extend(validate_claims(
        spec.resource_claims.as_deref().unwrap_or_default(),
        &field.child("resourceClaims"),
    ));
    errors.extend(containers::validate_all(spec, &Surroundings::new(spec, good), field));
    if let Some(resources) = &spec.resources {
        errors.extend(validate_pod_resources(resources, spec, &field.child("resources")));
    }
    errors.extend(network::validate_host_ports(spec, pod.is_some(), &field.child("containers")));
    let choice = |name: &str, value: &str, known: &[&str]| match value {
        "" => Some(FieldError::required(&field.child(name), "")),
        value if known.contains(&value) => None,
        other => Some(FieldError::not_supported(&field.child(name), other, known)),
    };
    errors.extend(choice("restartPolicy", text(&spec.restart_policy), &["Always", "OnFailure", "Never"]));
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    errors.extend(choice("dnsPolicy", text(&spec.dns_policy), &policies));
    errors.extend(checks::labels(spec.node_selector.as_ref(), &field.child("nodeSelector")));
    if let Some(context) = &spec.security_context {
        errors.extend(security::validate_pod(context, spec, &field.child("securityContext")));
    }
    if let Some(affinity) = &spec.affinity {
        errors.extend(scheduling::validate_affinity(affinity, &field.child("affinity")));
    }
    errors.extend(network::validate_dns(
        spec.dns_config.as_ref(),
        text(&spec.dns_policy),
        &field.child("dnsConfig"),
    ));
    errors.extend(validate_gates(spec, field));
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    errors.extend(scheduling::validate_spread(constraints, &field.child("topologySpreadConstraints")));
    errors.extend(network::validate_host_users(spec, field));
    errors.extend(network::validate_host_name(spec, field));
    errors.extend(validate_names(spec, field));
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    errors.extend(scheduling::validate_tolerations(tolerations, &field.child("tolerations")));
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let field = field.child("hostAliases").index(index);
        errors.extend(checks::ip(&alias.ip, &field.child("ip")));
        for (number, name) in alias.hostnames.iter().flatten().enumerate() {
            errors.extend(checks::dns_subdomain(name, &field.child("hostnames").index(number)));
        }
    }
    errors.extend(validate_rest(spec, field));
    errors
}

fn validate_claims(claims: &[PodResourceClaim], field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, claim) in claims.iter().enumerate() {
        let field = field.index(index);
        match claim.name.as_str() {
            "" => errors.push(FieldError::required(&field.child("name"), "")),
            name if !seen.insert(name) => errors.push(FieldError::duplicate(&field.child("name"), name)),
            name => errors.extend(checks::dns_label(name, &field.child("name"))),
        }
        let shown = || serde_json::to_value(claim).unwrap_or_default();
        match (&claim.resource_claim_name, &claim.resource_claim_template_name) {
            (Some(_), Some(_)) => {
                let why =
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.push(FieldError::invalid(&field, shown(), why));
            }
            (None, None) => {
                let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.push(FieldError::invalid(&field, shown(), why));
            }
            _ => {}
        }
        let named = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        for (name, value) in named {
            errors.extend(value.iter().flat_map(|value| checks::dns_subdomain(value, &field.child(name))));
        }
    }
    errors
}

fn validate_pod_resources(
    wanted: &ResourceRequirements,
    spec: &PodSpec,
    field: &FieldPath,
) -> Vec<FieldError> {
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return vec![FieldError::forbidden(field, "may not be set for a windows pod")];
    }
    let mut errors = vec![];
    if wanted.claims.is_some() {
        errors.push(FieldError::forbidden(
            &field.child("claims"),
            "claims may not be set for Resources at pod-level",
        ));
    }
    errors.extend(resources::validate(wanted, Whose::Pod, &BTreeSet::new(), field));
    errors.extend(resources::validate_consistency(wanted, spec, field));
    errors
}

fn validate_gates(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let (mut errors, mut seen) = (vec![], BTreeSet::new());
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let field = field.child("readinessGates").index(index).child("conditionType");
        errors.extend(checks::qualified_name(&gate.condition_type, &field));
    }
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let field = field.child("schedulingGates").index(index);
        errors.extend(checks::qualified_name(&gate.name, &field));
        if !seen.insert(&gate.name) {
            errors.push(FieldError::duplicate(&field, gate.name.as_str()));
        }
    }
    errors
}

fn validate_names(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let subdomain = |name: &str, value: &Option<String>| match text(value) {
        "" => vec![],
        value => checks::dns_subdomain(value, &field.child(name)),
    };
    let label = |name: &str, value: &Option<String>| match text(value) {
        "" => vec![],
        value => checks::dns_label(value, &field.child(name)),
    };
    errors.extend(subdomain("serviceAccountName", &spec.service_account_name));
    errors.extend(subdomain("nodeName", &spec.node_name));
    if let Some(seconds) =
        spec.active_deadline_seconds.filter(|seconds| !(1..=i64::from(i32::MAX)).contains(seconds))
    {
        let why = "must be between 1 and 2147483647, inclusive";
        errors.push(FieldError::invalid(&field.child("activeDeadlineSeconds"), seconds, why));
    }
    errors.extend(label("hostname", &spec.hostname));
    errors.extend(label("subdomain", &spec.subdomain));
    errors
}

fn validate_rest(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    for (name, value) in
        [("priorityClassName", &spec.priority_class_name), ("runtimeClassName", &spec.runtime_class_name)]
    {
        if !text(value).is_empty() {
            errors.extend(checks::dns_subdomain(text(value), &field.child(name)));
        }
    }
    let policies = ["PreemptLowerPriority", "Never"];
    if let Some(other) = spec.preemption_policy.as_deref().filter(|policy| !policies.contains(policy)) {
        errors.push(FieldError::not_supported(&field.child("preemptionPolicy"), other, &policies));
    }
    if let Some(overhead) = &spec.overhead {
        let wanted =
            ResourceRequirements { limits: Some(overhead.clone()), ..ResourceRequirements::default() };
        errors.extend(resources::validate(
            &wanted,
            Whose::Container,
            &BTreeSet::new(),
            &field.child("overhead"),
        ));
    }
    if let Some(os) = &spec.os {
        let field = field.child("os");
        match os.name.as_str() {
            "linux" | "windows" => {}
            "" => errors.push(FieldError::required(&field.child("name"), "")),
            other => errors.push(FieldError::not_supported(&field, other, &["linux", "windows"])),
        }
    }
    errors.extend(validate_env_files(spec, field));
    errors
}

/// Variables are read from files of empty directories only.
// Models validateFileKeyRefVolumes.
fn validate_env_files(spec: &PodSpec, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    let lists = [
        ("initContainers", spec.init_containers.as_deref().unwrap_or_default()),
        ("containers", &spec.containers[..]),
    ];
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            for (number, variable) in container.env.iter().flatten().enumerate() {
                let Some(file) = variable.value_from.as_ref().and_then(|source| source.file_key_ref.as_ref())
                else {
                    continue;
                };
                let field = field.child(list).index(index).child("env").index(number);
                let field = field.child("valueFrom").child("fileKeyRef").child("volumeName");
                let volume = spec.volumes.iter().flatten().find(|volume| volume.name == file.volume_name);
                match volume {
                    None => errors.push(FieldError {
                        kind: FieldErrorKind::NotFound,
                        field,
                        value: Some(file.volume_name.as_str().into()),
                        detail: String::new(),
                    }),
                    Some(volume) if volume.empty_dir.is_none() => {
                        let why = "referenced volume must be of type emptyDir";
                        errors.push(FieldError::invalid(&field, file.volume_name.as_str(), why));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::refused;

    /// A pod whose spec has these lines besides one container, and what it is refused with.
    fn check(spec: &str, expected: &str) {
        let containers =
            if spec.contains("containers:") { "" } else { "  containers: [{name: web, image: nginx}]\n" };
        let yaml = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: default}}\nspec:\n{containers}{spec}\n"
        );
        assert_eq!(refused(&yaml), expected, "{spec}");
    }

    #[test]
    fn a_pod_is_refused_in_the_words_of_a_real_cluster() {
        check("  containers: []", "spec.containers: Required value");
        check("  containers: [{name: web}]", "spec.containers[0].image: Required value");
        check(
            "  restartPolicy: Sometimes\n  containers: [{name: web, image: nginx, imagePullPolicy: Maybe}]",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"IfNotPresent\", \
             \"Never\"\nspec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \
             \"Never\"",
        );
        check(
            "  containers:
  - {name: Web, image: nginx}
  - {name: web, image: nginx}
  - name: web
    image: nginx
    ports: [{containerPort: 700000}]
    resources: {requests: {cpu: 2}, limits: {cpu: 1}}
    volumeMounts: [{name: nodata, mountPath: /data}]",
            "spec.containers[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label must consist of lower case alphanumeric \
             characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex \
             used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')\n\
             spec.containers[2].ports[0].containerPort: Invalid value: 700000: must be between 1 and 65535, inclusive\n\
             spec.containers[2].volumeMounts[0].name: Not found: \"nodata\"\n\
             spec.containers[2].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1\n\
             spec.containers[2].name: Duplicate value: \"web\"",
        );
    }

    #[test]
    fn each_part_of_a_spec_says_what_is_wrong() {
        check(
            "  dnsPolicy: Own",
            "spec.dnsPolicy: Unsupported value: \"Own\": supported values: \"ClusterFirstWithHostNet\", \
               \"ClusterFirst\", \"Default\", \"None\"",
        );
        check(
            "  dnsPolicy: None",
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        );
        check(
            "  activeDeadlineSeconds: 0",
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        );
        check("  hostname: a.b", "spec.hostname: Invalid value: \"a.b\": must not contain dots");
        check(
            "  securityContext: {runAsUser: -1}",
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        );
        check(
            "  tolerations: [{key: a, operator: Exists, value: b}]",
            "spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
        );
        check(
            "  topologySpreadConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: Perhaps}]",
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero\n\
             spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Perhaps\": supported values: \
             \"DoNotSchedule\", \"ScheduleAnyway\"",
        );
        check(
            "  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must \
             have at least one node selector term",
        );
        check("  volumes: [{name: a, secret: {}}]", "spec.volumes[0].secret.secretName: Required value");
        check("  volumes: [{name: a}, {name: a}]", "spec.volumes[1].name: Duplicate value: \"a\"");
        check(
            "  volumes: [{name: a, emptyDir: {}, hostPath: {path: /x}}]",
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        );
        check(
            "  volumes: [{name: a, configMap: {name: c, items: [{key: k, path: ../up}]}}]",
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../up\": must not contain '..'",
        );
    }

    #[test]
    fn each_part_of_a_container_says_what_is_wrong() {
        let container = |rest: &str| format!("  containers: [{{name: web, image: nginx, {rest}}}]");
        let at = "spec.containers[0]";
        check(&container("env: [{name: ''}]"), &format!("{at}.env[0].name: Required value"));
        check(
            &container("env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]"),
            &format!(
                "{at}.env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"
            ),
        );
        check(
            &container("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nowhere}}}]"),
            &format!(
                "{at}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nowhere\": error converting fieldPath: field \
                 label not supported: spec.nowhere"
            ),
        );
        check(
            &container("livenessProbe: {periodSeconds: -1, exec: {command: []}}"),
            &format!(
                "{at}.livenessProbe.exec.command: Required value\n{at}.livenessProbe.periodSeconds: Invalid value: -1: must be \
                 greater than or equal to 0"
            ),
        );
        check(
            &container("readinessProbe: {}"),
            &format!("{at}.readinessProbe: Required value: must specify a handler type"),
        );
        check(
            &container("startupProbe: {tcpSocket: {port: 80}, successThreshold: 2}"),
            &format!("{at}.startupProbe.successThreshold: Invalid value: 2: must be 1"),
        );
        check(
            &container("ports: [{containerPort: 0}]"),
            &format!("{at}.ports[0].containerPort: Required value"),
        );
        check(
            &container("resources: {limits: {gpu: 1}}"),
            &format!(
                "{at}.resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified\n\
                 {at}.resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers\n\
                 {at}.resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified\n\
                 {at}.resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers"
            ),
        );
        check(
            "  containers: [{name: web, image: nginx}]\n  initContainers: [{name: web, image: b, livenessProbe: {tcpSocket: {port: 1}}}]",
            "spec.initContainers[0].name: Duplicate value: \"web\"\nspec.initContainers[0].livenessProbe: Forbidden: may not be \
             set for init containers without restartPolicy=Always",
        );
        check(
            "  containers: [{name: web, image: ' nginx'}]",
            "spec.containers[0].image: Invalid value: \" nginx\": must not have leading or trailing whitespace",
        );
    }
}
