//! `pods/eviction`: a deletion that asks the pod's disruption budget first.
// Models pkg/registry/core/pod/storage (EvictionREST).

use axum::body::Body;
use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use super::binding::set_condition;
use super::success;
use crate::api::admission::Operation;
use crate::api::codec::{self, Target};
use crate::api::handler::{Incoming, read_object};
use crate::api::options::{DeleteOptions, WriteOptions};
use crate::api::rest::{Call, Reply, Rest};
use crate::api::status::{ApiError, GroupResource};
use crate::meta::age;
use crate::meta::selector::Selector;
use crate::store::{KeyRange, RangeRequest};

/// How many evictions may be under way that the budget's controller has not seen.
const MAX_DISRUPTED_PODS: usize = 2000;

/// Evicts the pod that the call names.
pub(super) async fn create(
    rest: &Rest,
    incoming: &Incoming,
    call: &Call,
    request: Request<Body>,
) -> Result<Reply, ApiError> {
    let (body, media) = read_object(incoming, request).await?;
    let options = WriteOptions::parse(&incoming.query, "CreateOptions", false)?;
    let eviction =
        codec::decode_as(&Target::named("policy", "v1", "Eviction"), &body, media, options.field_validation)?;
    if eviction.value.pointer("/metadata/name").and_then(Value::as_str) != Some(&call.name) {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let mut delete = match eviction.value.get("deleteOptions").filter(|options| options.is_object()) {
        Some(options) => DeleteOptions::from_body(options.clone())?,
        None => DeleteOptions::default(),
    };
    delete.set_dry_run(options.dry_run);
    let mut warnings = eviction.warnings;
    warnings.extend(rest.consult(call, Operation::Create, None, delete.is_dry_run())?);
    let pod = rest.value(&*call.kind, &*rest.stored(call)?)?;
    if !can_ignore_budgets(&pod) {
        ask_budgets(rest, call, &pod, delete.is_dry_run())?;
    }
    mark_and_delete(rest, call, &delete)?;
    Ok(success(201).warn(warnings))
}

/// Whether the pod is down already, so that its eviction disrupts nothing.
fn can_ignore_budgets(pod: &Value) -> bool {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    ["Succeeded", "Failed", "Pending"].contains(&phase) || !pod["metadata"]["deletionTimestamp"].is_null()
}

/// Asks the budget that selects the pod, and counts the eviction against it.
fn ask_budgets(rest: &Rest, call: &Call, pod: &Value, dry_run: bool) -> Result<(), ApiError> {
    let Some(kind) = rest.registry().resource("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
    let prefix = format!("{}{}/", kind.info().storage_prefix(), call.namespace);
    let found =
        rest.store().range(&RangeRequest::new(KeyRange::prefix(prefix))).map_err(ApiError::internal)?;
    let budgets: Vec<Value> =
        found.kvs.iter().filter_map(|kv| serde_json::from_slice(&kv.value).ok()).collect();
    let selecting: Vec<&Value> = budgets.iter().filter(|budget| selects(budget, pod)).collect();
    let budget = match selecting[..] {
        [] => return Ok(()),
        [one] => one,
        _ => {
            let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(ApiError::new(500, "", message));
        }
    };
    if !is_ready(pod) {
        let always =
            budget.pointer("/spec/unhealthyPodEvictionPolicy").is_some_and(|policy| policy == "AlwaysAllow");
        let (current, desired) = (number(budget, "currentHealthy"), number(budget, "desiredHealthy"));
        if always || (current >= desired && desired > 0) {
            return Ok(());
        }
    }
    let name = budget.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let budget_call = Call { kind, name, subresource: "status".to_owned(), ..call.clone() };
    let now = age::rfc3339(rest.clock().now());
    rest.write_through(&budget_call, dry_run, |budget| {
        check(&budget_call.name, budget)?;
        let left = number(budget, "disruptionsAllowed") - 1;
        budget["status"]["disruptionsAllowed"] = left.into();
        budget["status"]["disruptedPods"][&call.name] = Value::from(now.as_str());
        Ok(())
    })?;
    Ok(())
}

fn number(budget: &Value, field: &str) -> i64 {
    budget["status"][field].as_i64().unwrap_or(0)
}

fn selects(budget: &Value, pod: &Value) -> bool {
    let selector: LabelSelector =
        serde_json::from_value(budget["spec"]["selector"].clone()).unwrap_or_default();
    let labels = serde_json::from_value(pod["metadata"]["labels"].clone()).ok();
    Selector::from_label_selector(&selector).is_ok_and(|selector| selector.matches_optional(labels.as_ref()))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Whether the budget lets one more pod go.
// Models checkAndDecrement.
fn check(name: &str, budget: &Value) -> Result<(), ApiError> {
    let forbidden =
        |why| ApiError::forbidden(&GroupResource::new("policy", "poddisruptionbudget"), name, why);
    let too_many = "Cannot evict pod as it would violate the pod's disruption budget.";
    let because = |seconds, message: &str| {
        ApiError::too_many_requests(too_many, seconds).cause("DisruptionBudget", message, None)
    };
    if number(budget, "observedGeneration") < budget["metadata"]["generation"].as_i64().unwrap_or(0) {
        return Err(because(
            10,
            &format!("The disruption budget {name} is still being processed by the server."),
        ));
    }
    if number(budget, "disruptionsAllowed") < 0 {
        return Err(forbidden("pdb disruptions allowed is negative"));
    }
    if budget["status"]["disruptedPods"].as_object().is_some_and(|pods| pods.len() > MAX_DISRUPTED_PODS) {
        return Err(forbidden(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if number(budget, "disruptionsAllowed") > 0 {
        return Ok(());
    }
    let conditions = budget.pointer("/status/conditions").and_then(Value::as_array);
    let condition =
        conditions.into_iter().flatten().find(|condition| condition["type"] == "DisruptionAllowed");
    let told =
        condition.filter(|c| c["status"] == "False" && c["message"].as_str().is_some_and(|m| !m.is_empty()));
    let word = |field: &str| told.and_then(|condition| condition[field].as_str()).unwrap_or_default();
    let (current, desired) = (number(budget, "currentHealthy"), number(budget, "desiredHealthy"));
    let message = if word("reason") == "SyncFailed" {
        let why = word("message");
        format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
        )
    } else if current <= desired {
        format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")
    } else if told.is_some() {
        let (reason, why) = (word("reason"), word("message"));
        format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {why}")
    } else {
        format!("The disruption budget {name} does not allow evicting pods currently")
    };
    Err(because(0, &message))
}

fn mark_and_delete(rest: &Rest, call: &Call, options: &DeleteOptions) -> Result<(), ApiError> {
    let mut options = options.clone();
    let pod = Call { subresource: String::new(), ..call.clone() };
    if !options.is_dry_run() {
        let now = age::rfc3339(rest.clock().now());
        let wanted = options.preconditions.clone().unwrap_or_default();
        let marked = rest.write_through(&pod, false, |object| {
            wanted.check(&GroupResource::new("", "Pod"), &call.name, &object["metadata"])?;
            set_condition(
                object,
                json!({
                    "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                    "message": "Eviction API: evicting", "lastTransitionTime": now,
                }),
            );
            Ok(())
        })?;
        if let Some(preconditions) = options.preconditions.as_mut().filter(|p| p.resource_version.is_some()) {
            preconditions.resource_version =
                marked["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        }
    }
    rest.delete(&pod, &options).map(drop)
}
