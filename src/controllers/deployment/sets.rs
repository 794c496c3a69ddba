//! A Deployment's ReplicaSets: which is the new one, what it is called, what is noted on it, how large it may be.
//! Pure functions for `rollout`.
// Models pkg/controller/deployment/util/deployment_util.go.

use std::collections::BTreeMap;
use std::hash::Hasher;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::super::percent::{Rounding, scaled};
use crate::meta::owner::controller_ref;
use crate::seed::safe_encode;

/// The label that tells a Deployment's ReplicaSets and their pods apart.
pub(crate) const HASH_LABEL: &str = "pod-template-hash";
/// The number of a rollout.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier numbers of the same template.
pub(crate) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The Deployment's replicas when the ReplicaSet was last scaled.
pub(crate) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The same with the surge.
pub(crate) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// How long the annotation of earlier numbers may grow.
const MAX_REVISION_HISTORY_CHARS: usize = 2000;
/// How long an object's name may be.
const MAX_NAME: usize = 253;

/// How many replicas the Deployment wants.
pub(crate) fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many replicas the ReplicaSet is to have.
pub(crate) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many of its pods are available.
pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// How many pods it has.
pub(crate) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

/// Whether the Deployment replaces its pods step by step.
pub(crate) fn is_rolling(deployment: &Deployment) -> bool {
    strategy(deployment).is_some_and(|strategy| strategy == "RollingUpdate")
}

/// The strategy's type.
pub(crate) fn strategy(deployment: &Deployment) -> Option<&str> {
    deployment.spec.as_ref()?.strategy.as_ref()?.type_.as_deref()
}

fn rolling(deployment: &Deployment) -> Option<&RollingUpdateDeployment> {
    deployment.spec.as_ref()?.strategy.as_ref()?.rolling_update.as_ref()
}

/// How many pods more than wanted there may be.
pub(crate) fn max_surge(deployment: &Deployment) -> i32 {
    if !is_rolling(deployment) {
        return 0;
    }
    scaled(rolling(deployment).and_then(|r| r.max_surge.as_ref()), replicas(deployment), Rounding::Up)
}

/// How many of the wanted pods may be missing. If nothing may be missing and nothing surplus, one may be missing.
pub(crate) fn max_unavailable(deployment: &Deployment) -> i32 {
    let wanted = replicas(deployment);
    if !is_rolling(deployment) || wanted == 0 {
        return 0;
    }
    let missing =
        scaled(rolling(deployment).and_then(|r| r.max_unavailable.as_ref()), wanted, Rounding::Down);
    if missing == 0 && max_surge(deployment) == 0 { 1 } else { missing.min(wanted) }
}

/// The hash of a template, with the count of collisions there have been. Kubernetes hashes a dump of Go's memory, which
/// nobody else can make; this one hashes the template's JSON with the same function and writes it the same way.
// Models pkg/controller/controller_utils.go (ComputeHash).
pub(crate) fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut hash = Fnv32a::default();
    hash.write(&serde_json::to_vec(template).unwrap_or_default());
    if let Some(collisions) = collisions {
        hash.write(&collisions.to_le_bytes());
        hash.write(&[0; 4]);
    }
    safe_encode(&hash.finish().to_string())
}

struct Fnv32a(u32);

impl Default for Fnv32a {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Hasher for Fnv32a {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
    fn finish(&self) -> u64 {
        u64::from(self.0)
    }
}

/// Whether two templates are the same but for the hash label.
pub(crate) fn same_template(a: Option<&PodTemplateSpec>, b: &PodTemplateSpec) -> bool {
    let bare = |template: &PodTemplateSpec| {
        let mut meta = template.metadata.clone().unwrap_or_default();
        if let Some(labels) = &mut meta.labels {
            labels.remove(HASH_LABEL);
        }
        meta
    };
    a.is_some_and(|a| a.spec == b.spec && bare(a) == bare(b))
}

/// The place of the ReplicaSet with the Deployment's template; of several the oldest.
pub(crate) fn find_new(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<usize> {
    let template = &deployment.spec.as_ref()?.template;
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_by_key(|&i| age_key(&sets[i]));
    order
        .into_iter()
        .find(|&i| same_template(sets[i].spec.as_ref().and_then(|spec| spec.template.as_ref()), template))
}

/// Sorts by age, then name. A set that is yet to be created is the youngest.
pub(crate) fn age_key(set: &ReplicaSet) -> (Timestamp, String) {
    let created = set.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
    (created, set.metadata.name.clone().unwrap_or_default())
}

/// The number on a ReplicaSet; 0 without one.
pub(crate) fn revision(set: &ReplicaSet) -> i64 {
    set.metadata.annotations.as_ref().and_then(|map| map.get(REVISION)?.parse().ok()).unwrap_or(0)
}

/// A ReplicaSet for the Deployment's template, without replicas yet.
pub(crate) fn new_set(deployment: &Deployment) -> ReplicaSet {
    let spec = deployment.spec.clone().unwrap_or_default();
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = template_hash(&spec.template, collisions);
    let with_hash = |labels: Option<BTreeMap<String, String>>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone());
        Some(labels)
    };
    let mut template = spec.template;
    let meta = template.metadata.get_or_insert_default();
    meta.labels = with_hash(meta.labels.take());
    let labels = meta.labels.clone();
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let stem: String = name.chars().take(MAX_NAME - 1 - hash.len()).collect();
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{stem}-{hash}")),
            namespace: deployment.metadata.namespace.clone(),
            owner_references: Some(vec![controller_ref::<Deployment>(&deployment.metadata)]),
            labels,
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector: LabelSelector { match_labels: with_hash(spec.selector.match_labels), ..spec.selector },
            template: Some(template),
        }),
        status: None,
    }
}

