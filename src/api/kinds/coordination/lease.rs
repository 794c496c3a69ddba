//! Lease: who holds something, and until when: a leader's seat, or a node's sign of life.
// Models pkg/apis/coordination/validation.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;

use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, Rules};
use crate::api::kinds::unset::text;
use crate::api::kinds::{cells, checks};
use crate::api::table::{Cell, Column};

/// The one strategy of coordinated leader election that is Kubernetes' own.
const STRATEGY: &str = "OldestEmulationVersion";

/// `coordination.k8s.io/v1` Lease.
pub struct LeaseKind;

impl Kind for LeaseKind {
    type Object = Lease;
    const RULES: Rules = Rules { create_on_update: true, unconditional_update: false, ..Rules::USUAL };

    fn validate(lease: &Lease) -> Vec<FieldError> {
        let (field, spec) = (FieldPath::new("spec"), lease.spec.clone().unwrap_or_default());
        let mut errors = vec![];
        if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
            errors.push(FieldError::invalid(
                &field.child("leaseDurationSeconds"),
                seconds,
                "must be greater than 0",
            ));
        }
        if let Some(transitions) = spec.lease_transitions.filter(|transitions| *transitions < 0) {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(&field.child("leaseTransitions"), transitions, why));
        }
        if let Some(strategy) = &spec.strategy {
            // The field is named twice, as Kubernetes does.
            let field = field.child("strategy").child("strategy");
            if strategy.contains('/') {
                errors.extend(checks::qualified_name(strategy, &field));
            } else if strategy != STRATEGY {
                errors.push(FieldError::not_supported(&field, strategy.as_str(), &[STRATEGY]));
            }
        }
        if !text(&spec.preferred_holder).is_empty() && text(&spec.strategy).is_empty() {
            let why = "may only be specified if `strategy` is defined";
            errors.push(FieldError::forbidden(&field.child("preferredHolder"), why));
        }
        errors
    }

    fn columns() -> Vec<Column> {
        vec![Column::NAME, Column::string("Holder", "Who holds the lease"), Column::AGE]
    }

    fn row(lease: &Lease, now: Timestamp) -> Vec<Cell> {
        let holder = lease.spec.as_ref().map(|spec| text(&spec.holder_identity)).unwrap_or_default();
        vec![cells::name(&lease.metadata), holder.into(), cells::age(&lease.metadata, now)]
    }
}
