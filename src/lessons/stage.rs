//! A lesson being played: its cluster, the learner's shell, and the step that is looked at.
//!
//! Fronts (the TUI, the authors' test) hold a [`Stage`] and the [`Session`] that came with it. The stage never runs anything
//! for the learner: what it runs is the lesson's own setup, in a shell beside.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::error::LessonError;
use super::format::{Lesson, PaceData, Step, StepData, Work};
use super::grader::{Grade, Grader};
use super::world::World;
use crate::bash::{SharedWriter, Stdio};
use crate::cluster::{Cluster, ClusterConfig, RuntimeConfig, Time};
use crate::runtime::sim::Pace;
use crate::shell::{CommandLog, HOME, Session, SessionConfig, commands};
use crate::watch;

/// How long an earlier step's solution is given to take effect.
const EFFECT: Duration = Duration::from_secs(60);

/// How a lesson is played.
#[derive(Clone, Debug, Default)]
pub struct StageConfig {
    /// The cluster's time; virtual for tests.
    pub virtual_time: bool,
    /// The step to begin with; the steps before it are brought about by their first solutions.
    pub step: usize,
    /// Who runs the containers.
    pub runtime: RuntimeConfig,
}

/// What came of an answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It is right: the step is done.
    Right,
    /// It is not; the choice that was named, if one was.
    Wrong(Option<String>),
    /// A prediction is made: the step is done.
    Predicted,
    /// This step asks nothing.
    NoQuestion,
}

/// A prediction, and whether it came true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The step that asked.
    pub step: usize,
    /// What was answered.
    pub answer: String,
    /// Whether it is right.
    pub right: bool,
}

/// A lesson being played. Dropping it stops its cluster.
pub struct Stage {
    lesson: Arc<Lesson>,
    cluster: Cluster,
    world: World,
    backstage: Backstage,
    step: usize,
    grader: Option<Grader>,
    answered: watch::Sender<Grade>,
    prediction: Option<Prediction>,
    /// What the step does by itself some time after it began.
    later: Option<AbortOnDropHandle<()>>,
}

/// The shell that the lesson's own commands run in: the learner's files, but nobody looks.
#[derive(Clone)]
struct Backstage(Arc<tokio::sync::Mutex<Session>>);

impl Backstage {
    async fn run(&self, command: &str) -> Result<String, LessonError> {
        let (printed, kept) = SharedWriter::capture();
        let stdio =
            Stdio { stdout: Box::new(printed.clone()), stderr: Box::new(printed.clone()), ..Stdio::null() };
        let code = self.0.lock().await.run(command, stdio).await;
        let output =
            String::from_utf8_lossy(&kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        if code == 0 { Ok(output) } else { Err(LessonError::Setup { command: command.to_owned(), output }) }
    }
}

impl Stage {
    /// Builds a lesson's cluster, prepares it, and begins with a step. The session is the learner's shell.
    pub async fn open(lesson: Arc<Lesson>, config: &StageConfig) -> Result<(Self, Session), LessonError> {
        if !lesson.can_be_played_on(&config.runtime) {
            return Err(LessonError::OnlySimulated(lesson.id.clone()));
        }
        let data = &lesson.cluster;
        let cluster = Cluster::start(ClusterConfig {
            nodes: data.nodes,
            seed: Some(data.seed),
            pace: if data.pace == PaceData::Real { Pace::Real } else { Pace::Instant },
            time: if config.virtual_time { Time::Virtual } else { Time::Real },
            runtime: config.runtime.clone(),
            ..ClusterConfig::default()
        })
        .await?;
        cluster.ready().await;
        let commands = CommandLog::default();
        let mut session = Session::new(
            &cluster,
            SessionConfig { advice: true, log: Some(commands.clone()), ..SessionConfig::default() },
        )?;
        let backstage = Session::new(
            &cluster,
            SessionConfig { files: Some(session.files()), ..SessionConfig::default() },
        )?;
        let backstage = Backstage(Arc::new(tokio::sync::Mutex::new(backstage)));
        let world = World::new(&cluster, commands);
        let (answered, _) = watch::channel(Grade::default());
        let mut stage = Self {
            lesson,
            cluster,
            world,
            backstage,
            step: 0,
            grader: None,
            answered,
            prediction: None,
            later: None,
        };
        stage.set_up(&session).await?;
        for step in 0..config.step.min(stage.lesson.steps.len()) {
            stage.begin(step).await?;
            stage.bring_about(step, &mut session).await;
        }
        stage.begin(config.step).await?;
        Ok((stage, session))
    }

