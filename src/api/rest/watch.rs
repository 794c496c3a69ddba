//! `watch`: the changes of a selection, as lines of JSON, until the time is over or the client has gone.
// Models k8s.io/apiserver/pkg/storage/cacher (cacheWatcher) and .../endpoints/handlers (WatchServer).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderValue, Response, header};
use jiff::Timestamp;
use serde_json::json;

use super::call::{Call, Rest, store_error, too_large_revision};
use super::facts::Selection;
use super::present::Presenter;
use crate::api::codec::{self, Target};
use crate::api::options::ListOptions;
use crate::api::status::ApiError;
use crate::store::{Event, EventKind, KeyValue, RangeRequest, Revision, StoreError, Watch, WatchRequest};

/// How often a watch that asked for it is told how far it is.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lasts that names no time.
const TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// A running watch.
struct Running {
    rest: Rest,
    call: Call,
    selection: Selection,
    presenter: Presenter,
    watch: Watch,
    /// Lines that are ready to go.
    ready: VecDeque<Bytes>,
    /// Whether a table with columns went out.
    begun: bool,
    bookmarks: bool,
    next_bookmark: Timestamp,
    deadline: Timestamp,
    over: bool,
}

impl Rest {
    /// Starts a watch. The answer's body ends it when it is dropped.
    pub fn watch(
        &self,
        call: &Call,
        options: &ListOptions,
        presenter: Presenter,
    ) -> Result<Response<Body>, ApiError> {
        let selection = Selection::of(&*call.kind, options)?;
        let current = self.store().revision();
        if let Some(asked) = options.revision.filter(|asked| *asked > current) {
            return Err(too_large_revision(asked, current));
        }
        let range = self.range_of(call, &selection);
        let initial = options.initial_events.unwrap_or(options.revision.is_none());
        let (mut kvs, mut from) = (vec![], options.revision.unwrap_or(current));
        if initial {
            let found =
                self.store().range(&RangeRequest::new(range.clone())).map_err(|error| store_error(&error))?;
            (kvs, from) = (found.kvs, found.revision);
        }
        let watch = match self.store().watch(WatchRequest::new(range, from + 1)) {
            Ok(watch) => watch,
            Err(StoreError::Compacted { .. }) => return Ok(too_old(from, self.store().compacted())),
            Err(other) => return Err(store_error(&other)),
        };
        let timeout =
            options.timeout_seconds.filter(|seconds| *seconds > 0).map_or(TIMEOUT, Duration::from_secs);
        let mut running = Running {
            rest: self.clone(),
            call: call.clone(),
            selection,
            presenter,
            watch,
            ready: VecDeque::new(),
            begun: false,
            bookmarks: options.bookmarks,
            next_bookmark: self.clock().after(BOOKMARK_EVERY),
            deadline: self.clock().after(timeout),
            over: false,
        };
        running.begin(&kvs, initial && options.bookmarks, from);
        let lines = futures::stream::unfold(running, |mut running| async move {
            let line = running.next().await?;
            Some((Ok::<_, std::convert::Infallible>(line), running))
        });
        Ok(streamed(Body::from_stream(lines)))
    }
}

impl Running {
    /// What there is when the watch begins, and the bookmark that ends it.
    fn begin(&mut self, kvs: &[Arc<KeyValue>], bookmark: bool, revision: Revision) {
        for kv in kvs {
            if self.rest.selects(&*self.call.kind, &self.selection, kv)
                && let Ok(bytes) = self.rest.bytes(&*self.call.kind, kv)
            {
                self.push("ADDED", &bytes);
            }
        }
        if bookmark {
            let annotations = json!({"k8s.io/initial-events-end": "true"});
            self.bookmark(json!({"resourceVersion": revision.to_string(), "annotations": annotations}));
        }
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.over {
                return None;
            }
            let wake = if self.bookmarks { self.deadline.min(self.next_bookmark) } else { self.deadline };
            let clock = self.rest.clock().clone();
            tokio::select! { biased;
                message = self.watch.next() => match message {
                    Some(message) => message.events().for_each(|event| self.tell(event)),
                    // It fell behind and was dropped. The stream just ends, and its reader goes on from what it saw last.
                    None => self.over = true,
                },
                () = clock.sleep_until(wake) => self.woke(),
            }
        }
    }

    fn woke(&mut self) {
        // Everything up to the store's revision is in the queue already.
        let revision = self.rest.store().revision();
        while let Some(message) = self.watch.try_next() {
            message.events().for_each(|event| self.tell(event));
        }
        if self.bookmarks {
            self.bookmark(json!({"resourceVersion": revision.to_string()}));
            self.next_bookmark = self.rest.clock().after(BOOKMARK_EVERY);
        }
        self.over = self.rest.clock().now() >= self.deadline;
    }

    /// One change, as the selection sees it: what enters it is new, what leaves it is gone.
    fn tell(&mut self, event: &Event) {
        let (rest, kind) = (&self.rest, &*self.call.kind);
        let selected = |kv: &KeyValue| rest.selects(kind, &self.selection, kv);
        let before = event.prev.as_deref().is_some_and(selected);
        let now = event.kind == EventKind::Put && selected(&event.kv);
        let outcome = match (before, now) {
            (_, true) => {
                rest.bytes(kind, &event.kv).map(|bytes| (if before { "MODIFIED" } else { "ADDED" }, bytes))
            }
            (true, false) => self.last_state(event).map(|bytes| ("DELETED", bytes)),
            (false, false) => return,
        };
        match outcome {
            Ok((what, bytes)) => self.push(what, &bytes),
            Err(error) => tracing::error!(key = %event.kv.key, %error, "a stored object cannot be served"),
        }
    }

    /// The object as it was last in the selection, with the revision at which it left.
    fn last_state(&self, event: &Event) -> Result<Bytes, ApiError> {
        let revision = event.kv.mod_revision;
        if event.kind == EventKind::Delete && !event.kv.value.is_empty() {
            return self.rest.bytes(&*self.call.kind, &event.kv);
        }
        let Some(prev) = &event.prev else { return Err(ApiError::internal("a deletion of nothing")) };
        let value = restamped(&prev.value, prev.mod_revision, revision);
        self.rest
            .bytes(&*self.call.kind, &KeyValue { value, mod_revision: revision, ..KeyValue::clone(prev) })
    }

    fn push(&mut self, what: &str, object: &Bytes) {
        let object = self.presenter.event_object(object, !self.begun);
        self.begun = true;
        self.ready.push_back(line(what, &object));
    }

    /// An empty object that says how far the watch is.
    fn bookmark(&mut self, metadata: serde_json::Value) {
        let object = codec::encode_value(&Target::of(self.call.info()), &json!({"metadata": metadata}));
        self.push("BOOKMARK", &object);
    }
}

fn line(what: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 40);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(what.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}

fn expired_line(message: &str) -> Bytes {
    line("ERROR", &ApiError::expired(message).to_json())
}

/// A watch that ends with one line: it begins where history does not reach.
fn too_old(from: Revision, compacted: Revision) -> Response<Body> {
    let message = format!("too old resource version: {from} ({compacted})");
    streamed(Body::from(expired_line(&message)))
}

fn streamed(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Stored bytes with another revision in them. The first resourceVersion in the text is the metadata's own, since nothing
/// that a client writes comes before it but names.
fn restamped(value: &Bytes, from: Revision, to: Revision) -> Bytes {
    let old = format!("\"resourceVersion\":\"{from}\"");
    let text = String::from_utf8_lossy(value);
    text.replacen(&old, &format!("\"resourceVersion\":\"{to}\""), 1).into_bytes().into()
}
