//! kubectl's REST client: requests by path, objects as JSON, the server's refusals and warnings in kubectl's words.
//!
//! Made by `factory.rs`, used by the resource builder and by every verb. It knows no kinds: `mapper.rs` gives paths.
// Models k8s.io/client-go/rest (request.go, warnings.go) and cli-runtime/pkg/resource (helper.go).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt};
use http::{HeaderName, HeaderValue, Method, Request as HttpRequest, Response, header};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::connect::{ClusterConfig, Impersonation};
use super::error::{KubectlError, Result};
use super::session::Output;
use super::version;
use crate::api::status::ApiError;
use crate::clock::Clock;

/// Characters that stay as they are in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client of one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: kube::Client,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    options: ClientOptions,
    warnings: Mutex<BTreeSet<String>>,
}

/// How a client behaves.
pub struct ClientOptions {
    /// How long a request may take, its body included.
    pub timeout: Option<Duration>,
    /// The time that counts.
    pub clock: Clock,
    /// Where the server's warnings go.
    pub err: Output,
}

/// A request: build it with a method's name and add what it needs.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    accept: Option<String>,
    content: Option<(String, Bytes)>,
    /// Whether the path was typed by the user: refusals then name no resource.
    raw: bool,
}

impl Request {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), query: vec![], accept: None, content: None, raw: false }
    }

    /// GET of a path; it may have a query already.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// GET of a path as the user typed it, of any type.
    pub fn get_raw(path: impl Into<String>) -> Self {
        Self { raw: true, ..Self::get(path).accept("*/*") }
    }

    /// POST to a path.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// PUT to a path.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// PATCH of a path; give it a body with the patch's content type.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// DELETE of a path.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Adds a parameter; an empty value leaves it out.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.query.push((name.to_owned(), value));
        }
        self
    }

    /// Asks for another form than JSON.
    #[must_use]
    pub fn accept(mut self, types: impl Into<String>) -> Self {
        self.accept = Some(types.into());
        self
    }

    /// Sends a JSON object.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends bytes of a type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.content = Some((content_type.to_owned(), body.into()));
        self
    }

    /// The path with its query.
    pub fn uri(&self) -> String {
        let mut uri = self.path.clone();
        for (number, (name, value)) in self.query.iter().enumerate() {
            uri.push(if number == 0 && !self.path.contains('?') { '?' } else { '&' });
            uri.push_str(&utf8_percent_encode(name, QUERY).to_string());
            uri.push('=');
            uri.push_str(&utf8_percent_encode(value, QUERY).to_string());
        }
        uri
    }
}

/// One change of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub kind: String,
    /// The object, or a Table with one row, or a Status.
    pub object: Value,
}

impl Client {
    /// A client over a connection.
    pub fn new(inner: kube::Client, config: &ClusterConfig, options: ClientOptions) -> Self {
        let headers = impersonation_headers(&config.impersonate);
        let shared = Shared { server: config.server.clone(), headers, options, warnings: Mutex::default() };
        Self { inner, shared: Arc::new(shared) }
    }

