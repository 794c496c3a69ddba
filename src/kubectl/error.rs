//! What goes wrong in kubectl, and how it is told: the one error type of this floor and kubectl's words for it.
//!
//! Verbs return a [`KubectlError`]; `program.rs` prints its [`report`](KubectlError::report) to standard error and ends
//! with its code.
// Models k8s.io/kubectl/pkg/cmd/util (checkErr, StandardErrorMessage, MultilineError).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

/// A failure of a verb.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KubectlError {
    /// The API server refused.
    #[error("{}", .0.message.as_deref().unwrap_or("unknown"))]
    Status(Box<Status>),
    /// Anything else; printed with `error: ` in front.
    #[error("{0}")]
    Message(String),
    /// Printed as it is, without `error: `.
    #[error("{0}")]
    Plain(String),
    /// Nobody listens at the server's address.
    #[error("dial tcp {0}: connect: connection refused")]
    Refused(String),
    /// The server cannot be reached for another reason.
    #[error("{0}")]
    Unreachable(String),
    /// The kubeconfig makes no sense.
    #[error("{0}")]
    Configuration(String),
    /// Several failures at once.
    #[error("{}", several(.0))]
    Many(Vec<KubectlError>),
    /// All has been said; only the exit code is left.
    #[error("exit")]
    Exit(i32),
    /// A message printed as it is, and an exit code other than 1.
    #[error("{0}")]
    PlainExit(String, i32),
}

/// What most functions of this room return.
pub type Result<T, E = KubectlError> = std::result::Result<T, E>;

fn several(errors: &[KubectlError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match &texts[..] {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

impl KubectlError {
    /// A failure that is printed with `error: ` in front.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// A failure of usage: the text, and where help is. `command_path` is like `kubectl create configmap`.
    // Models cmdutil.UsageErrorf.
    pub fn usage(command_path: &str, text: impl std::fmt::Display) -> Self {
        Self::Message(format!("{text}\nSee '{command_path} -h' for help and examples"))
    }

    /// All failures as one; `Ok` if there is none.
    // Models utilerrors.NewAggregate, which checkErr unwraps when there is one.
    pub fn aggregate(errors: Vec<Self>) -> Result<()> {
        let mut errors: Vec<Self> = errors.into_iter().flat_map(Self::flatten).collect();
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Many(errors)),
        }
    }

    fn flatten(self) -> Vec<Self> {
        match self {
            Self::Many(errors) => errors.into_iter().flat_map(Self::flatten).collect(),
            other => vec![other],
        }
    }

    /// The server's reason, like `NotFound`; empty if the server said nothing.
    pub fn reason(&self) -> &str {
        match self {
            Self::Status(status) => status.reason.as_deref().unwrap_or_default(),
            _ => "",
        }
    }

    /// The HTTP code of the server's refusal.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Status(status) => status.code,
            _ => None,
        }
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// Whether an object of that name is there already.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == "AlreadyExists"
    }

    /// Whether the object was changed by somebody else.
    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// The same failure, with what was being done to which file: `error when creating "x.yaml": ...`.
    // Models cmdutil.AddSourceToErr.
    #[must_use]
    pub fn while_doing(self, verb: &str, source: &str) -> Self {
        if source.is_empty() {
            return self;
        }
        let text = format!("error when {verb} {source:?}: {self}");
        match self {
            Self::Status(mut status) => {
                status.message = Some(text);
                Self::Status(status)
            }
            _ => Self::Message(text),
        }
    }

    /// What is printed to standard error (ending in a newline, or empty) and the exit code.
    pub fn report(&self) -> (String, i32) {
        let (mut text, code) = match self {
            Self::Exit(code) => (String::new(), *code),
            Self::PlainExit(text, code) => (text.clone(), *code),
            Self::Plain(text) => (text.clone(), 1),
            Self::Status(status) if status.reason.as_deref() == Some("Invalid") => (invalid(status), 1),
            Self::Configuration(text) => (format!("Error in configuration: {text}\n"), 1),
            Self::Many(errors) => (errors.iter().map(|e| e.standard() + "\n").collect(), 1),
            Self::Message(text) if !text.starts_with("error: ") => (format!("error: {text}"), 1),
            other => (other.standard(), 1),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        (text, code)
    }

    /// The failure in its standard form, as one of several.
    // Models cmdutil.StandardErrorMessage and messageForError.
    pub fn standard(&self) -> String {
        match self {
            Self::Status(status) => match status.reason.as_deref().unwrap_or_default() {
                "Unauthorized" => format!("error: You must be logged in to the server ({self})"),
                "" => format!("Error from server: {self}"),
                reason => format!("Error from server ({reason}): {self}"),
            },
            Self::Refused(host) => {
                format!(
                    "The connection to the server {host} was refused - did you specify the right host or port?"
                )
            }
            Self::Unreachable(why) => format!("Unable to connect to the server: {why}"),
            other => other.to_string(),
        }
    }
}

