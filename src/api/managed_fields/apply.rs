//! Server-side apply: a configuration is merged into the object, its author owns what is in it, and what the author no longer
//! mentions and nobody else owns goes away.
// Models sigs.k8s.io/structured-merge-diff/merge (Updater.Apply) and apimachinery/pkg/util/managedfields/internal
// (lastappliedmanager.go, lastappliedupdater.go, skipnonapplied.go, structuredmerge.go, versioncheck.go).

use serde_json::{Map, Value};

use super::compare::compare;
use super::conflict::Conflicts;
use super::entries::{Entry, Managed, Manager, Operation};
use super::merge::merged;
use super::place::field_set;
use super::remove::{with_named_fields, without};
use super::set::FieldSet;
use super::update::{
    By, STRIPPED, others_conflicts, record_update, reset_fields, set_managed_fields, take_away, type_of,
};
use super::validate::{message, problems};
use crate::api::codec::{Target, encode_plain, from_unstructured, to_canonical_value};
use crate::api::kind::KindInfo;
use crate::api::schema::TypeInfo;
use crate::api::status::ApiError;

/// The annotation in which client-side `kubectl apply` keeps its configuration.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager of what was there before anybody applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The object after the configuration was applied to `live` (`None` if there is no such object yet), with its new
/// managedFields; like a decoded body, it has no defaults yet. Without `force`, fields that others own and that would
/// change are a conflict.
pub fn apply(
    kind: &KindInfo,
    live: Option<&Value>,
    config: Value,
    by: &By<'_>,
    force: bool,
) -> Result<Value, ApiError> {
    let target = Target::of(kind);
    check_identity(&target, &config)?;
    let nothing;
    let object = match live {
        Some(live) => live,
        None => {
            nothing = to_canonical_value(&target, &Value::Object(Map::new()));
            &nothing
        }
    };
    let entries = object.get("metadata").and_then(|metadata| metadata.get("managedFields"));
    let mut managed = Managed::read(entries)
        .map_err(|error| failed(format!("failed to decode managed fields: {error}")))?;
    let mut object = object.clone();
    set_managed_fields(&mut object, None);
    if managed.0.is_empty() && live.is_some() {
        let empty = to_canonical_value(&target, &Value::Object(Map::new()));
        record_update(kind, &empty, &object, &mut managed, BEFORE_FIRST_APPLY, by);
    }
    let wrong = problems(type_of(kind), &config);
    if !wrong.is_empty() {
        return Err(failed(format!(
            "failed to create typed patch object ({}): {}",
            described(&target, &config),
            message(&wrong)
        )));
    }
    let step = Step { kind, info: type_of(kind), object: &object, config: &config, by };
    let (new, mut managed) = match step.run(managed.clone(), force) {
        Ok(result) => result,
        Err(conflicts) => step.unless_client_side_applied(managed, conflicts)?,
    };
    strip(&mut managed, &step.manager());
    let mut result = match new {
        None => object.clone(),
        Some(new) => {
            if let Some(entry) = managed.0.get_mut(&step.manager()) {
                entry.time = Some(by.now);
            }
            from_unstructured(&target, new)
                .map_err(|error| {
                    failed(format!(
                        "failed to convert new typed object ({}) to object: {error}",
                        described(&target, &config)
                    ))
                })?
                .value
        }
    };
    if by.manager == "kubectl" {
        renew_last_applied(&mut result, &config);
    }
    set_managed_fields(&mut result, managed.write());
    Ok(result)
}

/// An error without a reason, as Kubernetes answers when field management fails.
fn failed(message: String) -> ApiError {
    ApiError::new(500, "", message)
}

fn check_identity(target: &Target<'_>, config: &Value) -> Result<(), ApiError> {
    let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version != target.api_version() || kind != target.kind {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        return Err(ApiError::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
    }
    match config.get("metadata").and_then(|metadata| metadata.get("managedFields")) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(ApiError::bad_request("metadata.managedFields must be nil")),
    }
}

/// `default/web; apps/v1, Kind=Deployment`
fn described(target: &Target<'_>, config: &Value) -> String {
    let metadata = |key: &str| {
        config.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default()
    };
    let (group, version, kind) = (target.group, target.version, target.kind);
    format!("{}/{}; {group}/{version}, Kind={kind}", metadata("namespace"), metadata("name"))
}

