//! What a request asks for: the URL and the method as group, version, resource, name, sub-resource and verb, and the query
//! as parameters.
//!
//! This is the only place that takes paths apart. `server` reads a [`RequestInfo`] of each request; `options` makes
//! the verbs' options of the [`Query`]. Nothing here looks at objects or at the registry.
// Models k8s.io/apiserver/pkg/endpoints/request (RequestInfoFactory).

use http::Method;
use percent_encoding::percent_decode_str;

use super::status::ApiError;
use crate::meta::selector::{FieldTerm, parse_fields};

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether the path names a resource; if not, only `path` and `verb` say something.
    pub is_resource: bool,
    /// The path, with its escapes undone.
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the method in lower case if the
    /// path names no resource.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The namespace; empty for none or all.
    pub namespace: String,
    /// The plural.
    pub resource: String,
    /// The sub-resource; empty for the object itself.
    pub subresource: String,
    /// The object's name, if the request names one.
    pub name: String,
    /// Whether the path (not just a field selector) names the object.
    pub named_by_path: bool,
    /// The path from the resource on: resource, name, sub-resource, and whatever follows.
    pub parts: Vec<String>,
}

impl RequestInfo {
    /// Reads a request line. Paths that make no sense as a resource are not resources.
    pub fn parse(method: &Method, path: &str, query: &Query) -> Self {
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        let mut info = Self { verb: method.as_str().to_lowercase(), path: path.clone(), ..Self::default() };
        let trimmed = path.trim_matches('/');
        let all: Vec<&str> = if trimmed.is_empty() { vec![] } else { trimmed.split('/').collect() };
        let (group, mut rest) = match all[..] {
            ["api", _, _, ..] => ("", &all[1..]),
            ["apis", group, _, _, ..] => (group, &all[2..]),
            _ => return info,
        };
        info.group = group.to_owned();
        info.version = rest[0].to_owned();
        rest = &rest[1..];
        info.is_resource = true;
        let mut watch_prefix = false;
        match rest {
            ["watch", after @ ..] if !after.is_empty() => {
                watch_prefix = true;
                rest = after;
            }
            ["watch" | "proxy"] => return Self { is_resource: false, ..info },
            _ => {}
        }
        info.verb = verb(method, watch_prefix).to_owned();
        if let ["namespaces", namespace, after @ ..] = rest {
            info.namespace = (*namespace).to_owned();
            if !after.is_empty() && !["status", "finalize"].contains(&after[0]) {
                rest = after;
            }
        }
        info.parts = rest.iter().map(|part| (*part).to_owned()).collect();
        let part = |index: usize| info.parts.get(index).cloned().unwrap_or_default();
        (info.resource, info.name, info.subresource) = (part(0), part(1), part(2));
        info.named_by_path = !info.name.is_empty();
        info.settle_verb(query);
        info
    }

    /// A GET without a name is a list or a watch, a DELETE without a name is of the collection.
    fn settle_verb(&mut self, query: &Query) {
        if !self.name.is_empty() {
            return;
        }
        match self.verb.as_str() {
            "get" => {
                self.verb = if query.flag("watch") == Some(true) { "watch" } else { "list" }.to_owned();
                let terms =
                    query.get("fieldSelector").and_then(|text| parse_fields(text).ok()).unwrap_or_default();
                if let Some(name) = exact_name(&terms) {
                    self.name = name.to_owned();
                }
            }
            "delete" => self.verb = "deletecollection".to_owned(),
            _ => {}
        }
    }

    /// Whether the answer goes on until somebody ends it.
    pub fn is_long_running(&self) -> bool {
        self.verb == "watch"
            || ["log", "exec", "attach", "portforward", "proxy"].contains(&self.subresource.as_str())
    }
}

