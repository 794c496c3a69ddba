//! The containers of a pod or a pod template.
// Models kubectl/pkg/describe (describeContainers and what it calls).

use serde_json::Value;

use super::environment;
use super::fields::{
    flag, int, int_or_text, list, or_none, quantities, slice, some, some_text, text, texts, time_text,
    title_bool,
};
use super::writer::{Writer, put};

/// Which containers, and where they stand.
pub struct Containers<'a> {
    /// `Containers`, `Init Containers`, `Ephemeral Containers`.
    pub title: &'a str,
    /// Their specs.
    pub specs: &'a [Value],
    /// Their statuses; empty in a template.
    pub statuses: &'a [Value],
    /// The pod, whose fields environment variables may show; `None` in a template.
    pub pod: Option<&'a Value>,
    /// The indentation of a template.
    pub space: &'a str,
}

/// Writes the section.
pub fn section(w: &mut Writer, containers: &Containers<'_>) {
    let none = if containers.specs.is_empty() { " <none>" } else { "" };
    put!(w, 0, "{}{}:{none}\n", containers.space, containers.title);
    for container in containers.specs {
        let name = text(container, "/name");
        let status = containers.statuses.iter().rev().find(|status| text(status, "/name") == name);
        basics(w, container, status, containers.space);
        commands(w, container);
        if let Some(status) = status {
            state(w, status);
        }
        if let Some(resources) = some(container, "/resources") {
            resource_lists(w, resources, 2);
        }
        for (label, path) in
            [("Liveness", "/livenessProbe"), ("Readiness", "/readinessProbe"), ("Startup", "/startupProbe")]
        {
            if let Some(probe) = some(container, path) {
                put!(w, 2, "{label}:\t{}\n", probe_text(probe));
            }
        }
        environment::section(w, container, containers.pod);
        mounts(w, container);
    }
}

fn basics(w: &mut Writer, container: &Value, status: Option<&Value>, space: &str) {
    let indent = if space.is_empty() { "" } else { " " };
    put!(w, 1, "{indent}{}:\n", text(container, "/name"));
    if let Some(status) = status {
        put!(w, 2, "Container ID:\t{}\n", text(status, "/containerID"));
    }
    put!(w, 2, "Image:\t{}\n", text(container, "/image"));
    if let Some(status) = status {
        put!(w, 2, "Image ID:\t{}\n", text(status, "/imageID"));
    }
    for (label, path) in [("Port", "/containerPort"), ("Host Port", "/hostPort")] {
        let ports = ports(container, path);
        let plural = if ports.contains(',') { "s" } else { "" };
        put!(w, 2, "{label}{plural}:\t{}\n", or_none(&ports));
    }
    seccomp(w, container, 2);
}

/// The seccomp profile of a container or a pod.
pub fn seccomp(w: &mut Writer, spec: &Value, level: usize) {
    let Some(profile) = some(spec, "/securityContext/seccompProfile") else { return };
    put!(w, level, "SeccompProfile:\t{}\n", text(profile, "/type"));
    if text(profile, "/type") == "Localhost" {
        let deeper = if level == 0 { 0 } else { level + 1 };
        put!(w, deeper, "LocalhostProfile:\t{}\n", text(profile, "/localhostProfile"));
    }
}

fn ports(container: &Value, path: &str) -> String {
    let port = |port: &Value| {
        let number = format!("{}/{}", int(port, path), text(port, "/protocol"));
        some_text(port, "/name").map_or(number.clone(), |name| format!("{number} ({name})"))
    };
    list(container, "/ports").iter().map(port).collect::<Vec<_>>().join(", ")
}

fn commands(w: &mut Writer, container: &Value) {
    for (label, path) in [("Command", "/command"), ("Args", "/args")] {
        let words = texts(container, path);
        if words.is_empty() {
            continue;
        }
        put!(w, 2, "{label}:\n");
        for line in words.iter().flat_map(|word| word.split('\n')) {
            put!(w, 3, "{line}\n");
        }
    }
}

/// `Limits:` and `Requests:` of a container or a pod.
pub fn resource_lists(w: &mut Writer, resources: &Value, level: usize) {
    for (label, path) in [("Limits", "/limits"), ("Requests", "/requests")] {
        let quantities = quantities(resources, path);
        if !quantities.is_empty() {
            put!(w, level, "{label}:\n");
        }
        for (name, quantity) in quantities {
            put!(w, level + 1, "{name}:\t{quantity}\n");
        }
    }
}

fn state(w: &mut Writer, status: &Value) {
    one_state(w, "State", status, "/state");
    if some(status, "/lastState/terminated").is_some() {
        one_state(w, "Last State", status, "/lastState");
    }
    put!(w, 2, "Ready:\t{}\n", title_bool(flag(status, "/ready")));
    put!(w, 2, "Restart Count:\t{}\n", int(status, "/restartCount"));
}

