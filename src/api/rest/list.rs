//! `list`: the objects of a kind, all at once or in pages of one revision.
// Models k8s.io/apiserver/pkg/storage (continue.go) and .../storage/etcd3 (GetList).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::call::{Call, Content, Page, Reply, Rest, store_error, too_large_revision};
use super::facts::Selection;
use crate::api::codec::{self, Target};
use crate::api::kind::Object;
use crate::api::options::ListOptions;
use crate::api::request::exact_name;
use crate::api::status::ApiError;
use crate::store::{KeyRange, KeyValue, RangeRequest, RangeResponse, StoreError};
use std::sync::Arc;

/// Where a list goes on: at which revision, behind which key.
#[derive(Serialize, Deserialize)]
struct ContinueToken {
    v: String,
    /// -1 is the newest.
    rv: i64,
    start: String,
}

/// The objects of a page with what tells of the rest.
pub(super) struct Found {
    pub(super) kvs: Vec<Arc<KeyValue>>,
    pub(super) page: Page,
}

impl Rest {
    /// Lists the objects that the options select.
    pub fn list(&self, call: &Call, options: &ListOptions) -> Result<Reply, ApiError> {
        if let Some(objects) = call.kind.computed(&call.probes) {
            let bytes =
                |object: Box<dyn Object>| codec::encode_value(&Target::of(call.info()), &object.to_value());
            let page = Page { items: objects.into_iter().map(bytes).collect(), ..Page::default() };
            return Ok(Reply::new(200, Content::List(page)));
        }
        let Found { kvs, mut page } = self.find(call, options)?;
        page.items = kvs.iter().map(|kv| self.bytes(&*call.kind, kv)).collect::<Result<_, _>>()?;
        Ok(Reply::new(200, Content::List(page)))
    }

    /// The keys under which a call's objects are: one key if the selection names one.
    pub(super) fn range_of(&self, call: &Call, selection: &Selection) -> KeyRange {
        let info = call.info();
        match exact_name(&selection.fields) {
            Some(name) if !info.namespaced || !call.namespace.is_empty() => {
                KeyRange::key(info.storage_key(&call.namespace, name))
            }
            _ if info.namespaced && !call.namespace.is_empty() => {
                KeyRange::prefix(format!("{}{}/", info.storage_prefix(), call.namespace))
            }
            _ => KeyRange::prefix(info.storage_prefix()),
        }
    }

    /// Finds the objects of a list, without their bytes in the form of the kind.
    pub(super) fn find(&self, call: &Call, options: &ListOptions) -> Result<Found, ApiError> {
        let selection = Selection::of(&*call.kind, options)?;
        let mut range = self.range_of(call, &selection);
        let prefix = if range.end.is_some() { range.start.clone() } else { String::new() };
        let mut revision = 0;
        if !options.r#continue.is_empty() {
            let token = decode_token(&options.r#continue)?;
            if options.revision.is_some() {
                let message = "specifying resource version is not allowed when using continue";
                return Err(ApiError::bad_request(message));
            }
            revision = u64::try_from(token.rv).unwrap_or(0);
            range.start = format!("{prefix}{}", token.start);
        } else if let Some(asked) = options.revision {
            // With a limit and no match, a list is of just that revision.
            if options.exact || (options.limit > 0 && !options.not_older_than) {
                revision = asked;
            } else if asked > self.store().revision() {
                return Err(too_large_revision(asked, self.store().revision()));
            }
        }
        let everything = selection.is_everything();
        let limit = if everything { options.limit } else { 0 };
        let request = RangeRequest { range, revision, limit, count_only: false };
        let mut response =
            self.store().range(&request).map_err(|error| list_error(&error, options, revision))?;
        if !everything {
            self.filter(call, &selection, options.limit, &mut response);
        }
        let revision = if revision == 0 { response.revision } else { revision };
        let mut page = Page { revision, ..Page::default() };
        if response.more
            && let Some(last) = response.kvs.last()
        {
            let start = format!("{}\0", last.key.strip_prefix(&prefix).unwrap_or(&last.key));
            page.r#continue = encode_token(revision as i64, start);
            page.remaining = everything.then(|| response.count - response.kvs.len());
        }
        Ok(Found { kvs: response.kvs, page })
    }

    fn filter(&self, call: &Call, selection: &Selection, limit: usize, response: &mut RangeResponse) {
        response.kvs.retain(|kv| self.selects(&*call.kind, selection, kv));
        if limit > 0 && response.kvs.len() > limit {
            response.kvs.truncate(limit);
            response.more = true;
        }
    }
}

fn encode_token(rv: i64, start: String) -> String {
    let token = ContinueToken { v: "meta.k8s.io/v1".to_owned(), rv, start };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).expect("a token is two strings and a number"))
}

fn decode_token(text: &str) -> Result<ContinueToken, ApiError> {
    let invalid = |why: String| ApiError::bad_request(format!("continue key is not valid{why}"));
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| invalid(format!(": {error}")))?;
    let token: ContinueToken =
        serde_json::from_slice(&bytes).map_err(|error| invalid(format!(": {error}")))?;
    if token.v != "meta.k8s.io/v1" {
        return Err(invalid(format!(": server does not recognize this encoded version {}", token.v)));
    }
    if token.rv == 0 {
        return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)".to_owned()));
    }
    if token.start.is_empty() {
        return Err(invalid(": encoded start key empty (version meta.k8s.io/v1)".to_owned()));
    }
    if token.start.split('/').any(|part| part == ".." || part == ".") {
        return Err(invalid(format!(": {}", token.start)));
    }
    Ok(token)
}

fn list_error(error: &StoreError, options: &ListOptions, revision: u64) -> ApiError {
    match error {
        StoreError::Compacted { .. } if !options.r#continue.is_empty() => {
            let start = decode_token(&options.r#continue).map(|token| token.start).unwrap_or_default();
            let mut expired = ApiError::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list \
                 without the continue parameter, or use the continue token in this response to retrieve the remainder of \
                 the results. Continuing with the provided token results in an inconsistent list - objects that were \
                 created, modified, or deleted between the time the first chunk was returned and now may show up in the \
                 list.",
            );
            expired.0.metadata.continue_ = Some(encode_token(-1, start));
            expired
        }
        StoreError::Future { current } => too_large_revision(revision, *current),
        other => store_error(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_says_where_to_go_on() {
        let token = decode_token(&encode_token(7, "default/a\0".to_owned())).unwrap();
        assert_eq!((token.rv, token.start.as_str()), (7, "default/a\0"));
        assert!(decode_token(&encode_token(7, "../secrets/a".to_owned())).is_err());
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(text in ".{0,60}") {
            let _ = decode_token(&text);
        }
    }
}
