//! ServiceAccount: who a pod is to the API.
// Models pkg/registry/core/serviceaccount.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ServiceAccount;

use crate::api::kind::{Kind, Rules, WriteContext};
use crate::api::kinds::cells;
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};

const ENFORCE_ANNOTATION: &str = "kubernetes.io/enforce-mountable-secrets";

/// `v1` ServiceAccount.
pub struct ServiceAccountKind;

impl Kind for ServiceAccountKind {
    type Object = ServiceAccount;
    const SHORT_NAMES: &'static [&'static str] = &["sa"];
    const RULES: Rules = Rules { returns_deleted: true, ..Rules::USUAL };

    fn prepare_create(_context: &WriteContext<'_>, account: &mut ServiceAccount) -> Result<(), ApiError> {
        account.secrets = account.secrets.take().filter(|secrets| !secrets.is_empty());
        Ok(())
    }

    fn warnings(account: &ServiceAccount, old: Option<&ServiceAccount>) -> Vec<String> {
        let has = |account: &ServiceAccount| {
            account
                .metadata
                .annotations
                .as_ref()
                .is_some_and(|annotations| annotations.contains_key(ENFORCE_ANNOTATION))
        };
        if !has(account) || old.is_some_and(has) {
            return vec![];
        }
        vec![format!(
            "metadata.annotations[{ENFORCE_ANNOTATION}]: deprecated in v1.32+; prefer separate namespaces to isolate access to \
             mounted secrets"
        )]
    }

    fn columns() -> Vec<Column> {
        vec![Column::NAME, Column::AGE]
    }

    fn row(account: &ServiceAccount, now: Timestamp) -> Vec<Cell> {
        vec![cells::name(&account.metadata), cells::age(&account.metadata, now)]
    }
}
