//! ComponentStatus: how the control plane's parts are. Never stored: reckoned from what they answer when somebody reads.
// Models pkg/registry/core/componentstatus.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ComponentCondition, ComponentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::Probes;
use crate::api::kind::Kind;
use crate::api::kinds::cells;
use crate::api::kinds::unset::text;
use crate::api::table::{Cell, Column};

/// The parts.
const COMPONENTS: [&str; 3] = ["scheduler", "controller-manager", "etcd-0"];

/// `v1` ComponentStatus.
pub struct ComponentStatusKind;

impl Kind for ComponentStatusKind {
    type Object = ComponentStatus;
    const SHORT_NAMES: &'static [&'static str] = &["cs"];
    const VERBS: &'static [&'static str] = &["get", "list"];
    const WARNING: Option<&'static str> = Some("v1 ComponentStatus is deprecated in v1.19+");

    fn computed(probes: &Probes) -> Option<Vec<ComponentStatus>> {
        let component = |name: &&str| {
            let answer = match *name {
                // The store is in this process: while it answers, that runs.
                "etcd-0" => Some(&Ok(())),
                name => probes.of(name),
            };
            let (status, message) = match answer {
                Some(Ok(())) => ("True", Some("ok".to_owned())),
                Some(Err(error)) => ("False", Some(error.clone())),
                None => ("Unknown", None),
            };
            let condition = ComponentCondition {
                type_: "Healthy".to_owned(),
                status: status.to_owned(),
                message,
                error: None,
            };
            ComponentStatus {
                metadata: ObjectMeta { name: Some((*name).to_owned()), ..ObjectMeta::default() },
                conditions: Some(vec![condition]),
            }
        };
        Some(COMPONENTS.iter().map(component).collect())
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Status", "Whether the component is healthy"),
            Column::string("Message", "What the component said"),
            Column::string("Error", "What went wrong when it was asked"),
        ]
    }

    fn row(object: &ComponentStatus, _now: Timestamp) -> Vec<Cell> {
        let condition = object.conditions.iter().flatten().find(|condition| condition.type_ == "Healthy");
        let status = match condition.map(|condition| condition.status == "True") {
            Some(true) => "Healthy",
            Some(false) => "Unhealthy",
            None => "Unknown",
        };
        let message = condition.map(|condition| text(&condition.message)).unwrap_or_default();
        let error = condition.map(|condition| text(&condition.error)).unwrap_or_default();
        vec![cells::name(&object.metadata), status.into(), message.into(), error.into()]
    }
}
