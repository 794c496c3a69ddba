//! The builder's objects out of files: which they are, where they belong, how they are on the server.
// Models k8s.io/cli-runtime/pkg/resource (visitor.go, mapper.go).

use std::sync::Arc;

use serde_json::Value;

use super::builder::Builder;
use super::checks::{decodable, validate};
use super::files::{SourceFile, decode_documents};
use super::info::{Info, Visited, is_list, list_items};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::Mapping;
use crate::meta::selector::Selector;

impl Builder<'_> {
    pub(super) async fn by_files(&self, files: Vec<SourceFile>, found: &mut Visited) -> Result<()> {
        found.targets_single_items = true;
        if !self.types.is_empty() {
            let text = "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well";
            return Err(KubectlError::message(text));
        }
        if !self.names.is_empty() {
            return Err(KubectlError::message("name cannot be provided when a path is specified"));
        }
        if !self.tuples.is_empty() {
            return Err(KubectlError::message(
                "resource/name arguments cannot be provided when a path is specified",
            ));
        }
        let selector = match &self.label_selector {
            Some(text) => Some(Selector::parse(text).map_err(|error| {
                KubectlError::message(format!("the provided selector {text:?} is not valid: {error}"))
            })?),
            None => None,
        };
        for file in files {
            let (documents, broken) = decode_documents(&file.content);
            for document in documents {
                match self.document_infos(document, &file.name).await {
                    Ok(infos) => {
                        for info in infos {
                            self.finish(info, selector.as_ref(), found).await;
                        }
                    }
                    Err(error) => found.errors.push(error),
                }
                if !self.continue_on_error && !found.errors.is_empty() {
                    return Ok(());
                }
            }
            if let Some(error) = broken {
                found.errors.push(KubectlError::message(format!("error parsing {}: {error}", file.name)));
            }
        }
        Ok(())
    }

    /// The objects of a document: one, or those of a list.
    async fn document_infos(&self, document: Value, source: &str) -> Result<Vec<Info>> {
        if self.validate {
            validate(&document, source)?;
        }
        let documents = if self.flatten && is_list(&document) { flatten(document) } else { vec![document] };
        let mut infos = vec![];
        for object in documents {
            decodable(&object, source)?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (kind, api_version) = (text(&object["kind"]), text(&object["apiVersion"]));
            let (name, namespace) =
                (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
            let mut info = Info { namespace, name, source: source.to_owned(), object, ..Info::default() };
            if !self.local {
                info.mapping = Some(self.mapping_of(&api_version, &kind, &info).await?);
            }
            infos.push(info);
        }
        Ok(infos)
    }

    async fn mapping_of(&self, api_version: &str, kind: &str, info: &Info) -> Result<Arc<Mapping>> {
        if let Some(mapping) = self.session.mapper().await?.for_object(api_version, kind) {
            return Ok(mapping);
        }
        // It may have been defined since, by this very call.
        if let Some(mapping) = self.session.rediscover().await?.for_object(api_version, kind) {
            return Ok(mapping);
        }
        Err(KubectlError::message(format!(
            "resource mapping not found for name: {:?} namespace: {:?} from {:?}: no matches for kind {kind:?} in version \
             {api_version:?}\nensure CRDs are installed first",
            info.name, info.namespace, info.source,
        )))
    }

    /// Puts an object of a file into its namespace, fetches it if wanted, and adds it.
    async fn finish(&self, mut info: Info, selector: Option<&Selector>, found: &mut Visited) {
        if let Err(error) = self.place(&mut info) {
            found.errors.push(error);
            return;
        }
        if self.latest && !info.name.is_empty() && !self.local {
            let fetched = async { self.fetch(&self.session.client().await?, &mut info).await };
            if let Err(error) = fetched.await {
                found.errors.push(error);
                return;
            }
        }
        let labels = info.object["metadata"]["labels"].as_object().into_iter().flatten();
        let labels =
            labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        if selector.is_none_or(|selector| selector.matches(&labels)) {
            found.infos.push(info);
        }
    }

    // Models SetNamespace, RequireNamespace and FilterNamespace.
    fn place(&self, info: &mut Info) -> Result<()> {
        if !info.namespaced() {
            info.set_namespace("");
            return Ok(());
        }
        if info.namespace.is_empty() && (self.default_namespace || self.require_namespace) {
            info.set_namespace(&self.namespace);
        }
        if self.require_namespace && info.namespace != self.namespace {
            let (own, wanted) = (&info.namespace, &self.namespace);
            return Err(KubectlError::message(format!(
                "the namespace from the provided object {own:?} does not match the namespace {wanted:?}. You must pass \
                 '--namespace={own}' to perform this operation."
            )));
        }
        Ok(())
    }
}

/// The objects of a list, and of the lists in it.
fn flatten(list: Value) -> Vec<Value> {
    let mut objects = vec![];
    let mut waiting = std::collections::VecDeque::from([list]);
    while let Some(object) = waiting.pop_front() {
        if is_list(&object) {
            waiting.extend(list_items(object));
        } else {
            objects.push(object);
        }
    }
    objects
}