    /// The server's URL.
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// The clock that timeouts count on.
    pub fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }

    /// How many different warnings the server gave.
    pub fn warnings(&self) -> usize {
        self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Sends any request, for upgrades: adds who one is and leaves the answer as it is.
    pub async fn raw(&self, request: HttpRequest<Body>) -> Result<Response<Body>> {
        let mut request = request;
        let agent = HeaderValue::from_static(version::USER_AGENT);
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        for (name, value) in &self.shared.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let response = self.inner.send(request).await.map_err(|error| self.unreachable(&error))?;
        self.warn(response.headers()).await?;
        Ok(response)
    }

    /// Sends a request. An answer other than 2xx is an error.
    pub async fn send(&self, request: Request) -> Result<Response<Body>> {
        let (method, uri) = (request.method.clone(), request.uri());
        let about = if request.raw { String::new() } else { about(&method, &request.path) };
        let mut builder = HttpRequest::builder().method(request.method).uri(&uri);
        builder = builder.header(header::ACCEPT, request.accept.as_deref().unwrap_or("application/json"));
        let mut body = Body::empty();
        if let Some((content_type, content)) = request.content {
            builder = builder.header(header::CONTENT_TYPE, content_type);
            body = Body::from(content);
        }
        let invalid = |error: http::Error| KubectlError::message(format!("invalid request {uri:?}: {error}"));
        let http_request = builder.body(body).map_err(invalid)?;
        let response = self.limited(self.raw(http_request)).await?;
        if response.status().is_success() || response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let content = self.collect(response).await?;
        Err(refusal(code, &method, &about, &content))
    }

    /// Sends a request and reads the answer to its end.
    pub async fn bytes(&self, request: Request) -> Result<Bytes> {
        let response = self.send(request).await?;
        self.collect(response).await
    }

    /// Sends a request and reads an object.
    pub async fn json(&self, request: Request) -> Result<Value> {
        let content = self.bytes(request).await?;
        serde_json::from_slice(&content)
            .map_err(|error| KubectlError::message(format!("couldn't decode the server's answer: {error}")))
    }

    /// Sends a request and gives the answer as it comes.
    pub async fn stream(&self, request: Request) -> Result<BoxStream<'static, Result<Bytes>>> {
        let body = self.send(request).await?.into_body().into_data_stream();
        let failed = |error: kube::Error| KubectlError::message(error.to_string());
        Ok(body.map(move |chunk| chunk.map_err(failed)).boxed())
    }

    /// Watches: `request` is a list with `watch=true`. The stream ends when the server or the timeout ends it.
    pub async fn watch(&self, request: Request) -> Result<BoxStream<'static, Result<WatchEvent>>> {
        let deadline = self.shared.options.timeout.map(|timeout| self.clock().after(timeout));
        let chunks = self.stream(request).await?;
        let clock = self.clock().clone();
        let state = (chunks, BytesMut::new());
        let events = futures::stream::unfold(state, |(mut chunks, mut buffer)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let line = buffer.split_to(end + 1);
                    if line.iter().all(u8::is_ascii_whitespace) {
                        continue;
                    }
                    return Some((decode_event(&line), (chunks, buffer)));
                }
                match chunks.next().await {
                    Some(Ok(chunk)) => buffer.extend_from_slice(&chunk),
                    Some(Err(error)) => return Some((Err(error), (chunks, BytesMut::new()))),
                    None if buffer.iter().all(u8::is_ascii_whitespace) => return None,
                    None => {
                        let line = buffer.split();
                        return Some((decode_event(&line), (chunks, buffer)));
                    }
                }
            }
        });
        Ok(match deadline {
            None => events.boxed(),
            Some(deadline) => events.take_until(async move { clock.sleep_until(deadline).await }).boxed(),
        })
    }

    async fn collect(&self, response: Response<Body>) -> Result<Bytes> {
        let read = async {
            let collected = response.into_body().collect().await;
            collected.map(|body| body.to_bytes()).map_err(|error| self.unreachable(&error))
        };
        self.limited(read).await
    }

    async fn limited<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(timeout) = self.shared.options.timeout else { return future.await };
        let late = "net/http: request canceled (Client.Timeout exceeded while awaiting headers)";
        self.clock()
            .timeout(timeout, future)
            .await
            .unwrap_or_else(|_| Err(KubectlError::Unreachable(late.to_owned())))
    }

    /// Prints the server's warnings, each once.
    async fn warn(&self, headers: &http::HeaderMap) -> Result<()> {
        for value in headers.get_all(header::WARNING) {
            let Some(text) = value.to_str().ok().and_then(warning_text) else { continue };
            let new =
                self.shared.warnings.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone());
            if new {
                self.shared.options.err.line(format!("Warning: {text}")).await?;
            }
        }
        Ok(())
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> KubectlError {
        let host =
            self.shared.server.split("://").last().unwrap_or_default().split('/').next().unwrap_or_default();
        let mut cause = Some(error);
        let mut last = error.to_string();
        while let Some(current) = cause {
            let refused = current
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
            if refused {
                return KubectlError::Refused(host.to_owned());
            }
            last = current.to_string();
            cause = current.source();
        }
        KubectlError::Unreachable(last)
    }
}

fn impersonation_headers(who: &Impersonation) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = vec![];
    let mut add = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name.to_ascii_lowercase()), HeaderValue::from_str(value))
        {
            headers.push((name, value));
        }
    };
    if who.user.is_empty() {
        return headers;
    }
    add("impersonate-user", &who.user);
    if !who.uid.is_empty() {
        add("impersonate-uid", &who.uid);
    }
    who.groups.iter().for_each(|group| add("impersonate-group", group));
    who.extra.iter().for_each(|(key, value)| add(&format!("impersonate-extra-{key}"), value));
    headers
}

