//! The kubeconfig of a cluster's administrator, as minikube writes it: cluster, user and context `minikube`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::yaml;

/// A client's certificate and key, and the authority that signed the server's, all in PEM.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The content of the file.
pub(super) fn kubeconfig(server: &str, credentials: &Credentials) -> String {
    let encode = |pem: &String| BASE64.encode(pem);
    let cluster = json!({"certificate-authority-data": encode(&credentials.authority), "server": server});
    let user = json!({
        "client-certificate-data": encode(&credentials.certificate),
        "client-key-data": encode(&credentials.key),
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "minikube", "cluster": cluster}],
        "users": [{"name": "minikube", "user": user}],
        "contexts": [{"name": "minikube", "context": {"cluster": "minikube", "namespace": "default", "user": "minikube"}}],
        "current-context": "minikube",
        "preferences": {},
    });
    yaml::to_string(&config)
}
