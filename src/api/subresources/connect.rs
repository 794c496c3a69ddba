//! `pods/log`, `exec`, `attach`, `portforward`: streams between a client and the kubelet of the pod's node.
// Models pkg/registry/core/pod (LogLocation, ExecLocation, AttachLocation, PortForwardLocation, validateContainer).

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::forward::{self, ForwardError};
use crate::api::field::{FieldError, FieldPath};
use crate::api::request::Query;
use crate::api::rest::Call;
use crate::api::server::ApiServer;
use crate::api::status::{ApiError, GroupResource};

/// The kubelet's port, unless its node says otherwise.
pub(super) const KUBELET_PORT: u16 = 10250;
/// How much of a kubelet's refusal is read.
const MAX_REFUSAL_BYTES: usize = 50_000;

/// Whether the sub-resource of pods is a stream.
pub(super) fn exists(subresource: &str) -> bool {
    ["log", "exec", "attach", "portforward"].contains(&subresource)
}

/// Connects a client with the pod's kubelet.
pub(super) async fn answer(
    server: &ApiServer,
    call: &Call,
    query: &Query,
    mut request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    if call.subresource == "log" {
        return log(server, call, query, request).await;
    }
    let pod = pod(server, call)?;
    let mut path = format!("/{}/{}/{}", kubelet_verb(&call.subresource), call.namespace, call.name);
    if call.subresource != "portforward" {
        path = format!("{path}/{}", container_of(&pod, query.get("container").unwrap_or_default())?);
    }
    let Some(node) = node_of(&pod) else {
        return Err(ApiError::bad_request(format!("pod {} does not have a host assigned", call.name)));
    };
    let address = kubelet_address(server, call, node)?;
    if !forward::is_upgrade(&request) {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    let target = format!("{path}?{}", stream_params(&call.subresource, query));
    server.introduce(request.headers_mut());
    match forward::send(server, address, &target, request).await {
        Ok(response) => Ok(response),
        Err(ForwardError::Http(error)) => Err(ApiError::new(500, "", error.to_string())),
        Err(error) => Err(ApiError::internal(format!("error dialing backend: {error}"))),
    }
}

fn kubelet_verb(subresource: &str) -> &str {
    if subresource == "portforward" { "portForward" } else { subresource }
}

fn pod(server: &ApiServer, call: &Call) -> Result<Value, ApiError> {
    let rest = server.rest();
    rest.value(&*call.kind, &*rest.stored(call)?)
}

fn node_of(pod: &Value) -> Option<&str> {
    pod.pointer("/spec/nodeName").and_then(Value::as_str).filter(|node| !node.is_empty())
}

/// The container that is meant: the one that is named, or the only one.
fn container_of(pod: &Value, named: &str) -> Result<String, ApiError> {
    let names = |list: &str| -> Vec<String> {
        let containers = pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
        containers
            .into_iter()
            .flatten()
            .filter_map(|container| Some(container.get("name")?.as_str()?.to_owned()))
            .collect()
    };
    let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let containers = names("containers");
    let all = [names("initContainers"), containers.clone(), names("ephemeralContainers")].concat();
    match (named, &containers[..]) {
        ("", [only]) => Ok(only.clone()),
        ("", []) => Err(ApiError::bad_request(format!("a container name must be specified for pod {name}"))),
        ("", _) => Err(ApiError::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            all.join(" ")
        ))),
        (named, _) if all.iter().any(|container| container == named) => Ok(named.to_owned()),
        (named, _) => Err(ApiError::bad_request(format!("container {named} is not valid for pod {name}"))),
    }
}

/// Where the kubelet of a node listens.
pub(super) fn kubelet_address(server: &ApiServer, call: &Call, node: &str) -> Result<SocketAddr, ApiError> {
    let rest = server.rest();
    let nodes = GroupResource::new("", "nodes");
    let kind =
        rest.registry().resource("", "v1", "nodes").ok_or_else(|| ApiError::not_found(&nodes, node))?;
    let call = Call { kind, namespace: String::new(), name: node.to_owned(), ..call.clone() };
    let object = rest.value(&*call.kind, &*rest.stored(&call)?)?;
    let addresses = object.pointer("/status/addresses").and_then(Value::as_array);
    let of = |kind: &str| {
        let mut addresses = addresses.into_iter().flatten();
        let found = addresses.find(|address| address.get("type").is_some_and(|t| t == kind))?;
        found.get("address")?.as_str()?.parse::<IpAddr>().ok()
    };
    let ip = of("InternalIP").or_else(|| of("ExternalIP")).ok_or_else(|| {
        ApiError::new(500, "", format!("no preferred addresses found; known addresses: {}", known(addresses)))
    })?;
    let port = object.pointer("/status/daemonEndpoints/kubeletEndpoint/Port").and_then(Value::as_u64);
    let port =
        port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(KUBELET_PORT);
    Ok(SocketAddr::new(ip, port))
}

