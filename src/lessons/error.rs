//! Why a lesson cannot be read or played: the file, the line, and what was expected there.

use std::fmt;

/// A problem of a lesson, as its author reads it: `basics/02-deploy/lesson.yaml:12: ...`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as the author knows it.
    pub file: String,
    /// The line, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, message: message.into() }
    }

    /// A problem of one line.
    pub fn at(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// Why a lesson cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// Its files are wrong.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
    /// There is none by that name.
    #[error("there is no lesson {0:?}: `k8s-learn lesson list` shows them")]
    Unknown(String),
    /// It is marked for simulated containers.
    #[error("the lesson {0} is for simulated containers only: play it with --runtime sim")]
    OnlySimulated(String),
    /// Its cluster or shell does not start.
    #[error("the lesson's cluster does not start: {0}")]
    Cluster(#[from] crate::cluster::ClusterError),
    /// What prepares it failed.
    #[error("the lesson cannot be set up: `{command}` failed: {output}")]
    Setup {
        /// The command.
        command: String,
        /// What it printed.
        output: String,
    },
    /// A file of this machine.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
