//! Ownership through the life of an object, as real clusters show it.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::codec::{Target, to_canonical_value};
use crate::api::kind::{KindInfo, Traits, Typed};
use crate::api::kinds::core::config_map::ConfigMapKind;

fn config_map() -> KindInfo {
    Typed::<ConfigMapKind>::boxed().info().clone()
}

fn kind(group: &str, kind: &str, plural: &str, schema_type: &str) -> KindInfo {
    KindInfo {
        group: group.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        schema_type: Some(schema_type.to_owned()),
        traits: Traits { status: true, ..config_map().traits },
        ..config_map()
    }
}

fn pod() -> KindInfo {
    kind("", "Pod", "pods", "io.k8s.api.core.v1.Pod")
}

fn deployment() -> KindInfo {
    kind("apps", "Deployment", "deployments", "io.k8s.api.apps.v1.Deployment")
}

fn by(manager: &str) -> By<'_> {
    By { manager, subresource: "", now: Timestamp::from_second(1_800_000_000).unwrap() }
}

fn stored(kind: &KindInfo, object: &Value) -> Value {
    to_canonical_value(&Target::of(kind), object)
}

/// The fields of a manager.
fn owned(object: &Value, manager: &str) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries
        .into_iter()
        .find(|entry| entry["manager"] == manager)
        .map(|entry| entry["fieldsV1"].clone())
        .unwrap_or_default()
}

#[test]
fn a_created_pod_is_owned_as_in_a_real_cluster() {
    let mut object = json!({
        "metadata": {"name": "till", "labels": {"app": "till", "tier": "back"}, "uid": "u", "creationTimestamp": "2026-11-20T08:15:19Z"},
        "spec": {"containers": [{"name": "till", "image": "x", "command": ["sleep"], "imagePullPolicy": "IfNotPresent"}],
            "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "securityContext": {}},
        "status": {"phase": "Pending"}
    });
    update(&pod(), None, &mut object, &by("kubectl-run"));
    let expected = json!({
        "f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:tier": {}}},
        "f:spec": {"f:containers": {"k:{\"name\":\"till\"}": {".": {}, "f:command": {}, "f:image": {}, "f:imagePullPolicy": {},
            "f:name": {}, "f:resources": {}}}, "f:dnsPolicy": {}, "f:enableServiceLinks": {}, "f:securityContext": {}}
    });
    assert_eq!(owned(&object, "kubectl-run"), expected);
    let live = stored(&pod(), &object);
    object["status"] = json!({"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "containerStatuses": [{"name": "till"}],
        "conditions": [{"type": "Ready", "status": "True"}]});
    update(&pod(), Some(&live), &mut object, &By { subresource: "status", ..by("kubelet") });
    let expected = json!({"f:status": {
        "f:conditions": {".": {}, "k:{\"type\":\"Ready\"}": {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}},
        "f:containerStatuses": {}, "f:phase": {}, "f:podIPs": {".": {}, "k:{\"ip\":\"10.0.0.1\"}": {".": {}, "f:ip": {}}}}});
    assert_eq!(owned(&object, "kubelet"), expected);
    assert_eq!(object["metadata"]["managedFields"][1]["subresource"], "status");
}