    async fn set_up(&self, session: &Session) -> Result<(), LessonError> {
        let files = session.files();
        let failed = |what: &str, why: crate::bash::FilesError| LessonError::Setup {
            command: format!("put {what} into the learner's home"),
            output: why.to_string(),
        };
        for (name, content) in &self.lesson.files {
            let path = format!("{HOME}/{name}");
            if let Some((directory, _)) = path.rsplit_once('/') {
                files.make_directory(directory).await.map_err(|why| failed(name, why))?;
            }
            files.write(&path, content).await.map_err(|why| failed(name, why))?;
        }
        for manifest in &self.lesson.setup.manifests {
            let name = manifest.strip_prefix("files/").unwrap_or(manifest);
            self.backstage.run(&format!("kubectl apply -f {HOME}/{name}")).await?;
        }
        for command in &self.lesson.setup.commands {
            self.backstage.run(command).await?;
        }
        Ok(())
    }

    /// Does a step as its first solution does, in the learner's own shell, for those who go on later in a lesson: variables
    /// and jobs of earlier steps are there.
    async fn bring_about(&self, step: usize, session: &mut Session) {
        let Some(solution) = self.lesson.steps[step].goal().and_then(|goal| goal.solutions.first()) else {
            return;
        };
        for command in commands(solution) {
            // A solution may hold commands that fail, to show that they do.
            session.run(&command, Stdio::null()).await;
        }
        let mut grade = self.grade();
        // What is not true by then is told when the step itself is tried.
        let _ = self.cluster.clock().timeout(EFFECT, grade.wait_for(|grade| grade.solved)).await;
    }

    /// Skips the step: it is done as its first solution does it, in the learner's shell, and the next one begins.
    pub async fn skip(&mut self, session: &mut Session) -> Result<(), LessonError> {
        if !self.over() {
            self.bring_about(self.step, session).await;
        }
        self.advance().await
    }

    /// Begins with a step: its own commands run, and its goals are looked at from now on.
    async fn begin(&mut self, step: usize) -> Result<(), LessonError> {
        self.step = step;
        self.grader = None;
        self.later = None;
        self.answered.send_replace(Grade::default());
        let Some(Step { before, work, .. }) = self.lesson.steps.get(step) else { return Ok(()) };
        for command in before.iter().filter(|command| command.after.is_zero()) {
            self.backstage.run(&command.run).await?;
        }
        let later: Vec<_> = before.iter().filter(|command| !command.after.is_zero()).cloned().collect();
        if !later.is_empty() {
            let (backstage, clock) = (self.backstage.clone(), self.cluster.clock().clone());
            self.later = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                let mut passed = Duration::ZERO;
                for command in later {
                    clock.sleep(command.after.saturating_sub(passed)).await;
                    passed = passed.max(command.after);
                    if let Err(error) = backstage.run(&command.run).await {
                        tracing::warn!(%error, "a command of the lesson failed");
                    }
                }
            })));
        }
        if let Work::Goal(data) = work {
            self.grader = Some(Grader::start(self.world.clone(), Arc::new(StepData::clone(data))));
        }
        Ok(())
    }

    /// The lesson.
    pub fn lesson(&self) -> &Arc<Lesson> {
        &self.lesson
    }

    /// The cluster, for live views.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What goals look at.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The step, from 0; as many as the lesson has when it is over.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Whether every step is done.
    pub fn over(&self) -> bool {
        self.step >= self.lesson.steps.len()
    }

    /// How far the step is, and its changes. A new receiver is needed after each [`Stage::advance`].
    pub fn grade(&self) -> watch::Receiver<Grade> {
        self.grader.as_ref().map_or_else(|| self.answered.subscribe(), Grader::grade)
    }

    /// Answers the step's question.
    pub fn answer(&mut self, answer: &str) -> Answered {
        let Some(step) = self.lesson.steps.get(self.step) else { return Answered::NoQuestion };
        let Some(quiz) = step.quiz() else { return Answered::NoQuestion };
        let right = quiz.accepts(answer);
        let choice = quiz.choice(answer).map(str::to_owned);
        if !quiz.choices.is_empty() && choice.is_none() {
            return Answered::Wrong(None);
        }
        let solved = || Grade { solved: true, ..Grade::default() };
        match (&step.work, right) {
            (Work::Predict(_), right) => {
                let answer = choice.unwrap_or_else(|| answer.trim().to_owned());
                self.prediction = Some(Prediction { step: self.step, answer, right });
                self.answered.send_replace(solved());
                Answered::Predicted
            }
            (_, true) => {
                self.answered.send_replace(solved());
                Answered::Right
            }
            (_, false) => Answered::Wrong(choice),
        }
    }

    /// The last prediction, which the debrief of the step behind it speaks of.
    pub fn prediction(&self) -> Option<&Prediction> {
        self.prediction.as_ref()
    }

    /// Goes on to the next step.
    pub async fn advance(&mut self) -> Result<(), LessonError> {
        if self.prediction.as_ref().is_some_and(|prediction| prediction.step < self.step) {
            self.prediction = None;
        }
        self.begin((self.step + 1).min(self.lesson.steps.len())).await
    }

    /// Stops the cluster, kubelets first.
    pub async fn close(self) {
        drop(self.grader);
        self.cluster.stop().await;
    }
}
