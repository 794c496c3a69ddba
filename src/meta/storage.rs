//! What volumes, claims and storage classes say of themselves: their class, their access modes, the annotations.
//!
//! The API server, the controllers, the scheduler and kubectl read them alike.
// Models k8s.io/component-helpers/storage/volume and pkg/apis/core/helper (GetAccessModesAsString, GetPersistentVolumeClaimClass).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Says on a claim that its binding is complete.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Says on a claim or a volume that the controller chose the other one, not the user.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// Which provisioner made a volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// Which node the scheduler chose for the first pod of a claim.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Which provisioner is to make the volume of a claim.
pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// The older name of [`STORAGE_PROVISIONER`].
pub const BETA_STORAGE_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// The older place of a class's name.
pub const BETA_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// The older place of a volume's mount options.
pub const BETA_MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
/// Marks the default class.
pub const IS_DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
/// The older name of [`IS_DEFAULT_CLASS`].
pub const BETA_IS_DEFAULT_CLASS: &str = "storageclass.beta.kubernetes.io/is-default-class";
/// Keeps a claim while pods use it.
pub const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume while it is bound.
pub const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
/// A provisioner that makes nothing: volumes of such classes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The access modes, in their order and short.
const MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

/// `RWO,ROX`.
pub fn access_modes(modes: Option<&[String]>) -> String {
    let has = |mode: &str| modes.unwrap_or_default().iter().any(|given| given == mode);
    MODES.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

/// The value of an annotation; empty if there is none.
pub fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> &'a str {
    meta.annotations.as_ref().and_then(|all| all.get(key)).map_or("", String::as_str)
}

/// Whether the object has that annotation, whatever its value.
pub fn has_annotation(meta: &ObjectMeta, key: &str) -> bool {
    meta.annotations.as_ref().is_some_and(|all| all.contains_key(key))
}

/// Sets an annotation.
pub fn annotate(meta: &mut ObjectMeta, key: &str, value: &str) {
    meta.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

/// The class that a claim asks for; empty for none.
pub fn claim_class(claim: &PersistentVolumeClaim) -> &str {
    let older = claim.metadata.annotations.as_ref().and_then(|all| all.get(BETA_STORAGE_CLASS));
    let own = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
    older.or(own).map_or("", String::as_str)
}

/// Whether a claim says anything about its class, even that it wants none.
pub fn claim_has_class(claim: &PersistentVolumeClaim) -> bool {
    has_annotation(&claim.metadata, BETA_STORAGE_CLASS)
        || claim.spec.as_ref().is_some_and(|spec| spec.storage_class_name.is_some())
}

/// The class of a volume; empty for none.
pub fn volume_class(volume: &PersistentVolume) -> &str {
    let older = volume.metadata.annotations.as_ref().and_then(|all| all.get(BETA_STORAGE_CLASS));
    let own = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
    older.or(own).map_or("", String::as_str)
}

/// Whether a class is marked as the default one.
pub fn is_default_class(annotations: Option<&BTreeMap<String, String>>) -> bool {
    [IS_DEFAULT_CLASS, BETA_IS_DEFAULT_CLASS]
        .iter()
        .any(|key| annotations.and_then(|all| all.get(*key)).is_some_and(|value| value == "true"))
}

/// Whether the object carries that finalizer.
pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|given| given == finalizer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn modes_are_short_and_in_their_own_order() {
        let modes = ["ReadWriteMany", "ReadWriteOnce", "Sometimes"].map(str::to_owned);
        assert_eq!(access_modes(Some(&modes)), "RWO,RWX");
        assert_eq!(access_modes(None), "");
    }

    #[test]
    fn the_older_annotation_of_a_class_rules() {
        let claim = |value| -> PersistentVolumeClaim { serde_json::from_value(value).unwrap() };
        let older = claim(json!({"metadata": {"annotations": {BETA_STORAGE_CLASS: "old"}},
            "spec": {"storageClassName": "new"}}));
        assert_eq!((claim_class(&older), claim_has_class(&older)), ("old", true));
        let none = claim(json!({"metadata": {}, "spec": {"storageClassName": ""}}));
        assert_eq!((claim_class(&none), claim_has_class(&none)), ("", true));
        assert!(!claim_has_class(&claim(json!({"metadata": {}, "spec": {}}))));
    }
}
