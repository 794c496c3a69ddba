//! `kubectl describe persistentvolumeclaim`.
// Models kubectl/pkg/describe (PersistentVolumeClaimDescriber).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{list, slice, some, some_text, text, texts, time_text};
use super::metadata::{self, labels_and_annotations};
use super::persistent_volume::{access_modes, capacity, class, status};
use super::related::{Failure, Related, Resource, Wanted};
use super::writer::{Writer, put};

/// The claim's describer.
pub struct PersistentVolumeClaim;

#[async_trait]
impl Describer for PersistentVolumeClaim {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "PersistentVolumeClaim")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let claim = related.get(Resource::new("v1", "persistentvolumeclaims"), namespace, name).await?;
        let users = used_by(related, &claim).await?;
        let events = events::shown(related, &claim, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &claim);
        put!(w, 0, "StorageClass:\t{}\n", class(&claim));
        put!(w, 0, "Status:\t{}\n", status(&claim, related.now()));
        let volume = text(&claim, "/spec/volumeName");
        put!(w, 0, "Volume:\t{volume}\n");
        labels_and_annotations(&mut w, &claim);
        put!(w, 0, "Finalizers:\t{}\n", slice(&texts(&claim, "/metadata/finalizers")));
        let (capacity, modes) = match volume {
            "" => (String::new(), String::new()),
            _ => (capacity(&claim, "/status/capacity"), access_modes(&claim, "/status/accessModes")),
        };
        put!(w, 0, "Capacity:\t{capacity}\n");
        put!(w, 0, "Access Modes:\t{modes}\n");
        if let Some(mode) = some_text(&claim, "/spec/volumeMode") {
            put!(w, 0, "VolumeMode:\t{mode}\n");
        }
        if let Some(source) = some(&claim, "/spec/dataSource") {
            w.write(0, "DataSource:\n");
            if some(source, "/apiGroup").is_some() {
                put!(w, 1, "APIGroup:\t{}\n", text(source, "/apiGroup"));
            }
            put!(w, 1, "Kind:\t{}\n", text(source, "/kind"));
            put!(w, 1, "Name:\t{}\n", text(source, "/name"));
        }
        metadata::lines(&mut w, "Used By", &users);
        conditions(&mut w, list(&claim, "/status/conditions"));
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}

/// The pods that use the claim, by name.
// Models getPodsForPVC.
async fn used_by(related: &dyn Related, claim: &Value) -> Result<Vec<String>, Failure> {
    let namespace = text(claim, "/metadata/namespace").to_owned();
    let wanted = Wanted { namespace, ..Wanted::default() };
    let pods = related.list(Resource::new("v1", "pods"), &wanted).await?;
    let name = text(claim, "/metadata/name");
    let mut users: Vec<&Value> = vec![];
    for pod in &pods {
        let volumes = list(pod, "/spec/volumes").iter();
        let named = volumes.filter(|volume| text(volume, "/persistentVolumeClaim/claimName") == name);
        // A pod that mounts it twice is named twice.
        users.extend(named.map(|_| pod));
    }
    let uid = |object: &Value, path: &str| text(object, path).to_owned();
    for owner in list(claim, "/metadata/ownerReferences").iter().filter(|o| text(o, "/kind") == "Pod") {
        let owns = |pod: &&Value| uid(pod, "/metadata/uid") == uid(owner, "/uid");
        if !users.iter().any(owns) {
            users.extend(pods.iter().find(owns));
        }
    }
    let mut names: Vec<String> = users.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    names.sort();
    Ok(names)
}

fn conditions(w: &mut Writer, conditions: &[Value]) {
    if conditions.is_empty() {
        return;
    }
    w.write(0, "Conditions:\n");
    w.write(1, "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage\n");
    w.write(1, "----\t------\t-----------------\t------------------\t------\t-------\n");
    for condition in conditions {
        put!(
            w,
            1,
            "{} \t{} \t{} \t{} \t{} \t{}\n",
            text(condition, "/type"),
            text(condition, "/status"),
            time_text(condition, "/lastProbeTime"),
            time_text(condition, "/lastTransitionTime"),
            text(condition, "/reason"),
            text(condition, "/message")
        );
    }
}
