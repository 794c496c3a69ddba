//! `/openapi/v3`, `/openapi/v3/...` and `/openapi/v2`: which document is asked for, in which form, and whether the client has
//! it already.
// Models k8s.io/kube-openapi/pkg/handler3 and handler.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::{components, gnostic, paths, v2};
use crate::api::codec::encode_plain;
use crate::api::discovery::hex;
use crate::api::registry::{KindRef, Registry};

/// What client-go calls OpenAPI v2 in protobuf; servers answer with the second name.
const V2_PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

/// The documents of one API server.
#[derive(Debug)]
pub struct OpenApi {
    registry: Registry,
    cache: Mutex<Cache>,
}

/// Documents of one state of the registry.
#[derive(Debug, Default)]
struct Cache {
    revision: u64,
    documents: BTreeMap<String, Document>,
}

/// A document as it is served.
#[derive(Clone, Debug)]
struct Document {
    body: Bytes,
    hash: Arc<str>,
}

impl Document {
    fn new(body: Bytes) -> Self {
        let hash = hex(&Sha512::digest(&body)).into();
        Self { body, hash }
    }
}

impl OpenApi {
    /// The documents of this registry.
    pub fn new(registry: Registry) -> Self {
        Self { registry, cache: Mutex::default() }
    }

    /// Answers a path below `/openapi`; `None` if there is no such document. `hash` is the query's, `if_none_match` the
    /// header.
    pub fn handle(
        &self,
        path: &str,
        hash: Option<&str>,
        accept: &str,
        if_none_match: &str,
    ) -> Option<Response<Body>> {
        let path = path.trim_matches('/');
        if path == "openapi/v2" {
            let wanted = accept.split(',').map(|media| media.split(';').next().unwrap_or_default().trim());
            let protobuf = wanted.clone().any(|media| V2_PROTOBUF.contains(&media));
            if !protobuf && !accepts_json(accept) {
                return Some(not_acceptable());
            }
            let (name, media) = if protobuf { ("v2.pb", V2_PROTOBUF[1]) } else { ("v2", "application/json") };
            return Some(answer(&self.document(name)?, media, if_none_match));
        }
        let name = path.strip_prefix("openapi/v3")?.trim_start_matches('/');
        if !accepts_json(accept) {
            return Some(not_acceptable());
        }
        if name.is_empty() {
            return Some(answer(&Document::new(self.index()), "application/json", if_none_match));
        }
        let document = self.document(name)?;
        if hash.is_some_and(|hash| hash != &*document.hash) {
            return Some(moved(&format!("/openapi/v3/{name}?hash={}", document.hash)));
        }
        let mut response = answer(&document, "application/json", if_none_match);
        let caching = if hash.is_some() { "public, immutable" } else { "no-cache, private" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        Some(response)
    }

    /// Group versions by the names of their documents: `api/v1`, `apis/apps/v1`.
    fn versions(&self) -> BTreeMap<String, Vec<KindRef>> {
        let mut versions: BTreeMap<String, Vec<KindRef>> = BTreeMap::new();
        for row in self.registry.all() {
            let info = row.info();
            let name = if info.group.is_empty() {
                format!("api/{}", info.version)
            } else {
                format!("apis/{}/{}", info.group, info.version)
            };
            versions.entry(name).or_default().push(row);
        }
        versions
    }

    fn index(&self) -> Bytes {
        let paths: Map<String, Value> = self
            .versions()
            .into_keys()
            .filter_map(|name| {
                let hash = self.document(&name)?.hash;
                let url = format!("/openapi/v3/{name}?hash={hash}");
                Some((name, json!({ "serverRelativeURL": url })))
            })
            .collect();
        encode_plain("", &json!({ "paths": paths }))
    }

    /// The document of that name, made if it must be.
    fn document(&self, name: &str) -> Option<Document> {
        let revision = self.registry.revision();
        {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.revision != revision {
                *cache = Cache { revision, documents: BTreeMap::new() };
            }
            if let Some(document) = cache.documents.get(name) {
                return Some(document.clone());
            }
        }
        let body = match name {
            "v2" => encode_plain("", &self.v2()),
            "v2.pb" => gnostic::document(&self.v2()).into(),
            name => encode_plain("", &v3(self.versions().get(name)?)),
        };
        let document = Document::new(body);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.revision == revision {
            cache.documents.insert(name.to_owned(), document.clone());
        }
        Some(document)
    }

    fn v2(&self) -> Value {
        let documents: Vec<Value> = self.versions().values().map(|rows| v3(rows)).collect();
        v2::document(&documents)
    }
}

/// The document of one group and version.
pub(super) fn v3(rows: &[KindRef]) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths::paths(rows),
        "components": {"schemas": components::schemas(rows)},
    })
}

fn accepts_json(accept: &str) -> bool {
    let mut media = accept.split(',').map(|media| media.split(';').next().unwrap_or_default().trim());
    media.any(|media| matches!(media, "" | "*/*" | "application/*" | "application/json"))
}

fn answer(document: &Document, media: &'static str, if_none_match: &str) -> Response<Body> {
    let etag = format!("\"{}\"", document.hash);
    let known = if_none_match.split(',').any(|tag| tag.trim() == etag);
    let body = if known { Body::empty() } else { Body::from(document.body.clone()) };
    let mut response = Response::new(body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.extend(HeaderValue::from_str(&etag).ok().map(|etag| (header::ETAG, etag)));
    response
}

fn moved(location: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().extend(HeaderValue::from_str(location).ok().map(|to| (header::LOCATION, to)));
    response
}

fn not_acceptable() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}
