//! Ownership after a write that was no apply: the writer owns what it changed, the others lose that.
// Models sigs.k8s.io/structured-merge-diff/merge (Updater.Update) and apimachinery/pkg/util/managedfields/internal
// (fieldmanager.go, managedfieldsupdater.go, stripmeta.go, skipnonapplied.go).

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::compare::{Comparison, compare};
use super::conflict::Conflicts;
use super::entries::{Entry, Managed, Manager, Operation};
use super::set::FieldSet;
use crate::api::codec::{Target, to_canonical_value};
use crate::api::kind::KindInfo;
use crate::api::schema::{self, FieldInfo, Shape, TypeInfo};

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The field manager: `?fieldManager=`, or the part of the User-Agent before the slash.
    pub manager: &'a str,
    /// The sub-resource, like `status`; empty for none.
    pub subresource: &'a str,
    /// The time of the write.
    pub now: Timestamp,
}

/// Sets `metadata.managedFields` of `new`, which is to be written over `live` (`None` for a create). `live` is as it is
/// stored (see `codec::to_canonical_value`); `new` is as it is going to be encoded, defaults included.
pub fn update(kind: &KindInfo, live: Option<&Value>, new: &mut Value, by: &By<'_>) {
    let target = Target::of(kind);
    let mut managed = live_or_new(live, new, by.subresource);
    set_managed_fields(new, None);
    if managed.0.is_empty() && live.is_some() {
        // An object that nobody kept book of stays so, until it is applied.
        return;
    }
    let empty;
    let live = match live {
        Some(live) => live,
        None => {
            empty = to_canonical_value(&target, &Value::Object(Map::new()));
            &empty
        }
    };
    let written = to_canonical_value(&target, new);
    record_update(kind, live, &written, &mut managed, by.manager, by);
    managed.cap_update_managers();
    set_managed_fields(new, managed.write());
}

/// The bookkeeping of an update by `manager`.
pub(super) fn record_update(
    kind: &KindInfo,
    live: &Value,
    new: &Value,
    managed: &mut Managed,
    manager: &str,
    by: &By<'_>,
) {
    let reset = reset_fields(kind, by.subresource);
    let version = kind.api_version();
    let comparison = compare(type_of(kind), live, new).excluding(&reset);
    let conflicts = others_conflicts(managed, &comparison, None, &version);
    take_away(managed, &conflicts, &comparison, None, &version);
    let fields = comparison.modified.union(&comparison.added).difference(&STRIPPED);
    if fields.is_empty() {
        return;
    }
    let manager = Manager::new(manager, Operation::Update, &version, by.subresource);
    let before = managed.0.remove(&manager).map(|entry| entry.fields).unwrap_or_default();
    managed
        .0
        .insert(manager, Entry { api_version: version, fields: fields.union(&before), time: Some(by.now) });
}

/// What others own of what has changed. Entries of other versions are left alone.
pub(super) fn others_conflicts(
    managed: &Managed,
    comparison: &Comparison,
    me: Option<&Manager>,
    version: &str,
) -> Conflicts {
    let changed = comparison.modified.union(&comparison.added);
    let others =
        managed.0.iter().filter(|(manager, entry)| Some(*manager) != me && entry.api_version == version);
    let conflicts = others.map(|(manager, entry)| (manager.clone(), entry.fields.intersection(&changed)));
    Conflicts(conflicts.filter(|(_, fields)| !fields.is_empty()).collect())
}

/// Takes from the others what has changed and what is gone.
pub(super) fn take_away(
    managed: &mut Managed,
    conflicts: &Conflicts,
    comparison: &Comparison,
    me: Option<&Manager>,
    version: &str,
) {
    for (manager, entry) in
        managed.0.iter_mut().filter(|(manager, entry)| Some(*manager) != me && entry.api_version == version)
    {
        if let Some(fields) = conflicts.0.get(manager) {
            entry.fields = entry.fields.difference(fields);
        }
        entry.fields = entry.fields.difference(&comparison.removed);
    }
    managed.0.retain(|_, entry| !entry.fields.is_empty());
}

