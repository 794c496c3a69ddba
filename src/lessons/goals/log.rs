//! `log`: what containers have printed.

use std::sync::Arc;

use async_trait::async_trait;
use regex::Regex;
use serde_json::Value;

use super::super::world::World;
use super::goal::{Ask, Moment, Needs};
use super::options::Options;
use super::target::Target;

#[derive(Debug)]
struct Log {
    pods: Target,
    container: Option<String>,
    contains: Option<String>,
    matches: Option<Regex>,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let goal = Log {
        pods: Target::of(&mut options)?,
        container: options.take("container")?,
        contains: options.take("contains")?,
        matches: options.regex("matches")?,
    };
    options.end()?;
    if goal.contains.is_none() && goal.matches.is_none() {
        return Err("`contains` or `matches` is missing".to_owned());
    }
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Log {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        for pod in self.pods.objects(moment.world, moment.revision) {
            let Some(text) = moment.world.log(&pod, self.container.as_deref()).await else { continue };
            if self.contains.as_ref().is_none_or(|part| text.contains(part))
                && self.matches.as_ref().is_none_or(|regex| regex.is_match(&text))
            {
                return true;
            }
        }
        false
    }

    fn needs(&self) -> Needs {
        Needs { asking: true, present: true, ..Needs::default() }
    }

    fn lint(&self, world: &World) -> Vec<String> {
        self.pods.lint(world)
    }
}
