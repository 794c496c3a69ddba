//! `kubectl describe namespace`.
// Models kubectl/pkg/describe (NamespaceDescriber).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::fields::{list, text, time_text};
use super::related::{Failure, Related, Resource, Wanted};
use super::writer::{Writer, put};
use super::{limit_range, metadata, quota};

/// The namespace's describer.
pub struct Namespace;

#[async_trait]
impl Describer for Namespace {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Namespace")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        _: &str,
        name: &str,
        _: Settings,
    ) -> Result<String, Failure> {
        let namespace = related.get(Resource::new("v1", "namespaces"), "", name).await?;
        let quotas = inside(related, "resourcequotas", name).await?;
        let ranges = inside(related, "limitranges", name).await?;
        let mut w = Writer::new();
        put!(w, 0, "Name:\t{}\n", text(&namespace, "/metadata/name"));
        metadata::labels_and_annotations(&mut w, &namespace);
        put!(w, 0, "Status:\t{}\n", text(&namespace, "/status/phase"));
        conditions(&mut w, list(&namespace, "/status/conditions"));
        if let Some(quotas) = quotas {
            w.write(0, "\n");
            quota::section(&mut w, quotas);
        }
        if let Some(ranges) = ranges {
            w.write(0, "\n");
            limit_range::section(&mut w, &ranges);
        }
        Ok(w.finish())
    }
}

/// The objects of a resource in the namespace; `None` if the server has no such resource.
async fn inside(related: &dyn Related, plural: &str, namespace: &str) -> Result<Option<Vec<Value>>, Failure> {
    let wanted = Wanted { namespace: namespace.to_owned(), ..Wanted::default() };
    match related.list(Resource::new("v1", plural), &wanted).await {
        Ok(objects) => Ok(Some(objects)),
        Err(failure) if failure.reason == "NotFound" => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn conditions(w: &mut Writer, conditions: &[Value]) {
    if conditions.is_empty() {
        return;
    }
    w.write(0, "Conditions:\n");
    w.write(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage\n");
    w.write(1, "----\t------\t------------------\t------\t-------\n");
    for condition in conditions {
        put!(
            w,
            1,
            "{}\t{}\t{}\t{}\t{}\n",
            text(condition, "/type"),
            text(condition, "/status"),
            time_text(condition, "/lastTransitionTime"),
            text(condition, "/reason"),
            text(condition, "/message")
        );
    }
}