/// Fields that nobody owns.
pub(super) static STRIPPED: LazyLock<FieldSet> = LazyLock::new(|| {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// Fields that a write through the sub-resource does not change, and so does not own.
// Models GetResetFields of the strategies in pkg/registry.
pub(super) fn reset_fields(kind: &KindInfo, subresource: &str) -> FieldSet {
    let metadata_too = [
        "networking.k8s.io/servicecidrs",
        "storage.k8s.io/volumeattachments",
        "resource.k8s.io/resourceclaims",
        "flowcontrol.apiserver.k8s.io/flowschemas",
        "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations",
        "admissionregistration.k8s.io/validatingadmissionpolicies",
    ];
    let resource = format!("{}/{}", kind.group, kind.plural);
    match (resource.as_str(), subresource) {
        ("certificates.k8s.io/certificatesigningrequests", "") => {
            FieldSet::of_fields(&[&["spec"], &["status"]])
        }
        ("certificates.k8s.io/certificatesigningrequests", "status") => {
            FieldSet::of_fields(&[&["spec"], &["status", "conditions"]])
        }
        ("certificates.k8s.io/certificatesigningrequests", "approval") => {
            FieldSet::of_fields(&[&["spec"], &["status", "certificate"]])
        }
        ("/pods", "status") => FieldSet::of_fields(&[
            &["spec"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
        ]),
        ("apps/deployments", "status") => FieldSet::of_fields(&[&["spec"], &["metadata", "labels"]]),
        (resource, "status") if metadata_too.contains(&resource) => {
            FieldSet::of_fields(&[&["spec"], &["metadata"]])
        }
        (_, "status") => FieldSet::of_fields(&[&["spec"]]),
        _ if kind.traits.status => FieldSet::of_fields(&[&["status"]]),
        _ => FieldSet::default(),
    }
}

/// A custom resource without a schema: its metadata is known, the rest is taken as it comes.
static UNKNOWN: LazyLock<TypeInfo> = LazyLock::new(|| {
    let metadata =
        schema::reference("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").map_or(Shape::Raw, Shape::Type);
    let fields = vec![FieldInfo { name: "metadata".into(), value: metadata, ..FieldInfo::default() }];
    let mut info = TypeInfo::new("", fields);
    info.preserve_unknown = true;
    info
});

/// The type of a kind. The schema of a custom resource lists apiVersion, kind and metadata too.
pub(super) fn type_of(kind: &KindInfo) -> &TypeInfo {
    kind.type_info().unwrap_or(&UNKNOWN)
}

fn managed_fields(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields").filter(|entries| !entries.is_null())
}

/// The entries that the write begins with: the new object's, so that clients may edit them, or the live one's.
fn live_or_new(live: Option<&Value>, new: &Value, subresource: &str) -> Managed {
    let of_live = || Managed::read(live.and_then(managed_fields)).unwrap_or_default();
    if !subresource.is_empty() {
        return of_live();
    }
    let entries = managed_fields(new);
    let is_reset = entries.and_then(Value::as_array).is_some_and(|list| match &list[..] {
        [] => true,
        [only] => only.as_object().is_some_and(Map::is_empty),
        _ => false,
    });
    if is_reset {
        return Managed::default();
    }
    match Managed::read(entries) {
        Ok(managed) if !managed.0.is_empty() => managed,
        _ => of_live(),
    }
}

pub(super) fn set_managed_fields(object: &mut Value, entries: Option<Value>) {
    let Some(metadata) = object
        .as_object_mut()
        .and_then(|map| map.entry("metadata").or_insert_with(|| Map::new().into()).as_object_mut())
    else {
        return;
    };
    match entries {
        Some(entries) => metadata.insert("managedFields".to_owned(), entries),
        None => metadata.remove("managedFields"),
    };
}

/// If `new` differs from `live` in nothing but the times in managedFields (and its resourceVersion), gives it back the
/// old times: then the write changes nothing at all.
// Models apiserver/pkg/endpoints/handlers/fieldmanager/equality.go.
pub fn keep_timestamps(live: &Value, new: &mut Value) {
    let timeless = |object: &Value| -> Option<Value> {
        let mut entries = managed_fields(object)?.clone();
        for entry in entries.as_array_mut()? {
            entry.as_object_mut()?.remove("time");
        }
        Some(entries)
    };
    if timeless(live) != timeless(new) {
        return;
    }
    let rest = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            metadata.remove("resourceVersion");
        }
        object
    };
    if rest(live) == rest(new) {
        set_managed_fields(new, managed_fields(live).cloned());
    }
}
