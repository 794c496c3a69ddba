//! The message of a pod that found no place.
// Models pkg/scheduler/framework/types.go (FitError).

use std::collections::BTreeMap;

use super::framework::Failure;

/// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. <what could not be done about it>`
pub(crate) fn fit_error(nodes: usize, failure: &Failure, post_filter: &str) -> String {
    let mut message = format!("0/{nodes} nodes are available:");
    if let Some(refusal) = &failure.pre_filter {
        message += &format!(" {}.", refusal.reasons.join(", "));
    } else {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in failure.refusals.values().flat_map(|(_, refusal)| &refusal.reasons) {
            *counts.entry(reason).or_default() += 1;
        }
        let unseen = nodes.saturating_sub(failure.refusals.len());
        for reason in failure.absent.iter().filter(|_| unseen > 0).flat_map(|refusal| &refusal.reasons) {
            *counts.entry(reason).or_default() += unseen;
        }
        let mut reasons: Vec<String> =
            counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.sort();
        if !reasons.is_empty() {
            message += &format!(" {}.", reasons.join(", "));
        }
    }
    if !post_filter.is_empty() {
        message += &format!(" {post_filter}");
    }
    message
}
