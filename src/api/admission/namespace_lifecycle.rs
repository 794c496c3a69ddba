//! NamespaceLifecycle: nothing is made in a namespace that is missing or going, and some namespaces never go.
// Models k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle.

use k8s_openapi::api::core::v1::Namespace;

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::{ApiError, GroupResource};

/// The namespaces that may not be deleted.
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public"];

/// The plugin.
pub struct NamespaceLifecycle;

impl Plugin for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        if request.kind.group.is_empty() && request.kind.plural == "namespaces" {
            let refused = request.operation == Operation::Delete && IMMORTAL.contains(&request.name);
            let why = "this namespace may not be deleted";
            return if refused {
                Err(ApiError::forbidden(&request.kind.group_resource(), request.name, why))
            } else {
                Ok(())
            };
        }
        // An access review must not tell who may not know whether a namespace exists.
        let review = request.is("authorization.k8s.io", "localsubjectaccessreviews", "");
        let relevant = matches!(request.operation, Operation::Create | Operation::Update);
        if request.namespace.is_empty() || !relevant || review {
            return Ok(());
        }
        let Some(namespace) = context.read::<Namespace>("", request.namespace) else {
            return Err(ApiError::not_found(&GroupResource::new("", "namespaces"), request.namespace));
        };
        let phase = namespace.status.as_ref().and_then(|status| status.phase.as_deref());
        if request.operation == Operation::Create && phase == Some("Terminating") {
            let name = request.namespace;
            let why =
                format!("unable to create new content in namespace {name} because it is being terminated");
            let message = format!("namespace {name} is being terminated");
            return Err(request.forbidden(&why).cause(
                "NamespaceTerminating",
                &message,
                Some("metadata.namespace"),
            ));
        }
        Ok(())
    }
}
