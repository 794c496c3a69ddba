//! What is played: a lesson, or a cluster without one. A task of its own, since clusters take a moment to start.
//!
//! It owns the [`Stage`] or the free cluster and the [`Progress`], carries out what the learner wants of the lesson, and
//! tells the event loop what to show. It decides nothing itself: goals, steps and answers are the lesson room's.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::components::{CourseRow, CourseState, LessonText, LessonWish};
use super::lesson_words::{LessonView, lesson_text};
use super::reload::Saves;
use super::words::{Lang, Word};
use crate::api::auth::UserInfo;
use crate::api::registry::Registry;
use crate::client;
use crate::cluster::{Cluster, ClusterConfig, RuntimeConfig};
use crate::lessons::{Answered, Course, Grade, Lesson, Progress, Stage, StageConfig, lessons_in};
use crate::scheduler::Decisions;
use crate::shell::completion::Source;
use crate::shell::{LiveSource, Session, SessionConfig};
use crate::store::Store;
use crate::watch;

/// What there is to play with.
pub struct PlayConfig {
    /// The course.
    pub course: Course,
    /// What the learner has done.
    pub progress: Progress,
    /// The language.
    pub lang: Lang,
    /// The cluster without a lesson.
    pub cluster: ClusterConfig,
    /// The shell beside it.
    pub session: SessionConfig,
    /// A lesson to begin with.
    pub lesson: Option<Arc<Lesson>>,
    /// The directory that the course is from: what is saved there is played at once.
    pub directory: Option<PathBuf>,
}

/// What the learner wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Play a lesson; `None`: a cluster without one.
    Open(Option<String>),
    /// Something of the lesson.
    Lesson(LessonWish),
    /// Another language.
    Language(Lang),
}

/// What the event loop is told.
pub enum PlayNews {
    /// The cluster and the shell end; others are being started.
    Leaving,
    /// Another cluster and shell.
    Ground(Box<Ground>),
    /// What the lesson shows now.
    Lesson(Option<LessonText>),
    /// The course as it is.
    Course(Vec<CourseRow>),
    /// Something that went wrong, in several lines maybe.
    Problem(String),
    /// Something to tell in the bar; empty: nothing any more.
    Notice(String),
}

/// A cluster and the shell beside it, as the TUI uses them.
pub struct Ground {
    /// The learner's shell.
    pub session: Session,
    /// Where completion comes from.
    pub source: Box<dyn Source + Send>,
    /// The store.
    pub store: Store,
    /// The kinds.
    pub registry: Registry,
    /// What the scheduler decides.
    pub decisions: Decisions,
    /// A client that reads logs.
    pub client: kube::Client,
    /// Who runs the containers.
    pub runtime: RuntimeConfig,
}

impl Ground {
    async fn of(cluster: &Cluster, session: Session) -> Self {
        let reader = |name| client::component(cluster.service(), name, UserInfo::admin());
        let mut source = LiveSource::new(reader("completion")).await;
        source.look_in(session.files());
        Self {
            session,
            source: Box::new(source),
            store: cluster.store().clone(),
            registry: cluster.registry().clone(),
            decisions: cluster.decisions().clone(),
            client: reader("logs"),
            runtime: cluster.runtime().clone(),
        }
    }
}

/// What is played now.
enum Played {
    Nothing,
    /// Kept because dropping it stops it.
    Free(#[allow(dead_code)] Box<Cluster>),
    Lesson(Box<Stage>),
}

/// The task's state.
struct Play {
    config: PlayConfig,
    news: mpsc::Sender<PlayNews>,
    played: Played,
    grade: Option<watch::Receiver<Grade>>,
    /// What the learner has seen of the step besides its text.
    view: LessonView,
    /// The lesson with newer texts than the one that is played.
    newer: Option<Arc<Lesson>>,
}

/// Plays until `orders` ends. Dropping the future stops everything.
pub async fn play(config: PlayConfig, mut orders: mpsc::Receiver<Order>, news: mpsc::Sender<PlayNews>) {
    let first = config.lesson.clone();
    let mut play =
        Play { config, news, played: Played::Nothing, grade: None, view: LessonView::default(), newer: None };
    let mut saves = play.saves().await;
    play.tell_course().await;
    play.open(first, true).await;
    loop {
        let order = tokio::select! { biased;
            order = orders.recv() => order,
            () = changed(&mut play.grade) => {
                play.graded().await;
                continue;
            }
            () = saved(&mut saves) => {
                play.reload().await;
                continue;
            }
        };
        match order {
            None => return,
            Some(Order::Open(id)) => {
                let lesson = id.and_then(|id| play.config.course.lesson(&id).ok());
                play.open(lesson, true).await;
            }
            Some(Order::Lesson(wish)) => play.wish(wish).await,
            Some(Order::Language(lang)) => {
                play.config.lang = lang;
                let kept = play.config.progress.choose_language(lang);
                play.kept(kept).await;
                play.tell_course().await;
                play.tell_lesson().await;
            }
        }
    }
}

async fn changed(grade: &mut Option<watch::Receiver<Grade>>) {
    let ended = match grade {
        Some(receiver) => receiver.changed().await.is_err(),
        None => return std::future::pending().await,
    };
    if ended {
        // The step is over: its grader is gone.
        *grade = None;
    }
}

async fn saved(saves: &mut Option<Saves>) {
    match saves {
        Some(saves) => saves.next().await,
        None => std::future::pending().await,
    }
}

/// Whether two lessons differ in their texts at the most.
fn plays_the_same(a: &Lesson, b: &Lesson) -> bool {
    let played =
        |lesson: &Lesson| format!("{:?}", (&lesson.cluster, &lesson.setup, &lesson.steps, &lesson.files));
    a.id == b.id && played(a) == played(b)
}

impl Play {
    async fn saves(&self) -> Option<Saves> {
        match Saves::of(self.config.directory.as_deref()?) {
            Ok(saves) => Some(saves),
            Err(error) => {
                self.notice(error.to_string()).await;
                None
            }
        }
    }

