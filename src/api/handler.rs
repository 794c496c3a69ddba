//! One request from the door to the answer: read the request line, authenticate, authorize, find the resource, do the verb.
// Models k8s.io/apiserver/pkg/server (DefaultBuildHandlerChain) and .../endpoints (APIInstaller).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};

use super::auth::{UserInfo, impersonated};
use super::codec::{self, MediaType};
use super::guarded::guarded;
use super::metrics::is_long_running;
use super::negotiate::{self, Input, Output};
use super::options::{DeleteOptions, ListOptions, WriteOptions};
use super::probes::Probes;
use super::registry::KindRef;
use super::request::{Query, RequestInfo};
use super::rest::{Call, PatchType, Presenter, Reply, refused};
use super::server::{ApiServer, CAUSE_HEADER};
use super::status::ApiError;
use super::{endpoints, reviews, subresources};
use crate::clock::Clock;
use crate::meta::age;
use crate::store::Author;

/// How large a body may be.
pub(super) const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;
/// How much of a body that is too large is taken in and thrown away before it is refused.
const MAX_DRAINED_BYTES: usize = 16 * 1024 * 1024;

/// How long a client outside may take to send its request and be answered.
// Models k8s.io/apiserver/pkg/server/filters (WithTimeoutForNonLongRunningRequests).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Goes with a request that came over a socket: the time that its client lives in, whatever the cluster's clock says.
#[derive(Clone, Debug)]
pub(super) struct HostTime(pub(super) Clock);

/// A request that was taken apart.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) info: RequestInfo,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) user: UserInfo,
    pub(super) author: Author,
    /// The part of the User-Agent that names a field manager.
    pub(super) agent: String,
}

/// Answers a request.
pub(super) async fn handle(server: &ApiServer, mut request: Request<Body>) -> Response<Body> {
    let clock = server.rest().clock();
    let started = clock.now();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let info = RequestInfo::parse(request.method(), request.uri().path(), &query);
    let labels = server.shared.metrics.labels(&info, request.method());
    let output = Output { pretty: negotiate::is_pretty(request.headers(), &query), ..Output::JSON };
    let (running, lasts) = (Arc::new(server.shared.metrics.begun(&labels, &info)), is_long_running(&info));
    if lasts {
        request.extensions_mut().insert(running.clone());
    }
    let host = request.extensions_mut().remove::<HostTime>().filter(|_| !lasts);
    let answered = match host {
        None => answer(server, request, info, query).await,
        Some(HostTime(clock)) => answer_in_time(server, request, info, query, &clock).await,
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(error) => refused(&error, &output),
    };
    let caching = HeaderValue::from_static("no-cache, private");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(caching);
    server.shared.metrics.answered(&labels, response.status().as_u16(), clock.now().duration_since(started));
    if lasts { guarded(response, running) } else { response }
}

/// Answers within the time that the server or the client allows.
async fn answer_in_time(
    server: &ApiServer,
    request: Request<Body>,
    info: RequestInfo,
    query: Query,
    clock: &Clock,
) -> Result<Response<Body>, ApiError> {
    let asked = match query.get("timeout").unwrap_or_default() {
        "" => Duration::ZERO,
        text => age::parse_go(text).map_err(|error| {
            ApiError::bad_request(format!("invalid timeout specified in the request URL - {error}"))
        })?,
    };
    let timeout = if asked.is_zero() { REQUEST_TIMEOUT } else { asked.min(REQUEST_TIMEOUT) };
    clock
        .timeout(timeout, answer(server, request, info, query))
        .await
        .unwrap_or_else(|_| Err(ApiError::timeout("request did not complete within the allotted timeout")))
}

async fn answer(
    server: &ApiServer,
    mut request: Request<Body>,
    info: RequestInfo,
    query: Query,
) -> Result<Response<Body>, ApiError> {
    let in_process = request.extensions_mut().remove::<UserInfo>();
    let trusted = in_process.is_some();
    let user = match in_process {
        Some(user) => user,
        None => server.authenticator().authenticate(&request)?,
    };
    let user = impersonated(request.headers())?.unwrap_or(user);
    let agent =
        request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The controllers are one program, `kube-controller-manager/NAME`; the store's records tell which of them it was.
    let part = agent.strip_prefix("kube-controller-manager/").filter(|_| trusted);
    let component: String =
        part.unwrap_or(agent).split('/').next().unwrap_or_default().chars().take(128).collect();
    let agent: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
    let cause = request.headers().get(CAUSE_HEADER).filter(|_| trusted);
    let author = Author {
        component: component.into(),
        request: format!("{} {}", request.method(), info.path).into(),
        cause: cause.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok()),
    };
    server.authorizers().check(&user, &info)?;
    let headers = request.headers().clone();
    let incoming = Incoming { method: request.method().clone(), info, query, headers, user, author, agent };
    if !incoming.info.is_resource {
        return endpoints::answer(server, &incoming);
    }
    let info = &incoming.info;
    let legacy_binding = info.group.is_empty() && info.resource == "bindings" && info.parts.len() == 1;
    if legacy_binding && let Some(pods) = server.rest().registry().resource("", "v1", "pods") {
        if info.verb != "create" || info.namespace.is_empty() {
            return Ok(endpoints::method_not_allowed());
        }
        return subresources::bind(server, &incoming, pods, request).await;
    }
    if let Some(kind) = reviews::kind_of(info) {
        return reviews::answer(server, &incoming, kind, request).await;
    }
    let Some(kind) = server.rest().registry().resource(&info.group, &info.version, &info.resource) else {
        return Ok(endpoints::no_such_path());
    };
    if !scope_fits(&kind, info) {
        return Ok(endpoints::no_such_path());
    }
    if !info.subresource.is_empty() {
        return subresources::answer(server, incoming, kind, request).await;
    }
    if info.parts.len() > 2 {
        return Ok(endpoints::no_such_path());
    }
    resource(server, &incoming, kind, request).await
}