/// Copies the Deployment's annotations and numbers the rollout. Returns whether anything changed.
// Models SetNewReplicaSetAnnotations.
pub(crate) fn annotate(deployment: &Deployment, set: &mut ReplicaSet, new_revision: i64) -> bool {
    let before = set.metadata.annotations.clone().unwrap_or_default();
    let mut notes = before.clone();
    for (key, value) in deployment.metadata.annotations.iter().flatten().filter(|(key, _)| !is_own(key)) {
        notes.insert(key.clone(), value.clone());
    }
    let old = notes.get(REVISION).cloned();
    let old_revision =
        old.as_deref().map_or(Some(0), |text| if text.is_empty() { Some(0) } else { text.parse().ok() });
    if let Some(old_revision) = old_revision
        && old_revision < new_revision
    {
        notes.insert(REVISION.to_owned(), new_revision.to_string());
        if let Some(old) = old {
            let history = notes.get(REVISION_HISTORY).cloned().unwrap_or_default();
            notes.insert(REVISION_HISTORY.to_owned(), lengthened(&history, &old));
        }
    }
    let changed = notes != before;
    set.metadata.annotations = Some(notes);
    changed
}

/// The history with one more number; the oldest ones go when it grows too long.
fn lengthened(history: &str, revision: &str) -> String {
    if history.is_empty() {
        return revision.to_owned();
    }
    let mut numbers: Vec<&str> = history.split(',').collect();
    numbers.push(revision);
    let too_long = |numbers: &[&str]| numbers.join(",").len() > MAX_REVISION_HISTORY_CHARS;
    while numbers.len() > 1 && too_long(&numbers) {
        numbers.remove(0);
    }
    numbers.join(",")
}

/// Annotations that belong to the object they are on.
fn is_own(key: &str) -> bool {
    const OWN: [&str; 6] = [
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    ];
    OWN.contains(&key)
}

/// Notes the Deployment's numbers on a ReplicaSet. Returns whether anything changed.
pub(crate) fn note_replicas(deployment: &Deployment, set: &mut ReplicaSet) -> bool {
    let wanted = replicas(deployment);
    let notes = set.metadata.annotations.get_or_insert_default();
    let mut changed = false;
    for (key, number) in
        [(DESIRED_REPLICAS, wanted), (MAX_REPLICAS, wanted.saturating_add(max_surge(deployment)))]
    {
        let text = number.to_string();
        changed |= notes.get(key) != Some(&text);
        notes.insert(key.to_owned(), text);
    }
    changed
}

/// A number noted on a ReplicaSet.
pub(crate) fn noted(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get(key)?.parse().ok().filter(|number| *number >= 0)
}

/// How large the new ReplicaSet of `size` may become, when all have `total` together.
// Models NewRSNewReplicas.
pub(crate) fn new_size(deployment: &Deployment, total: i32, size: i32) -> i32 {
    let wanted = replicas(deployment);
    if !is_rolling(deployment) {
        return wanted;
    }
    let surge = scaled(rolling(deployment).and_then(|r| r.max_surge.as_ref()), wanted, Rounding::Up);
    let most = wanted.saturating_add(surge);
    if total >= most { size } else { size + (most - total).min(wanted - size) }
}

/// The part of `to_add` replicas (or fewer, if negative) that goes to this set when a rollout is scaled midway.
// Models GetReplicaSetProportion.
pub(crate) fn proportion(set: &ReplicaSet, deployment: &Deployment, to_add: i32, added: i32) -> i32 {
    if size(set) == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let share = share(set, deployment);
    let left = to_add - added;
    if to_add > 0 { share.min(left) } else { share.max(left) }
}

fn share(set: &ReplicaSet, deployment: &Deployment) -> i32 {
    let wanted = replicas(deployment);
    if wanted == 0 {
        return -size(set);
    }
    let before = noted(set, MAX_REPLICAS).filter(|&number| number != 0);
    let before = before.unwrap_or_else(|| deployment.status.as_ref().and_then(|s| s.replicas).unwrap_or(0));
    if before == 0 {
        return 0;
    }
    let most = f64::from(wanted + max_surge(deployment));
    // Sizes fit into i32, and so does what comes of them here.
    (f64::from(size(set)) * most / f64::from(before)).round() as i32 - size(set)
}
