//! The lesson format: what is in a lesson's directory, as data and texts.

mod data;
mod lesson;
mod text;

pub use data::{
    Before, ClusterData, CourseData, LessonData, PaceData, Path, Quiz, RuntimeData, Setup, StepData,
    TrackData, Translated,
};
pub(super) use lesson::yaml_problem;
pub use lesson::{Lesson, LessonFiles, Step, Work};
pub use text::{LessonText, StepText};
