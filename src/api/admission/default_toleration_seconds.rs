//! DefaultTolerationSeconds: a pod stays for five minutes on a node that is not ready or cannot be reached.
// Models plugin/pkg/admission/defaulttolerationseconds.

use k8s_openapi::api::core::v1::{Pod, Toleration};

use super::{AdmissionContext, AdmissionRequest, Operation, Plugin};
use crate::api::status::ApiError;

/// How long a pod stays on a node with one of the taints.
const SECONDS: i64 = 300;
/// The taints.
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The plugin.
pub struct DefaultTolerationSeconds;

impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        _context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        let relevant = matches!(request.operation, Operation::Create | Operation::Update);
        if !relevant || !request.is("", "pods", "") {
            return Ok(());
        }
        let Some(spec) = request.object_as_mut::<Pod>().and_then(|pod| pod.spec.as_mut()) else {
            return Ok(());
        };
        let present = spec.tolerations.clone().unwrap_or_default();
        for taint in TAINTS {
            if !present.iter().any(|toleration| covers(toleration, taint)) {
                spec.tolerations.get_or_insert_default().push(Toleration {
                    key: Some(taint.to_owned()),
                    operator: Some("Exists".to_owned()),
                    effect: Some("NoExecute".to_owned()),
                    toleration_seconds: Some(SECONDS),
                    value: None,
                });
            }
        }
        Ok(())
    }
}

fn covers(toleration: &Toleration, taint: &str) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
}
