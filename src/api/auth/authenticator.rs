//! Who asks: a client certificate, a bearer token, or nobody in particular.
// Models k8s.io/apiserver/pkg/authentication/request/{union,x509,bearertoken,anonymous}.

use std::collections::BTreeMap;

use http::{Request, header};

use super::UserInfo;
use super::tokens::TokenSigner;
use crate::api::status::ApiError;
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::Store;

/// The user that a client certificate proves, put into a request's extensions by the TLS front.
#[derive(Clone, Debug)]
pub struct CertificateUser(pub UserInfo);

/// Finds out who asks.
#[derive(Debug)]
pub struct Authenticator {
    tokens: BTreeMap<String, UserInfo>,
    signer: TokenSigner,
    store: Store,
}

impl Authenticator {
    /// An authenticator that knows these static tokens, and the tokens of service accounts that it signs itself.
    pub fn new(store: &Store, clock: &Clock, seed: &Seed, tokens: BTreeMap<String, UserInfo>) -> Self {
        Self { tokens, signer: TokenSigner::new(clock.clone(), seed), store: store.clone() }
    }

    /// The user behind a request; 401 if it carries a proof that is wrong.
    pub fn authenticate<B>(&self, request: &Request<B>) -> Result<UserInfo, ApiError> {
        if let Some(CertificateUser(user)) = request.extensions().get() {
            return Ok(user.clone());
        }
        let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, token)) = value.and_then(|value| value.trim().split_once(' ')) else {
            return Ok(anonymous());
        };
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Ok(anonymous());
        }
        self.user_of(token.trim(), &[]).ok_or_else(ApiError::unauthorized)
    }

    /// The user whose token this is. A service account's token must be for one of these audiences; none stands for the
    /// API server's own.
    pub fn user_of(&self, token: &str, audiences: &[String]) -> Option<UserInfo> {
        self.tokens.get(token).cloned().or_else(|| self.signer.verify(&self.store, token, audiences))
    }

    /// Signs the tokens of service accounts.
    pub fn signer(&self) -> &TokenSigner {
        &self.signer
    }

    /// The keys that service account tokens can be checked with.
    pub fn jwks(&self) -> serde_json::Value {
        self.signer.jwks()
    }
}

fn anonymous() -> UserInfo {
    UserInfo {
        name: "system:anonymous".to_owned(),
        groups: vec!["system:unauthenticated".to_owned()],
        ..UserInfo::default()
    }
}
