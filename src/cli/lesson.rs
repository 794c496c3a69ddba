//! `k8s-learn lesson`: for those who write lessons.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use clap::Subcommand;

use super::command_line::{RuntimeArgs, live_runtime, virtual_runtime};
use crate::cluster::{Cluster, ClusterConfig, Component, RuntimeConfig, Time};
use crate::lessons::check::{Proof, import, lint, lint_course, new_lesson, prove_as};
use crate::lessons::{Course, Language, Lesson, Problem, StageConfig, World, lessons_in};
use crate::shell::CommandLog;

#[derive(Subcommand)]
pub(super) enum LessonCommand {
    /// List the course's lessons
    List {
        /// A directory with lessons in place of the course
        path: Option<PathBuf>,
        /// The language: en, zh-TW or zh-CN; by default that of the locale
        #[arg(long)]
        lang: Option<Language>,
    },
    /// Print a lesson's text
    Show {
        /// A lesson's id, or its directory
        lesson: String,
        /// The language: en, zh-TW or zh-CN; by default that of the locale
        #[arg(long)]
        lang: Option<Language>,
    },
    /// Make a new lesson's directory, whole and small
    New {
        /// The directory, like lessons/basics/07-labels
        directory: PathBuf,
    },
    /// Say what is missing in lessons, without playing them
    Lint {
        /// A lesson's, a track's or a course's directory; by default the course in this program
        path: Option<PathBuf>,
    },
    /// Play lessons by their solutions, wrong answers and known wrong paths, and say where they do not go as written
    Test {
        /// A lesson's, a track's or a course's directory; by default the course in this program
        path: Option<PathBuf>,
        /// Print what the first solutions show
        #[arg(long)]
        transcript: bool,
        #[command(flatten)]
        runtime: RuntimeArgs,
    },
    /// Make the start of a lesson from a Killercoda scenario
    Import {
        /// The scenario's directory, with its index.json
        scenario: PathBuf,
        /// The lesson's directory, which must not be there yet
        directory: PathBuf,
    },
}

/// Runs one of the sub-commands; the code is 1 if lessons have problems.
pub(super) fn run(command: LessonCommand) -> anyhow::Result<i32> {
    match command {
        LessonCommand::List { path, lang } => list(path.as_deref(), language(lang)),
        LessonCommand::Show { lesson, lang } => show(&lesson, language(lang)),
        LessonCommand::New { directory } => {
            for file in new_lesson(&directory)? {
                writeln!(stdout(), "made {}", file.display())?;
            }
            writeln!(stdout(), "next: k8s-learn lesson test {}", directory.display())?;
            Ok(0)
        }
        LessonCommand::Lint { path } => {
            let lessons = lessons(path.as_deref())?;
            let problems = lint_all(path.as_deref(), &lessons)?;
            tell(&problems, lessons.len())
        }
        LessonCommand::Test { path, transcript, runtime } => {
            let lessons = lessons(path.as_deref())?;
            let mut problems = lint_all(path.as_deref(), &lessons)?;
            problems.extend(prove_all(&lessons, transcript, &runtime.config())?);
            tell(&problems, lessons.len())
        }
        LessonCommand::Import { scenario, directory } => {
            let left = import(&scenario, &directory)?;
            writeln!(stdout(), "made {}; what is left to do by hand:", directory.display())?;
            for left in left {
                writeln!(stdout(), "- {left}")?;
            }
            Ok(0)
        }
    }
}

/// The language that was asked for, or the locale's.
fn language(asked: Option<Language>) -> Language {
    asked.unwrap_or_else(|| Language::of_environment(|name| std::env::var(name).ok()))
}

fn lessons(path: Option<&Path>) -> anyhow::Result<Vec<Arc<Lesson>>> {
    Ok(match path {
        Some(path) => lessons_in(path)?,
        None => Course::built_in()?.lessons().cloned().collect(),
    })
}

fn list(path: Option<&Path>, language: Language) -> anyhow::Result<i32> {
    let mut track = String::new();
    for lesson in lessons(path)? {
        let (of, _) = lesson.id.split_once('/').unwrap_or_default();
        if of != track {
            track = of.to_owned();
            writeln!(stdout(), "{track}")?;
        }
        writeln!(stdout(), "  {:<40} {:>2} min  {}", lesson.id, lesson.minutes, lesson.text(language).title)?;
    }
    Ok(0)
}

