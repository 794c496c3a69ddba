//! Says, all the time, how far a step is: looks again at every write of the store and every command that ended.
//!
//! A [`Grader`] is one task that waits; it lives as long as the step. Fronts read its [`Grade`] and wait on its changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::format::{Path, StepData};
use super::goals::{Goal, Memory, Moment, Needs, Since};
use super::world::World;
use crate::watch;

/// How often answers and logs are asked for again, since they may change without a write.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How far a step is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grade {
    /// Which goals are true, in their order.
    pub goals: Vec<bool>,
    /// All goals were true at once; it stays so.
    pub solved: bool,
    /// The known wrong paths that the learner is on.
    pub recognised: Vec<String>,
    /// The known wrong paths that the learner has been on since the step began.
    pub met: BTreeSet<String>,
    /// The dead end that the learner is in.
    pub stuck: Option<String>,
}

/// Looks at one step. Dropping it stops it.
pub struct Grader {
    grade: watch::Receiver<Grade>,
    _task: AbortOnDropHandle<()>,
}

impl Grader {
    /// Begins to look at a step that begins now.
    pub fn start(world: World, step: Arc<StepData>) -> Self {
        let since = Since { revision: world.revision(), commands: *world.commands.count().borrow() };
        let (sender, grade) =
            watch::channel(Grade { goals: vec![false; step.goal.len()], ..Grade::default() });
        let look = Look { world, step, since, memory: Memory::default(), grade: sender };
        Self { grade, _task: AbortOnDropHandle::new(tokio::spawn(look.run())) }
    }

    /// The grade and its changes.
    pub fn grade(&self) -> watch::Receiver<Grade> {
        self.grade.clone()
    }
}

struct Look {
    world: World,
    step: Arc<StepData>,
    since: Since,
    memory: Memory,
    grade: watch::Sender<Grade>,
}

impl Look {
    async fn run(self) {
        let (mut writes, mut commands) = (self.world.writes(), self.world.commands.count());
        let mut components = self.world.components();
        let asking = self.needs().asking;
        loop {
            self.look().await;
            tokio::select! { biased;
                // The log lives in `self.world`, so this ends only with a change.
                _ = commands.changed() => {}
                changed = components.changed() => {
                    if changed.is_err() {
                        // The cluster has ended, and with it what can be looked at.
                        return;
                    }
                }
                write = writes.next() => {
                    if write.is_none() {
                        // It fell behind: what was missed is looked at all the same.
                        writes = self.world.writes();
                    }
                }
                () = self.world.clock().sleep(ASK_AGAIN), if asking => {}
            }
            // What came together is looked at once.
            while let Some(Some(_)) = writes.next().now_or_never() {}
        }
    }

    fn needs(&self) -> Needs {
        let paths = self.step.recognise.iter().chain(&self.step.stuck).flat_map(|path| &path.when);
        self.step.goal.iter().chain(paths).map(Goal::needs).fold(Needs::default(), Needs::and)
    }

    async fn look(&self) {
        let moment = Moment { world: &self.world, revision: 0, since: self.since, memory: &self.memory };
        let mut goals = vec![];
        for goal in &self.step.goal {
            goals.push(goal.holds(&moment).await);
        }
        let recognised = on(&self.step.recognise, &moment).await;
        let stuck = on(&self.step.stuck, &moment).await.into_iter().next();
        self.grade.send_if_modified(|grade| {
            let before = grade.clone();
            grade.solved |= goals.iter().all(|holds| *holds);
            grade.met.extend(recognised.iter().chain(&stuck).cloned());
            grade.goals = goals;
            grade.recognised = recognised;
            grade.stuck = stuck;
            *grade != before
        });
    }
}

/// The paths that the learner is on.
async fn on(paths: &[Path], moment: &Moment<'_>) -> Vec<String> {
    let mut found = vec![];
    for path in paths {
        let mut all = true;
        for goal in &path.when {
            all = all && goal.holds(moment).await;
        }
        if all {
            found.push(path.id.clone());
        }
    }
    found
}
