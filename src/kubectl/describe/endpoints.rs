//! `kubectl describe endpoints`.
// Models kubectl/pkg/describe (EndpointsDescriber).

use async_trait::async_trait;

use super::describer::{Describer, Settings};
use super::events;
use super::fields::{int, list, or_none, some_text, text};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// The describer of Endpoints.
pub struct Endpoints;

#[async_trait]
impl Describer for Endpoints {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "Endpoints")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        settings: Settings,
    ) -> Result<String, Failure> {
        let endpoints = related.get(Resource::new("v1", "endpoints"), namespace, name).await?;
        let events = events::shown(related, &endpoints, settings.show_events).await;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &endpoints);
        metadata::labels_and_annotations(&mut w, &endpoints);
        w.write(0, "Subsets:\n");
        for subset in list(&endpoints, "/subsets") {
            for (label, path) in [("Addresses", "/addresses"), ("NotReadyAddresses", "/notReadyAddresses")] {
                let ips: Vec<&str> = list(subset, path).iter().map(|address| text(address, "/ip")).collect();
                put!(w, 1, "{label}:\t{}\n", or_none(&ips.join(",")));
            }
            let ports = list(subset, "/ports");
            if !ports.is_empty() {
                w.write(1, "Ports:\n");
                w.write(2, "Name\tPort\tProtocol\n");
                w.write(2, "----\t----\t--------\n");
            }
            for port in ports {
                let name = some_text(port, "/name").unwrap_or("<unset>");
                put!(w, 2, "{name}\t{}\t{}\n", int(port, "/port"), text(port, "/protocol"));
            }
            w.write(0, "\n");
        }
        events::section(&mut w, events, related.now());
        Ok(w.finish())
    }
}
