//! `proxy` of pods, Services and nodes: plain HTTP to what the object stands for, through the API server.
// Models pkg/registry/core/pod (ResourceLocation), pkg/registry/core/service/storage (ResourceLocation),
// pkg/registry/core/node (ResourceLocation) and k8s.io/apimachinery/pkg/util/proxy (Transport).

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::Value;

use super::{connect, forward};
use crate::api::handler::Incoming;
use crate::api::rest::Call;
use crate::api::server::ApiServer;
use crate::api::status::{ApiError, GroupResource};

/// What a proxy path names: `name`, `name:port` or `scheme:name:port`.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    scheme: &'a str,
    name: &'a str,
    port: &'a str,
}

impl<'a> Named<'a> {
    fn parse(id: &'a str) -> Option<Self> {
        let named = match id.split(':').collect::<Vec<_>>()[..] {
            [name] => Self { scheme: "", name, port: "" },
            [name, port] => Self { scheme: "", name, port },
            [scheme, name, port] => Self { scheme, name, port },
            _ => return None,
        };
        (!named.name.is_empty() && ["", "http", "https"].contains(&named.scheme)).then_some(named)
    }
}

/// Whether the core resource has a proxy.
pub(super) fn exists(resource: &str) -> bool {
    ["pods", "services", "nodes"].contains(&resource)
}

/// Sends a request on to what the object stands for.
pub(super) async fn answer(
    server: &ApiServer,
    incoming: &Incoming,
    call: &Call,
    mut request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let what = &call.info().singular;
    let named = Named::parse(&call.name)
        .ok_or_else(|| ApiError::bad_request(format!("invalid {what} request {:?}", call.name)))?;
    let address = match call.info().plural.as_str() {
        "pods" => pod_address(server, call, &named)?,
        "services" => service_address(server, call, &named)?,
        _ => node_address(server, call, &named)?,
    };
    let path = onward_path(request.uri().path(), incoming.info.parts.len().saturating_sub(3));
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let upgrade = forward::is_upgrade(&request);
    if path.is_empty() && !upgrade && [Method::GET, Method::HEAD].contains(request.method()) {
        return redirect(&format!("{}/{query}", request.uri().path()));
    }
    if named.scheme == "https" {
        let message = "error trying to reach service: https is not spoken on the cluster's own network";
        return Err(ApiError::unavailable(message));
    }
    let prefix = prefix_of(request.uri(), &path);
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let forwarded = format!("{prefix}{path}");
    if let Ok(value) = HeaderValue::from_str(&forwarded) {
        request.headers_mut().insert("x-forwarded-uri", value);
    }
    if call.info().plural == "nodes" && address.port() == connect::KUBELET_PORT {
        server.introduce(request.headers_mut());
    }
    let path = if path.is_empty() { "/".to_owned() } else { path };
    let answer = forward::send(server, address, &format!("{path}{query}"), request).await;
    let mut answer = answer.map_err(|error| match upgrade {
        true => ApiError::internal(format!("error dialing backend: {error}")),
        false => ApiError::unavailable(format!("error trying to reach service: {error}")),
    })?;
    rewrite_location(&mut answer, &prefix, &address.to_string(), &host);
    Ok(answer)
}

/// The raw path behind `/proxy`, with its escapes; `parts` is how many segments it has.
fn onward_path(path: &str, parts: usize) -> String {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let rest = &segments[segments.len().saturating_sub(parts)..];
    let mut onward: String = if parts == 0 { String::new() } else { format!("/{}", rest.join("/")) };
    if path.ends_with('/') && !onward.ends_with('/') {
        onward.push('/');
    }
    onward
}

/// The part of the request's path that is this server's.
fn prefix_of(uri: &Uri, path: &str) -> String {
    uri.path().strip_suffix(path).unwrap_or(uri.path()).trim_end_matches('/').to_owned()
}

fn redirect(to: &str) -> Result<Response<Body>, ApiError> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let to = HeaderValue::from_str(to).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::LOCATION, to);
    Ok(response)
}

/// A redirect of the backend to a path of its own goes through the proxy again.
fn rewrite_location(answer: &mut Response<Body>, prefix: &str, backend: &str, host: &str) {
    let Some(location) = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let Ok(uri) = location.parse::<Uri>() else { return };
    let elsewhere =
        uri.authority().is_some_and(|authority| authority.as_str() != backend && authority.as_str() != host);
    let path = uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    if elsewhere || !path.starts_with('/') || path.starts_with(prefix) {
        return;
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{prefix}{path}")) {
        answer.headers_mut().insert(header::LOCATION, value);
    }
}

/// Another object of the core group, in the call's namespace if it has one.
fn object(server: &ApiServer, call: &Call, plural: &str, name: &str) -> Result<Value, ApiError> {
    let rest = server.rest();
    let missing = || ApiError::not_found(&GroupResource::new("", plural), name);
    let kind = rest.registry().resource("", "v1", plural).ok_or_else(missing)?;
    let call = Call { kind, name: name.to_owned(), ..call.clone() };
    rest.value(&*call.kind, &*rest.stored(&call)?)
}

