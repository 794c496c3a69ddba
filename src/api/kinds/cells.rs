//! Cells that the tables of several kinds share.
// Models pkg/printers/internalversion (translateTimestampSince, layoutContainerCells) and labels.FormatLabels.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};

use crate::api::table::{Cell, Column};
use crate::meta::age;
use crate::meta::quantity::Quantity;
use crate::meta::selector::Selector;

/// The object's name.
pub(crate) fn name(meta: &ObjectMeta) -> Cell {
    meta.name.clone().unwrap_or_default().into()
}

/// The time since the object was created.
pub(crate) fn age(meta: &ObjectMeta, now: Timestamp) -> Cell {
    since(meta.creation_timestamp.as_ref(), now).into()
}

/// The time since `then`.
pub(crate) fn since(then: Option<&Time>, now: Timestamp) -> String {
    age::since(then.map(|time| time.0), now)
}

/// The containers' names, and their images, each joined with commas.
pub(crate) fn containers(spec: Option<&PodSpec>) -> (Cell, Cell) {
    let containers = spec.map_or(&[][..], |spec| &spec.containers[..]);
    let names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    let images: Vec<&str> =
        containers.iter().map(|container| container.image.as_deref().unwrap_or_default()).collect();
    (names.join(",").into(), images.join(",").into())
}

/// Labels as `a=b,c=d`; `<none>` if there are none.
pub(crate) fn labels(labels: Option<&BTreeMap<String, String>>) -> Cell {
    let pairs: Vec<String> =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    or_none(pairs.join(",")).into()
}

/// A selector in its string form; `<error>` if it cannot be read.
pub(crate) fn selector(selector: &LabelSelector) -> String {
    Selector::from_label_selector(selector)
        .map_or_else(|_| "<error>".to_owned(), |selector| selector.to_string())
}

/// An amount in its canonical form; `0` for none.
pub(crate) fn quantity(quantity: Option<&ApiQuantity>) -> String {
    let parsed = quantity.and_then(|quantity| Quantity::try_from(quantity).ok());
    parsed.map_or_else(|| "0".to_owned(), |quantity| quantity.to_string())
}

/// The text, or `<none>` if it is empty.
pub(crate) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// The columns of ReplicaSets and ReplicationControllers.
pub(crate) fn replica_columns() -> Vec<Column> {
    vec![
        Column::NAME,
        Column::integer("Desired", "How many pods are wanted"),
        Column::integer("Current", "How many pods there are"),
        Column::integer("Ready", "How many of them are ready"),
        Column::AGE,
        Column::string("Containers", "The names of the template's containers").wide(),
        Column::string("Images", "The images of the template's containers").wide(),
        Column::string("Selector", "Which pods are counted").wide(),
    ]
}

/// What the row of a ReplicaSet or a ReplicationController says.
pub(crate) struct ReplicaRow<'a> {
    pub(crate) meta: &'a ObjectMeta,
    pub(crate) wanted: Option<i32>,
    pub(crate) present: i32,
    pub(crate) ready: Option<i32>,
    pub(crate) template: Option<&'a PodTemplateSpec>,
    pub(crate) selector: Cell,
}

impl ReplicaRow<'_> {
    /// The cells under [`replica_columns`].
    pub(crate) fn cells(self, now: Timestamp) -> Vec<Cell> {
        let (names, images) = containers(self.template.and_then(|template| template.spec.as_ref()));
        vec![
            name(self.meta),
            self.wanted.unwrap_or_default().into(),
            self.present.into(),
            self.ready.unwrap_or_default().into(),
            age(self.meta, now),
            names,
            images,
            self.selector,
        ]
    }
}
