//! `deletecollection`: every object that a list would find, one after the other.
// Models k8s.io/apiserver/pkg/registry/generic/registry (Store.DeleteCollection).

use super::call::{Call, Content, Reply, Rest};
use super::list::Found;
use crate::api::options::{DeleteOptions, ListOptions};
use crate::api::status::ApiError;

impl Rest {
    /// Deletes what the options select and answers with the list of it.
    pub fn delete_collection(
        &self,
        call: &Call,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<Reply, ApiError> {
        let Found { kvs, mut page } = self.find(call, list)?;
        page.items = kvs.iter().map(|kv| self.bytes(&*call.kind, kv)).collect::<Result<_, _>>()?;
        for kv in &kvs {
            // The key ends in the name, and in the namespace before it.
            let mut parts = kv.key.rsplit('/');
            let name = parts.next().unwrap_or_default().to_owned();
            let namespace =
                if call.info().namespaced { parts.next().unwrap_or_default() } else { "" }.to_owned();
            let one = Call { name, namespace, ..call.clone() };
            match self.delete(&one, options) {
                Err(error) if error.reason() == "NotFound" => {}
                outcome => drop(outcome?),
            }
        }
        Ok(Reply::new(200, Content::List(page)))
    }
}
