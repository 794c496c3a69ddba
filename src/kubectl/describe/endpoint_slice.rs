//! `kubectl describe endpointslice`.
// Models kubectl/pkg/describe (EndpointSliceDescriber).

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{list, or_none, plain, some, some_text, text, texts};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// The endpoint slice's describer.
pub struct EndpointSlice;

#[async_trait]
impl Describer for EndpointSlice {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("discovery.k8s.io", "EndpointSlice")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let slice =
            related.get(Resource::new("discovery.k8s.io/v1", "endpointslices"), namespace, name).await?;
        let events = events::shown(related, &slice, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &slice);
        metadata::labels_and_annotations(&mut w, &slice);
        put!(w, 0, "AddressType:\t{}\n", text(&slice, "/addressType"));
        ports(&mut w, list(&slice, "/ports"));
        endpoints(&mut w, list(&slice, "/endpoints"));
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}

fn ports(w: &mut Writer, ports: &[Value]) {
    if ports.is_empty() {
        w.write(0, "Ports: <unset>\n");
        return;
    }
    w.write(0, "Ports:\n");
    w.write(1, "Name\tPort\tProtocol\n");
    w.write(1, "----\t----\t--------\n");
    for port in ports {
        let name = some_text(port, "/name").unwrap_or("<unset>");
        put!(w, 1, "{name}\t{}\t{}\n", unset(port, "/port"), text(port, "/protocol"));
    }
}

fn endpoints(w: &mut Writer, endpoints: &[Value]) {
    if endpoints.is_empty() {
        w.write(0, "Endpoints: <none>\n");
        return;
    }
    w.write(0, "Endpoints:\n");
    for endpoint in endpoints {
        put!(w, 1, "- Addresses:\t{}\n", or_none(&texts(endpoint, "/addresses").join(", ")));
        w.write(2, "Conditions:\n");
        put!(w, 3, "Ready:\t{}\n", unset(endpoint, "/conditions/ready"));
        put!(w, 2, "Hostname:\t{}\n", unset(endpoint, "/hostname"));
        if let Some(target) = some(endpoint, "/targetRef") {
            put!(w, 2, "TargetRef:\t{}/{}\n", text(target, "/kind"), text(target, "/name"));
        }
        put!(w, 2, "NodeName:\t{}\n", unset(endpoint, "/nodeName"));
        put!(w, 2, "Zone:\t{}\n", unset(endpoint, "/zone"));
    }
}

fn unset(object: &Value, path: &str) -> String {
    some(object, path).map_or_else(|| "<unset>".to_owned(), plain)
}
