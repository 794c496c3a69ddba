//! `k8s-learn` alone, and `k8s-learn run`: the TUI.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command_line::{PaletteArg, TuiArgs, live_runtime};
use super::shell::history_file;
use crate::lessons::{Course, Language, Lesson, Progress, lessons_in};
use crate::runtime::sim::Pace;
use crate::shell::SessionConfig;
use crate::tui::{self, Palette, PlayConfig, ProgressNote, Start, Theme};

/// Opens the TUI on this process's terminal.
pub(super) fn run(args: TuiArgs) -> anyhow::Result<i32> {
    is_terminal()?;
    let (progress, note) = progress();
    let course = Course::built_in()?;
    let lesson = args.lesson.as_deref().map(|id| course.lesson(id)).transpose()?;
    open(args, Played { course, progress, lesson, directory: None }, note)
}

/// `k8s-learn run`: the lessons of a directory. What is done in them is not kept.
pub(super) fn run_directory(args: TuiArgs, directory: &Path) -> anyhow::Result<i32> {
    is_terminal()?;
    let course = Course::of(directory, lessons_in(directory)?);
    let only = course.lessons().next().filter(|_| course.lessons().count() == 1).cloned();
    let lesson = args.lesson.as_deref().map(|id| course.lesson(id)).transpose()?.or(only);
    let played =
        Played { course, progress: Progress::unkept(), lesson, directory: Some(directory.to_owned()) };
    open(args, played, None)
}

fn is_terminal() -> anyhow::Result<()> {
    anyhow::ensure!(
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        "this is no terminal: run commands with `k8s-learn shell -c COMMANDS` or `k8s-learn shell FILE`, or see `k8s-learn --help`"
    );
    Ok(())
}

struct Played {
    course: Course,
    progress: Progress,
    lesson: Option<Arc<Lesson>>,
    directory: Option<PathBuf>,
}

fn open(args: TuiArgs, played: Played, note: Option<ProgressNote>) -> anyhow::Result<i32> {
    let Played { course, progress, lesson, directory } = played;
    let variable = |name: &str| std::env::var(name).ok();
    let lang =
        args.lang.or_else(|| progress.language()).unwrap_or_else(|| Language::of_environment(variable));
    let palette = args.theme.map(|theme| match theme {
        PaletteArg::Dark => Palette::Dark,
        PaletteArg::Light => Palette::Light,
    });
    let session = SessionConfig {
        host_directory: std::env::current_dir().ok(),
        advice: true,
        ..SessionConfig::default()
    };
    let cluster = args.cluster.config(Pace::Real);
    let start = Start {
        play: PlayConfig { course, progress, lang, cluster, session, lesson, directory },
        history: history_file(),
        theme: Theme::choose(palette, variable),
        mouse: !args.no_mouse,
        note,
    };
    let runtime = live_runtime()?;
    let code = runtime.block_on(tui::run(start));
    runtime.shutdown_background();
    Ok(code?)
}

/// What the learner has done so far, and what there is to tell about it.
fn progress() -> (Progress, Option<ProgressNote>) {
    let file: Option<PathBuf> = Progress::default_file(|name| std::env::var(name).ok());
    match file.map(|file| Progress::open(&file)) {
        Some(Ok((progress, None))) => (progress, None),
        Some(Ok((progress, Some(aside)))) => {
            let lessons = progress.count();
            (progress, Some(ProgressNote::Damaged(aside, lessons)))
        }
        Some(Err(error)) => (Progress::unkept(), Some(ProgressNote::NotKept(error.to_string()))),
        None => (Progress::unkept(), None),
    }
}