#[test]
fn updates_take_fields_from_others() {
    let kind = config_map();
    let mut object = json!({"metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}});
    update(&kind, None, &mut object, &by("one"));
    let live = stored(&kind, &object);
    object["data"] = json!({"x": "2"});
    update(&kind, Some(&live), &mut object, &by("two"));
    assert_eq!(owned(&object, "one"), json!({"f:data": {}}));
    assert_eq!(owned(&object, "two"), json!({"f:data": {"f:x": {}}}));
    // The same again changes nothing but the time, and not even that.
    let live = stored(&kind, &object);
    let mut again = object.clone();
    update(
        &kind,
        Some(&live),
        &mut again,
        &By { now: Timestamp::from_second(1_900_000_000).unwrap(), ..by("two") },
    );
    assert_eq!(again, object);
    keep_timestamps(&object, &mut again);
    assert_eq!(again, object);
}

#[test]
fn apply_conflicts_forces_and_prunes() {
    let kind = config_map();
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ssa", "namespace": "default"}, "data": data});
    let first =
        apply(&kind, None, config(json!({"colour": "blue", "size": "1"})), &by("kubectl"), false).unwrap();
    assert_eq!(owned(&first, "kubectl"), json!({"f:data": {"f:colour": {}, "f:size": {}}}));
    assert_eq!(first["metadata"]["managedFields"][0]["operation"], "Apply");
    let live = stored(&kind, &first);
    let refused =
        apply(&kind, Some(&live), config(json!({"colour": "red"})), &by("painter"), false).unwrap_err();
    assert_eq!(refused.to_string(), "Apply failed with 1 conflict: conflict with \"kubectl\": .data.colour");
    let causes = refused.0.details.as_ref().and_then(|details| details.causes.clone()).unwrap();
    assert_eq!(causes[0].reason.as_deref(), Some("FieldManagerConflict"));
    assert_eq!(
        (causes[0].message.as_deref(), causes[0].field.as_deref()),
        (Some("conflict with \"kubectl\""), Some(".data.colour"))
    );
    let forced = apply(&kind, Some(&live), config(json!({"colour": "red"})), &by("painter"), true).unwrap();
    assert_eq!(forced["data"], json!({"colour": "red", "size": "1"}));
    assert_eq!(owned(&forced, "kubectl"), json!({"f:data": {"f:size": {}}}));
    let live = stored(&kind, &forced);
    let pruned = apply(&kind, Some(&live), config(json!({"colour": "red"})), &by("kubectl"), false).unwrap();
    assert_eq!(pruned["data"], json!({"colour": "red"}));
    let mut patched = pruned.clone();
    patched["data"] = json!({"colour": "green", "a": "1"});
    update(&kind, Some(&stored(&kind, &pruned)), &mut patched, &by("kubectl-patch"));
    let live = stored(&kind, &patched);
    let refused =
        apply(&kind, Some(&live), config(json!({"colour": "red", "a": "2"})), &by("kubectl"), false)
            .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"kubectl-patch\" using v1:\n- .data.a\n- .data.colour"
    );
}

#[test]
fn apply_merges_lists_by_their_keys() {
    let kind = deployment();
    let config = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "d"}, "spec": {"template": {"spec": spec}}});
    let mut live = config(
        json!({"containers": [{"name": "main", "image": "1", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}),
    );
    update(&kind, None, &mut live, &by("kubectl-create"));
    let live = stored(&kind, &live);
    let sidecar = json!({"containers": [{"name": "main", "ports": [{"containerPort": 80}, {"containerPort": 81}]}, {"name": "side", "image": "2"}]});
    let both = apply(&kind, Some(&live), config(sidecar), &by("injector"), false).unwrap();
    let containers = &both["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["image"], "1");
    assert_eq!(
        containers[0]["ports"],
        json!([{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}])
    );
    assert_eq!(containers[1], json!({"name": "side", "image": "2", "resources": {}}));
    let gone = apply(
        &kind,
        Some(&stored(&kind, &both)),
        config(json!({"containers": [{"name": "main"}]})),
        &by("injector"),
        false,
    )
    .unwrap();
    let containers = gone["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0]["ports"], json!([{"containerPort": 80, "protocol": "TCP"}]));
    let unknown = apply(
        &kind,
        None,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "d"}, "spec": {"foo": 1}}),
        &by("k"),
        false,
    );
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "failed to create typed patch object (d/a; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema"
    );
}

#[test]
fn the_first_apply_remembers_what_was_there() {
    let kind = config_map();
    let live = stored(&kind, &json!({"metadata": {"name": "a", "uid": "u"}, "data": {"x": "1"}}));
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}});
    let refused = apply(&kind, Some(&live), config, &by("kubectl"), false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.x"
    );
}

fn any_data() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-c]", "[0-2]", 0..4).prop_map(|data| json!(data))
}

proptest! {
    #[test]
    fn an_applied_configuration_is_in_the_object_and_owned(steps in proptest::collection::vec(("[m-o]", any_data()), 1..6)) {
        let kind = config_map();
        let mut live: Option<Value> = None;
        for (manager, data) in steps {
            let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
            let new = apply(&kind, live.as_ref(), config, &by(&manager), true).unwrap();
            for (key, value) in data.as_object().unwrap() {
                prop_assert_eq!(&new["data"][key], value);
                let field = format!("f:{key}");
                prop_assert!(owned(&new, &manager)["f:data"].get(&field).is_some(), "{field}");
            }
            live = Some(stored(&kind, &new));
        }
    }

    #[test]
    fn no_json_makes_it_panic(config in crate::api::testing::any_json(), other in crate::api::testing::any_json()) {
        let kind = deployment();
        let mut new = json!({"metadata": other.clone(), "spec": config.clone(), "status": other});
        update(&kind, None, &mut new, &by("a"));
        let live = stored(&kind, &new);
        let config = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": config, "metadata": {"managedFields": null, "labels": other}});
        let _ = apply(&kind, Some(&live), config, &by("b"), true);
    }
}
