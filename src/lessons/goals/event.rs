//! `event`: whether something was told of an object.

use std::sync::Arc;

use async_trait::async_trait;
use regex::Regex;
use serde_json::Value;

use super::super::glob::Glob;
use super::super::world::World;
use super::goal::{Ask, Moment};
use super::options::Options;

#[derive(Debug)]
struct Event {
    kind: String,
    name: Option<Glob>,
    namespace: String,
    reason: Option<String>,
    message: Option<Regex>,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let of: String = options.need("of")?;
    let (kind, name) = of.split_once('/').map_or((of.as_str(), None), |(kind, name)| (kind, Some(name)));
    let goal = Event {
        kind: kind.to_owned(),
        name: name.map(Glob::new),
        namespace: options.take("namespace")?.unwrap_or_else(|| "default".to_owned()),
        reason: options.take("reason")?,
        message: options.regex("matches")?,
    };
    options.end()?;
    if goal.reason.is_none() && goal.message.is_none() {
        return Err("`reason` or `matches` is missing".to_owned());
    }
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Event {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let Some(kind) = moment.world.kind_name(&self.kind) else { return false };
        let events = moment.world.objects("events", &self.namespace, None, moment.revision);
        events.iter().any(|event| {
            let about = &event["involvedObject"];
            about["kind"] == kind.as_str()
                && self
                    .name
                    .as_ref()
                    .is_none_or(|name| name.matches(about["name"].as_str().unwrap_or_default()))
                && self.reason.as_ref().is_none_or(|reason| event["reason"] == reason.as_str())
                && self
                    .message
                    .as_ref()
                    .is_none_or(|message| message.is_match(event["message"].as_str().unwrap_or_default()))
        })
    }

    fn lint(&self, world: &World) -> Vec<String> {
        match world.has_kind(&self.kind) {
            true => vec![],
            false => vec![format!("the cluster has no kind {:?}", self.kind)],
        }
    }
}
