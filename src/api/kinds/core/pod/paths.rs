//! Files of one volume that get into each other's way.
// Models pkg/api/pod (warningsForOverlappingVirtualPaths).

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

use crate::api::kinds::unset::text;

/// A file, and in a projected volume where it comes from.
#[derive(Clone, PartialEq, Eq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), source: source.to_owned() }
    }

    fn shown(&self) -> String {
        if self.source.is_empty() {
            format!("{:?}", self.path)
        } else {
            format!("{:?} ({})", self.path, self.source)
        }
    }

    /// Whether the two are one file, or one lies where the other would be a directory.
    fn clashes(&self, other: &Self) -> bool {
        let (own, its) = (format!("{}/", self.path), format!("{}/", other.path));
        !self.path.is_empty() && !other.path.is_empty() && (own.starts_with(&its) || its.starts_with(&own))
    }
}

/// The warnings about a volume's files.
pub(super) fn overlaps(volume: &Volume) -> Vec<String> {
    let keys = |items: &Option<Vec<KeyToPath>>| {
        items.iter().flatten().map(|item| File::new(&item.path, "")).collect()
    };
    let mut warnings = vec![];
    if let Some(source) = &volume.config_map {
        warnings.extend(clashes(volume, &format!("ConfigMap {:?}", source.name), keys(&source.items)));
    }
    if let Some(source) = &volume.secret {
        warnings.extend(clashes(
            volume,
            &format!("Secret {:?}", text(&source.secret_name)),
            keys(&source.items),
        ));
    }
    if let Some(source) = &volume.downward_api {
        warnings.extend(clashes(volume, "DownwardAPI", downward(source.items.as_deref(), "")));
    }
    if let Some(source) = &volume.projected {
        let mut files = vec![];
        for projection in source.sources.iter().flatten() {
            if *projection == VolumeProjection::default() {
                warnings.push(format!("volume {:?} (Projected) has no sources provided", volume.name));
            }
            files.extend(projected(projection));
        }
        warnings.extend(clashes(volume, "Projected", files));
    }
    warnings
}

fn clashes(volume: &Volume, what: &str, files: Vec<File>) -> Vec<String> {
    let mut warnings = vec![];
    for (index, file) in files.iter().enumerate() {
        for other in files[..index].iter().filter(|other| file.clashes(other)) {
            let (own, its) = (file.shown(), other.shown());
            warnings.push(format!("volume {:?} ({what}): overlapping paths: {own} with {its}", volume.name));
        }
    }
    warnings
}

fn downward(items: Option<&[DownwardAPIVolumeFile]>, source: &str) -> Vec<File> {
    items.unwrap_or_default().iter().map(|item| File::new(&item.path, source)).collect()
}

fn projected(projection: &VolumeProjection) -> Vec<File> {
    let keys = |items: &Option<Vec<KeyToPath>>, source: String| -> Vec<File> {
        items.iter().flatten().map(|item| File::new(&item.path, &source)).collect()
    };
    if let Some(source) = projection.config_map.as_ref().filter(|source| source.items.is_some()) {
        keys(&source.items, format!("ConfigMap {:?}", source.name))
    } else if let Some(source) = projection.secret.as_ref().filter(|source| source.items.is_some()) {
        keys(&source.items, format!("Secret {:?}", source.name))
    } else if let Some(source) = projection.downward_api.as_ref().filter(|source| source.items.is_some()) {
        downward(source.items.as_deref(), "DownwardAPI")
    } else if let Some(source) = &projection.service_account_token {
        vec![File::new(&source.path, "ServiceAccountToken")]
    } else if let Some(source) = &projection.cluster_trust_bundle {
        let name = source.name.as_deref().or(source.signer_name.as_deref()).unwrap_or_default();
        vec![File::new(&source.path, &format!("ClusterTrustBundle {name:?}"))]
    } else {
        let certificate = projection.pod_certificate.iter();
        let files = certificate.flat_map(|source| {
            [
                (text(&source.certificate_chain_path), "PodCertificate chain"),
                (text(&source.key_path), "PodCertificate key"),
                (text(&source.credential_bundle_path), "PodCertificate credential bundle"),
            ]
        });
        files.filter(|(path, _)| !path.is_empty()).map(|(path, source)| File::new(path, source)).collect()
    }
}
