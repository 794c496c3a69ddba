//! Tests over the whole table of kinds, and what the kinds' own tests share: objects from YAML, defaulted and shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::api::allocations::Allocations;
use crate::api::auth::UserInfo;
use crate::api::codec;
use crate::api::field::FieldError;
use crate::api::kind::{DynKind, Object, WriteContext};
use crate::api::registry::{KindRef, Registry};
use crate::api::status::ApiError;
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::Store;

/// What the hooks of a cluster need.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) seed: Seed,
    pub(crate) store: Store,
    pub(crate) allocations: Allocations,
    pub(crate) user: UserInfo,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Clock::virtual_time();
        let store = Store::new(clock.clone());
        Self {
            clock,
            seed: Seed::new(7),
            store,
            allocations: Allocations::default(),
            user: UserInfo::admin(),
        }
    }

    pub(crate) fn context(&self) -> WriteContext<'_> {
        let Self { clock, seed, store, allocations, user } = self;
        WriteContext { clock, seed, store, allocations, user, dry_run: false }
    }
}

/// The kind and the object of a document, as the server has decoded and defaulted it.
pub(crate) fn read(yaml: &str) -> (KindRef, Box<dyn Object>) {
    let value: Value = serde_saphyr::from_str(yaml).expect("the sample is YAML");
    read_value(value)
}

pub(crate) fn read_value(value: Value) -> (KindRef, Box<dyn Object>) {
    let version = value["apiVersion"].as_str().expect("the sample has a version").to_owned();
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let name = value["kind"].as_str().expect("the sample has a kind").to_owned();
    let kind = Registry::built_in().kind(group, version, &name).expect("the kind is registered");
    let mut object = kind.decode(value).expect("the sample can be decoded");
    kind.default(&mut *object);
    (kind, object)
}

/// The sample of a kind in `fixtures/kinds`.
pub(crate) fn sample(name: &str) -> (KindRef, Box<dyn Object>) {
    let path = format!("{}/fixtures/kinds/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    read(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")))
}

/// The object as `kubectl get -o yaml` shows it.
pub(crate) fn shown(kind: &dyn DynKind, object: &dyn Object) -> String {
    let encoded = codec::encode(kind.info(), &object.to_value()).at(1);
    let mut value: Value = serde_json::from_slice(&encoded).expect("the server writes JSON");
    if let Some(meta) = value["metadata"].as_object_mut() {
        meta.remove("resourceVersion");
    }
    serde_saphyr::to_string(&value).expect("every JSON value is YAML")
}

/// The document, defaulted.
pub(crate) fn defaulted(yaml: &str) -> String {
    let (kind, object) = read(yaml);
    shown(&*kind, &*object)
}

/// What a creation of the document is refused with, a line an error.
pub(crate) fn refused(yaml: &str) -> String {
    let (kind, object) = read(yaml);
    lines(&kind.validate(&*object))
}

/// What the change from one document to another is refused with.
pub(crate) fn change_refused(old: &str, new: &str) -> String {
    let ((kind, old), (_, new)) = (read(old), read(new));
    lines(&kind.validate_update(&*new, &*old))
}

