//! PodTemplate: a template for pods that stands on its own.
// Models pkg/registry/core/podtemplate.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodTemplate;

use super::pod;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Rules, Traits};
use crate::api::kinds::cells;
use crate::api::table::{Cell, Column};

/// `v1` PodTemplate.
pub struct PodTemplateKind;

impl Kind for PodTemplateKind {
    type Object = PodTemplate;
    const TRAITS: Traits = Traits { status: false, generation: true, scale: false };
    const RULES: Rules = Rules { returns_deleted: true, ..Rules::USUAL };

    fn default(object: &mut PodTemplate) {
        pod::default_template(object.template.get_or_insert_default().spec.get_or_insert_default());
    }

    fn validate(object: &PodTemplate) -> Vec<FieldError> {
        let template = object.template.clone().unwrap_or_default();
        pod::validate_template(&template, &FieldPath::new("template"))
    }

    fn warnings(object: &PodTemplate, old: Option<&PodTemplate>) -> Vec<String> {
        let old = old.and_then(|old| old.template.as_ref());
        let Some(template) = object.template.as_ref().filter(|template| Some(*template) != old) else {
            return vec![];
        };
        pod::template_warnings(template, &FieldPath::new("template"))
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Containers", "The names of the template's containers"),
            Column::string("Images", "The images of the template's containers"),
            Column::string("Pod Labels", "The labels that pods from the template get"),
        ]
    }

    fn row(object: &PodTemplate, _now: Timestamp) -> Vec<Cell> {
        let template = object.template.clone().unwrap_or_default();
        let (names, images) = cells::containers(template.spec.as_ref());
        let labels = template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
        vec![cells::name(&object.metadata), names, images, cells::labels(labels)]
    }
}
