//! `component`: whether a part of the cluster runs.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::world::World;
use super::goal::{Ask, Moment, Needs};
use super::options::Options;

#[derive(Debug)]
struct Component {
    name: String,
    node: Option<String>,
    running: bool,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let name = options.need("name")?;
    let running = match options.need::<String>("is")?.as_str() {
        "running" => true,
        "stopped" => false,
        other => return Err(format!("`is: {other}`: a component is `running` or `stopped`")),
    };
    let goal = Component { name, node: options.take("node")?, running };
    options.end()?;
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Component {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let states = moment.world.component(&self.name, self.node.as_deref());
        !states.is_empty() && states.iter().all(|running| *running == self.running)
    }

    fn needs(&self) -> Needs {
        Needs { present: true, ..Needs::default() }
    }

    fn lint(&self, world: &World) -> Vec<String> {
        match world.component(&self.name, self.node.as_deref()).is_empty() {
            false => vec![],
            true => vec![format!(
                "there is no component {:?}{}",
                self.name,
                self.node.as_ref().map(|node| format!(" on a node {node:?}")).unwrap_or_default()
            )],
        }
    }
}