    /// The directory was written to: shows newer texts, or plays the lesson again from the step that it is at.
    async fn reload(&mut self) {
        let Some(directory) = &self.config.directory else { return };
        let lessons = match lessons_in(directory) {
            Ok(lessons) => lessons,
            Err(error) => return self.tell(PlayNews::Problem(error.to_string())).await,
        };
        self.config.course = Course::of(directory, lessons);
        self.tell_course().await;
        let Played::Lesson(stage) = &self.played else { return };
        let same = self.config.course.lessons().find(|lesson| lesson.id == stage.lesson().id);
        let Some(lesson) = same.or(self.config.course.lessons().next()).cloned() else { return };
        if plays_the_same(stage.lesson(), &lesson) {
            self.newer = Some(lesson);
            self.tell_lesson().await;
            return self.notice("").await;
        }
        self.open(Some(lesson), true).await;
    }

    async fn tell(&self, news: PlayNews) {
        // An event loop that has ended is told nothing.
        let _ = self.news.send(news).await;
    }

    async fn notice(&self, text: impl Into<String>) {
        self.tell(PlayNews::Notice(text.into())).await;
    }

    /// Progress that cannot be kept is told, and play goes on.
    async fn kept(&self, outcome: std::io::Result<()>) {
        if let Err(error) = outcome {
            self.notice(Word::NotKept.before(self.config.lang, error)).await;
        }
    }

    /// Starts a lesson where it was left, or from its begin.
    async fn open(&mut self, lesson: Option<Arc<Lesson>>, resume: bool) {
        if lesson.is_none() && matches!(self.played, Played::Free(_)) {
            return;
        }
        self.grade = None;
        self.newer = None;
        self.notice(format!("{}…", Word::Starting.text(self.config.lang))).await;
        self.tell(PlayNews::Leaving).await;
        match std::mem::replace(&mut self.played, Played::Nothing) {
            Played::Lesson(stage) => stage.close().await,
            Played::Free(cluster) => cluster.stop().await,
            Played::Nothing => {}
        }
        let opened = match lesson {
            Some(lesson) => self.open_lesson(lesson, resume).await,
            None => self.open_free().await,
        };
        match opened {
            Ok(ground) => {
                self.tell(PlayNews::Ground(Box::new(ground))).await;
                self.tell_course().await;
                self.tell_lesson().await;
                self.notice("").await;
            }
            Err(error) => {
                self.notice("").await;
                self.tell(PlayNews::Problem(error)).await;
            }
        }
    }

    async fn open_free(&mut self) -> Result<Ground, String> {
        let wrong = |error: crate::cluster::ClusterError| error.to_string();
        let cluster = Cluster::start(self.config.cluster.clone()).await.map_err(wrong)?;
        cluster.ready().await;
        let session = Session::new(&cluster, self.config.session.clone()).map_err(wrong)?;
        let ground = Ground::of(&cluster, session).await;
        self.played = Played::Free(Box::new(cluster));
        Ok(ground)
    }

    async fn open_lesson(&mut self, lesson: Arc<Lesson>, resume: bool) -> Result<Ground, String> {
        let progress = self.config.progress.lesson(&lesson.id);
        let left = progress.step.filter(|_| resume && !progress.done);
        let step = left.and_then(|left| lesson.steps.iter().position(|step| step.id == left)).unwrap_or(0);
        let runtime = self.config.cluster.runtime.clone();
        let config = StageConfig { step, runtime, ..StageConfig::default() };
        let (stage, session) = Stage::open(lesson, &config).await.map_err(|error| error.to_string())?;
        let ground = Ground::of(stage.cluster(), session).await;
        self.played = Played::Lesson(Box::new(stage));
        self.begin_step().await;
        Ok(ground)
    }

    /// A step begins: its grade is followed, and it is kept as the one to go on with.
    async fn begin_step(&mut self) {
        self.view = LessonView::default();
        let Played::Lesson(stage) = &self.played else { return };
        self.grade = Some(stage.grade());
        let (id, step) = (stage.lesson().id.clone(), stage.step());
        let name = stage.lesson().steps.get(step).map(|step| step.id.clone());
        let over = stage.over();
        let kept = self.config.progress.update(&id, |progress| {
            progress.done |= over;
            progress.step = name;
        });
        self.kept(kept).await;
    }

