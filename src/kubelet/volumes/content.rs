//! What the files of projected volumes are: ConfigMaps, Secrets, the downward API and tokens become paths with bytes.
// Models pkg/volume/{configmap,secret,downwardapi,projected}.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret,
    SecretVolumeSource, ServiceAccountTokenProjection,
};

use super::super::environment::Lookup;
use super::super::fields::{self, PodFacts};
use super::super::spec;

/// Paths in a volume with their bytes and modes.
pub(super) type Files = BTreeMap<String, (Bytes, u32)>;

const DEFAULT_MODE: i32 = 0o644;

/// Gives tokens of the pod's service account.
#[async_trait]
pub(super) trait Tokens: Send + Sync {
    async fn token(&self, source: &ServiceAccountTokenProjection) -> Result<String, String>;
}

/// Where files come from, and how they get their modes.
pub(super) struct Source<'a> {
    pub(super) pod: &'a Pod,
    pub(super) facts: &'a PodFacts,
    pub(super) lookup: &'a dyn Lookup,
}

/// Which of an object's entries become files, and how.
struct Wanted<'a> {
    items: Option<&'a [KeyToPath]>,
    default_mode: Option<i32>,
    /// The object and its entries may be missing.
    optional: bool,
}

impl<'a> Wanted<'a> {
    fn of(items: Option<&'a [KeyToPath]>, default_mode: Option<i32>, optional: Option<bool>) -> Self {
        Self { items, default_mode, optional: optional == Some(true) }
    }

    /// The object that was looked up, or an empty one if it may be missing.
    fn found<T: Default>(&self, object: Option<T>, what: &str, name: &str) -> Result<T, String> {
        match object {
            None if !self.optional => Err(format!("{what} {name:?} not found")),
            object => Ok(object.unwrap_or_default()),
        }
    }
}

fn mode_of(own: Option<i32>, default: Option<i32>) -> u32 {
    u32::try_from(own.or(default).unwrap_or(DEFAULT_MODE)).unwrap_or(0o644)
}