fn one_state(w: &mut Writer, label: &str, status: &Value, path: &str) {
    let state = |kind: &str| some(status, &format!("{path}/{kind}"));
    if let Some(running) = state("running") {
        put!(w, 2, "{label}:\tRunning\n");
        put!(w, 3, "Started:\t{}\n", time_text(running, "/startedAt"));
    } else if let Some(waiting) = state("waiting") {
        put!(w, 2, "{label}:\tWaiting\n");
        if let Some(reason) = some_text(waiting, "/reason") {
            put!(w, 3, "Reason:\t{reason}\n");
        }
    } else if let Some(terminated) = state("terminated") {
        put!(w, 2, "{label}:\tTerminated\n");
        for (label, path) in [("Reason", "/reason"), ("Message", "/message")] {
            if let Some(text) = some_text(terminated, path) {
                put!(w, 3, "{label}:\t{text}\n");
            }
        }
        put!(w, 3, "Exit Code:\t{}\n", int(terminated, "/exitCode"));
        if int(terminated, "/signal") > 0 {
            put!(w, 3, "Signal:\t{}\n", int(terminated, "/signal"));
        }
        put!(w, 3, "Started:\t{}\n", time_text(terminated, "/startedAt"));
        put!(w, 3, "Finished:\t{}\n", time_text(terminated, "/finishedAt"));
    } else {
        put!(w, 2, "{label}:\tWaiting\n");
    }
}

/// A probe on one line.
// Models kubectl/pkg/describe (DescribeProbe).
fn probe_text(probe: &Value) -> String {
    let attributes = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        int(probe, "/initialDelaySeconds"),
        int(probe, "/timeoutSeconds"),
        int(probe, "/periodSeconds"),
        int(probe, "/successThreshold"),
        int(probe, "/failureThreshold")
    );
    if let Some(exec) = some(probe, "/exec") {
        return format!("exec {} {attributes}", slice(&texts(exec, "/command")));
    }
    if let Some(http) = some(probe, "/httpGet") {
        return format!("http-get {} {attributes}", url(http));
    }
    if let Some(tcp) = some(probe, "/tcpSocket") {
        return format!("tcp-socket {}:{} {attributes}", text(tcp, "/host"), int_or_text(tcp, "/port"));
    }
    if let Some(grpc) = some(probe, "/grpc") {
        return format!("grpc <pod>:{} {} {attributes}", int(grpc, "/port"), text(grpc, "/service"));
    }
    format!("unknown {attributes}")
}

fn url(http: &Value) -> String {
    let (host, port, path) = (text(http, "/host"), int_or_text(http, "/port"), text(http, "/path"));
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let authority = if port.is_empty() { host } else { format!("{host}:{port}") };
    // As net/url prints it: a path gets its slash, and what does not belong in one is escaped.
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    let path = percent_encoding::utf8_percent_encode(path, PATH);
    let scheme = text(http, "/scheme").to_lowercase();
    if scheme.is_empty() {
        format!("//{authority}{slash}{path}")
    } else {
        format!("{scheme}://{authority}{slash}{path}")
    }
}

/// What Go leaves as it is in the path of an URL is not in here.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

fn mounts(w: &mut Writer, container: &Value) {
    let mut mounts: Vec<&Value> = list(container, "/volumeMounts").iter().collect();
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    put!(w, 2, "Mounts:{none}\n");
    mounts.sort_by_key(|mount| text(mount, "/mountPath"));
    for mount in mounts {
        let mut flags = if flag(mount, "/readOnly") { "ro".to_owned() } else { "rw".to_owned() };
        if let Some(path) = some_text(mount, "/subPath") {
            flags.push_str(&format!(",path={path:?}"));
        }
        put!(w, 3, "{} from {} ({flags})\n", text(mount, "/mountPath"), text(mount, "/name"));
    }
    let mut devices: Vec<&Value> = list(container, "/volumeDevices").iter().collect();
    if devices.is_empty() {
        return;
    }
    put!(w, 2, "Devices:{none}\n");
    devices.sort_by_key(|device| text(device, "/devicePath"));
    for device in devices {
        put!(w, 3, "{} from {}\n", text(device, "/devicePath"), text(device, "/name"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn probes_read_on_one_line() {
        let numbers = json!({"initialDelaySeconds": 1, "timeoutSeconds": 2, "periodSeconds": 3, "successThreshold": 1,
            "failureThreshold": 4});
        let cases = [
            (
                json!({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}}),
                "http-get http://:8080/healthz",
            ),
            (
                json!({"httpGet": {"path": "a b", "port": "web", "scheme": "HTTPS", "host": "h"}}),
                "http-get https://h:web/a%20b",
            ),
            (json!({"exec": {"command": ["cat", "/tmp/x"]}}), "exec [cat /tmp/x]"),
            (json!({"tcpSocket": {"port": 80}}), "tcp-socket :80"),
            (json!({"grpc": {"port": 9, "service": "s"}}), "grpc <pod>:9 s"),
        ];
        for (mut probe, expected) in cases {
            probe.as_object_mut().unwrap().extend(numbers.as_object().unwrap().clone());
            assert_eq!(
                probe_text(&probe),
                format!("{expected} delay=1s timeout=2s period=3s #success=1 #failure=4")
            );
        }
    }
}
