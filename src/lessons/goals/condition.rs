//! `condition`: a condition in an object's status.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::world::World;
use super::goal::{Ask, Moment};
use super::options::Options;
use super::target::Target;

#[derive(Debug)]
struct Condition {
    target: Target,
    kind: String,
    status: String,
    reason: Option<String>,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let target = Target::of(&mut options)?;
    let kind = options.need("type")?;
    let status = match options.take::<Value>("is")? {
        None => "True".to_owned(),
        Some(Value::String(text)) => text,
        // YAML's own true and false.
        Some(Value::Bool(true)) => "True".to_owned(),
        Some(Value::Bool(false)) => "False".to_owned(),
        Some(other) => {
            return Err(format!("`is: {other}`: a condition is \"True\", \"False\" or \"Unknown\""));
        }
    };
    let goal = Condition { target, kind, status, reason: options.take("reason")? };
    options.end()?;
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Condition {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let objects = self.target.objects(moment.world, moment.revision);
        let good = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|condition| {
                condition["type"] == self.kind.as_str()
                    && condition["status"] == self.status.as_str()
                    && self.reason.as_ref().is_none_or(|reason| condition["reason"] == reason.as_str())
            })
        };
        !objects.is_empty() && objects.iter().all(good)
    }

    fn lint(&self, world: &World) -> Vec<String> {
        self.target.lint(world)
    }
}