impl Source<'_> {
    pub(super) async fn config_map(&self, source: &ConfigMapVolumeSource) -> Result<Files, String> {
        let wanted = Wanted::of(source.items.as_deref(), source.default_mode, source.optional);
        self.config_map_files(&source.name, wanted).await
    }

    async fn config_map_files(&self, name: &str, wanted: Wanted<'_>) -> Result<Files, String> {
        let found = self.lookup.config_map(spec::namespace(self.pod), name).await?;
        let map: ConfigMap = wanted.found(found, "configmap", name)?;
        let texts = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, Bytes::from(text)));
        let bytes =
            map.binary_data.unwrap_or_default().into_iter().map(|(key, data)| (key, Bytes::from(data.0)));
        let missing = |key: &str| format!("configmap references non-existent config key: {key}");
        select(texts.chain(bytes).collect(), &wanted, missing)
    }

    pub(super) async fn secret(&self, source: &SecretVolumeSource) -> Result<Files, String> {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let wanted = Wanted::of(source.items.as_deref(), source.default_mode, source.optional);
        self.secret_files(name, wanted).await
    }

    async fn secret_files(&self, name: &str, wanted: Wanted<'_>) -> Result<Files, String> {
        let found = self.lookup.secret(spec::namespace(self.pod), name).await?;
        let secret: Secret = wanted.found(found, "secret", name)?;
        let data = secret.data.unwrap_or_default().into_iter().map(|(key, data)| (key, Bytes::from(data.0)));
        let missing = |key: &str| format!("references non-existent secret key: {key}");
        select(data.collect(), &wanted, missing)
    }

    pub(super) fn downward(
        &self,
        items: &[DownwardAPIVolumeFile],
        default: Option<i32>,
    ) -> Result<Files, String> {
        let mut files = Files::new();
        let mut errors = vec![];
        for item in items {
            let value = if let Some(selector) = &item.field_ref {
                fields::metadata_field(self.pod, &selector.field_path)
            } else if let Some(selector) = &item.resource_field_ref {
                let name = selector.container_name.as_deref().unwrap_or_default();
                match spec::find(self.pod, name) {
                    Some((_, container)) => fields::resource(selector, &container, self.facts),
                    None => Err(format!("container {name} not found")),
                }
            } else {
                Ok(String::new())
            };
            match value {
                Ok(text) => {
                    files.insert(clean(&item.path), (text.into(), mode_of(item.mode, default)));
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(files) } else { Err(aggregate(&errors)) }
    }

    pub(super) async fn projected(
        &self,
        source: &ProjectedVolumeSource,
        tokens: &dyn Tokens,
    ) -> Result<Files, String> {
        let default = source.default_mode;
        let mut files = Files::new();
        let mut errors = vec![];
        for part in source.sources.iter().flatten() {
            let result = if let Some(map) = &part.config_map {
                let wanted = Wanted::of(map.items.as_deref(), default, map.optional);
                self.config_map_files(&map.name, wanted).await
            } else if let Some(secret) = &part.secret {
                let wanted = Wanted::of(secret.items.as_deref(), default, secret.optional);
                self.secret_files(&secret.name, wanted).await
            } else if let Some(downward) = &part.downward_api {
                self.downward(downward.items.as_deref().unwrap_or_default(), default)
            } else if let Some(token) = &part.service_account_token {
                let path = clean(&token.path);
                let bytes = tokens.token(token).await;
                bytes.map(|token| Files::from([(path, (Bytes::from(token), mode_of(None, default)))]))
            } else if part.cluster_trust_bundle.is_some() {
                Err("ClusterTrustBundle projection is not supported by this kubelet".to_owned())
            } else if part.pod_certificate.is_some() {
                Err("PodCertificate projection is not supported by this kubelet".to_owned())
            } else {
                Ok(Files::new())
            };
            match result {
                Ok(more) => files.extend(more),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(files) } else { Err(aggregate(&errors)) }
    }
}

/// Several errors as one, as Go's aggregates print.
fn aggregate(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => {
            let mut seen = vec![];
            for error in many {
                if !seen.contains(error) {
                    seen.push(error.clone());
                }
            }
            if seen.len() == 1 { seen.remove(0) } else { format!("[{}]", seen.join(", ")) }
        }
    }
}

fn clean(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

/// All keys as files, or those of `items` under their paths.
fn select(
    data: BTreeMap<String, Bytes>,
    wanted: &Wanted<'_>,
    missing: impl Fn(&str) -> String,
) -> Result<Files, String> {
    let Wanted { items, default_mode: default, optional } = *wanted;
    let items = items.unwrap_or_default();
    if items.is_empty() {
        return Ok(data.into_iter().map(|(key, bytes)| (key, (bytes, mode_of(None, default)))).collect());
    }
    let mut files = Files::new();
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => {
                files.insert(clean(&item.path), (bytes.clone(), mode_of(item.mode, default)));
            }
            None if optional => {}
            None => return Err(missing(&item.key)),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_files_under_their_paths_with_their_modes() {
        let data = BTreeMap::from([("a".to_owned(), Bytes::from("1")), ("b".to_owned(), Bytes::from("2"))]);
        let items = [KeyToPath { key: "b".to_owned(), path: "./x/y".to_owned(), mode: Some(0o400) }];
        let files = select(data.clone(), &Wanted::of(Some(&items), None, None), |_| String::new()).unwrap();
        assert_eq!(files, Files::from([("x/y".to_owned(), (Bytes::from("2"), 0o400))]));
        let all = select(data.clone(), &Wanted::of(None, Some(0o600), None), |_| String::new()).unwrap();
        assert_eq!(all.values().map(|(_, mode)| *mode).collect::<Vec<_>>(), [0o600, 0o600]);
        let items = [KeyToPath { key: "c".to_owned(), path: "c".to_owned(), mode: None }];
        assert_eq!(
            select(data.clone(), &Wanted::of(Some(&items), None, None), |key| format!("no {key}"))
                .unwrap_err(),
            "no c"
        );
        assert!(
            select(data, &Wanted::of(Some(&items), None, Some(true)), |_| String::new()).unwrap().is_empty()
        );
    }

    #[test]
    fn several_errors_read_as_gos() {
        assert_eq!(aggregate(&["a".to_owned()]), "a");
        assert_eq!(aggregate(&["a".to_owned(), "b".to_owned(), "a".to_owned()]), "[a, b]");
    }
}
