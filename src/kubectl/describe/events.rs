//! The `Events:` section, and how the events of an object are found.
// Models kubectl/pkg/describe (DescribeEvents, searchEvents) and client-go's GetFieldSelector.

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{int, list, some, some_int, text, time};
use super::metadata::age_of;
use super::related::{Failure, Related, Resource, Wanted};
use super::writer::{Writer, put};

/// Whose events are wanted.
#[derive(Clone, Debug, Default)]
pub struct Involved {
    /// The object's name.
    pub name: String,
    /// Its namespace; empty if it has none.
    pub namespace: String,
    /// Its kind; empty to leave that open.
    pub kind: String,
    /// Its UID; empty to leave that open.
    pub uid: String,
}

impl Involved {
    /// The object itself.
    pub fn of(object: &Value) -> Self {
        let read = |path| text(object, path).to_owned();
        Self {
            name: read("/metadata/name"),
            namespace: read("/metadata/namespace"),
            kind: read("/kind"),
            uid: read("/metadata/uid"),
        }
    }

    fn field_selector(&self) -> String {
        let mut terms = vec![];
        if !self.kind.is_empty() {
            terms.push(format!("involvedObject.kind={}", self.kind));
        }
        terms.push(format!("involvedObject.name={}", self.name));
        terms.push(format!("involvedObject.namespace={}", self.namespace));
        if !self.uid.is_empty() {
            terms.push(format!("involvedObject.uid={}", self.uid));
        }
        terms.join(",")
    }
}

/// The events about an object.
pub async fn search(related: &dyn Related, involved: &Involved) -> Result<Vec<Value>, Failure> {
    let wanted = Wanted {
        namespace: involved.namespace.clone(),
        fields: involved.field_selector(),
        ..Wanted::default()
    };
    related.list(Resource::new("v1", "events"), &wanted).await
}

/// The events about an object if they are to be shown; those that cannot be had are left out.
pub async fn shown(related: &dyn Related, object: &Value, show: bool) -> Option<Vec<Value>> {
    if !show {
        return None;
    }
    search(related, &Involved::of(object)).await.ok()
}

/// Writes the section, unless there is none.
pub fn section(w: &mut Writer, events: Option<Vec<Value>>, now: Timestamp) {
    let Some(mut events) = events else { return };
    if events.is_empty() {
        w.write(0, "Events:\t<none>\n");
        return;
    }
    w.flush();
    events.sort_by_key(|event| time(event, "/lastTimestamp"));
    w.write(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage\n");
    w.write(1, "----\t------\t----\t----\t-------\n");
    for event in &events {
        let source = Some(text(event, "/source/component")).filter(|name| !name.is_empty());
        put!(
            w,
            1,
            "{}\t{}\t{}\t{}\t{}\n",
            text(event, "/type"),
            text(event, "/reason"),
            interval(event, now),
            source.unwrap_or_else(|| text(event, "/reportingComponent")),
            message(event)
        );
    }
}

fn interval(event: &Value, now: Timestamp) -> String {
    let first = if time(event, "/eventTime").is_some() { "/eventTime" } else { "/firstTimestamp" };
    let first = age_of(event, first, now);
    if some(event, "/series").is_some() {
        let last = age_of(event, "/series/lastObservedTime", now);
        return format!("{last} (x{} over {first})", int(event, "/series/count"));
    }
    match some_int(event, "/count") {
        Some(count) if count > 1 => {
            format!("{} (x{count} over {first})", age_of(event, "/lastTimestamp", now))
        }
        _ => first,
    }
}

/// The message; behind the container that it is about, if it names one.
fn message(event: &Value) -> String {
    let message = text(event, "/message").trim();
    match text(event, "/involvedObject/fieldPath") {
        "" => message.to_owned(),
        path => format!("{path}: {message}"),
    }
}

/// How many of the pods that a controller with that UID owns are running, waiting, succeeded and failed.
// Models kubectl/pkg/describe (getPodStatusForController).
pub async fn pod_phases(
    related: &dyn Related,
    namespace: &str,
    selector: &str,
    uid: &str,
) -> Result<String, Failure> {
    let wanted = Wanted { namespace: namespace.to_owned(), labels: selector.to_owned(), ..Wanted::default() };
    let pods = related.list(Resource::new("v1", "pods"), &wanted).await?;
    let owned: Vec<&Value> = pods.iter().filter(|pod| super::fields::is_controlled_by(pod, uid)).collect();
    let count = |phase: &str| owned.iter().filter(|pod| text(pod, "/status/phase") == phase).count();
    Ok(format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    ))
}

/// The `Conditions:` section of what has replicas.
pub fn conditions_with_reason(w: &mut Writer, object: &Value) {
    let conditions = list(object, "/status/conditions");
    if conditions.is_empty() {
        return;
    }
    w.write(0, "Conditions:\n  Type\tStatus\tReason\n");
    w.write(1, "----\t------\t------\n");
    for condition in conditions {
        put!(
            w,
            1,
            "{} \t{}\t{}\n",
            text(condition, "/type"),
            text(condition, "/status"),
            text(condition, "/reason")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_stand_in_the_order_of_their_last_time() {
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        let events = vec![
            json!({"type": "Warning", "reason": "BackOff", "count": 3, "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:09:30Z", "source": {"component": "kubelet"},
                "involvedObject": {"fieldPath": "spec.containers{web}"}, "message": "Back-off \n"}),
            json!({"type": "Normal", "reason": "Scheduled", "eventTime": "2026-01-01T00:00:00.000000Z", "lastTimestamp": null,
                "reportingComponent": "default-scheduler", "message": "Assigned"}),
        ];
        let mut w = Writer::new();
        section(&mut w, Some(events), now);
        insta::assert_snapshot!(w.finish(), @r"
        Events:
          Type     Reason     Age                From               Message
          ----     ------     ----               ----               -------
          Normal   Scheduled  10m                default-scheduler  Assigned
          Warning  BackOff    30s (x3 over 10m)  kubelet            spec.containers{web}: Back-off
        ");
        let mut w = Writer::new();
        section(&mut w, Some(vec![]), now);
        assert_eq!(w.finish(), "Events:  <none>\n");
    }
}
