//! Lessons: what they are, how they are played, and how their authors prove them.
//!
//! A [`Lesson`] is read from a directory ([`mod@format`]) that the [`Course`] knows or that somebody names. A [`Stage`] plays
//! one: it holds the cluster and hands out the learner's shell, and its [`Grade`] says how far the step is, as the store
//! changes and commands end. [`Progress`] is what is kept on disk. [`check`] is for authors. Fronts are above: the TUI, and
//! `k8s-learn lesson`.

mod catalogue;
pub mod check;
mod error;
pub mod format;
mod glob;
pub mod goals;
mod grader;
mod language;
mod progress;
mod salvage;
mod stage;
mod world;

pub use catalogue::{Course, Track, lessons_in};
pub use error::{LessonError, Problem};
pub use format::{Lesson, LessonText, Step, StepText, Work};
pub use grader::Grade;
pub use language::Language;
pub use progress::{LessonProgress, Progress};
pub use stage::{Answered, Prediction, Stage, StageConfig};
pub use world::World;