fn show(lesson: &str, language: Language) -> anyhow::Result<i32> {
    let lesson = match Path::new(lesson).is_dir() {
        true => lessons_in(Path::new(lesson))?
            .into_iter()
            .next()
            .context("there is no lesson in this directory")?,
        false => Course::built_in()?.lesson(lesson)?,
    };
    let text = lesson.text(language);
    writeln!(stdout(), "# {}\n\n{}", text.title, text.intro)?;
    for step in &lesson.steps {
        let Some(text) = text.step(&step.id) else { continue };
        writeln!(stdout(), "\n## {}\n\n{}", text.title, text.body)?;
        for choice in step.quiz().into_iter().flat_map(|quiz| &quiz.choices) {
            writeln!(stdout(), "- {}", text.options.get(choice).unwrap_or(choice))?;
        }
    }
    Ok(0)
}

fn lint_all(path: Option<&Path>, lessons: &[Arc<Lesson>]) -> anyhow::Result<Vec<Problem>> {
    // Goals name kinds, and a cluster knows which there are. Nothing has to run in it.
    let without = vec![Component::Scheduler, Component::ControllerManager, Component::Kubelet];
    let config = ClusterConfig { nodes: 5, time: Time::Virtual, without, ..ClusterConfig::default() };
    let mut problems = virtual_runtime()?.block_on(async {
        let cluster = Cluster::start(config).await?;
        let world = World::new(&cluster, CommandLog::default());
        anyhow::Ok(lessons.iter().flat_map(|lesson| lint(lesson, Some(&world))).collect::<Vec<Problem>>())
    })?;
    match path {
        None => problems.extend(lint_course(&Course::built_in()?)),
        Some(path) if path.join("course.yaml").is_file() => {
            problems.extend(lint_course(&Course::from_directory(path)?))
        }
        Some(_) => {}
    }
    Ok(problems)
}

/// Proves lessons side by side, one a core, and tells of each as it is done.
fn prove_all(
    lessons: &[Arc<Lesson>],
    transcripts: bool,
    runtime: &RuntimeConfig,
) -> anyhow::Result<Vec<Problem>> {
    let next = AtomicUsize::new(0);
    let proofs: Mutex<Vec<Option<Proof>>> = Mutex::new(vec![None; lessons.len()]);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Real containers have the machine's own time and addresses: one cluster at a time.
    let simulated = *runtime == RuntimeConfig::Sim;
    let workers = if simulated { cores.min(lessons.len().max(1)) } else { 1 };
    let how = StageConfig { virtual_time: simulated, step: 0, runtime: runtime.clone() };
    std::thread::scope(|scope| {
        let work = || -> anyhow::Result<()> {
            while let Some((index, lesson)) = take(&next, lessons) {
                if !lesson.can_be_played_on(runtime) {
                    let _ = writeln!(stdout(), "{:<48} skipped (runtime: sim)", lesson.id);
                    continue;
                }
                let runtime = if simulated { virtual_runtime()? } else { live_runtime()? };
                let begin = std::time::Duration::from_nanos(nanos());
                let proof = runtime.block_on(prove_as(lesson, &how));
                let took = std::time::Duration::from_nanos(nanos()).saturating_sub(begin);
                let verdict = if proof.problems.is_empty() { "ok" } else { "NOT AS WRITTEN" };
                // Whoever closed the pipe does not wait for the verdicts.
                let _ = writeln!(stdout(), "{:<48} {verdict} ({:.1} s)", lesson.id, took.as_secs_f64());
                proofs.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(proof);
            }
            Ok(())
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            handle.join().map_err(|_| anyhow::anyhow!("a lesson's test came to a sudden end"))??;
        }
        anyhow::Ok(())
    })?;
    let proofs = proofs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut problems = vec![];
    for (lesson, proof) in lessons.iter().zip(proofs) {
        let Some(proof) = proof else { continue };
        if transcripts {
            writeln!(stdout(), "\n# {}\n\n{}", lesson.id, proof.transcript)?;
        }
        problems.extend(proof.problems);
    }
    Ok(problems)
}

fn take<'a>(next: &AtomicUsize, lessons: &'a [Arc<Lesson>]) -> Option<(usize, &'a Arc<Lesson>)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, lessons.get(index)?))
}

/// The machine's time: how long a proof takes is no matter of the cluster's.
#[allow(clippy::disallowed_methods)]
fn nanos() -> u64 {
    static BEGIN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed().as_nanos() as u64
}

/// Tells the problems; the code to exit with.
fn tell(problems: &[Problem], lessons: usize) -> anyhow::Result<i32> {
    for problem in problems {
        writeln!(stdout(), "{problem}")?;
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    writeln!(stdout(), "{}, {}", count(lessons, "lesson"), count(problems.len(), "problem"))?;
    Ok(i32::from(!problems.is_empty()))
}
