//! `count`: how many objects there are.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::world::World;
use super::field::FieldPath;
use super::goal::{Ask, Moment};
use super::options::Options;
use super::target::Target;
use super::test::Test;

#[derive(Debug)]
struct Count {
    target: Target,
    only: Option<(FieldPath, Vec<Test>)>,
    tests: Vec<Test>,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let target = Target::of(&mut options)?;
    let only = match options.take::<Value>("where")? {
        None => None,
        Some(written) => {
            let mut inner = Options::of(written)?;
            let only = (FieldPath::of(&mut inner)?, Test::of(&mut inner)?);
            inner.end()?;
            Some(only)
        }
    };
    let goal = Count { target, only, tests: Test::of(&mut options)? };
    options.end()?;
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Count {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let mut objects = self.target.objects(moment.world, moment.revision);
        if let Some((path, tests)) = &self.only {
            objects.retain(|object| {
                let value = path.value(object);
                tests.iter().all(|test| test.holds(value.as_ref()))
            });
        }
        let count = Value::from(objects.len());
        self.tests.iter().all(|test| test.holds(Some(&count)))
    }

    fn lint(&self, world: &World) -> Vec<String> {
        self.target.lint(world)
    }
}
