//! TaintNodesByCondition: a new node is tainted as not ready, so that no pod lands on it before it is.
//!
//! The node lifecycle controller takes the taint away once the node's Ready condition is true.
// Models plugin/pkg/admission/nodetaint.

use k8s_openapi::api::core::v1::{Node, Taint};

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;

/// The plugin.
pub struct TaintNodesByCondition;

impl Plugin for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        _context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        if request.operation != Operation::Create || !request.is("", "nodes", "") {
            return Ok(());
        }
        let Some(node) = request.object_as_mut::<Node>() else { return Ok(()) };
        let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
        let (key, effect) = ("node.kubernetes.io/not-ready", "NoSchedule");
        if !taints.iter().any(|taint| taint.key == key && taint.effect == effect) {
            taints.push(Taint { key: key.to_owned(), effect: effect.to_owned(), ..Taint::default() });
        }
        Ok(())
    }
}
