//! Event (`v1`): what happened to an object, for people to read.
//!
//! The same objects are served as `events.k8s.io/v1`, whose fields have other names; they are stored in this form.
// Models pkg/registry/core/event and pkg/apis/core/validation (ValidateEventCreate).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Dependents, Kind, Rules};
use crate::api::kinds::unset::text;
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};
use crate::meta::{age, names};

/// `v1` Event.
pub struct EventKind;

impl Kind for EventKind {
    type Object = Event;
    const SHORT_NAMES: &'static [&'static str] = &["ev"];
    const RULES: Rules = Rules {
        create_on_update: true,
        dependents: Dependents::None,
        ttl_seconds: Some(3600),
        ..Rules::USUAL
    };

    // Names of events were never checked, so that older clients can go on.
    fn validate_name(_name: &str, _prefix: bool) -> Vec<String> {
        vec![]
    }

    fn validate(event: &Event) -> Vec<FieldError> {
        validate(event, "reportingComponent")
    }

    fn selectable_fields(event: &Event) -> Vec<(&'static str, String)> {
        let object = &event.involved_object;
        let owned = |field: &Option<String>| text(field).to_owned();
        let source =
            event.source.as_ref().map(|source| text(&source.component)).filter(|source| !source.is_empty());
        vec![
            ("involvedObject.kind", owned(&object.kind)),
            ("involvedObject.namespace", owned(&object.namespace)),
            ("involvedObject.name", owned(&object.name)),
            ("involvedObject.uid", owned(&object.uid)),
            ("involvedObject.apiVersion", owned(&object.api_version)),
            ("involvedObject.resourceVersion", owned(&object.resource_version)),
            ("involvedObject.fieldPath", owned(&object.field_path)),
            ("reason", owned(&event.reason)),
            ("reportingComponent", owned(&event.reporting_component)),
            ("source", source.unwrap_or(text(&event.reporting_component)).to_owned()),
            ("type", owned(&event.type_)),
        ]
    }

    fn columns() -> Vec<Column> {
        columns()
    }

    fn row(event: &Event, now: Timestamp) -> Vec<Cell> {
        row(event, now)
    }
}

/// What is wrong with an event, whichever version it came in. `reporter` is that version's name of the component's field.
// Models legacyValidateEvent.
pub(crate) fn validate(event: &Event, reporter: &str) -> Vec<FieldError> {
    let namespace = text(&event.metadata.namespace);
    let involved = text(&event.involved_object.namespace);
    let mut errors = vec![];
    let mismatch = match (&event.event_time, involved) {
        (None, "") => !["", "default"].contains(&namespace),
        (None, involved) => namespace != involved,
        (Some(_), "") => !["default", "kube-system"].contains(&namespace),
        (Some(_), _) => false,
    };
    if mismatch {
        let field = FieldPath::new("involvedObject").child("namespace");
        errors.push(FieldError::invalid(&field, involved, "does not match event.namespace"));
    }
    if event.event_time.is_some() {
        errors.extend(validate_new_style(event, reporter));
    }
    errors.extend(checks::dns_subdomain(namespace, &FieldPath::new("namespace")));
    errors
}

fn validate_new_style(event: &Event, reporter: &str) -> Vec<FieldError> {
    let mut errors = vec![];
    let controller = text(&event.reporting_component);
    if controller.is_empty() {
        errors.push(FieldError::required(&FieldPath::new(reporter), ""));
    }
    errors.extend(checks::each(names::qualified_name(controller), &FieldPath::new(reporter), controller));
    let bounded = [
        ("reportingInstance", text(&event.reporting_instance), 128),
        ("action", text(&event.action), 128),
        ("reason", text(&event.reason), 128),
    ];
    for (name, value, most) in bounded {
        if value.is_empty() {
            errors.push(FieldError::required(&FieldPath::new(name), ""));
        }
        if value.len() > most {
            errors.push(FieldError::invalid(
                &FieldPath::new(name),
                "",
                format!("can have at most {most} characters"),
            ));
        }
    }
    if text(&event.message).len() > 1024 {
        errors.push(FieldError::invalid(&FieldPath::new("message"), "", "can have at most 1024 characters"));
    }
    errors
}

