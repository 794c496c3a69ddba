//! `field`: a value inside objects.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::world::World;
use super::goal::{Ask, Moment};
use super::options::Options;
use super::target::Target;
use super::test::Test;
use crate::kubectl::output::jsonpath::JsonPath;

/// A path inside an object, in kubectl's JSONPath.
#[derive(Clone, Debug)]
pub(super) struct FieldPath(JsonPath);

impl FieldPath {
    /// Reads `path`, with or without the braces.
    pub(super) fn of(options: &mut Options) -> Result<Self, String> {
        let text: String = options.need("path")?;
        let template = if text.starts_with('{') { text.clone() } else { format!("{{{text}}}") };
        let path = JsonPath::parse(&template).map_err(|why| format!("`path: {text}`: {why}"))?;
        Ok(Self(path.allow_missing_keys(true)))
    }

    /// The value there; a list, if the path finds several.
    pub(super) fn value(&self, object: &Value) -> Option<Value> {
        let found = self.0.find(object).ok()?;
        let mut values: Vec<Value> = found.into_iter().flatten().map(std::borrow::Cow::into_owned).collect();
        match values.len() {
            0 => None,
            1 => values.pop(),
            _ => Some(Value::Array(values)),
        }
    }
}

#[derive(Debug)]
struct Field {
    target: Target,
    path: FieldPath,
    tests: Vec<Test>,
    /// One object is enough.
    some: bool,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut options = Options::of(written)?;
    let goal = Field {
        target: Target::of(&mut options)?,
        path: FieldPath::of(&mut options)?,
        tests: Test::of(&mut options)?,
        some: options.take("some")?.unwrap_or(false),
    };
    options.end()?;
    Ok(Arc::new(goal))
}

#[async_trait]
impl Ask for Field {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let objects = self.target.objects(moment.world, moment.revision);
        let good = |object: &Value| {
            let value = self.path.value(object);
            self.tests.iter().all(|test| test.holds(value.as_ref()))
        };
        if self.some { objects.iter().any(good) } else { !objects.is_empty() && objects.iter().all(good) }
    }

    fn lint(&self, world: &World) -> Vec<String> {
        self.target.lint(world)
    }
}
