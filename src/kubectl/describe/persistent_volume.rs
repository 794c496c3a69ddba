//! `kubectl describe persistentvolume`.
// Models kubectl/pkg/describe (PersistentVolumeDescriber).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{list, map, quantities, slice, some, some_text, text, texts};
use super::metadata::{age_of, labels_and_annotations};
use super::related::{Failure, Related, Resource};
use super::volume;
use super::writer::{Writer, put};
use crate::meta::storage::{self, BETA_STORAGE_CLASS};

/// The volume's describer.
pub struct PersistentVolume;

#[async_trait]
impl Describer for PersistentVolume {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "PersistentVolume")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        _namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let volume = related.get(Resource::new("v1", "persistentvolumes"), "", name).await?;
        let events = events::shown(related, &volume, settings.show_events).await;
        let mut w = Writer::new();
        put!(w, 0, "Name:\t{}\n", text(&volume, "/metadata/name"));
        labels_and_annotations(&mut w, &volume);
        put!(w, 0, "Finalizers:\t{}\n", slice(&texts(&volume, "/metadata/finalizers")));
        put!(w, 0, "StorageClass:\t{}\n", class(&volume));
        put!(w, 0, "Status:\t{}\n", status(&volume, related.now()));
        let claim = some(&volume, "/spec/claimRef");
        let claim = claim.map(|claim| format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")));
        put!(w, 0, "Claim:\t{}\n", claim.unwrap_or_default());
        put!(w, 0, "Reclaim Policy:\t{}\n", text(&volume, "/spec/persistentVolumeReclaimPolicy"));
        put!(w, 0, "Access Modes:\t{}\n", access_modes(&volume, "/spec/accessModes"));
        if let Some(mode) = some(&volume, "/spec/volumeMode").and_then(Value::as_str) {
            put!(w, 0, "VolumeMode:\t{mode}\n");
        }
        put!(w, 0, "Capacity:\t{}\n", capacity(&volume, "/spec/capacity"));
        node_affinity(&mut w, &volume);
        put!(w, 0, "Message:\t{}\n", text(&volume, "/status/message"));
        w.write(0, "Source:\n");
        volume::source_of(&mut w, volume.pointer("/spec").unwrap_or(&Value::Null));
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}

/// The class of a volume or a claim.
pub fn class(object: &Value) -> String {
    let older = map(object, "/metadata/annotations").remove(BETA_STORAGE_CLASS);
    older.unwrap_or_else(|| text(object, "/spec/storageClassName").to_owned())
}

/// The phase, or since when it is going.
pub fn status(object: &Value, now: jiff::Timestamp) -> String {
    match some_text(object, "/metadata/deletionTimestamp") {
        Some(_) => format!("Terminating (lasts {})", age_of(object, "/metadata/deletionTimestamp", now)),
        None => text(object, "/status/phase").to_owned(),
    }
}

/// `RWO,ROX`.
pub fn access_modes(object: &Value, path: &str) -> String {
    let modes: Vec<String> = texts(object, path).into_iter().map(str::to_owned).collect();
    storage::access_modes(Some(&modes))
}

/// The storage among the amounts at a path.
pub fn capacity(object: &Value, path: &str) -> String {
    quantities(object, path).get("storage").map_or_else(|| "0".to_owned(), ToString::to_string)
}

fn node_affinity(w: &mut Writer, volume: &Value) {
    w.write(0, "Node Affinity:\t");
    let Some(required) = some(volume, "/spec/nodeAffinity/required") else {
        return w.write(0, "<none>\n");
    };
    w.write(0, "\n");
    w.write(1, "Required Terms:\t");
    let terms = list(required, "/nodeSelectorTerms");
    if terms.is_empty() {
        return w.write(0, "<none>\n");
    }
    w.write(0, "\n");
    for (index, term) in terms.iter().enumerate() {
        let expressions = list(term, "/matchExpressions");
        let line = |expression: &Value| {
            let operator = text(expression, "/operator").to_lowercase();
            requirement(expression, &operator)
        };
        term_lines(w, 2, index, &expressions.iter().map(line).collect::<Vec<_>>());
    }
}

/// `key in [a, b]`.
pub fn requirement(expression: &Value, operator: &str) -> String {
    let (key, values) = (text(expression, "/key"), texts(expression, "/values"));
    if values.is_empty() {
        format!("{key} {operator}")
    } else {
        format!("{key} {operator} [{}]", values.join(", "))
    }
}

/// A term of requirements, one a line.
pub fn term_lines(w: &mut Writer, level: usize, index: usize, requirements: &[String]) {
    put!(w, level, "Term {index}:\t");
    if requirements.is_empty() {
        w.write(0, "<none>\n");
    }
    for (index, line) in requirements.iter().enumerate() {
        if index != 0 {
            w.write(level, "\t");
        }
        put!(w, 0, "{line}\n");
    }
}