fn verb(method: &Method, watch_prefix: bool) -> &'static str {
    match *method {
        _ if watch_prefix => "watch",
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

/// The name that a field selector asks for, if it asks for one.
pub fn exact_name(terms: &[FieldTerm]) -> Option<&str> {
    terms.iter().find(|term| term.field == "metadata.name" && term.equal).map(|term| term.value.as_str())
}

/// The parameters of a query, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the `?`.
    pub fn parse(text: &str) -> Self {
        let decode =
            |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        };
        Self(text.split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is set or not; anything but `false` and `0` sets it.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| !["false", "0"].contains(&value.to_lowercase().as_str()))
    }

    /// A parameter that is a whole number. Errors in Go's words.
    pub fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let invalid = || ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(|_| invalid())
    }

    /// The text of a parameter; empty if it is missing.
    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(method: &str, target: &str) -> RequestInfo {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        RequestInfo::parse(&method.parse().unwrap(), path, &Query::parse(query))
    }

    #[test]
    fn paths_and_methods_become_verbs_on_resources() {
        // (request, verb, group, version, namespace, resource, name, sub-resource)
        let cases = [
            ("GET /api/v1/pods", "list", "", "v1", "", "pods", "", ""),
            ("GET /api/v1/pods?watch=1", "watch", "", "v1", "", "pods", "", ""),
            ("GET /api/v1/pods?watch=false", "list", "", "v1", "", "pods", "", ""),
            ("GET /api/v1/watch/namespaces/a/pods", "watch", "", "v1", "a", "pods", "", ""),
            ("GET /api/v1/namespaces", "list", "", "v1", "", "namespaces", "", ""),
            ("GET /api/v1/namespaces/a", "get", "", "v1", "a", "namespaces", "a", ""),
            ("PUT /api/v1/namespaces/a/finalize", "update", "", "v1", "a", "namespaces", "a", "finalize"),
            ("GET /api/v1/namespaces/a/pods", "list", "", "v1", "a", "pods", "", ""),
            ("HEAD /api/v1/namespaces/a/pods/w/", "get", "", "v1", "a", "pods", "w", ""),
            (
                "POST /api/v1/namespaces/a/pods/w/exec?command=ls",
                "create",
                "",
                "v1",
                "a",
                "pods",
                "w",
                "exec",
            ),
            (
                "DELETE /apis/apps/v1/namespaces/a/deployments",
                "deletecollection",
                "apps",
                "v1",
                "a",
                "deployments",
                "",
                "",
            ),
            (
                "DELETE /apis/apps/v1/namespaces/a/deployments/d",
                "delete",
                "apps",
                "v1",
                "a",
                "deployments",
                "d",
                "",
            ),
            (
                "PATCH /apis/apps/v1/namespaces/a/deployments/d/scale",
                "patch",
                "apps",
                "v1",
                "a",
                "deployments",
                "d",
                "scale",
            ),
            ("GET /api/v1/pods?fieldSelector=metadata.name%3Dw", "list", "", "v1", "", "pods", "w", ""),
        ];
        for (request, verb, group, version, namespace, resource, name, subresource) in cases {
            let (method, target) = request.split_once(' ').unwrap();
            let info = parse(method, target);
            let got = [
                &info.verb,
                &info.group,
                &info.version,
                &info.namespace,
                &info.resource,
                &info.name,
                &info.subresource,
            ];
            assert_eq!(got, [verb, group, version, namespace, resource, name, subresource], "{request}");
            assert!(info.is_resource, "{request}");
        }
        for path in
            ["/", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz", "/version", "/no/such/path"]
        {
            assert!(!parse("GET", path).is_resource, "{path}");
        }
    }

    #[test]
    fn what_follows_the_subresource_is_kept() {
        let info = parse("GET", "/api/v1/namespaces/a/services/s:80/proxy/x/y");
        assert_eq!(info.parts, ["services", "s:80", "proxy", "x", "y"]);
    }

    proptest! {
        #[test]
        fn no_request_line_makes_the_parsers_panic(path in "[/a-z%0-9:. é]{0,40}", query in ".{0,40}") {
            let query = Query::parse(&query);
            let _ = RequestInfo::parse(&Method::GET, &path, &query);
        }
    }
}