fn lines(errors: &[FieldError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The document as it would be stored.
pub(crate) fn created(world: &World, yaml: &str) -> Result<(KindRef, Box<dyn Object>), ApiError> {
    let (kind, mut object) = read(yaml);
    kind.prepare_create(&world.context(), &mut *object)?;
    Ok((kind, object))
}

/// The row of the document's table, in columns as `-o wide` prints them.
pub(crate) fn row(yaml: &str, now: &str) -> String {
    let (kind, object) = read(yaml);
    let now: Timestamp = now.parse().expect("the test gives a time");
    let names: Vec<String> = kind.columns().iter().map(|column| column.name.to_uppercase()).collect();
    let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    let cells: Vec<String> = kind.row(&*object, now).iter().map(text).collect();
    let pairs: Vec<String> = names.iter().zip(&cells).map(|(name, cell)| format!("{name}={cell}")).collect();
    pairs.join(" | ")
}

/// `group/version plural`: singular, short names, categories, verbs; `*` for all verbs. From a real 1.36 cluster.
const FACTS: &[(&str, &str, &str, &str, &str)] = &[
    ("v1 componentstatuses", "componentstatus", "cs", "", "get list"),
    ("v1 configmaps", "configmap", "cm", "", "*"),
    ("v1 endpoints", "endpoints", "ep", "", "*"),
    ("v1 events", "event", "ev", "", "*"),
    ("v1 namespaces", "namespace", "ns", "", "create delete get list patch update watch"),
    ("v1 nodes", "node", "no", "", "*"),
    ("v1 persistentvolumeclaims", "persistentvolumeclaim", "pvc", "", "*"),
    ("v1 persistentvolumes", "persistentvolume", "pv", "", "*"),
    ("v1 pods", "pod", "po", "all", "*"),
    ("v1 podtemplates", "podtemplate", "", "", "*"),
    ("v1 replicationcontrollers", "replicationcontroller", "rc", "all", "*"),
    ("v1 secrets", "secret", "", "", "*"),
    ("v1 serviceaccounts", "serviceaccount", "sa", "", "*"),
    ("v1 services", "service", "svc", "all", "*"),
    ("apps/v1 controllerrevisions", "controllerrevision", "", "", "*"),
    ("apps/v1 deployments", "deployment", "deploy", "all", "*"),
    ("apps/v1 replicasets", "replicaset", "rs", "all", "*"),
    ("coordination.k8s.io/v1 leases", "lease", "", "", "*"),
    ("discovery.k8s.io/v1 endpointslices", "endpointslice", "", "", "*"),
    ("events.k8s.io/v1 events", "event", "ev", "", "*"),
    ("networking.k8s.io/v1 networkpolicies", "networkpolicy", "netpol", "", "*"),
    ("storage.k8s.io/v1 storageclasses", "storageclass", "sc", "", "*"),
];
const ALL_VERBS: &str = "create delete deletecollection get list patch update watch";

#[test]
fn the_registry_says_what_a_real_cluster_says() {
    let registry = Registry::built_in();
    let have: BTreeMap<String, KindRef> = registry
        .all()
        .into_iter()
        .map(|kind| (format!("{} {}", kind.info().api_version(), kind.info().plural), kind))
        .collect();
    for (resource, singular, short, categories, verbs) in FACTS {
        let info = have.get(*resource).unwrap_or_else(|| panic!("{resource} is missing")).info().clone();
        let verbs = if *verbs == "*" { ALL_VERBS } else { verbs };
        let got = (
            info.singular.as_str(),
            info.short_names.join(" "),
            info.categories.join(" "),
            info.verbs.join(" "),
        );
        assert_eq!(
            got,
            (*singular, (*short).to_owned(), (*categories).to_owned(), verbs.to_owned()),
            "{resource}"
        );
    }
}

/// The fixture of a kind: its plural, and its group too where two groups have the plural.
fn fixture(kind: &dyn DynKind) -> String {
    match (kind.info().group.as_str(), kind.info().plural.as_str()) {
        ("events.k8s.io", plural) => format!("{plural}.events.k8s.io"),
        (_, plural) => plural.to_owned(),
    }
}

#[test]
fn every_kind_has_a_sample_that_is_valid_and_fills_its_columns() {
    for kind in Registry::built_in().all() {
        let name = fixture(&*kind);
        let (of, object) = sample(&name);
        assert_eq!((&of.info().kind, &of.info().group), (&kind.info().kind, &kind.info().group), "{name}");
        let errors = kind.validate(&*object);
        assert!(errors.is_empty(), "{name}: {}", lines(&errors));
        let unchanged = kind.validate_update(&*object, &*object);
        assert!(unchanged.is_empty(), "{name} may not stay as it is: {}", lines(&unchanged));
        let wrong = kind.validate_name(object.meta().name.as_deref().unwrap(), false);
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        let columns = kind.columns();
        let row = kind.row(&*object, crate::clock::VIRTUAL_START);
        assert_eq!(columns.len(), row.len(), "{name}: a cell a column");
        assert_eq!(
            columns.iter().filter(|column| column.format == "name").count(),
            1,
            "{name}: one name column"
        );
        let names: Vec<_> = kind.selectable_fields(&*object).into_iter().map(|(name, _)| name).collect();
        let blank = kind.decode(serde_json::json!({})).unwrap();
        let blank_names: Vec<_> = kind.selectable_fields(&*blank).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, blank_names, "{name}: the same selectable fields for every object");
    }
}

#[test]
fn defaulting_again_changes_nothing() {
    for kind in Registry::built_in().all() {
        let name = fixture(&*kind);
        let (_, mut object) = sample(&name);
        let once = object.to_value();
        kind.default(&mut *object);
        assert_eq!(once, object.to_value(), "{name}");
        let read_back = kind.decode(once.clone()).unwrap().to_value();
        assert_eq!(once, read_back, "{name}: nothing is lost on the way to JSON and back");
    }
}

#[test]
fn nothing_in_an_empty_object_makes_a_hook_fail() {
    let world = World::new();
    for kind in Registry::built_in().all() {
        let empty = kind.decode(serde_json::json!({})).unwrap();
        let _ = (kind.validate(&*empty), kind.row(&*empty, crate::clock::VIRTUAL_START), kind.scale(&*empty));
        let mut object = kind.decode(serde_json::json!({})).unwrap();
        kind.default(&mut *object);
        let _ = (kind.validate(&*object), kind.validate_status_update(&*object, &*empty));
        let _ = (kind.validate_update(&*object, &*empty), kind.warnings(&*object, Some(&*empty)));
        kind.prepare_status_update(&world.context(), &mut *object, &*empty);
        let _ = kind.prepare_create(&world.context(), &mut *object);
        kind.after_delete(&world.allocations, &*object);
    }
}

#[test]
fn events_are_the_same_object_in_both_groups() {
    let (_, object) = sample("events.events.k8s.io");
    let kind = Registry::built_in().resource("events.k8s.io", "v1", "events").unwrap();
    let conversion = kind.info().stored_as.unwrap();
    let value = object.to_value();
    let stored = (conversion.to_storage)(value.clone());
    assert_eq!((&stored["apiVersion"], &stored["message"]), (&"v1".into(), &value["note"]));
    let (core, as_core) = read_value(stored.clone());
    assert_eq!(core.info().group, "");
    assert_eq!((conversion.from_storage)(as_core.to_value()), value);
}