/// The text of a `Warning: 299 - "text"` header.
fn warning_text(header: &str) -> Option<String> {
    let quoted = header.strip_prefix("299 ")?.split_once('"')?.1;
    let mut text = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Some(text),
            '\\' => text.extend(letters.next()),
            other => text.push(other),
        }
    }
    None
}

fn decode_event(line: &[u8]) -> Result<WatchEvent> {
    let unable =
        |why: &str| KubectlError::message(format!("unable to decode an event from the watch stream: {why}"));
    let mut value: Value = serde_json::from_slice(line).map_err(|error| unable(&error.to_string()))?;
    let kind = value["type"].as_str().ok_or_else(|| unable("no type"))?.to_owned();
    let object = value["object"].take();
    if kind == "ERROR" {
        let status: Status = serde_json::from_value(object).map_err(|error| unable(&error.to_string()))?;
        return Err(KubectlError::Status(Box::new(status)));
    }
    Ok(WatchEvent { kind, object })
}

/// What a request was about, for refusals that do not say it: ` (get deployments.apps web)`.
fn about(method: &Method, path: &str) -> String {
    let parts: Vec<&str> =
        path.split('?').next().unwrap_or_default().split('/').filter(|part| !part.is_empty()).collect();
    let (group, rest) = match &parts[..] {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return String::new(),
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let Some((resource, rest)) = rest.split_first() else { return String::new() };
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let name = rest.first().map(|name| format!(" {name}")).unwrap_or_default();
    format!(" ({} {resource}{group}{name})", method.as_str().to_lowercase())
}

/// What an answer other than 2xx says: a Status, or something less.
// Models k8s.io/apimachinery/pkg/api/errors (NewGenericServerResponse).
fn refusal(code: u16, method: &Method, about: &str, content: &[u8]) -> KubectlError {
    let status = serde_json::from_slice::<Value>(content).ok().filter(|value| value["kind"] == "Status");
    if let Some(status) = status.and_then(|value| serde_json::from_value::<Status>(value).ok()) {
        return KubectlError::Status(Box::new(status));
    }
    let text = String::from_utf8_lossy(content).trim().to_owned();
    let (reason, message) = match code {
        400 => ("BadRequest", "the server rejected our request for an unknown reason".to_owned()),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", text),
        404 => ("NotFound", "the server could not find the requested resource".to_owned()),
        405 => {
            ("MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned())
        }
        406 => ("NotAcceptable", text),
        409 if *method == Method::POST => ("AlreadyExists", "the server reported a conflict".to_owned()),
        409 => ("Conflict", "the server reported a conflict".to_owned()),
        410 => ("Expired", text),
        413 => ("RequestEntityTooLarge", text),
        415 => ("UnsupportedMediaType", text),
        422 => ("Invalid", "the server rejected our request due to an error in our request".to_owned()),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later".to_owned(),
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".to_owned()),
        504 => {
            let slow = "the server was unable to return a response in the time allotted, but may still be processing the request";
            ("Timeout", slow.to_owned())
        }
        500.. => (
            "InternalError",
            format!("an error on the server ({text:?}) has prevented the request from succeeding"),
        ),
        _ => (
            "",
            format!("the server responded with the status code {code} but did not return more information"),
        ),
    };
    KubectlError::Status(ApiError::new(code, reason, message + about).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_unquoted() {
        assert_eq!(warning_text("299 - \"v1 \\\"x\\\" is old\"").unwrap(), "v1 \"x\" is old");
        assert_eq!(warning_text("nonsense"), None);
    }

    #[test]
    fn parameters_are_escaped() {
        let request =
            Request::get("/api/v1/pods").query("labelSelector", "a in (b,c)").query("fieldSelector", "");
        assert_eq!(request.uri(), "/api/v1/pods?labelSelector=a%20in%20%28b%2Cc%29");
    }

    #[test]
    fn refusals_name_what_was_asked_for() {
        let cases = [
            ("/api/v1/namespaces/default/services/web/nope", " (get services web)"),
            ("/apis/apps/v1/namespaces/x/daemonsets", " (get daemonsets.apps)"),
            ("/api/v1/namespaces/x", " (get namespaces x)"),
            ("/version", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(about(&Method::GET, path), expected, "{path}");
        }
    }

    #[test]
    fn a_page_that_is_no_status_is_still_understood() {
        let error = refusal(404, &Method::GET, "", b"404 page not found");
        assert_eq!(
            error.report().0,
            "Error from server (NotFound): the server could not find the requested resource\n"
        );
    }
}
