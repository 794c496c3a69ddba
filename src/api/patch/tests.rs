//! Patches, made and applied: the rules one by one, and that making and applying fit together.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::codec::{FieldValidation, Target};
use crate::api::schema::{TypeInfo, lookup};

fn deployment() -> &'static TypeInfo {
    lookup("io.k8s.api.apps.v1.Deployment").unwrap()
}

fn merged(original: Value, patch: Value) -> Value {
    let (Value::Object(original), Value::Object(patch)) = (original, patch) else { panic!("objects") };
    Value::Object(strategic_merge(original, patch, deployment()).unwrap())
}

/// A Deployment with these containers.
fn with(containers: Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

#[test]
fn a_strategic_patch_merges_lists_by_key() {
    let original = with(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    let cases = [
        (
            json!([{"name": "b", "image": "2"}]),
            json!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]),
        ),
        // A new element goes to the front, as a real cluster shows after `kubectl patch`.
        (
            json!([{"name": "c"}]),
            json!([{"name": "c"}, {"name": "a", "image": "1"}, {"name": "b", "image": "1"}]),
        ),
        (json!([{"name": "a", "$patch": "delete"}]), json!([{"name": "b", "image": "1"}])),
        (json!([{"name": "c"}, {"$patch": "replace"}]), json!([{"name": "c"}])),
    ];
    for (patch, expected) in cases {
        assert_eq!(merged(original.clone(), with(patch.clone())), with(expected), "{patch}");
    }
}

#[test]
fn directives_order_retain_and_delete() {
    let original = json!({"metadata": {"finalizers": ["a", "b", "c"]}, "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["c", "a"]},
        "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let expected =
        json!({"metadata": {"finalizers": ["c", "a"]}, "spec": {"strategy": {"type": "Recreate"}}});
    assert_eq!(merged(original, patch), expected);
    let containers = with(json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]));
    let patch = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}}}});
    assert_eq!(merged(containers, patch), with(json!([{"name": "b"}, {"name": "c"}, {"name": "a"}])));
    assert_eq!(
        merged(json!({"spec": {"paused": true}}), json!({"spec": {"$patch": "replace", "replicas": 1}})),
        json!({"spec": {"replicas": 1}})
    );
}

#[test]
fn errors_are_in_kubernetes_words() {
    let patch = |patch: Value| match (with(json!([{"name": "a"}])), patch) {
        (Value::Object(original), Value::Object(patch)) => {
            strategic_merge(original, patch, deployment()).unwrap_err().to_string()
        }
        _ => unreachable!(),
    };
    assert_eq!(
        patch(with(json!([{"image": "x"}]))),
        "map: map[image:x] does not contain declared merge key: name"
    );
    assert_eq!(patch(json!({"$patch": "burn"})), "unknown patch type: burn in map: map[$patch:burn]");
    assert_eq!(
        patch(json!({"spec": {"template": {"spec": {"containers": [["x"]]}}}})),
        "list element types are not identical: [[map[name:a]] [[x]]]"
    );
}

