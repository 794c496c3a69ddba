//! `kubectl proxy`: the API server on a local port, without having to say who one is.
// Models k8s.io/kubectl/pkg/proxy and .../cmd/proxy.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use regex::Regex;
use tokio::task::JoinSet;

use crate::kubectl::client::Client;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;
use crate::net::BoxIo;

const ACCEPT_HOSTS: &str = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$";
const REJECT_PATHS: &str = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach";

/// Headers that are about one connection and not passed on.
const HOP_BY_HOP: &[HeaderName] = &[
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
];

/// The largest body that is passed on.
const MAX_BODY_BYTES: usize = 64 << 20;

/// The verb.
pub struct Proxy;

type Answer = Response<UnsyncBoxBody<Bytes, <Body as http_body::Body>::Error>>;

/// Which requests are let through.
#[derive(Clone, Debug)]
struct Filter {
    accept_hosts: Vec<Regex>,
    accept_paths: Vec<Regex>,
    reject_paths: Vec<Regex>,
    reject_methods: Vec<Regex>,
}

#[async_trait]
impl Verb for Proxy {
    fn name(&self) -> &'static str {
        "proxy"
    }
    fn short(&self) -> &'static str {
        "Run a proxy to the Kubernetes API server"
    }
    fn examples(&self) -> &'static str {
        "# Serve the API at http://localhost:8001\nkubectl proxy\n\n\
         # Serve it on another port, below /k8s\nkubectl proxy --port=8011 --api-prefix=/k8s"
    }
    fn usage(&self) -> &'static str {
        "[--port=PORT] [--api-prefix=/prefix]"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("api-prefix", "/", "Serve the API below this path"),
            Flag::string("accept-paths", "^.*", "Paths to let through, as regular expressions"),
            Flag::string("reject-paths", REJECT_PATHS, "Paths to refuse, as regular expressions"),
            Flag::string("accept-hosts", ACCEPT_HOSTS, "Hosts to let through, as regular expressions"),
            Flag::string("reject-methods", "^$", "HTTP methods to refuse, as regular expressions"),
            Flag::int("port", 8001, "The port to serve on; 0 takes a free one").short('p'),
            Flag::string("address", "127.0.0.1", "The IP address to serve on"),
            Flag::bool(
                "disable-filter",
                false,
                "Let everything through, which is dangerous on a shared machine",
            ),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, _: &[String]) -> Result<()> {
        let port = u16::try_from(flags.int("port"));
        let port =
            port.map_err(|_| KubectlError::message(format!("address {}: invalid port", flags.int("port"))))?;
        let address = flags.string("address");
        let ip = address
            .parse()
            .map_err(|_| KubectlError::message(format!("listen tcp: lookup {address}: no such host")))?;
        let filter = if flags.bool("disable-filter") {
            session
                .err
                .line("Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious")
                .await?;
            None
        } else {
            Some(Arc::new(Filter::new(flags)?))
        };
        let client = session.client().await?;
        let prefix = prefix(flags.string("api-prefix"));
        let wanted = SocketAddr::new(ip, port);
        let mut listener = session.network.listen(wanted).await.map_err(|error| {
            let why = error.to_string().to_lowercase();
            KubectlError::message(format!(
                "listen tcp {wanted}: bind: {}",
                why.split(" (os error").next().unwrap_or_default()
            ))
        })?;
        session.out.line(format!("Starting to serve on {}", listener.local_addr())).await?;
        let mut connections = JoinSet::new();
        loop {
            tokio::select! { biased;
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => {
                    let (connection, _) = accepted.map_err(|error| KubectlError::message(error.to_string()))?;
                    connections.spawn(serve(connection, client.clone(), filter.clone(), prefix.clone()));
                }
            }
        }
    }
}

/// The prefix with a slash at both ends.
fn prefix(text: &str) -> String {
    let inner = text.trim_matches('/');
    if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") }
}

