//! The tokens of service accounts: JWTs signed with the cluster's key, checked against the objects they are bound to.
//!
//! The key is Ed25519 and made from the cluster's seed, so that the same seed signs the same tokens. (A real cluster signs
//! with RSA; nothing that reads a token here minds.)
// Models pkg/serviceaccount (claims.go, jwt.go).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::UserInfo;
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::Store;

/// Who signs.
pub const ISSUER: &str = "https://kubernetes.default.svc";
/// Whom a token is for unless it says otherwise: this API server.
pub const AUDIENCE: &str = ISSUER;

/// An object by name and UID.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Its name.
    pub name: String,
    /// Its UID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// What Kubernetes adds to a token's claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The service account's namespace.
    pub namespace: String,
    /// The node that the pod is on, or that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Binding>,
    /// The pod that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Binding>,
    /// The secret that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Binding>,
    /// The service account.
    pub serviceaccount: Binding,
}

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Claims,
    nbf: i64,
    sub: String,
}

/// Signs and checks the tokens of service accounts.
pub struct TokenSigner {
    key: Ed25519KeyPair,
    clock: Clock,
    seed: Seed,
}

impl std::fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSigner").finish_non_exhaustive()
    }
}

impl TokenSigner {
    /// A signer with a key drawn from the cluster's seed.
    pub(super) fn new(clock: Clock, seed: &Seed) -> Self {
        let key =
            Ed25519KeyPair::from_seed_unchecked(&seed.bytes::<32>()).expect("an Ed25519 seed is 32 bytes");
        Self { key, clock, seed: seed.clone() }
    }

    /// A token for a service account that lasts so many seconds.
    pub fn sign(&self, claims: Claims, audiences: &[String], seconds: i64) -> String {
        let now = self.clock.now().as_second();
        let payload = Payload {
            aud: audiences.to_vec(),
            exp: now.saturating_add(seconds),
            iat: now,
            iss: ISSUER.to_owned(),
            jti: self.seed.uuid().to_string(),
            sub: format!("system:serviceaccount:{}:{}", claims.namespace, claims.serviceaccount.name),
            kubernetes: claims,
            nbf: now,
        };
        let header = json!({"alg": "EdDSA", "kid": self.key_id()}).to_string();
        let payload = serde_json::to_vec(&payload).expect("claims are strings and numbers");
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// The user of a token, if it is ours, in time, for one of the audiences, and what it is bound to still exists.
    pub(super) fn verify(&self, store: &Store, token: &str, audiences: &[String]) -> Option<UserInfo> {
        let (message, signature) = token.rsplit_once('.')?;
        let (_, payload) = message.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, self.key.public_key().as_ref());
        key.verify(message.as_bytes(), &signature).ok()?;
        let payload: Payload = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let now = self.clock.now().as_second();
        let wanted = |audience: &String| {
            if audiences.is_empty() { audience == AUDIENCE } else { audiences.contains(audience) }
        };
        let valid = payload.iss == ISSUER
            && payload.nbf <= now
            && now < payload.exp
            && payload.aud.iter().any(wanted);
        (valid && is_alive(store, &payload.kubernetes)).then(|| user(payload))
    }

    /// The public key as a JSON web key set.
    pub(super) fn jwks(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref());
        json!({"keys": [{"use": "sig", "kty": "OKP", "kid": self.key_id(), "crv": "Ed25519", "alg": "EdDSA", "x": x}]})
    }

    fn key_id(&self) -> String {
        use sha2::{Digest, Sha256};
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.key.public_key().as_ref()))
    }
}

/// Whether the service account and what the token is bound to are still the ones that it was made for.
fn is_alive(store: &Store, claims: &Claims) -> bool {
    let namespace = &claims.namespace;
    let lives = |prefix: &str, binding: &Binding| {
        let stored = store.get(&format!("/registry/{prefix}/{}", binding.name));
        let value: Value = stored.and_then(|kv| serde_json::from_slice(&kv.value).ok()).unwrap_or_default();
        value.pointer("/metadata/uid").is_some_and(|uid| *uid == binding.uid)
    };
    lives(&format!("serviceaccounts/{namespace}"), &claims.serviceaccount)
        && claims.pod.as_ref().is_none_or(|pod| lives(&format!("pods/{namespace}"), pod))
        && claims.secret.as_ref().is_none_or(|secret| lives(&format!("secrets/{namespace}"), secret))
        && claims.node.as_ref().is_none_or(|node| claims.pod.is_some() || lives("minions", node))
}

fn user(payload: Payload) -> UserInfo {
    let claims = payload.kubernetes;
    let mut extra = BTreeMap::new();
    let mut add = |name: &str, value: String| {
        extra.insert(format!("authentication.kubernetes.io/{name}"), vec![value]);
    };
    add("credential-id", format!("JTI={}", payload.jti));
    for (what, binding) in [("pod", claims.pod), ("node", claims.node)] {
        if let Some(binding) = binding {
            add(&format!("{what}-name"), binding.name);
            add(&format!("{what}-uid"), binding.uid);
        }
    }
    let groups = vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{}", claims.namespace),
        "system:authenticated".to_owned(),
    ];
    UserInfo { name: payload.sub, uid: claims.serviceaccount.uid, groups, extra }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Author, Op, Txn};
    use std::time::Duration;

    fn put(store: &Store, key: &str, uid: &str) {
        let value = crate::store::Payload::Plain(json!({"metadata": {"uid": uid}}).to_string().into());
        let put = Op::Put { key: key.to_owned(), value, lease: 0 };
        store.txn(Txn { success: vec![put], ..Txn::default() }, Author::default()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_good_for_its_time_its_audience_and_its_account() {
        let clock = Clock::virtual_time();
        let store = Store::new(clock.clone());
        put(&store, "/registry/serviceaccounts/default/barista", "u1");
        let signer = TokenSigner::new(clock.clone(), &Seed::new(1));
        let claims = Claims {
            namespace: "default".into(),
            serviceaccount: Binding { name: "barista".into(), uid: "u1".into() },
            ..Claims::default()
        };
        let token = signer.sign(claims, &[AUDIENCE.to_owned()], 600);
        let user = signer.verify(&store, &token, &[]).expect("a fresh token is good");
        assert_eq!(user.name, "system:serviceaccount:default:barista");
        assert!(signer.verify(&store, &token, &["other".to_owned()]).is_none(), "another audience");
        let mut broken = token.clone();
        broken.replace_range(broken.len() - 3.., "AAA");
        assert!(signer.verify(&store, &broken, &[]).is_none(), "another signature");
        assert!(
            TokenSigner::new(clock.clone(), &Seed::new(2)).verify(&store, &token, &[]).is_none(),
            "another key"
        );
        put(&store, "/registry/serviceaccounts/default/barista", "u2");
        assert!(signer.verify(&store, &token, &[]).is_none(), "the account was made anew");
        put(&store, "/registry/serviceaccounts/default/barista", "u1");
        clock.sleep(Duration::from_secs(601)).await;
        assert!(signer.verify(&store, &token, &[]).is_none(), "its time is over");
    }

    proptest::proptest! {
        #[test]
        fn no_token_makes_it_panic_and_none_that_was_made_up_is_good(
            text in "\\PC{0,40}|[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}",
        ) {
            let clock = Clock::real();
            let tokens = TokenSigner::new(clock.clone(), &Seed::new(1));
            proptest::prop_assert!(tokens.verify(&Store::new(clock), &text, &[]).is_none());
        }
    }
}