pub(crate) fn columns() -> Vec<Column> {
    vec![
        Column::string("Last Seen", "Time since it happened last"),
        Column::string("Type", "Normal or Warning"),
        Column::string("Reason", "Why, in one word"),
        Column::string("Object", "What it happened to"),
        Column::string("Subobject", "Which part of the object").wide(),
        Column::string("Source", "Who saw it").wide(),
        Column::string("Message", "What happened, in a sentence"),
        Column::string("First Seen", "Time since it happened first").wide(),
        Column::string("Count", "How often it happened").wide(),
        Column { priority: 1, ..Column::NAME },
    ]
}

pub(crate) fn row(event: &Event, now: Timestamp) -> Vec<Cell> {
    let time = |time: Option<Timestamp>| age::since(time, now);
    let happened = event.event_time.as_ref().map(|time| time.0);
    let first = time(event.first_timestamp.as_ref().map(|time| time.0).or(happened));
    let mut last = event.last_timestamp.as_ref().map_or_else(|| first.clone(), |last| time(Some(last.0)));
    let mut count = event.count.filter(|count| *count != 0).unwrap_or(1);
    if let Some(series) = &event.series {
        last = time(series.last_observed_time.as_ref().map(|time| time.0));
        count = series.count.unwrap_or_default();
    }
    let kind = text(&event.involved_object.kind).to_lowercase();
    let object = match text(&event.involved_object.name) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        last.into(),
        text(&event.type_).into(),
        text(&event.reason).into(),
        object.into(),
        text(&event.involved_object.field_path).into(),
        source(event).into(),
        text(&event.message).trim().into(),
        first.into(),
        count.into(),
        cells::name(&event.metadata),
    ]
}

/// Who reported the event, and from where.
fn source(event: &Event) -> String {
    let old = event.source.clone().unwrap_or_default();
    let first = |a: &Option<String>, b: &Option<String>| {
        if text(a).is_empty() { text(b) } else { text(a) }.to_owned()
    };
    let component = first(&old.component, &event.reporting_component);
    match first(&old.host, &event.reporting_instance) {
        instance if instance.is_empty() => component,
        instance => format!("{component}, {instance}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{refused, row};

    fn event(rest: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Event, metadata: {{name: e, namespace: default}}, involvedObject: {{kind: Pod, name: web, \
             namespace: default}}, type: Normal, reason: Started, message: ' Container started ', {rest}}}"
        )
    }

    #[test]
    fn a_row_tells_both_styles_of_events() {
        let now = "2026-01-01T00:01:00Z";
        assert_eq!(
            row(
                &event(
                    "count: 3, source: {component: kubelet, host: minikube}, firstTimestamp: '2026-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:00:50Z'"
                ),
                now
            ),
            "LAST SEEN=10s | TYPE=Normal | REASON=Started | OBJECT=pod/web | SUBOBJECT= | SOURCE=kubelet, minikube | \
             MESSAGE=Container started | FIRST SEEN=60s | COUNT=3 | NAME=e"
        );
        assert_eq!(
            row(
                &event(
                    "eventTime: '2026-01-01T00:00:55.000000Z', reportingComponent: default-scheduler, reportingInstance: s1, action: Binding"
                ),
                now
            ),
            "LAST SEEN=5s | TYPE=Normal | REASON=Started | OBJECT=pod/web | SUBOBJECT= | SOURCE=default-scheduler, s1 | \
             MESSAGE=Container started | FIRST SEEN=5s | COUNT=1 | NAME=e"
        );
    }

    #[test]
    fn the_namespaces_agree() {
        let words = "involvedObject.namespace: Invalid value: \"default\": does not match event.namespace";
        assert_eq!(
            refused(&event("").replace("name: e, namespace: default", "name: e, namespace: tea")),
            words
        );
        assert_eq!(refused(&event("")), "");
    }
}
