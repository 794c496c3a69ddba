//! Events: how components tell people what they did to an object.
//!
//! A [`Recorder`] takes events without waiting and writes them one after the other in a task of its own. The same event
//! again becomes a higher count, many alike become one "combined" event, and a component that says too much about one
//! object is cut short, as in Kubernetes.
// Models k8s.io/client-go/tools/record (EventCorrelator) and .../tools/events (series).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSeries, EventSource, ObjectReference};
use k8s_openapi::api::events::v1::Event as EventV1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

use crate::client;
use crate::clock::Clock;
use crate::store::Revision;

/// Events about one object from one source that are let through at once.
const BURST: f64 = 25.0;
/// How long until another one is let through afterwards.
const REFILL: Duration = Duration::from_secs(300);
/// How many different messages of one kind are told before they are combined.
const MAX_SIMILAR: usize = 10;
/// How long similar events are remembered.
const SIMILAR_WINDOW: Duration = Duration::from_secs(600);

/// How long an event of the newer API can become a series.
const SERIES_WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_mins(6);

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// A reference to an object, for events about it.
pub fn reference_to<K>(object: &K) -> ObjectReference
where
    K: k8s_openapi::Resource + k8s_openapi::Metadata<Ty = ObjectMeta>,
{
    let meta = object.metadata();
    ObjectReference {
        api_version: Some(K::API_VERSION.to_owned()),
        kind: Some(K::KIND.to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

/// A component's voice. Cheap to clone; the task behind it ends with the last clone, after writing what is waiting.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::UnboundedSender<Message>,
}

#[derive(Clone, Debug)]
struct Message {
    regarding: ObjectReference,
    kind: EventType,
    reason: String,
    text: String,
    /// Given for events of the newer API (`events.k8s.io`), which say what was being done.
    action: Option<String>,
    cause: Option<Revision>,
}

impl Recorder {
    /// A recorder that writes with `client` in the name of `component`, which runs on `host` (empty: nowhere special).
    pub fn new(client: kube::Client, component: &str, host: &str, clock: Clock) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let writer = Writer {
            client,
            clock,
            component: component.to_owned(),
            host: host.to_owned(),
            written: BTreeMap::new(),
            series: BTreeMap::new(),
            similar: BTreeMap::new(),
            allowance: BTreeMap::new(),
        };
        tokio::spawn(writer.run(waiting));
        Self { queue }
    }

    /// Tells of `regarding`: a reason in one word, and a message.
    pub fn event(
        &self,
        regarding: &ObjectReference,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        self.send(regarding, kind, reason, None, message.into());
    }

    /// Tells it through `events.k8s.io`, with the action that was being taken, as the scheduler does.
    pub fn event_with_action(
        &self,
        regarding: &ObjectReference,
        kind: EventType,
        reason: &str,
        action: &str,
        message: impl Into<String>,
    ) {
        self.send(regarding, kind, reason, Some(action.to_owned()), message.into());
    }

    fn send(
        &self,
        regarding: &ObjectReference,
        kind: EventType,
        reason: &str,
        action: Option<String>,
        text: String,
    ) {
        let message = Message {
            regarding: regarding.clone(),
            kind,
            reason: reason.to_owned(),
            text,
            action,
            cause: client::cause(),
        };
        // The writer outlives every sender; if its runtime is shutting down there is nobody left to tell.
        let _ = self.queue.send(message);
    }
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventKey {
    object: ObjectKey,
    kind: EventType,
    reason: String,
    text: String,
}

/// What an event is about: kind, namespace, name, UID, field path.
type ObjectKey = [String; 5];

/// What makes two events of the newer API the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SeriesKey {
    object: ObjectKey,
    version: Option<String>,
    kind: EventType,
    reason: String,
    action: Option<String>,
}

#[derive(Clone, Debug)]
struct Written {
    name: String,
    count: i32,
}

#[derive(Clone, Debug)]
struct Similar {
    texts: BTreeSet<String>,
    last: Timestamp,
}

struct Writer {
    client: kube::Client,
    clock: Clock,
    component: String,
    host: String,
    written: BTreeMap<EventKey, Written>,
    /// Events of the newer API, with when they were last seen.
    series: BTreeMap<SeriesKey, (Written, Timestamp)>,
    similar: BTreeMap<(ObjectKey, EventType, String), Similar>,
    allowance: BTreeMap<ObjectKey, (f64, Timestamp)>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::UnboundedReceiver<Message>) {
        while let Some(message) = waiting.recv().await {
            let cause = message.cause;
            if let Err(error) = client::because_of(cause, self.write(message)).await {
                tracing::debug!(component = %self.component, %error, "an event was lost");
            }
        }
    }

    async fn write(&mut self, mut message: Message) -> Result<(), kube::Error> {
        let now = self.clock.now();
        if message.action.is_some() {
            return self.write_series(&message, now).await;
        }
        let object = object_key(&message.regarding);
        let combined = self.combine(&object, &mut message, now);
        if !self.allow(&object, now) {
            return Ok(());
        }
        let text = if combined { String::new() } else { message.text.clone() };
        let key = EventKey { object, kind: message.kind, reason: message.reason.clone(), text };
        if let Some(written) = self.written.get(&key).cloned() {
            let again = Written { count: written.count + 1, ..written };
            if self.count_up(&message, &again, now).await? {
                self.written.insert(key, again);
                return Ok(());
            }
        }
        let name = self.create(&message, now).await?;
        self.written.insert(key, Written { name, count: 1 });
        Ok(())
    }

    /// Writes an event of the newer API. Only the one that makes a series of it is told; Kubernetes writes how often it
    /// happened since every half hour, which is left out. The object's version counts: once it has changed, it is another
    /// event.
    // Models client-go/tools/events (recordToSink, finishSeries).
    async fn write_series(&mut self, message: &Message, now: Timestamp) -> Result<(), kube::Error> {
        let key = SeriesKey {
            object: object_key(&message.regarding),
            version: message.regarding.resource_version.clone(),
            kind: message.kind,
            reason: message.reason.clone(),
            action: message.action.clone(),
        };
        self.series.retain(|_, (_, seen)| now.duration_since(*seen) < SERIES_WINDOW);
        if let Some((written, seen)) = self.series.get_mut(&key) {
            *seen = now;
            written.count += 1;
            let written = written.clone();
            if written.count > 2 || self.count_up(message, &written, now).await? {
                return Ok(());
            }
        }
        let name = self.create(message, now).await?;
        self.series.insert(key, (Written { name, count: 1 }, now));
        Ok(())
    }

    /// Remembers the message; from the tenth different one on, they share one event.
    fn combine(&mut self, object: &ObjectKey, message: &mut Message, now: Timestamp) -> bool {
        let key = (object.clone(), message.kind, message.reason.clone());
        let similar =
            self.similar.entry(key).or_insert_with(|| Similar { texts: BTreeSet::new(), last: now });
        if now.duration_since(similar.last)
            > jiff::SignedDuration::try_from(SIMILAR_WINDOW).unwrap_or(jiff::SignedDuration::MAX)
        {
            similar.texts.clear();
        }
        similar.last = now;
        similar.texts.insert(message.text.clone());
        if similar.texts.len() < MAX_SIMILAR {
            return false;
        }
        message.text = format!("(combined from similar events): {}", message.text);
        true
    }

    /// Takes from the object's allowance; `false` if it is used up.
    fn allow(&mut self, object: &ObjectKey, now: Timestamp) -> bool {
        let (left, then) = self.allowance.entry(object.clone()).or_insert((BURST, now));
        let earned = now.duration_since(*then).as_secs_f64().max(0.0) / REFILL.as_secs_f64();
        *left = (*left + earned).min(BURST);
        *then = now;
        if *left < 1.0 {
            return false;
        }
        *left -= 1.0;
        true
    }

    /// Says that it happened again. `false`: the event is gone and must be written anew.
    async fn count_up(
        &self,
        message: &Message,
        written: &Written,
        now: Timestamp,
    ) -> Result<bool, kube::Error> {
        let namespace = namespace_of(&message.regarding);
        let result = if message.action.is_some() {
            let series = json!({"count": written.count, "lastObservedTime": MicroTime(now)});
            let events: Api<EventV1> = Api::namespaced(self.client.clone(), namespace);
            let patch = Patch::Strategic(json!({"series": series}));
            events.patch(&written.name, &PatchParams::default(), &patch).await.map(drop)
        } else {
            let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
            let patch = Patch::Strategic(
                json!({"count": written.count, "lastTimestamp": Time(now), "message": message.text}),
            );
            events.patch(&written.name, &PatchParams::default(), &patch).await.map(drop)
        };
        match result {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
            other => other.map(|()| true),
        }
    }

    async fn create(&self, message: &Message, now: Timestamp) -> Result<String, kube::Error> {
        let namespace = namespace_of(&message.regarding);
        let regarding = message.regarding.name.as_deref().unwrap_or_default();
        let metadata = ObjectMeta {
            // The API server refuses two events of one name; nanoseconds keep them apart.
            name: Some(format!(
                "{regarding}.{:x}",
                now.as_nanosecond() + i128::from((self.written.len() + self.series.len()) as u32)
            )),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        let name = metadata.name.clone().unwrap_or_default();
        let params = PostParams::default();
        if let Some(action) = &message.action {
            let event = EventV1 {
                metadata,
                event_time: Some(MicroTime(now)),
                action: Some(action.clone()),
                reason: Some(message.reason.clone()),
                note: Some(message.text.clone()),
                regarding: Some(message.regarding.clone()),
                reporting_controller: Some(self.component.clone()),
                reporting_instance: Some(if self.host.is_empty() {
                    self.component.clone()
                } else {
                    format!("{}-{}", self.component, self.host)
                }),
                type_: Some(message.kind.name().to_owned()),
                ..EventV1::default()
            };
            Api::<EventV1>::namespaced(self.client.clone(), namespace).create(&params, &event).await?;
        } else {
            let host = (!self.host.is_empty()).then(|| self.host.clone());
            let event = Event {
                metadata,
                involved_object: message.regarding.clone(),
                reason: Some(message.reason.clone()),
                message: Some(message.text.clone()),
                type_: Some(message.kind.name().to_owned()),
                count: Some(1),
                first_timestamp: Some(Time(now)),
                last_timestamp: Some(Time(now)),
                source: Some(EventSource { component: Some(self.component.clone()), host: host.clone() }),
                reporting_component: Some(self.component.clone()),
                reporting_instance: host,
                series: None::<EventSeries>,
                ..Event::default()
            };
            Api::<Event>::namespaced(self.client.clone(), namespace).create(&params, &event).await?;
        }
        Ok(name)
    }
}

fn object_key(regarding: &ObjectReference) -> ObjectKey {
    [&regarding.kind, &regarding.namespace, &regarding.name, &regarding.uid, &regarding.field_path]
        .map(|part| part.clone().unwrap_or_default())
}

/// Events about what has no namespace are kept in `default`.
fn namespace_of(regarding: &ObjectReference) -> &str {
    regarding.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}
