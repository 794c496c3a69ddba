//! The `Volumes:` section of a pod or a pod template: one table of the sources and their fields.
// Models kubectl/pkg/describe (describeVolumes and the print*VolumeSource functions).

use serde_json::Value;

use super::fields::{flag, int_or_text, list, map, plain, some, text};
use super::writer::{Writer, put};
use crate::meta::quantity::Quantity;

/// A source of a volume: its field, what describe calls it, and its own fields as (label, path, what a missing one shows).
struct Source {
    field: &'static str,
    title: &'static str,
    fields: &'static [(&'static str, &'static str, &'static str)],
}

const fn source(
    field: &'static str,
    title: &'static str,
    fields: &'static [(&'static str, &'static str, &'static str)],
) -> Source {
    Source { field, title, fields }
}

const SOURCES: &[Source] = &[
    source(
        "hostPath",
        "HostPath (bare host directory volume)",
        &[("Path:", "path", ""), ("HostPathType:", "type", "<none>")],
    ),
    source(
        "emptyDir",
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        &[("Medium:", "medium", "")],
    ),
    source(
        "gcePersistentDisk",
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[
            ("PDName:", "pdName", ""),
            ("FSType:", "fsType", ""),
            ("Partition:", "partition", "0"),
            ("ReadOnly:", "readOnly", "false"),
        ],
    ),
    source(
        "awsElasticBlockStore",
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[
            ("VolumeID:", "volumeID", ""),
            ("FSType:", "fsType", ""),
            ("Partition:", "partition", "0"),
            ("ReadOnly:", "readOnly", "false"),
        ],
    ),
    source(
        "gitRepo",
        "GitRepo (a volume that is pulled from git when the pod is created)",
        &[("Repository:", "repository", ""), ("Revision:", "revision", "")],
    ),
    source(
        "secret",
        "Secret (a volume populated by a Secret)",
        &[("SecretName:", "secretName", ""), ("Optional:", "optional", "false")],
    ),
    source(
        "configMap",
        "ConfigMap (a volume populated by a ConfigMap)",
        &[("Name:", "name", ""), ("Optional:", "optional", "false")],
    ),
    source(
        "nfs",
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server:", "server", ""), ("Path:", "path", ""), ("ReadOnly:", "readOnly", "false")],
    ),
    source(
        "iscsi",
        "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        &[
            ("TargetPortal:", "targetPortal", ""),
            ("IQN:", "iqn", ""),
            ("Lun:", "lun", "0"),
            ("ISCSIInterface", "iscsiInterface", ""),
            ("FSType:", "fsType", ""),
            ("ReadOnly:", "readOnly", "false"),
            ("Portals:", "portals", "[]"),
            ("DiscoveryCHAPAuth:", "chapAuthDiscovery", "false"),
            ("SessionCHAPAuth:", "chapAuthSession", "false"),
            ("SecretRef:", "secretRef", "nil"),
            ("InitiatorName:", "initiatorName", "<none>"),
        ],
    ),
    source(
        "glusterfs",
        "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        &[("EndpointsName:", "endpoints", ""), ("Path:", "path", ""), ("ReadOnly:", "readOnly", "false")],
    ),
    source(
        "persistentVolumeClaim",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName:", "claimName", ""), ("ReadOnly:", "readOnly", "false")],
    ),
    source(
        "ephemeral",
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        &[],
    ),
    source("downwardAPI", "DownwardAPI (a volume populated by information about the pod)", &[]),
    source("projected", "Projected (a volume that contains injected data from multiple sources)", &[]),
    source(
        "csi",
        "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver:", "driver", ""), ("FSType:", "fsType", ""), ("ReadOnly:", "readOnly", "false")],
    ),
    source(
        "image",
        "Image (a container image or OCI artifact)",
        &[("Reference:", "reference", ""), ("PullPolicy:", "pullPolicy", "")],
    ),
    source(
        "rbd",
        "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        &[
            ("CephMonitors:", "monitors", "[]"),
            ("RBDImage:", "image", ""),
            ("FSType:", "fsType", ""),
            ("RBDPool:", "pool", ""),
            ("RadosUser:", "user", ""),
            ("Keyring:", "keyring", ""),
            ("SecretRef:", "secretRef", "nil"),
            ("ReadOnly:", "readOnly", "false"),
        ],
    ),
    source(
        "cephfs",
        "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        &[
            ("Monitors:", "monitors", "[]"),
            ("Path:", "path", ""),
            ("User:", "user", ""),
            ("SecretFile:", "secretFile", ""),
            ("SecretRef:", "secretRef", "nil"),
            ("ReadOnly:", "readOnly", "false"),
        ],
    ),
    source(
        "cinder",
        "Cinder (a Persistent Disk resource in OpenStack)",
        &[
            ("VolumeID:", "volumeID", ""),
            ("FSType:", "fsType", ""),
            ("ReadOnly:", "readOnly", "false"),
            ("SecretRef:", "secretRef", "nil"),
        ],
    ),
    source(
        "azureFile",
        "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        &[
            ("SecretName:", "secretName", ""),
            ("ShareName:", "shareName", ""),
            ("ReadOnly:", "readOnly", "false"),
        ],
    ),
    source(
        "azureDisk",
        "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        &[
            ("DiskName:", "diskName", ""),
            ("DiskURI:", "diskURI", ""),
            ("Kind: ", "kind", ""),
            ("FSType:", "fsType", ""),
            ("CachingMode:", "cachingMode", ""),
            ("ReadOnly:", "readOnly", "false"),
        ],
    ),
    source(
        "vsphereVolume",
        "vSphereVolume (a Persistent Disk resource in vSphere)",
        &[
            ("VolumePath:", "volumePath", ""),
            ("FSType:", "fsType", ""),
            ("StoragePolicyName:", "storagePolicyName", ""),
        ],
    ),
    source(
        "local",
        "LocalVolume (a persistent volume backed by local storage on a node)",
        &[("Path:", "path", "")],
    ),
];