/// Kinds with a namespace are not found without one, except by those who ask for all of them; kinds without are not found
/// in one.
fn scope_fits(kind: &KindRef, info: &RequestInfo) -> bool {
    let kind = kind.info();
    if kind.namespaced {
        return !info.namespace.is_empty() || !info.named_by_path;
    }
    info.namespace.is_empty() || kind.plural == "namespaces"
}

/// The call that a request makes on a kind.
pub(super) fn call_of(incoming: &Incoming, kind: KindRef) -> Call {
    let info = &incoming.info;
    Call {
        namespace: if kind.info().namespaced { info.namespace.clone() } else { String::new() },
        kind,
        name: info.name.clone(),
        subresource: info.subresource.clone(),
        user: incoming.user.clone(),
        agent: incoming.agent.clone(),
        author: incoming.author.clone(),
        probes: Probes::default(),
    }
}

async fn resource(
    server: &ApiServer,
    incoming: &Incoming,
    kind: KindRef,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let (rest, info, query) = (server.rest(), &incoming.info, &incoming.query);
    let allowed = kind.info().verbs.contains(&info.verb);
    let everywhere = kind.info().namespaced && info.namespace.is_empty();
    if !allowed || (everywhere && !["list", "watch"].contains(&info.verb.as_str())) {
        return Ok(endpoints::method_not_allowed());
    }
    let output = Output::negotiate(&incoming.headers, query)?;
    let mut call = call_of(incoming, kind.clone());
    if kind.computed(&call.probes).is_some() {
        call.probes = Probes::ask(server).await;
    }
    let presenter = Presenter::new(rest, kind, output);
    if info.verb == "watch" {
        return rest.watch(&call, &ListOptions::parse(info, query, true)?, presenter);
    }
    let reply = match info.verb.as_str() {
        "get" => rest.get(&call, query)?,
        "list" => rest.list(&call, &ListOptions::parse(info, query, false)?)?,
        verb => write(server, incoming, &call, verb, request).await?,
    };
    presenter.response(reply)
}

async fn write(
    server: &ApiServer,
    incoming: &Incoming,
    call: &Call,
    verb: &str,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    let (rest, query) = (server.rest(), &incoming.query);
    match verb {
        "create" => {
            let (body, media) = read_object(incoming, request).await?;
            let options = WriteOptions::parse(query, "CreateOptions", false)?;
            rest.create(call, &options, &body, media)
        }
        "update" => {
            let (body, media) = read_object(incoming, request).await?;
            let options = WriteOptions::parse(query, "UpdateOptions", false)?;
            rest.update(call, &options, &body, media)
        }
        "patch" => {
            let (patch_type, options, body) = read_patch(incoming, call, request).await?;
            rest.patch(call, &options, patch_type, &body)
        }
        "delete" => rest.delete(call, &delete_options(incoming, request).await?),
        "deletecollection" => {
            let list = ListOptions::parse(&incoming.info, query, false)?;
            rest.delete_collection(call, &delete_options(incoming, request).await?, &list)
        }
        other => Err(ApiError::method_not_supported(&call.resource(), other)),
    }
}

/// A patch: its type, its options, its bytes.
pub(super) async fn read_patch(
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<(PatchType, WriteOptions, Bytes), ApiError> {
    let content_type = incoming.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let custom = call.info().schema_type.is_none();
    let patch_type = PatchType::from_content_type(content_type.unwrap_or_default(), custom)?;
    let body = read(request).await?;
    let options = WriteOptions::parse(&incoming.query, "PatchOptions", patch_type == PatchType::Apply)?;
    Ok((patch_type, options, body))
}

/// The options of a deletion: the body, or the query if there is none.
pub(super) async fn delete_options(
    incoming: &Incoming,
    request: Request<Body>,
) -> Result<DeleteOptions, ApiError> {
    let (body, media) = read_object(incoming, request).await?;
    if body.is_empty() {
        return DeleteOptions::from_query(&incoming.query);
    }
    DeleteOptions::from_body(codec::parse(&body, media).map_err(ApiError::bad_request)?)
}

/// The whole body, if it is not too large.
pub(super) async fn read(request: Request<Body>) -> Result<Bytes, ApiError> {
    let mut body = request.into_body();
    match Limited::new(&mut body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            drain(body).await;
            Err(ApiError::too_large(format!("Request entity too large: limit is {MAX_BODY_BYTES}")))
        }
        Err(error) => Err(ApiError::bad_request(error.to_string())),
    }
}

/// Takes in what else is sent, up to a bound: a client that is still writing when the connection ends sees a broken pipe in
/// place of the answer.
async fn drain(mut body: Body) {
    let mut left = MAX_DRAINED_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// The whole body in a form that the codec reads.
pub(super) async fn read_object(
    incoming: &Incoming,
    request: Request<Body>,
) -> Result<(Bytes, MediaType), ApiError> {
    let input = negotiate::input(&incoming.headers)?;
    let body = read(request).await?;
    match input {
        Input::Text(media) => Ok((body, media)),
        Input::Protobuf if body.is_empty() => Ok((body, MediaType::Json)),
        Input::Protobuf => {
            let json =
                codec::protobuf_to_json(&body).map_err(|error| ApiError::bad_request(error.to_string()))?;
            Ok((json, MediaType::Json))
        }
    }
}
