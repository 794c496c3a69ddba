//! Probes and lifecycle hooks: what is run or asked, and how often.
// Models pkg/apis/core/validation (validateProbe, validateLifecycle, validateHandler).

use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, PodOS, Probe, SleepAction,
    TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kinds::checks;
use crate::api::kinds::unset::text;

/// The signals without those that are counted from the real-time ones' ends.
const SIGNALS: [&str; 36] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGRTMIN",
    "SIGRTMAX",
];

/// The three probes of a container. Liveness and startup succeed at once.
pub(super) fn validate_probes(
    probes: [(&str, &Option<Probe>); 3],
    grace: Option<i64>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    for (name, probe) in probes {
        let (Some(probe), field) = (probe, field.child(name)) else { continue };
        errors.extend(validate_probe(probe, grace, &field));
        if name == "readinessProbe" {
            if probe.termination_grace_period_seconds.is_some() {
                let field = field.child("terminationGracePeriodSeconds");
                let value = probe.termination_grace_period_seconds.unwrap_or_default();
                errors.push(FieldError::invalid(&field, value, "must not be set for readinessProbes"));
            }
        } else if probe.success_threshold.unwrap_or_default() != 1 {
            let value = probe.success_threshold.unwrap_or_default();
            errors.push(FieldError::invalid(&field.child("successThreshold"), value, "must be 1"));
        }
    }
    errors
}

fn validate_probe(probe: &Probe, grace: Option<i64>, field: &FieldPath) -> Vec<FieldError> {
    let handler = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    let mut errors = validate_handler(&handler, grace, field);
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (name, number) in numbers {
        errors.extend(checks::nonnegative(number.unwrap_or_default().into(), &field.child(name)));
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        let field = field.child("terminationGracePeriodSeconds");
        errors.push(FieldError::invalid(&field, seconds, "must be greater than 0"));
    }
    errors
}

/// What runs after the start and before the end.
pub(super) fn validate_lifecycle(
    lifecycle: &Lifecycle,
    grace: Option<i64>,
    os: Option<&PodOS>,
    field: &FieldPath,
) -> Vec<FieldError> {
    let mut errors = vec![];
    for (name, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        if let Some(handler) = handler {
            errors.extend(validate_handler(&Handler::of(handler), grace, &field.child(name)));
        }
    }
    if let Some(signal) = &lifecycle.stop_signal {
        errors.extend(validate_stop_signal(signal, os, &field.child("stopSignal")));
    }
    errors
}

fn validate_stop_signal(signal: &str, os: Option<&PodOS>, field: &FieldPath) -> Vec<FieldError> {
    let Some(os) = os else {
        return vec![FieldError::forbidden(field, "may not be set for containers with empty `spec.os.name`")];
    };
    let mut known: Vec<String> = match os.name.as_str() {
        "windows" => vec!["SIGKILL".to_owned(), "SIGTERM".to_owned()],
        "linux" => {
            let counted =
                (1..=15).map(|n| format!("SIGRTMIN+{n}")).chain((1..=14).map(|n| format!("SIGRTMAX-{n}")));
            SIGNALS.iter().map(|signal| (*signal).to_owned()).chain(counted).collect()
        }
        _ => return vec![],
    };
    known.sort();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.contains(&signal) { vec![] } else { vec![FieldError::not_supported(field, signal, &known)] }
}

/// One thing of several that can be done.
struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

impl<'a> Handler<'a> {
    fn of(handler: &'a LifecycleHandler) -> Self {
        Self {
            exec: handler.exec.as_ref(),
            http_get: handler.http_get.as_ref(),
            tcp_socket: handler.tcp_socket.as_ref(),
            grpc: None,
            sleep: handler.sleep.as_ref(),
        }
    }
}

fn validate_handler(handler: &Handler<'_>, grace: Option<i64>, field: &FieldPath) -> Vec<FieldError> {
    let given = [
        handler.exec.map(|exec| ("exec", validate_exec(exec, &field.child("exec")))),
        handler.http_get.map(|http| ("httpGet", validate_http_get(http, &field.child("httpGet")))),
        handler
            .tcp_socket
            .map(|tcp| ("tcpSocket", checks::port(&tcp.port, &field.child("tcpSocket").child("port")))),
        handler.grpc.map(|grpc| {
            let port = IntOrString::Int(grpc.port);
            ("grpc", checks::port(&port, &field.child("grpc").child("port")))
        }),
        handler.sleep.map(|sleep| ("sleep", validate_sleep(sleep, grace, &field.child("sleep")))),
    ];
    let mut errors = vec![];
    for (index, (name, wrong)) in given.into_iter().flatten().enumerate() {
        if index == 0 {
            errors.extend(wrong);
        } else {
            errors
                .push(FieldError::forbidden(&field.child(name), "may not specify more than 1 handler type"));
        }
    }
    let none = handler.exec.is_none() && handler.http_get.is_none() && handler.tcp_socket.is_none();
    if none && handler.grpc.is_none() && handler.sleep.is_none() {
        errors.push(FieldError::required(field, "must specify a handler type"));
    }
    errors
}

fn validate_exec(exec: &ExecAction, field: &FieldPath) -> Vec<FieldError> {
    let empty = exec.command.as_ref().is_none_or(Vec::is_empty);
    if empty { vec![FieldError::required(&field.child("command"), "")] } else { vec![] }
}

fn validate_http_get(action: &HTTPGetAction, field: &FieldPath) -> Vec<FieldError> {
    let mut errors = vec![];
    if text(&action.path).is_empty() {
        errors.push(FieldError::required(&field.child("path"), ""));
    }
    errors.extend(checks::port(&action.port, &field.child("port")));
    if !["HTTP", "HTTPS"].contains(&text(&action.scheme)) {
        errors.push(FieldError::not_supported(
            &field.child("scheme"),
            text(&action.scheme),
            &["HTTP", "HTTPS"],
        ));
    }
    for header in action.http_headers.iter().flatten() {
        let good =
            !header.name.is_empty() && header.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !good {
            let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used \
                       for validation is '[-A-Za-z0-9]+')";
            errors.push(FieldError::invalid(&field.child("httpHeaders"), header.name.as_str(), why));
        }
    }
    errors
}

fn validate_sleep(sleep: &SleepAction, grace: Option<i64>, field: &FieldPath) -> Vec<FieldError> {
    match grace {
        Some(grace) if sleep.seconds < 0 || sleep.seconds > grace => {
            let why = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
            vec![FieldError::invalid(field, sleep.seconds, why)]
        }
        _ => vec![],
    }
}
