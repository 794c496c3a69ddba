//! Whom a registry is told that asks: the users and passwords of a pod's pull secrets that are for an image.
// Models pkg/credentialprovider (keyring, DockerConfig).

use base64::Engine;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::image_name;
use crate::runtime::api::RegistryCredential;

/// What credentials for Docker's own registry are called, whatever an image calls it.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// What is to be tried for an image, the most specific entries first.
pub(super) fn credentials(image: &str, secrets: &[Secret]) -> Vec<RegistryCredential> {
    let mut all: Vec<(String, RegistryCredential)> =
        secrets.iter().flat_map(entries).map(|entry| (place(&entry.registry), entry)).collect();
    // Stable: entries of the same place stay in the order of their secrets.
    all.sort_by(|(a, _), (b, _)| b.cmp(a));
    let target = image_name::repository(image);
    let mut found: Vec<RegistryCredential> =
        all.iter().filter(|(place, _)| matches(place, &target)).map(|(_, entry)| entry.clone()).collect();
    if found.is_empty() && image_name::registry(image).ends_with("docker.io") {
        found =
            all.into_iter().filter(|(place, _)| place == DEFAULT_REGISTRY).map(|(_, entry)| entry).collect();
    }
    found
}

/// An entry's name without its scheme, and without the version of the registry's API.
fn place(entry: &str) -> String {
    let bare = entry.strip_prefix("https://").or_else(|| entry.strip_prefix("http://")).unwrap_or(entry);
    let (host, path) = bare.find('/').map_or((bare, ""), |at| bare.split_at(at));
    let path =
        ["/v1/", "/v2/"].iter().find(|version| path.starts_with(**version)).map_or(path, |_| &path[3..]);
    if path == "/" { host.to_owned() } else { format!("{host}{path}") }
}

/// Whether a place is the target's: the same host, where `*` stands for a part between points, the same port, and a path
/// that the target's begins with.
fn matches(place: &str, target: &str) -> bool {
    let split = |text: &str| {
        let (host, path) = text.find('/').map_or((text, ""), |at| text.split_at(at));
        let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
        (host.split('.').map(str::to_owned).collect::<Vec<_>>(), port.to_owned(), path.to_owned())
    };
    let ((hosts, port, path), (target_hosts, target_port, target_path)) = (split(place), split(target));
    port == target_port
        && hosts.len() == target_hosts.len()
        && target_path.starts_with(&path)
        && hosts.iter().zip(&target_hosts).all(|(glob, part)| part_matches(glob, part))
}

fn part_matches(glob: &str, part: &str) -> bool {
    match glob.split_once('*') {
        None => glob == part,
        Some((start, rest)) => part.strip_prefix(start).is_some_and(|part| {
            (0..=part.len()).filter(|at| part.is_char_boundary(*at)).any(|at| part_matches(rest, &part[at..]))
        }),
    }
}

fn entries(secret: &Secret) -> Vec<RegistryCredential> {
    let data = secret.data.clone().unwrap_or_default();
    let value = |key: &str| serde_json::from_slice::<Value>(&data.get(key)?.0).ok();
    let auths = value(".dockerconfigjson")
        .and_then(|config| config.get("auths").cloned())
        .or_else(|| value(".dockercfg"));
    let Some(Value::Object(auths)) = auths else { return vec![] };
    auths
        .into_iter()
        .filter_map(|(registry, entry)| {
            let text = |name: &str| entry.get(name).and_then(|v| v.as_str()).filter(|v| !v.is_empty());
            let (username, password) = match text("auth") {
                Some(auth) => {
                    let decoded = base64::engine::general_purpose::STANDARD.decode(auth).ok()?;
                    let decoded = String::from_utf8(decoded).ok()?;
                    let (user, password) = decoded.split_once(':')?;
                    (user.to_owned(), password.to_owned())
                }
                None => (text("username")?.to_owned(), text("password")?.to_owned()),
            };
            Some(RegistryCredential { registry, username, password })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;

    use super::*;

    fn secret(auths: &str) -> Secret {
        let config = format!(r#"{{"auths":{auths}}}"#).into_bytes();
        let data = BTreeMap::from([(".dockerconfigjson".to_owned(), ByteString(config))]);
        Secret { data: Some(data), ..Secret::default() }
    }

    #[test]
    fn pull_secrets_are_for_their_registry() {
        let secret = secret(
            r#"{"https://index.docker.io/v1/":{"auth":"bWU6cHc="},"other.io":{"username":"a","password":"b"},
                "other.io/team":{"username":"t","password":"b"},"*.example.com:5000":{"username":"e","password":"b"}}"#,
        );
        for (image, users) in [
            ("nginx:latest", &["me"][..]),
            ("docker.io/me/app", &["me"]),
            ("other.io/x/y:1", &["a"]),
            ("other.io/team/app", &["t", "a"]),
            ("r.example.com:5000/app:2", &["e"]),
            ("r.example.com/app", &[]),
            ("quay.io/app", &[]),
        ] {
            let found = credentials(image, std::slice::from_ref(&secret));
            assert_eq!(found.iter().map(|one| &*one.username).collect::<Vec<_>>(), users, "{image}");
        }
    }

    #[test]
    fn a_secret_without_a_configuration_has_nobody() {
        assert!(credentials("nginx", &[Secret::default(), secret(r#"{"x": {"auth": "no"}}"#)]).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn no_entry_breaks_it(entry in "[a-z*:/.1]{0,20}", image in "[a-z:/.@1]{0,20}") {
            let _ = matches(&place(&entry), &image_name::repository(&image));
        }
    }
}