/// A refusal of an object's content: one cause behind a colon, several as a list.
fn invalid(status: &Status) -> String {
    let message = status.message.as_deref().unwrap_or_default();
    let Some(details) = &status.details else {
        return if message.is_empty() {
            "The request is invalid".to_owned()
        } else {
            format!("The request is invalid: {message}")
        };
    };
    let causes = details.causes.as_deref().unwrap_or_default();
    let (kind, name) =
        (details.kind.as_deref().unwrap_or_default(), details.name.as_deref().unwrap_or_default());
    let head = if !kind.is_empty() || !name.is_empty() {
        format!("The {kind} {name:?} is invalid")
    } else if !message.is_empty() && causes.is_empty() {
        format!("The request is invalid: {message}")
    } else {
        "The request is invalid".to_owned()
    };
    let mut lines: Vec<String> = vec![];
    for cause in causes {
        let line = format!(
            "{}: {}",
            cause.field.as_deref().unwrap_or_default(),
            cause.message.as_deref().unwrap_or_default()
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    match &lines[..] {
        [] => head,
        [one] => format!("{head}: {one}\n"),
        many => many.iter().fold(format!("{head}: \n"), |text, line| text + "* " + line + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::field::{FieldError, FieldPath};
    use crate::api::status::{ApiError, GroupResource};

    #[test]
    fn failures_are_told_in_kubectls_words() {
        let pods = GroupResource::new("", "pods");
        let cases = [
            (
                KubectlError::Status(ApiError::not_found(&pods, "x").0),
                "Error from server (NotFound): pods \"x\" not found\n",
            ),
            (
                KubectlError::Status(ApiError::unauthorized().0),
                "error: You must be logged in to the server (Unauthorized)\n",
            ),
            (
                KubectlError::Refused("localhost:8080".into()),
                "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n",
            ),
            (KubectlError::message("no"), "error: no\n"),
            (KubectlError::Exit(3), ""),
            (
                KubectlError::Status(ApiError::not_found(&pods, "x").0).while_doing("creating", "a.yaml"),
                "Error from server (NotFound): error when creating \"a.yaml\": pods \"x\" not found\n",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(error.report().0, expected);
        }
    }

    #[test]
    fn causes_are_listed() {
        let path = FieldPath::new("spec").child("x");
        let one = vec![FieldError::required(&path, "")];
        let two = vec![FieldError::required(&path, ""), FieldError::required(&path.child("y"), "")];
        let report = |errors: &[FieldError]| {
            KubectlError::Status(ApiError::invalid("apps", "Deployment", "a", errors).0).report().0
        };
        assert_eq!(report(&one), "The Deployment \"a\" is invalid: spec.x: Required value\n");
        let expected =
            "The Deployment \"a\" is invalid: \n* spec.x: Required value\n* spec.x.y: Required value\n";
        assert_eq!(report(&two), expected);
    }
}
