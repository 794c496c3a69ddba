//! The parts of the screen. None calls another: each takes in keys and data, and says what it wants as a value.

mod code_block;
pub mod course_map;
pub mod help;
mod key_bytes;
pub mod lesson_text;
pub mod line_editor;
mod markdown;
mod narrow_table;
mod printed;
mod prompt_rows;
mod screen;
pub mod shell_pane;

pub use course_map::{CourseMap, CourseRow, CourseState};
pub use key_bytes::key_bytes;
pub use lesson_text::{Goal, LessonPane, LessonText, LessonWish, Note, NoteKind, Quiz};
pub use shell_pane::{ShellPane, ShellWish};