/// One apply, which may be tried twice.
struct Step<'a> {
    kind: &'a KindInfo,
    info: &'a TypeInfo,
    object: &'a Value,
    config: &'a Value,
    by: &'a By<'a>,
}

impl Step<'_> {
    fn manager(&self) -> Manager {
        Manager::new(self.by.manager, Operation::Apply, "", self.by.subresource)
    }

    /// The new object, or `None` if it is the old one, and who owns what.
    fn run(&self, mut managed: Managed, force: bool) -> Result<(Option<Value>, Managed), Conflicts> {
        let (me, version) = (self.manager(), self.kind.api_version());
        let fields = field_set(self.info, self.config)
            .recursive_difference(&reset_fields(self.kind, self.by.subresource));
        let before = managed.0.remove(&me);
        let time = before.as_ref().and_then(|entry| entry.time);
        managed.0.insert(me.clone(), Entry { api_version: version.clone(), fields, time });
        let new = merged(self.info, self.object, self.config);
        let new = match before {
            Some(before) if !before.fields.is_empty() => self.prune(&new, &managed, &before.fields),
            _ => new,
        };
        let comparison =
            compare(self.info, self.object, &new).excluding(&reset_fields(self.kind, self.by.subresource));
        let conflicts = others_conflicts(&managed, &comparison, Some(&me), &version);
        if !force && !conflicts.0.is_empty() {
            return Err(conflicts);
        }
        take_away(&mut managed, &conflicts, &comparison, Some(&me), &version);
        Ok(((new != *self.object).then_some(new), managed))
    }

    /// Removes what the manager applied last time, did not apply now, and nobody else owns.
    fn prune(&self, merged: &Value, managed: &Managed, last: &FieldSet) -> Value {
        let named = |set: &FieldSet| with_named_fields(self.info, set);
        let of = |value: &Value| named(&field_set(self.info, value));
        let last = named(last);
        let all = of(merged);
        let pruned = without(self.info, merged, &last);
        let owned = managed.0.values().fold(FieldSet::default(), |all, entry| all.union(&entry.fields));
        let pruned = without(self.info, merged, &all.difference(&of(&pruned).union(&named(&owned))));
        // What went along with it but was never this manager's stays.
        without(self.info, merged, &all.difference(&of(&pruned)).intersection(&last))
    }

    /// kubectl may take over what it had applied from the client side.
    fn unless_client_side_applied(
        &self,
        managed: Managed,
        conflicts: Conflicts,
    ) -> Result<(Option<Value>, Managed), ApiError> {
        let Some(allowed) = self.client_side_applied().filter(|_| self.by.manager == "kubectl") else {
            return Err(conflicts.into());
        };
        let rest = conflicts.without(&allowed);
        if !rest.fields().is_empty() {
            return Err(rest.into());
        }
        self.run(managed, true).map_err(ApiError::from)
    }

    /// The fields of the last client-side configuration that are still as it had them.
    fn client_side_applied(&self) -> Option<FieldSet> {
        let text = self.object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
        let applied: Value = serde_json::from_str(text).ok()?;
        if applied.get("apiVersion")?.as_str()? != self.kind.api_version()
            || !problems(self.info, &applied).is_empty()
        {
            return None;
        }
        let comparison = compare(self.info, &applied, self.object);
        let fields = field_set(self.info, &applied);
        Some(
            fields
                .difference(&comparison.modified)
                .difference(&comparison.added)
                .difference(&comparison.removed),
        )
    }
}

fn strip(managed: &mut Managed, me: &Manager) {
    if let Some(entry) = managed.0.get_mut(me) {
        entry.fields = entry.fields.difference(&STRIPPED);
        if entry.fields.is_empty() {
            managed.0.remove(me);
        }
    }
}

/// Where kubectl had applied from the client side, the annotation follows what it applies from the server side.
fn renew_last_applied(object: &mut Value, config: &Value) {
    let annotations = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    let Some(annotations) = annotations.and_then(Value::as_object_mut) else { return };
    if annotations.get(LAST_APPLIED).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(own) =
        config.get_mut("metadata").and_then(|m| m.get_mut("annotations")).and_then(Value::as_object_mut)
    {
        own.remove(LAST_APPLIED);
    }
    let text = format!("{}\n", String::from_utf8_lossy(&encode_plain("", &config)));
    annotations.insert(LAST_APPLIED.to_owned(), text.into());
}
