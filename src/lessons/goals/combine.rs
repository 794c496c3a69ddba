//! Goals made of goals: `any`, `all`, `not`, and those over history, `always` and `once`.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::world::World;
use super::goal::{Ask, Goal, Moment, Needs};

#[derive(Debug)]
enum Combined {
    Any(Vec<Goal>),
    All(Vec<Goal>),
    Not(Goal),
    /// At every revision since the step began.
    Always(Vec<Goal>),
    /// At some revision since the step began.
    Once(Vec<Goal>),
}

pub(super) fn any(written: Value) -> Result<Arc<dyn Ask>, String> {
    Ok(Arc::new(Combined::Any(goals(written)?)))
}

pub(super) fn all(written: Value) -> Result<Arc<dyn Ask>, String> {
    Ok(Arc::new(Combined::All(goals(written)?)))
}

pub(super) fn not(written: Value) -> Result<Arc<dyn Ask>, String> {
    let mut goals = goals(Value::Array(vec![written]))?;
    Ok(Arc::new(Combined::Not(goals.remove(0))))
}

pub(super) fn always(written: Value) -> Result<Arc<dyn Ask>, String> {
    Ok(Arc::new(Combined::Always(past(written)?)))
}

pub(super) fn once(written: Value) -> Result<Arc<dyn Ask>, String> {
    Ok(Arc::new(Combined::Once(past(written)?)))
}

fn goals(written: Value) -> Result<Vec<Goal>, String> {
    let Value::Array(written) = written else { return Err("expected a list of goals".to_owned()) };
    let read = |one: Value| match one {
        Value::Object(map) if map.len() == 1 => {
            let (word, written) = map.into_iter().next().expect("the map has one key");
            Goal::read(&word, written)
        }
        other => Err(format!("{other} is no goal like `exists: deployment/web`")),
    };
    let goals = written.into_iter().map(read).collect::<Result<Vec<Goal>, String>>()?;
    if goals.is_empty() { Err("the list of goals is empty".to_owned()) } else { Ok(goals) }
}

/// Goals that can be asked of an old revision.
fn past(written: Value) -> Result<Vec<Goal>, String> {
    let goals = goals(written)?;
    match goals.iter().find(|goal| goal.needs().present || goal.needs().history) {
        Some(goal) => {
            Err(format!("`{goal}` cannot be asked of a past revision: only goals about objects can"))
        }
        None => Ok(goals),
    }
}

async fn every(goals: &[Goal], moment: &Moment<'_>) -> bool {
    for goal in goals {
        if !goal.holds(moment).await {
            return false;
        }
    }
    true
}

impl Combined {
    /// Looks at the revisions that have not been looked at yet. Returns whether all goals were true at each of them
    /// (`every_time`), or at one of them.
    async fn over_history(&self, goals: &[Goal], moment: &Moment<'_>, every_time: bool) -> bool {
        let id = std::ptr::from_ref(self) as usize;
        let (seen, mut verdict) =
            moment.memory.recall(id).unwrap_or((moment.since.revision.saturating_sub(1), every_time));
        let newest = moment.world.revision();
        let mut revision = seen;
        // A verdict of the other kind cannot change any more.
        while revision < newest && verdict == every_time {
            revision += 1;
            let holds = every(goals, &Moment { revision, ..*moment }).await;
            if holds != every_time {
                verdict = holds;
            }
        }
        moment.memory.keep(id, (newest, verdict));
        verdict
    }
}

#[async_trait]
impl Ask for Combined {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        match self {
            Self::All(goals) => every(goals, moment).await,
            Self::Any(goals) => {
                for goal in goals {
                    if goal.holds(moment).await {
                        return true;
                    }
                }
                false
            }
            Self::Not(goal) => !goal.holds(moment).await,
            Self::Always(goals) => self.over_history(goals, moment, true).await,
            Self::Once(goals) => self.over_history(goals, moment, false).await,
        }
    }

    fn needs(&self) -> Needs {
        let (Self::Any(goals) | Self::All(goals)) = self else {
            return match self {
                Self::Not(goal) => goal.needs(),
                _ => Needs { history: true, ..Needs::default() },
            };
        };
        goals.iter().map(Goal::needs).fold(Needs::default(), Needs::and)
    }

    fn lint(&self, world: &World) -> Vec<String> {
        match self {
            Self::Any(goals) | Self::All(goals) | Self::Always(goals) | Self::Once(goals) => {
                goals.iter().flat_map(|goal| goal.lint(world)).collect()
            }
            Self::Not(goal) => goal.lint(world),
        }
    }
}