/// The `Volumes:` section; `space` is the indentation of a template.
pub fn section(w: &mut Writer, volumes: &[Value], space: &str) {
    if volumes.is_empty() {
        put!(w, 0, "{space}Volumes:\t<none>\n");
        return;
    }
    put!(w, 0, "{space}Volumes:\n");
    let indent = if space.is_empty() { "" } else { " " };
    for volume in volumes {
        put!(w, 1, "{indent}{}:\n", text(volume, "/name"));
        source_of(w, volume);
    }
}

/// The source of a volume, or of a persistent volume's spec.
pub fn source_of(w: &mut Writer, volume: &Value) {
    let found = SOURCES
        .iter()
        .find_map(|source| some(volume, &format!("/{}", source.field)).map(|value| (source, value)));
    let Some((source, value)) = found else {
        w.write(1, "<unknown>\n");
        return;
    };
    put!(w, 2, "Type:\t{}\n", source.title);
    for (label, path, missing) in source.fields {
        let shown = some(value, &format!("/{path}"))
            .map_or_else(|| (*missing).to_owned(), |field| shown(path, field));
        put!(w, 2, "{label}\t{shown}\n");
        // Of a volume of its own it is told which one it is.
        if *path == "fsType" && source.field == "csi" && some(value, "/volumeHandle").is_some() {
            put!(w, 2, "VolumeHandle:\t{}\n", text(value, "/volumeHandle"));
        }
    }
    match source.field {
        "emptyDir" => put!(w, 2, "SizeLimit:\t{}\n", size_limit(value)),
        "downwardAPI" => downward(w, value),
        "projected" => projected(w, value),
        "csi" => attributes(w, value),
        "ephemeral" => claim_template(w, value),
        _ => {}
    }
}

fn shown(path: &str, field: &Value) -> String {
    if path == "secretRef" && some(field, "/namespace").is_some() {
        let (name, namespace) = (text(field, "/name"), text(field, "/namespace"));
        format!("&SecretReference{{Name:{name},Namespace:{namespace},}}")
    } else if path == "secretRef" {
        format!("&LocalObjectReference{{Name:{},}}", text(field, "/name"))
    } else {
        plain(field)
    }
}

fn size_limit(empty_dir: &Value) -> String {
    let limit: Quantity = int_or_text(empty_dir, "/sizeLimit").parse().unwrap_or(Quantity::ZERO);
    if limit > Quantity::ZERO { limit.to_string() } else { "<unset>".to_owned() }
}