impl Filter {
    fn new(flags: &Flags) -> Result<Self> {
        let list = |name: &str| {
            let one = |text: &str| {
                let wrong =
                    |error: regex::Error| KubectlError::message(format!("error parsing {name}: {error}"));
                Regex::new(text).map_err(wrong)
            };
            flags.string(name).split(',').map(one).collect::<Result<Vec<Regex>>>()
        };
        Ok(Self {
            accept_hosts: list("accept-hosts")?,
            accept_paths: list("accept-paths")?,
            reject_paths: list("reject-paths")?,
            reject_methods: list("reject-methods")?,
        })
    }

    fn accepts(&self, method: &str, path: &str, host: &str) -> bool {
        let any = |list: &[Regex], text: &str| list.iter().any(|regex| regex.is_match(text));
        !any(&self.reject_paths, path)
            && !any(&self.reject_methods, method)
            && any(&self.accept_paths, path)
            && any(&self.accept_hosts, host)
    }
}

async fn serve(connection: BoxIo, client: Client, filter: Option<Arc<Filter>>, prefix: String) {
    let handler = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (client, filter, prefix) = (client.clone(), filter.clone(), prefix.clone());
        async move { Ok::<_, Infallible>(answer(request, &client, filter.as_deref(), &prefix).await) }
    });
    // What goes wrong on a connection its client knows best.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(connection), handler)
        .with_upgrades()
        .await;
}

async fn answer(
    request: Request<Incoming>,
    client: &Client,
    filter: Option<&Filter>,
    prefix: &str,
) -> Answer {
    let path = request.uri().path().to_owned();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(host, _)| host);
    if filter.is_some_and(|filter| !filter.accepts(request.method().as_str(), &path, host)) {
        return text(StatusCode::FORBIDDEN, "Forbidden\n");
    }
    let Some(rest) = path.strip_prefix(prefix) else {
        return text(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    match forward(request, client, &format!("/{rest}{query}")).await {
        Ok(answer) => answer,
        Err(error) => text(StatusCode::BAD_GATEWAY, &format!("{error}\n")),
    }
}

async fn forward(mut request: Request<Incoming>, client: &Client, uri: &str) -> Result<Answer> {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut builder = Request::builder().method(parts.method).uri(uri);
    if let Some(headers) = builder.headers_mut() {
        pass_on(&parts.headers, headers, upgrade.is_some());
    }
    let wrong = |error: &dyn std::fmt::Display| KubectlError::message(error.to_string());
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| wrong(&error))?.to_bytes();
    let request = builder.body(Body::from(body)).map_err(|error| wrong(&error))?;
    let mut response = client.raw(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(near) = upgrade
    {
        let far = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(near), Ok(far)) = (near.await, far.await) {
                // Either side ends it.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(near), &mut TokioIo::new(far)).await;
            }
        });
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::TRANSFER_ENCODING);
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

fn pass_on(from: &HeaderMap, to: &mut HeaderMap, upgrade: bool) {
    for (name, value) in from {
        let about_upgrade = upgrade && (name == header::CONNECTION || name == header::UPGRADE);
        if !HOP_BY_HOP.contains(name) || about_upgrade {
            to.append(name.clone(), value.clone());
        }
    }
}

fn text(status: StatusCode, text: &str) -> Answer {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_and_other_hosts_are_refused() {
        let flags = Flags::defaults(&Proxy.flags());
        let filter = Filter::new(&flags).unwrap();
        assert!(filter.accepts("GET", "/api/v1/pods", "localhost"));
        assert!(!filter.accepts("GET", "/api/v1/pods", "example.com"));
        assert!(!filter.accepts("POST", "/api/v1/namespaces/default/pods/web/exec", "localhost"));
    }

    #[test]
    fn a_prefix_has_slashes_at_both_ends() {
        assert_eq!(
            (prefix("/"), prefix("k8s"), prefix("/a/b/")),
            ("/".into(), "/k8s/".into(), "/a/b/".into())
        );
    }
}
