//! Event (`events.k8s.io/v1`): the newer names for the fields of a core Event. Both versions share their objects.
// Models pkg/apis/events/v1 (conversion) and pkg/apis/core/validation (ValidateEventCreate, ValidateEventUpdate).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event as CoreEvent;
use k8s_openapi::api::events::v1::Event;
use serde_json::{Map, Value};

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Conversion, Dependents, Kind, Rules};
use crate::api::kinds::unset::text;
use crate::api::kinds::{checks, core};
use crate::api::table::{Cell, Column};

/// Fields by their name here and in the stored version.
const RENAMED: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// `events.k8s.io/v1` Event.
pub struct EventKind;

impl Kind for EventKind {
    type Object = Event;
    const SHORT_NAMES: &'static [&'static str] = &["ev"];
    const STORED_AS: Option<Conversion> =
        Some(Conversion { storage: ("", "v1", "events"), to_storage: to_core, from_storage: from_core });
    const RULES: Rules = Rules {
        create_on_update: true,
        dependents: Dependents::None,
        ttl_seconds: Some(3600),
        ..Rules::USUAL
    };

    fn validate(event: &Event) -> Vec<FieldError> {
        let core = as_core(event);
        let mut errors = core::event::validate(&core, "reportingController");
        errors.extend(validate_series(event));
        let unset = |name: &str| FieldError::invalid(&FieldPath::new(name), "", "needs to be unset");
        if event.event_time.is_none() {
            errors.push(FieldError::required(&FieldPath::new("eventTime"), ""));
        }
        if !["Normal", "Warning"].contains(&text(&event.type_)) {
            let why = format!("has invalid value: {}", text(&event.type_));
            errors.push(FieldError::invalid(&FieldPath::new("type"), "", why));
        }
        let source = event.deprecated_source.as_ref();
        let old = [
            ("firstTimestamp", event.deprecated_first_timestamp.is_some()),
            ("lastTimestamp", event.deprecated_last_timestamp.is_some()),
            ("count", event.deprecated_count.unwrap_or_default() != 0),
            ("source", source.is_some_and(|s| !text(&s.component).is_empty() || !text(&s.host).is_empty())),
        ];
        errors.extend(old.into_iter().filter(|(_, set)| *set).map(|(name, _)| unset(name)));
        errors
    }

    fn validate_update(new: &Event, old: &Event) -> Vec<FieldError> {
        let (new, old) = (as_core(new), as_core(old));
        let field = FieldPath::new;
        let mut errors =
            checks::immutable(&new.involved_object, &old.involved_object, &field("involvedObject"));
        errors.extend(checks::immutable(&new.reason, &old.reason, &field("reason")));
        errors.extend(checks::immutable(&new.message, &old.message, &field("message")));
        errors.extend(checks::immutable(&new.source, &old.source, &field("source")));
        errors.extend(checks::immutable(
            &new.first_timestamp,
            &old.first_timestamp,
            &field("firstTimestamp"),
        ));
        errors.extend(checks::immutable(&new.last_timestamp, &old.last_timestamp, &field("lastTimestamp")));
        errors.extend(checks::immutable(&new.count, &old.count, &field("count")));
        errors.extend(checks::immutable(&new.type_, &old.type_, &field("type")));
        errors.extend(checks::immutable(&new.event_time, &old.event_time, &field("eventTime")));
        errors.extend(checks::immutable(&new.action, &old.action, &field("action")));
        errors.extend(checks::immutable(&new.related, &old.related, &field("related")));
        errors.extend(checks::immutable(
            &new.reporting_component,
            &old.reporting_component,
            &field("reportingController"),
        ));
        errors.extend(checks::immutable(
            &new.reporting_instance,
            &old.reporting_instance,
            &field("reportingInstance"),
        ));
        errors
    }

    fn selectable_fields(event: &Event) -> Vec<(&'static str, String)> {
        let object = event.regarding.clone().unwrap_or_default();
        vec![
            ("regarding.kind", object.kind.unwrap_or_default()),
            ("regarding.namespace", object.namespace.unwrap_or_default()),
            ("regarding.name", object.name.unwrap_or_default()),
            ("regarding.uid", object.uid.unwrap_or_default()),
            ("regarding.apiVersion", object.api_version.unwrap_or_default()),
            ("regarding.resourceVersion", object.resource_version.unwrap_or_default()),
            ("regarding.fieldPath", object.field_path.unwrap_or_default()),
            ("reason", text(&event.reason).to_owned()),
            ("reportingController", text(&event.reporting_controller).to_owned()),
            ("type", text(&event.type_).to_owned()),
        ]
    }

    fn columns() -> Vec<Column> {
        core::event::columns()
    }

    fn row(event: &Event, now: Timestamp) -> Vec<Cell> {
        core::event::row(&as_core(event), now)
    }
}

fn validate_series(event: &Event) -> Vec<FieldError> {
    let wrong = event.series.as_ref().is_some_and(|series| series.count < 2);
    if wrong {
        vec![FieldError::invalid(&FieldPath::new("series.count"), "", "should be at least 2")]
    } else {
        vec![]
    }
}

/// The event as the core version has it.
fn as_core(event: &Event) -> CoreEvent {
    let value = serde_json::to_value(event).expect("k8s-openapi types have string keys only");
    // Every field of the one version has its place in the other.
    serde_json::from_value(to_core(value)).unwrap_or_default()
}

fn to_core(value: Value) -> Value {
    rename(value, "v1", |name| RENAMED.iter().find(|(new, _)| *new == name).map(|(_, old)| *old))
}

fn from_core(value: Value) -> Value {
    rename(value, "events.k8s.io/v1", |name| {
        RENAMED.iter().find(|(_, old)| *old == name).map(|(new, _)| *new)
    })
}

fn rename(value: Value, version: &str, to: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Value::Object(fields) = value else { return value };
    let mut renamed: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (to(&name).map_or(name, str::to_owned), value)).collect();
    if let Some(own) = renamed.get_mut("apiVersion") {
        *own = version.into();
    }
    Value::Object(renamed)
}
