//! What happens to the TUI, and what it wants to happen outside. Plain values.

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};

use crate::shell::completion::Completion;
use crate::store::Record;
use crate::tui::components::{CourseMap, CourseRow, LessonText, LessonWish};
use crate::tui::views::{Feed, LogTarget};
use crate::tui::words::Lang;

/// Something that has happened.
#[derive(Debug)]
pub enum Message {
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// A paste.
    Paste(String),
    /// Many letters at once: a paste without brackets.
    Letters(String),
    /// The terminal has another size.
    Resize(u16, u16),
    /// A command printed this.
    Output(Vec<u8>),
    /// The command has ended.
    Ended {
        /// The next prompt.
        prompt: String,
        /// What is said of jobs before it.
        notices: Vec<String>,
        /// The code that `exit` was given.
        exited: Option<i32>,
        /// What was typed while it ran, and not read by it.
        typed: Vec<u8>,
    },
    /// The store was written to.
    Records(Vec<Arc<Record>>),
    /// Candidates for the line that was this, with the cursor there.
    Candidates(String, usize, Completion),
    /// Something for the views.
    Feed(Feed),
    /// What the lesson shows; `None`: there is no lesson.
    Lesson(Option<LessonText>),
    /// The course as it is.
    Course(Vec<CourseRow>),
    /// Something to tell in the bar; empty: nothing any more.
    Notice(String),
    /// Something that went wrong, in several lines maybe.
    Problem(String),
    /// What a command was typed at cannot take it.
    InputFull,
}

/// Something that shall happen outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run a command.
    Run(String),
    /// Give bytes to the command that runs.
    Keys(Vec<u8>),
    /// The shell's pane has so many columns and rows.
    ResizeShell(u16, u16),
    /// Find candidates.
    Complete(String, usize),
    /// Follow exactly these logs.
    FollowLogs(Vec<LogTarget>),
    /// Do something with the lesson.
    Lesson(LessonWish),
    /// Play a lesson; `None` is free play.
    Open(Option<String>),
    /// Speak another language.
    Language(Lang),
    /// Leave with this code.
    Quit(i32),
}

/// What lies over the panes.
#[derive(Debug)]
pub enum Overlay {
    /// The keys, scrolled by so many rows.
    Help(usize),
    /// The course.
    Course(CourseMap),
    /// Whether to leave.
    Quit,
    /// Whether to start the lesson over.
    Reset,
    /// Something that went wrong.
    Problem(String),
    /// Something to know about the learner's progress before anything else.
    Note {
        /// What.
        text: String,
        /// Whether the course is shown behind it.
        then_course: bool,
    },
}