#[test]
fn patch_requests_answer_as_the_server_does() {
    let target = Target::named("apps", "v1", "Deployment");
    let apply = |patch: &str, r#type| {
        let current = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "a"}, "spec": {"replicas": 1}});
        super::apply(&target, current, patch.as_bytes(), r#type, FieldValidation::Warn)
            .map_err(|e| e.to_string())
    };
    let refusals = [
        (
            PatchType::Strategic,
            r#"{"spec":{"replicas":"three"}}"#,
            r#" "" is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32"#,
        ),
        (
            PatchType::Strategic,
            "{bad json",
            "invalid character 'b' looking for beginning of object key string",
        ),
        (
            PatchType::Json,
            r#"[{"op":"remove","path":"/metadata/labels/x"}]"#,
            "the server rejected our request due to an error in our request",
        ),
        (
            PatchType::Json,
            r#"[{"op":"test","path":"/spec/replicas","value":7}]"#,
            "the server rejected our request due to an error in our request",
        ),
    ];
    for (r#type, patch, expected) in refusals {
        assert_eq!(apply(patch, r#type).unwrap_err(), expected);
    }
    let unknown = apply(r#"{"spec":{"replcas":3}}"#, PatchType::Strategic).unwrap();
    assert_eq!(unknown.warnings, [r#"unknown field "spec.replcas""#]);
    for (r#type, patch) in [
        (PatchType::Merge, r#"{"spec":{"replicas":3}}"#),
        (PatchType::Json, r#"[{"op":"replace","path":"/spec/replicas","value":3}]"#),
    ] {
        assert_eq!(apply(patch, r#type).unwrap().value["spec"]["replicas"], 3);
    }
}

#[test]
fn a_three_way_patch_deletes_what_is_no_longer_wanted_and_leaves_the_rest() {
    let original = json!({"spec": {"replicas": 2, "paused": true, "template": {"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]}}}});
    let modified =
        json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "2"}]}}}});
    let current = json!({"spec": {"replicas": 5, "paused": true, "minReadySeconds": 7,
        "template": {"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b"}, {"name": "sidecar"}]}}}});
    let patch = create_three_way_merge_patch(&original, &modified, &current, deployment(), true).unwrap();
    let expected = json!({"spec": {"paused": null, "replicas": 2, "template": {"spec": {
        "$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}]}}}});
    assert_eq!(patch, expected);
    let result = merged(current.clone(), patch);
    let wanted = json!({"spec": {"replicas": 2, "minReadySeconds": 7,
        "template": {"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "sidecar"}]}}}});
    assert_eq!(result, wanted);
    let refused = create_three_way_merge_patch(&original, &modified, &current, deployment(), false);
    assert!(matches!(refused, Err(PatchError::Conflict { .. })), "{refused:?}");
    let strategies =
        [json!({"type": "Recreate"}), json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})]
            .map(|strategy| json!({"spec": {"strategy": strategy}}));
    let patch =
        create_three_way_merge_patch(&strategies[1], &strategies[0], &strategies[1], deployment(), true)
            .unwrap();
    assert_eq!(
        patch,
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": null}}})
    );
}

#[test]
fn custom_resources_get_json_merge_patches() {
    let (original, modified) = (json!({"spec": {"a": 1, "b": [1]}}), json!({"spec": {"b": [2]}}));
    let current = json!({"spec": {"a": 1, "b": [1], "c": 3}});
    let patch = create_three_way_json_merge_patch(&original, &modified, &current).unwrap();
    assert_eq!(patch, json!({"spec": {"a": null, "b": [2]}}));
    assert_eq!(merge_patch(current, patch), json!({"spec": {"b": [2], "c": 3}}));
}

/// Deployments of a few fields, so that two random ones have much in common.
fn any_deployment() -> impl Strategy<Value = Value> {
    let container =
        ("[a-d]", proptest::option::of("[x-z]"), proptest::collection::btree_map("[K-M]", "[0-9]", 0..3));
    let containers = proptest::collection::vec(container, 0..4).prop_map(|list| {
        let mut seen = std::collections::BTreeSet::new();
        let kept = list.into_iter().filter(|(name, ..)| seen.insert(name.clone()));
        kept.map(|(name, image, env)| {
            let env: Vec<Value> =
                env.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            let mut container = json!({"name": name, "env": env});
            if let Some(image) = image {
                container["image"] = image.into();
            }
            container
        })
        .collect::<Vec<_>>()
    });
    let finalizers = proptest::collection::btree_set("[a-d]", 0..3);
    let labels = proptest::collection::btree_map("[p-r]", "[0-9]", 0..3);
    (containers, finalizers, labels, proptest::option::of(0_i32..3)).prop_map(
        |(containers, finalizers, labels, replicas)| {
            let mut value = with(containers.into());
            value["metadata"] = json!({"finalizers": finalizers, "labels": labels});
            if let Some(replicas) = replicas {
                value["spec"]["replicas"] = replicas.into();
            }
            value
        },
    )
}

proptest! {
    #[test]
    fn a_two_way_patch_makes_the_modified_object(original in any_deployment(), modified in any_deployment()) {
        let patch = create_two_way_merge_patch(&original, &modified, deployment()).unwrap();
        prop_assert_eq!(merged(original, patch), modified);
    }

    #[test]
    fn a_three_way_patch_of_one_owner_makes_the_modified_object(original in any_deployment(), modified in any_deployment()) {
        let patch = create_three_way_merge_patch(&original, &modified, &original, deployment(), true).unwrap();
        prop_assert_eq!(merged(original, patch), modified);
    }

    #[test]
    fn a_three_way_patch_reaches_what_was_modified(original in any_deployment(), modified in any_deployment(), current in any_deployment()) {
        let patch = create_three_way_merge_patch(&original, &modified, &current, deployment(), true).unwrap();
        let result = merged(current, patch);
        let again = create_three_way_merge_patch(&modified, &modified, &result, deployment(), true).unwrap();
        // It may still give the order, which is the same already.
        prop_assert_eq!(merged(result.clone(), again), result);
    }

    #[test]
    fn a_json_merge_patch_makes_the_modified_object(original in any_deployment(), modified in any_deployment()) {
        let patch = create_merge_patch(&original, &modified).unwrap();
        prop_assert_eq!(merge_patch(original, patch), modified);
    }

    #[test]
    fn no_patch_makes_the_server_panic(current in any_deployment(), patch in crate::api::testing::any_json(), operations in "[a-z0-9/~\\-]{0,9}") {
        let target = Target::named("apps", "v1", "Deployment");
        let spec = json!({"spec": patch, "metadata": patch.clone()}).to_string();
        let operation = json!([{"op": "add", "path": format!("/spec/{operations}"), "value": patch}]).to_string();
        for (r#type, text) in [(PatchType::Merge, &spec), (PatchType::Strategic, &spec), (PatchType::Json, &operation)] {
            let _ = apply(&target, current.clone(), text.as_bytes(), r#type, FieldValidation::Strict);
        }
    }
}
