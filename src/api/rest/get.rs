//! `get`: one object, as it is stored.

use super::call::{Call, Reply, Rest, too_large_revision};
use crate::api::codec::{self, Target};
use crate::api::options::revision;
use crate::api::request::Query;
use crate::api::status::ApiError;

impl Rest {
    /// Reads the object that the call names. A resourceVersion in the query must have been reached.
    pub fn get(&self, call: &Call, query: &Query) -> Result<Reply, ApiError> {
        if query.flag("export") == Some(true) {
            return Err(ApiError::bad_request(
                "the export parameter, deprecated since v1.14, is no longer supported",
            ));
        }
        if let Some(asked) = revision(query.get("resourceVersion").unwrap_or_default())? {
            let current = self.store().revision();
            if asked > current {
                return Err(too_large_revision(asked, current));
            }
        }
        if let Some(objects) = call.kind.computed(&call.probes) {
            let object = objects.into_iter().find(|object| object.meta().name.as_deref() == Some(&call.name));
            let object = object.ok_or_else(|| call.not_found())?;
            return Ok(Reply::object(codec::encode_value(&Target::of(call.info()), &object.to_value())));
        }
        let kv = self.stored(call)?;
        Ok(Reply::object(self.bytes(&*call.kind, &kv)?))
    }
}