fn pod_address(server: &ApiServer, call: &Call, named: &Named<'_>) -> Result<SocketAddr, ApiError> {
    let pod = object(server, call, "pods", named.name)?;
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let first = containers
        .into_iter()
        .flatten()
        .find_map(|container| container.pointer("/ports/0/containerPort")?.as_u64());
    let port = match (named.port, first) {
        ("", Some(port)) => port.to_string(),
        ("", None) => "80".to_owned(),
        (port, _) => port.to_owned(),
    };
    let ip = pod.pointer("/status/podIP").and_then(Value::as_str).and_then(|ip| ip.parse::<IpAddr>().ok());
    let ip = ip.filter(|ip| !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast());
    let ip = ip.ok_or_else(|| ApiError::bad_request("address not allowed"))?;
    Ok(SocketAddr::new(ip, number(&port, named.name)?))
}

fn number(port: &str, name: &str) -> Result<u16, ApiError> {
    port.parse().map_err(|_| {
        let why =
            format!("error trying to reach service: dial tcp: lookup tcp/{port}: unknown port ({name})");
        ApiError::unavailable(why)
    })
}

fn service_address(server: &ApiServer, call: &Call, named: &Named<'_>) -> Result<SocketAddr, ApiError> {
    let mut port_name = named.port.to_owned();
    if let Ok(wanted) = named.port.parse::<i64>() {
        let service = object(server, call, "services", named.name)?;
        let ports = service.pointer("/spec/ports").and_then(Value::as_array);
        let port = ports
            .into_iter()
            .flatten()
            .find(|port| port["port"].as_i64() == Some(wanted))
            .ok_or_else(|| {
                ApiError::unavailable(format!("no service port {wanted} found for service {:?}", named.name))
            })?;
        port_name = port["name"].as_str().unwrap_or_default().to_owned();
    }
    let endpoints = object(server, call, "endpoints", named.name)?;
    let subsets = endpoints.get("subsets").and_then(Value::as_array).filter(|subsets| !subsets.is_empty());
    let none = |id: &str| ApiError::unavailable(format!("no endpoints available for service {id:?}"));
    let subsets = subsets.ok_or_else(|| none(named.name))?;
    let mut candidates = vec![];
    for subset in subsets {
        let list = |field: &str| subset.get(field).and_then(Value::as_array).into_iter().flatten();
        let matching = |port: &&Value| port["name"].as_str().unwrap_or_default() == port_name;
        for port in
            list("ports").filter(matching).filter_map(|port| u16::try_from(port["port"].as_u64()?).ok())
        {
            let pods = list("addresses").filter(|address| is_pod(server, call, address));
            let ips = pods.filter_map(|address| address["ip"].as_str()?.parse::<IpAddr>().ok());
            candidates.extend(ips.map(|ip| SocketAddr::new(ip, port)));
        }
    }
    if candidates.is_empty() {
        return Err(none(&call.name));
    }
    let index = if candidates.len() == 1 { 0 } else { server.rest().seed().below(candidates.len() as u64) };
    Ok(candidates[usize::try_from(index).unwrap_or(0)])
}

/// Whether an endpoint is a pod of the namespace that really has that IP. Nothing else may be reached this way.
fn is_pod(server: &ApiServer, call: &Call, address: &Value) -> bool {
    let text = |pointer: &str| address.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/targetRef/namespace") != call.namespace {
        return false;
    }
    let pod = object(server, call, "pods", text("/targetRef/name")).unwrap_or_default();
    let main = pod.pointer("/status/podIP").and_then(Value::as_str);
    let others = pod.pointer("/status/podIPs").and_then(Value::as_array).into_iter().flatten();
    main.into_iter().chain(others.filter_map(|ip| ip["ip"].as_str())).any(|ip| ip == text("/ip"))
}

fn node_address(server: &ApiServer, call: &Call, named: &Named<'_>) -> Result<SocketAddr, ApiError> {
    let mut address = connect::kubelet_address(server, call, named.name)?;
    if !named.port.is_empty() {
        address.set_port(number(named.port, named.name)?);
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_scheme_and_a_port_or_not() {
        assert_eq!(Named::parse("web"), Some(Named { scheme: "", name: "web", port: "" }));
        assert_eq!(Named::parse("web:http"), Some(Named { scheme: "", name: "web", port: "http" }));
        assert_eq!(Named::parse("https:web:443"), Some(Named { scheme: "https", name: "web", port: "443" }));
        assert!(
            Named::parse("ftp:web:21").is_none()
                && Named::parse(":80").is_none()
                && Named::parse("a:b:c:d").is_none()
        );
    }

    #[test]
    fn the_path_behind_the_proxy_is_kept_as_it_is() {
        let base = "/api/v1/namespaces/a/pods/w/proxy";
        for (rest, parts, onward) in
            [("", 0, ""), ("/", 0, "/"), ("/x/y%20z", 2, "/x/y%20z"), ("/x/", 1, "/x/")]
        {
            assert_eq!(onward_path(&format!("{base}{rest}"), parts), onward);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_taken_apart_or_refused(id in "[a-z:]{0,20}|\\PC{0,20}") {
            if let Some(named) = Named::parse(&id) {
                let parts = [named.scheme, named.name, named.port];
                let written = parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":");
                // Empty parts leave only their colons behind.
                proptest::prop_assert_eq!(written.replace(':', ""), id.replace(':', ""));
            }
        }
    }
}
