//! `kubectl describe quota`, and the quotas in the description of a namespace.
// Models kubectl/pkg/describe (ResourceQuotaDescriber, DescribeResourceQuotas).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::fields::{quantities, text, texts};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};
use crate::meta::quantity::Quantity;

/// The quota's describer.
pub struct ResourceQuota;

#[async_trait]
impl Describer for ResourceQuota {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "ResourceQuota")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        _: Settings,
    ) -> Result<String, Failure> {
        let quota = related.get(Resource::new("v1", "resourcequotas"), namespace, name).await?;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &quota);
        let layout = Layout { level: 0, bullet: " * ", dashes: "--------\t----\t----\n" };
        body(&mut w, &quota, &layout);
        Ok(w.finish())
    }
}

/// The two descriptions differ in small things.
struct Layout {
    level: usize,
    bullet: &'static str,
    dashes: &'static str,
}

/// The quotas of a namespace.
pub fn section(w: &mut Writer, mut quotas: Vec<Value>) {
    if quotas.is_empty() {
        w.write(0, "No resource quota.\n");
        return;
    }
    quotas.sort_by_key(|quota| text(quota, "/metadata/name").to_owned());
    w.write(0, "Resource Quotas\n");
    for quota in &quotas {
        put!(w, 1, "Name:\t{}\n", text(quota, "/metadata/name"));
        body(w, quota, &Layout { level: 1, bullet: "* ", dashes: "--------\t---\t---\n" });
    }
}

fn body(w: &mut Writer, quota: &Value, layout: &Layout) {
    let mut scopes = texts(quota, "/spec/scopes");
    scopes.sort_unstable();
    if !scopes.is_empty() {
        put!(w, layout.level, "Scopes:\t{}\n", scopes.join(", "));
        for help in scopes.into_iter().filter_map(scope_help) {
            put!(w, layout.level, "{}{help}\n", layout.bullet);
        }
    }
    w.write(layout.level, "Resource\tUsed\tHard\n");
    w.write(layout.level, layout.dashes);
    let used = quantities(quota, "/status/used");
    for (name, hard) in quantities(quota, "/status/hard") {
        let used = used.get(&name).copied().unwrap_or(Quantity::ZERO);
        put!(w, layout.level, "{name}\t{used}\t{hard}\n");
    }
}

fn scope_help(scope: &str) -> Option<&'static str> {
    match scope {
        "Terminating" => Some(
            "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively \
             terminated by the system.",
        ),
        "NotTerminating" => Some(
            "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container \
             command is not expected to terminate.",
        ),
        "BestEffort" => Some(
            "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
        ),
        "NotBestEffort" => Some(
            "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality \
             of service.",
        ),
        _ => None,
    }
}
