//! What a goal is, and the table of goals by the word that they are written with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::super::world::World;
use super::{combine, command, component, condition, count, event, field, http, log, object};
use crate::store::Revision;

/// Something that can be asked of a cluster.
#[async_trait]
pub trait Ask: fmt::Debug + Send + Sync + 'static {
    /// Whether it is true.
    async fn holds(&self, moment: &Moment<'_>) -> bool;

    /// What an answer hangs on, besides objects.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What is wrong with it that only the cluster's kinds can tell, like a kind that does not exist.
    fn lint(&self, world: &World) -> Vec<String>;
}

/// What a goal's answer hangs on, besides objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Something outside the store, which may change without a write: logs, answers.
    pub asking: bool,
    /// Every revision since the step began.
    pub history: bool,
    /// Anything but objects, so that it cannot be asked of an old revision.
    pub present: bool,
}

impl Needs {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            asking: self.asking || other.asking,
            history: self.history || other.history,
            present: self.present || other.present,
        }
    }
}

/// When and of what is asked.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The cluster and its learner.
    pub world: &'a World,
    /// The revision that objects are read at; 0 for the newest.
    pub revision: Revision,
    /// When the step began.
    pub since: Since,
    /// What goals over history have seen so far.
    pub memory: &'a Memory,
}

/// When a step began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// The store's revision then.
    pub revision: Revision,
    /// How many commands had been run.
    pub commands: usize,
}

/// What goals over history have seen in this step: up to which revision they looked, and what they found.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<usize, (Revision, bool)>>);

impl Memory {
    /// What the goal at this address has seen.
    pub fn recall(&self, goal: usize) -> Option<(Revision, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&goal).copied()
    }

    /// Keeps what the goal at this address has seen.
    pub fn keep(&self, goal: usize, seen: (Revision, bool)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(goal, seen);
    }
}

/// A goal as it is written: one word and what belongs to it.
#[derive(Clone)]
pub struct Goal {
    /// The word.
    word: &'static str,
    /// What it asks.
    ask: Arc<dyn Ask>,
    /// What was written behind the word, for messages.
    written: Value,
}

/// A row of the table: the word, and how what belongs to it is read.
pub struct GoalKind {
    /// The word.
    pub word: &'static str,
    read: fn(Value) -> Result<Arc<dyn Ask>, String>,
}

/// Every goal.
pub const GOALS: &[GoalKind] = &[
    GoalKind { word: "exists", read: object::exists },
    GoalKind { word: "gone", read: object::gone },
    GoalKind { word: "field", read: field::read },
    GoalKind { word: "count", read: count::read },
    GoalKind { word: "condition", read: condition::read },
    GoalKind { word: "event", read: event::read },
    GoalKind { word: "log", read: log::read },
    GoalKind { word: "http", read: http::read },
    GoalKind { word: "command", read: command::read },
    GoalKind { word: "component", read: component::read },
    GoalKind { word: "any", read: combine::any },
    GoalKind { word: "all", read: combine::all },
    GoalKind { word: "not", read: combine::not },
    GoalKind { word: "always", read: combine::always },
    GoalKind { word: "once", read: combine::once },
];

impl Goal {
    /// Reads a goal: a map with one key.
    pub fn read(word: &str, written: Value) -> Result<Self, String> {
        let Some(kind) = GOALS.iter().find(|kind| kind.word == word) else {
            let words: Vec<&str> = GOALS.iter().map(|kind| kind.word).collect();
            return Err(format!("there is no goal `{word}`: expected one of {}", words.join(", ")));
        };
        let ask = (kind.read)(written.clone()).map_err(|why| format!("goal `{word}`: {why}"))?;
        Ok(Self { word: kind.word, ask, written })
    }

    /// Whether it is true.
    pub async fn holds(&self, moment: &Moment<'_>) -> bool {
        self.ask.holds(moment).await
    }

    /// What its answer hangs on.
    pub fn needs(&self) -> Needs {
        self.ask.needs()
    }

    /// See [`Ask::lint`].
    pub fn lint(&self, world: &World) -> Vec<String> {
        let problems = self.ask.lint(world);
        problems.into_iter().map(|why| format!("goal `{}`: {why}", self.word)).collect()
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.written {
            Value::String(text) => write!(f, "{}: {text}", self.word),
            other => write!(f, "{}: {other}", self.word),
        }
    }
}

impl fmt::Debug for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'de> Deserialize<'de> for Goal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;
        impl<'de> Visitor<'de> for OneKey {
            type Value = Goal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a goal like `exists: deployment/web`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Goal, A::Error> {
                let word: String = map
                    .next_key()?
                    .ok_or_else(|| A::Error::custom("a goal like `exists: deployment/web`"))?;
                let goal = Goal::read(&word, map.next_value()?).map_err(A::Error::custom)?;
                match map.next_key::<String>()? {
                    None => Ok(goal),
                    Some(other) => Err(A::Error::custom(format!(
                        "a goal has one word, and here are `{word}` and `{other}`: write two goals (`- {word}: ...` and `- {other}: ...`), or indent `{other}`"
                    ))),
                }
            }
        }
        deserializer.deserialize_map(OneKey)
    }
}