fn downward(w: &mut Writer, source: &Value) {
    w.write(2, "Items:\n");
    for item in list(source, "/items") {
        for path in ["/fieldRef/fieldPath", "/resourceFieldRef/resource"] {
            if some(item, path).is_some() {
                put!(w, 3, "{} -> {}\n", text(item, path), text(item, "/path"));
            }
        }
    }
}

fn projected(w: &mut Writer, source: &Value) {
    for part in list(source, "/sources") {
        if let Some(secret) = some(part, "/secret") {
            put!(
                w,
                2,
                "SecretName:\t{}\n    Optional:\t{}\n",
                text(secret, "/name"),
                flag(secret, "/optional")
            );
        } else if some(part, "/downwardAPI").is_some() {
            w.write(2, "DownwardAPI:\ttrue\n");
        } else if let Some(config_map) = some(part, "/configMap") {
            put!(
                w,
                2,
                "ConfigMapName:\t{}\n    Optional:\t{}\n",
                text(config_map, "/name"),
                flag(config_map, "/optional")
            );
        } else if let Some(token) = some(part, "/serviceAccountToken") {
            put!(w, 2, "TokenExpirationSeconds:\t{}\n", int_or_text(token, "/expirationSeconds"));
        }
    }
}

fn attributes(w: &mut Writer, csi: &Value) {
    w.write(2, "VolumeAttributes:\t");
    let attributes = map(csi, "/volumeAttributes");
    if attributes.is_empty() {
        w.write(0, "<none>\n");
    }
    for (index, (key, value)) in attributes.iter().enumerate() {
        if index != 0 {
            w.write(2, "");
            w.write(2, "\t");
        }
        put!(w, 2, "{key}={value}\n");
    }
}

/// The claim that is made with the pod.
fn claim_template(w: &mut Writer, ephemeral: &Value) {
    let Some(template) = some(ephemeral, "/volumeClaimTemplate") else { return };
    put!(w, 2, "StorageClass:\t{}\n", text(template, "/spec/storageClassName"));
    put!(w, 2, "Volume:\t{}\n", text(template, "/spec/volumeName"));
    // Each piece is indented by itself, as by kubectl's nested writer.
    let entries = |w: &mut Writer, title: &str, path: &str, between: &str, tabs: &[&str]| {
        put!(w, 2, "{title}:\t");
        let entries = map(template, path);
        if entries.is_empty() {
            w.write(2, "<none>\n");
        }
        for (index, (key, value)) in entries.iter().enumerate() {
            tabs.iter().filter(|_| index != 0).for_each(|tab| w.write(2, tab));
            put!(w, 2, "{key}{between}{value}\n");
        }
    };
    entries(w, "Labels", "/metadata/labels", "=", &["", "\t"]);
    entries(w, "Annotations", "/metadata/annotations", ": ", &["\t"]);
    w.write(2, "Capacity:\t\n");
    w.write(2, "Access Modes:\t\n");
    if some(template, "/spec/volumeMode").is_some() {
        put!(w, 2, "VolumeMode:\t{}\n", text(template, "/spec/volumeMode"));
    }
    if let Some(source) = some(template, "/spec/dataSource") {
        w.write(2, "DataSource:\n");
        if some(source, "/apiGroup").is_some() {
            put!(w, 3, "APIGroup:\t{}\n", text(source, "/apiGroup"));
        }
        put!(w, 3, "Kind:\t{}\n", text(source, "/kind"));
        put!(w, 3, "Name:\t{}\n", text(source, "/name"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_source_shows_its_fields() {
        let volumes = json!([
            {"name": "tmp", "emptyDir": {}},
            {"name": "big", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            {"name": "conf", "configMap": {"name": "settings", "optional": true}},
            {"name": "sec", "secret": {"secretName": "creds"}},
            {"name": "host", "hostPath": {"path": "/var/log"}},
            {"name": "info", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"name": "odd"},
            {"name": "kube-api-access", "projected": {"sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt"}},
                {"downwardAPI": {"items": []}}]}},
        ]);
        let mut w = Writer::new();
        section(&mut w, volumes.as_array().unwrap(), "");
        insta::assert_snapshot!(w.finish());
    }
}
