//! What the property tests of this floor share: random JSON.

use proptest::prelude::*;
use serde_json::Value;

/// Any JSON value of modest size.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An API server in process, and a client that sends it plain requests.
pub(crate) struct Door {
    pub(crate) server: super::server::ApiServer,
}

/// An answer of a [`Door`].
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The `message` of a Status.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Door {
    /// A server on a virtual clock, with what every cluster has.
    pub(crate) fn open() -> Self {
        let clock = crate::clock::Clock::virtual_time();
        let store = crate::store::Store::new(clock.clone());
        let config = super::server::Config::new(store, clock, crate::seed::Seed::new(1));
        let server = super::server::ApiServer::new(config);
        server.bootstrap(Some(([192, 168, 49, 2], 8443).into())).unwrap();
        Self { server }
    }

    /// Sends `GET /path` or the like, with these headers, and gives the response back with its body unread.
    pub(crate) async fn raw(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<axum::body::Body> {
        use tower::Service;
        let (method, uri) = line.split_once(' ').unwrap();
        let mut request = http::Request::builder().method(method).uri(uri).header("user-agent", "test/1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(super::auth::UserInfo::admin());
        self.server.service().call(request).await.unwrap()
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (parts, body) = self.raw(line, headers, body).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Answer { code: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// Sends a request with a JSON body and no more.
    pub(crate) async fn send(&self, line: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(line, &[("content-type", "application/json")], &body).await
    }

    /// Sends a GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &Value::Null).await
    }
}
