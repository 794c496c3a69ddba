//! `kubectl describe limitrange`, and the limits in the description of a namespace.
// Models kubectl/pkg/describe (LimitRangeDescriber, DescribeLimitRanges).

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::Value;

use super::describer::{Describer, Settings};
use super::fields::{list, quantities, text};
use super::metadata;
use super::related::{Failure, Related, Resource};
use super::writer::{Writer, put};

/// The limit range's describer.
pub struct LimitRange;

/// The fields of a limit in the order of their columns.
const COLUMNS: [&str; 5] = ["/min", "/max", "/defaultRequest", "/default", "/maxLimitRequestRatio"];

#[async_trait]
impl Describer for LimitRange {
    fn kinds(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "LimitRange")]
    }

    async fn describe(
        &self,
        related: &dyn Related,
        namespace: &str,
        name: &str,
        _: Settings,
    ) -> Result<String, Failure> {
        let range = related.get(Resource::new("v1", "limitranges"), namespace, name).await?;
        let mut w = Writer::new();
        metadata::name_and_namespace(&mut w, &range);
        heading(&mut w, "");
        rows(&mut w, &range, "");
        Ok(w.finish())
    }
}

/// The limits of a namespace.
pub fn section(w: &mut Writer, ranges: &[Value]) {
    if ranges.is_empty() {
        w.write(0, "No LimitRange resource.\n");
        return;
    }
    w.write(0, "Resource Limits\n");
    heading(w, " ");
    for range in ranges {
        rows(w, range, " ");
    }
}

fn heading(w: &mut Writer, prefix: &str) {
    put!(w, 0, "{prefix}Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n");
    put!(w, 0, "{prefix}----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n");
}

/// kubectl prints the resources of a limit in no order at all; here they stand by name.
fn rows(w: &mut Writer, range: &Value, prefix: &str) {
    for limit in list(range, "/spec/limits") {
        let columns = COLUMNS.map(|path| quantities(limit, path));
        let names: BTreeSet<&String> = columns.iter().flat_map(|column| column.keys()).collect();
        for name in names {
            let cells = columns
                .each_ref()
                .map(|column| column.get(name).map_or_else(|| "-".to_owned(), ToString::to_string));
            put!(w, 0, "{prefix}{}\t{name}\t{}\n", text(limit, "/type"), cells.join("\t"));
        }
    }
}