fn known(addresses: Option<&Vec<Value>>) -> String {
    let show = |address: &Value| {
        let text = |field: &str| address.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        format!("{{{} {}}}", text("type"), text("address"))
    };
    format!("[{}]", addresses.into_iter().flatten().map(show).collect::<Vec<_>>().join(" "))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The query that the kubelet wants, which is not spelled like the API's.
fn stream_params(subresource: &str, query: &Query) -> String {
    let mut params: Vec<String> = vec![];
    if subresource == "portforward" {
        let ports: Vec<&str> = query.all("ports").collect();
        if !ports.is_empty() {
            params.push(format!("port={}", encode(&ports.join(","))));
        }
        return params.join("&");
    }
    params.extend(query.all("command").map(|word| format!("command={}", encode(word))));
    for (own, kubelets, default) in [
        ("stderr", "error", true),
        ("stdin", "input", false),
        ("stdout", "output", true),
        ("tty", "tty", false),
    ] {
        if query.flag(own).unwrap_or(default) {
            params.push(format!("{kubelets}=1"));
        }
    }
    params.join("&")
}

/// The log of a container, from the kubelet that has it. A pod without a node has none yet, which is no error.
async fn log(
    server: &ApiServer,
    call: &Call,
    query: &Query,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let target = log_params(call, query)?;
    let pod = pod(server, call)?;
    let container = container_of(&pod, query.get("container").unwrap_or_default())?;
    let Some(node) = node_of(&pod) else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    };
    let address = kubelet_address(server, call, node)?;
    let path = format!("/containerLogs/{}/{}/{container}", call.namespace, call.name);
    let (mut parts, _) = request.into_parts();
    for name in [header::CONNECTION, header::UPGRADE, header::CONTENT_LENGTH, header::CONTENT_TYPE] {
        parts.headers.remove(name);
    }
    server.introduce(&mut parts.headers);
    let onward = Request::from_parts(parts, Body::empty());
    let answer =
        forward::send(server, address, &format!("{path}?{target}"), onward).await.map_err(|error| {
            ApiError::new(500, "", format!("Get \"https://{address}{path}?{target}\": {error}"))
        })?;
    if !answer.status().is_success() {
        return Err(refusal(call, answer).await);
    }
    let mut response = Response::new(answer.into_body());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn log_params(call: &Call, query: &Query) -> Result<String, ApiError> {
    let (nowhere, mut errors) = (FieldPath::default(), vec![]);
    let field = FieldPath::new;
    let (tail, limit, since) =
        (query.number("tailLines")?, query.number("limitBytes")?, query.number("sinceSeconds")?);
    let since_time = query.get("sinceTime").filter(|text| !text.is_empty());
    if tail.is_some_and(|tail| tail < 0) {
        errors.push(FieldError::invalid(&field("tailLines"), tail, "must be greater than or equal to 0"));
    }
    if limit.is_some_and(|limit| limit < 1) {
        errors.push(FieldError::invalid(&field("limitBytes"), limit, "must be greater than 0"));
    }
    if since.is_some() && since_time.is_some() {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::forbidden(&nowhere, why));
    } else if since.is_some_and(|since| since < 1) {
        errors.push(FieldError::invalid(&field("sinceSeconds"), since, "must be greater than 0"));
    }
    let stream = query.get("stream").filter(|text| !text.is_empty()).unwrap_or("All");
    if !["All", "Stdout", "Stderr"].contains(&stream) {
        errors.push(FieldError::not_supported(&field("stream"), stream, &["All", "Stderr", "Stdout"]));
    } else if stream != "All" && tail.is_some() {
        let why = "`tailLines` and specific `stream` are mutually exclusive for now";
        errors.push(FieldError::forbidden(&nowhere, why));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", &call.name, &errors));
    }
    let mut params: Vec<(&str, String)> = vec![("stream", stream.to_owned())];
    for name in ["follow", "previous", "timestamps"] {
        if query.flag(name) == Some(true) {
            params.push((name, "true".to_owned()));
        }
    }
    for (name, number) in [("tailLines", tail), ("limitBytes", limit), ("sinceSeconds", since)] {
        params.extend(number.map(|number| (name, number.to_string())));
    }
    params.extend(since_time.map(|time| ("sinceTime", time.to_owned())));
    params.sort();
    Ok(params.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect::<Vec<_>>().join("&"))
}

/// What a kubelet's refusal is to the client.
// Models k8s.io/apiserver/pkg/registry/generic/rest (GenericHttpResponseChecker).
async fn refusal(call: &Call, answer: Response<Body>) -> ApiError {
    let code = answer.status();
    let body = Limited::new(answer.into_body(), MAX_REFUSAL_BYTES).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    match code {
        StatusCode::BAD_REQUEST => ApiError::bad_request(text),
        StatusCode::INTERNAL_SERVER_ERROR => ApiError::internal(text),
        StatusCode::NOT_FOUND => {
            let message =
                format!("the server could not find the requested resource ( pods/log {})", call.name);
            ApiError::new(404, "NotFound", message)
        }
        code => ApiError::new(code.as_u16(), "", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_container_is_named_or_the_only_one() {
        let pod = |names: &[&str]| {
            let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"metadata": {"name": "web"}, "spec": {"containers": containers, "initContainers": [{"name": "init"}]}})
        };
        assert_eq!(container_of(&pod(&["a"]), "").unwrap(), "a");
        assert_eq!(container_of(&pod(&["a", "b"]), "b").unwrap(), "b");
        assert_eq!(container_of(&pod(&["a"]), "init").unwrap(), "init");
        let error = |pod: &Value, name: &str| container_of(pod, name).unwrap_err().to_string();
        assert_eq!(
            error(&pod(&["a", "b"]), ""),
            "a container name must be specified for pod web, choose one of: [init a b]"
        );
        assert_eq!(error(&pod(&["a"]), "x"), "container x is not valid for pod web");
    }

    #[test]
    fn the_kubelet_is_asked_in_its_own_words() {
        let query = Query::parse("command=sh&command=-c&command=a%20b&stdin=true&tty=true&stderr=false");
        assert_eq!(
            stream_params("exec", &query),
            "command=sh&command=%2Dc&command=a%20b&input=1&output=1&tty=1"
        );
        assert_eq!(stream_params("portforward", &Query::parse("ports=80&ports=81")), "port=80%2C81");
    }
}
