//! `create configmap` and `create secret`.
// Models kubectl/pkg/cmd/create (create_configmap.go, create_secret*.go) and kubectl/pkg/util/hash.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::generator::{Call, Generator};
use super::sources::{self, Target};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;
use crate::kubectl::verbs::writing::go_json;

/// `create configmap`.
pub struct ConfigMap;

#[async_trait]
impl Generator for ConfigMap {
    fn name(&self) -> &'static str {
        "configmap"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["cm"]
    }
    fn short(&self) -> &'static str {
        "Create a config map from files, directories or literal values"
    }
    fn usage(&self) -> &'static str {
        "NAME [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "configmaps"
    }
    fn flags(&self) -> Vec<Flag> {
        sources::flags("config map")
    }
    fn failed(&self) -> &'static str {
        "failed to create configmap: "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": call.metadata()});
        for (key, value) in sources::read(call, Target::ConfigMap).await? {
            match std::str::from_utf8(&value) {
                Ok(text) => object["data"][key] = json!(text),
                Err(_) => object["binaryData"][key] = json!(STANDARD.encode(&value)),
            }
        }
        if call.flags.bool("append-hash") {
            let mut hashed = json!({"kind": "ConfigMap", "name": call.name, "data": {}});
            for field in ["data", "binaryData"] {
                if object[field].is_object() {
                    hashed[field] = object[field].clone();
                }
            }
            append_hash(&mut object, &hashed);
        }
        Ok(object)
    }
}

/// Puts ten letters of a hash of the content behind the name.
fn append_hash(object: &mut Value, hashed: &Value) {
    let digest = Sha256::digest(go_json(hashed).as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let letter = |letter: char| match letter {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    let suffix: String = hex.chars().take(10).map(letter).collect();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    object["metadata"]["name"] = json!(format!("{name}-{suffix}"));
}

fn secret(call: &Call<'_>, kind: &str, data: &BTreeMap<String, Bytes>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": call.metadata()});
    if !kind.is_empty() {
        object["type"] = json!(kind);
    }
    for (key, value) in data {
        object["data"][key.as_str()] = json!(STANDARD.encode(value));
    }
    if call.flags.bool("append-hash") {
        let data = if object["data"].is_object() { object["data"].clone() } else { json!({}) };
        let hashed = json!({"kind": "Secret", "type": kind, "name": call.name, "data": data});
        append_hash(&mut object, &hashed);
    }
    object
}

/// `create secret generic`.
pub struct GenericSecret;

#[async_trait]
impl Generator for GenericSecret {
    fn name(&self) -> &'static str {
        "generic"
    }
    fn short(&self) -> &'static str {
        "Create a secret from files, directories or literal values"
    }
    fn usage(&self) -> &'static str {
        "NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "secrets"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = sources::flags("secret");
        flags.push(Flag::string("type", "", "The type of the secret."));
        flags
    }
    fn failed(&self) -> &'static str {
        "failed to create secret "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let data = sources::read(call, Target::Secret).await?;
        Ok(secret(call, call.flags.string("type"), &data))
    }
}

/// `create secret docker-registry`.
pub struct DockerRegistrySecret;

const DOCKER_KEY: &str = ".dockerconfigjson";

#[async_trait]
impl Generator for DockerRegistrySecret {
    fn name(&self) -> &'static str {
        "docker-registry"
    }
    fn short(&self) -> &'static str {
        "Create a secret for an image registry"
    }
    fn usage(&self) -> &'static str {
        "NAME --docker-username=user --docker-password=password --docker-email=email [--docker-server=string] \
         [--from-file=[key=]source] [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "secrets"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("docker-username", "", "The name to log in to the registry with."),
            Flag::string("docker-password", "", "The password to log in to the registry with."),
            Flag::string("docker-email", "", "The mail address for the registry."),
            Flag::string("docker-server", "https://index.docker.io/v1/", "The registry's address."),
            Flag::strings(
                "from-file",
                "A docker configuration file to take the log-in from, as PATH or KEY=PATH.",
            ),
            Flag::bool("append-hash", false, "Put a hash of the secret's data behind its name."),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create secret "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let text = |name: &str| call.flags.string(name);
        let (username, password, server) =
            (text("docker-username"), text("docker-password"), text("docker-server"));
        let files: Vec<String> =
            call.flags.strings("from-file").iter().map(|source| with_docker_key(source)).collect();
        if files.is_empty() && [username, password, server].contains(&"") {
            return Err(KubectlError::message(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
            ));
        }
        let data = if files.is_empty() {
            let content = docker_config(server, username, password, text("docker-email"));
            BTreeMap::from([(DOCKER_KEY.to_owned(), Bytes::from(content))])
        } else {
            sources::read_files(call, &files).await?
        };
        Ok(secret(call, "kubernetes.io/dockerconfigjson", &data))
    }
}

fn with_docker_key(source: &str) -> String {
    if source.contains('=') { source.to_owned() } else { format!("{DOCKER_KEY}={source}") }
}

/// The content of a `~/.docker/config.json`, its fields in docker's order.
fn docker_config(server: &str, username: &str, password: &str, email: &str) -> String {
    let auth = STANDARD.encode(format!("{username}:{password}"));
    let fields = [("username", username), ("password", password), ("email", email), ("auth", &auth)];
    let fields: Vec<String> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:?}:{}", go_json(&json!(value))))
        .collect();
    format!("{{\"auths\":{{{}:{{{}}}}}}}", go_json(&json!(server)), fields.join(","))
}

/// `create secret tls`.
pub struct TlsSecret;

#[async_trait]
impl Generator for TlsSecret {
    fn name(&self) -> &'static str {
        "tls"
    }
    fn short(&self) -> &'static str {
        "Create a secret from a certificate and its key"
    }
    fn usage(&self) -> &'static str {
        "NAME --cert=path/to/cert/file --key=path/to/key/file [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "secrets"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("cert", "", "The file with the certificate, in PEM."),
            Flag::string("key", "", "The file with the certificate's private key, in PEM."),
            Flag::bool("append-hash", false, "Put a hash of the secret's data behind its name."),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create secret "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (cert, key) = (call.flags.string("cert"), call.flags.string("key"));
        if cert.is_empty() || key.is_empty() {
            return Err(KubectlError::message("key and cert must be specified"));
        }
        let cert = pem_file(call, cert).await?;
        let key = pem_file(call, key).await?;
        check_key_pair(&cert, &key).map_err(KubectlError::message)?;
        let data = BTreeMap::from([("tls.crt".to_owned(), cert), ("tls.key".to_owned(), key)]);
        Ok(secret(call, "kubernetes.io/tls", &data))
    }
}

async fn pem_file(call: &Call<'_>, path: &str) -> Result<Bytes> {
    let read = call.session.read_file(path).await;
    read.map_err(|error| KubectlError::message(format!("Cannot read file {path}, {error}")))
}

/// Whether the certificate and the key belong together, in the words of Go's tls.X509KeyPair.
fn check_key_pair(cert: &[u8], key: &[u8]) -> std::result::Result<(), String> {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert).filter_map(std::result::Result::ok).collect();
    if chain.is_empty() {
        return Err("tls: failed to find any PEM data in certificate input".to_owned());
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|_| "tls: failed to find any PEM data in key input")?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|_| "tls: failed to parse private key")?;
    let pair = rustls::sign::CertifiedKey::new(chain, signing);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err("tls: private key does not match public key".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}
