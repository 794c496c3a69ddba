//! `exists` and `gone`: whether there is such an object.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::world::World;
use super::goal::{Ask, Moment};
use super::target::Target;

#[derive(Debug)]
struct There {
    target: Target,
    wanted: bool,
}

pub(super) fn exists(written: Value) -> Result<Arc<dyn Ask>, String> {
    Ok(Arc::new(There { target: Target::read(written)?, wanted: true }))
}

pub(super) fn gone(written: Value) -> Result<Arc<dyn Ask>, String> {
    Ok(Arc::new(There { target: Target::read(written)?, wanted: false }))
}

#[async_trait]
impl Ask for There {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        self.target.objects(moment.world, moment.revision).is_empty() != self.wanted
    }

    fn lint(&self, world: &World) -> Vec<String> {
        self.target.lint(world)
    }
}