    /// The grade has changed: what was solved is kept at once.
    async fn graded(&mut self) {
        let Played::Lesson(stage) = &self.played else { return };
        let solved = self.grade.as_ref().is_some_and(|grade| grade.borrow().solved);
        let name = stage.lesson().steps.get(stage.step()).map(|step| step.id.clone());
        if let Some(name) = name.filter(|_| solved) {
            let last = stage.step() + 1 == stage.lesson().steps.len();
            let next = stage.lesson().steps.get(stage.step() + 1).map(|step| step.id.clone());
            let id = stage.lesson().id.clone();
            let kept = self.config.progress.update(&id, |progress| {
                if !progress.solved.contains(&name) {
                    progress.solved.push(name);
                }
                progress.done |= last;
                progress.step = next;
            });
            self.kept(kept).await;
            self.tell_course().await;
        }
        self.tell_lesson().await;
    }

    async fn wish(&mut self, wish: LessonWish) {
        let lang = self.config.lang;
        let Played::Lesson(stage) = &mut self.played else { return };
        match wish {
            LessonWish::Hint => {
                let hints = stage.lesson().step_text(lang, stage.step()).hints.len();
                if self.view.hints >= hints {
                    return self.notice(Word::NoMoreHints.text(lang)).await;
                }
                self.view.hints += 1;
            }
            LessonWish::Reset => {
                let lesson = stage.lesson().clone();
                let kept = self.config.progress.reset(&lesson.id);
                self.kept(kept).await;
                return self.open(Some(lesson), false).await;
            }
            LessonWish::Choose(index) => {
                let step = stage.lesson().steps.get(stage.step());
                let choice = step.and_then(|step| step.quiz()?.choices.get(index).cloned());
                let Some(choice) = choice else { return };
                self.view.answer = Some((choice.clone(), stage.answer(&choice)));
            }
            LessonWish::Answer(answer) => {
                let answered = stage.answer(&answer);
                if answered != Answered::NoQuestion {
                    self.view.answer = Some((answer, answered));
                }
            }
            LessonWish::Next if stage.over() => {
                let next = self.config.course.next(&stage.lesson().id);
                return self.open(next, true).await;
            }
            LessonWish::Next if !stage.grade().borrow().solved => {
                return self.notice(Word::NotSolved.text(lang)).await;
            }
            LessonWish::Next => return self.advance(false).await,
            LessonWish::Skip if stage.over() => return,
            LessonWish::Skip => return self.advance(true).await,
        }
        self.tell_lesson().await;
    }

    async fn advance(&mut self, skipped: bool) {
        let Played::Lesson(stage) = &mut self.played else { return };
        let (id, name) = (stage.lesson().id.clone(), stage.lesson().steps[stage.step()].id.clone());
        let advanced = stage.advance().await;
        if skipped {
            let kept = self.config.progress.update(&id, |progress| {
                if !progress.skipped.contains(&name) && !progress.solved.contains(&name) {
                    progress.skipped.push(name);
                }
            });
            self.kept(kept).await;
        }
        self.begin_step().await;
        self.tell_course().await;
        self.tell_lesson().await;
        if let Err(error) = advanced {
            self.tell(PlayNews::Problem(error.to_string())).await;
        }
    }

    async fn tell_lesson(&self) {
        let text = match &self.played {
            Played::Lesson(stage) => {
                let next = self.config.course.next(&stage.lesson().id);
                let lesson = self.newer.as_ref().unwrap_or(stage.lesson());
                Some(lesson_text(stage, lesson, &self.view, next.as_deref(), self.config.lang))
            }
            _ => None,
        };
        self.tell(PlayNews::Lesson(text)).await;
    }

    async fn tell_course(&self) {
        self.tell(PlayNews::Course(course_rows(
            &self.config.course,
            &self.config.progress,
            self.config.lang,
        )))
        .await;
    }
}

/// The course as rows.
pub fn course_rows(course: &Course, progress: &Progress, lang: Lang) -> Vec<CourseRow> {
    let mut rows = vec![];
    for track in &course.tracks {
        let title = track.data.title.get(lang.tag()).or(track.data.title.values().next());
        rows.push(CourseRow {
            title: title.cloned().unwrap_or_else(|| track.id.clone()),
            ..CourseRow::default()
        });
        for lesson in &track.lessons {
            let kept = progress.lesson(&lesson.id);
            let state = match (kept.done, kept.step.is_some() || !kept.solved.is_empty()) {
                (true, _) if kept.solved.is_empty() => CourseState::Skipped,
                (true, _) => CourseState::Done,
                (false, true) => CourseState::Begun,
                (false, false) => CourseState::New,
            };
            rows.push(CourseRow {
                id: Some(lesson.id.clone()),
                title: lesson.text(lang).title.clone(),
                minutes: lesson.minutes,
                state,
                last: progress.last() == Some(&lesson.id),
            });
        }
    }
    rows
}
