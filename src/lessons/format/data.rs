//! `lesson.yaml`, `track.yaml` and `course.yaml` as data; the book's page on the lesson format tells what each field means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::lessons::goals::Goal;
use crate::meta::age;

/// A lesson without its texts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LessonData {
    /// The directory's name without its number.
    pub id: String,
    /// How long it takes.
    pub minutes: u32,
    /// Concepts that it explains.
    #[serde(default)]
    pub introduces: Vec<String>,
    /// Concepts that it builds on.
    #[serde(default)]
    pub requires: Vec<String>,
    /// The cluster that it is played on.
    #[serde(default)]
    pub cluster: ClusterData,
    /// Who must run its containers, if not everybody can.
    #[serde(default)]
    pub runtime: RuntimeData,
    /// What is there when it begins.
    #[serde(default)]
    pub setup: Setup,
    /// The steps, in order.
    pub steps: Vec<StepData>,
}

/// The cluster that a lesson is played on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterData {
    /// How many nodes it has.
    pub nodes: usize,
    /// What names, UIDs and addresses are drawn from.
    pub seed: u64,
    /// Whether pulls and starts take believable time.
    pub pace: PaceData,
}

impl Default for ClusterData {
    fn default() -> Self {
        Self { nodes: 1, seed: 7, pace: PaceData::Real }
    }
}

/// See [`crate::runtime::sim::Pace`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PaceData {
    /// As on a real machine.
    Real,
    /// As fast as it can.
    Instant,
}

/// On which runtimes a lesson can be played.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeData {
    /// On each there is.
    #[default]
    Any,
    /// On simulated containers only: it shows what no real machine can be made to do.
    Sim,
}

/// What is done before the learner sees anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// Files of the lesson that are applied.
    pub manifests: Vec<String>,
    /// Commands that are run, unseen.
    pub commands: Vec<String>,
}

/// A step as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepData {
    /// What its texts are found by.
    pub id: String,
    /// Commands that are run, unseen, when it begins.
    #[serde(default)]
    pub before: Vec<Before>,
    /// What shall be true.
    #[serde(default)]
    pub goal: Vec<Goal>,
    /// Known wrong paths.
    #[serde(default)]
    pub recognise: Vec<Path>,
    /// What cannot be mended.
    #[serde(default)]
    pub stuck: Vec<Path>,
    /// Scripts that reach the goal.
    #[serde(default)]
    pub solutions: Vec<String>,
    /// Scripts that do not.
    #[serde(default)]
    pub wrong: Vec<String>,
    /// Other commands for the same.
    #[serde(default)]
    pub equivalent: Vec<String>,
    /// A question in place of a goal.
    #[serde(default)]
    pub quiz: Option<Quiz>,
    /// A question whose answer the next step shows.
    #[serde(default)]
    pub predict: Option<Quiz>,
}

/// A command that is run, unseen, some time after its step began.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// The command.
    pub run: String,
    /// How long after the step's begin, as Go writes durations.
    #[serde(default, deserialize_with = "duration")]
    pub after: Duration,
}

/// A known wrong path, or a dead end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// What its text is found by.
    pub id: String,
    /// What is true on it.
    pub when: Vec<Goal>,
    /// A script that leads there.
    pub r#try: String,
}

/// A question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiz {
    /// The choices; their texts are in the Markdown files.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The right choice.
    #[serde(default)]
    pub answer: Option<String>,
    /// What is accepted as a short answer.
    #[serde(default)]
    pub accept: Vec<String>,
}

impl Quiz {
    /// Whether an answer is right: a choice by its name or its number from 1, a short answer whatever its case.
    pub fn accepts(&self, answer: &str) -> bool {
        let answer = answer.trim();
        match &self.answer {
            Some(right) => self.choice(answer) == Some(right.as_str()),
            None => {
                self.accept.iter().any(|accepted| accepted.trim().to_lowercase() == answer.to_lowercase())
            }
        }
    }

    /// The choice that an answer names: `controller`, `2`, `b`.
    pub fn choice(&self, answer: &str) -> Option<&str> {
        let answer = answer.trim().to_lowercase();
        let by_name = self.choices.iter().find(|choice| choice.to_lowercase() == answer);
        let by_place = || {
            let mut letters = answer.chars();
            let index = match (letters.next(), letters.next()) {
                (Some(digit @ '1'..='9'), None) => digit as usize - '1' as usize,
                (Some(letter @ 'a'..='i'), None) => letter as usize - 'a' as usize,
                _ => return None,
            };
            self.choices.get(index)
        };
        by_name.or_else(by_place).map(String::as_str)
    }
}

/// A text in each language, by tag.
pub type Translated = BTreeMap<String, String>;

/// A track without its lessons.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackData {
    /// Its title.
    pub title: Translated,
    /// A sentence about it.
    pub about: Translated,
    /// The concepts that its lessons introduce.
    #[serde(default)]
    pub concepts: BTreeMap<String, Translated>,
}

/// The whole course.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourseData {
    /// The tracks' directories, in order.
    pub tracks: Vec<String>,
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    age::parse_go(&text)
        .map_err(|_| serde::de::Error::custom(format!("{text:?} is no duration like 20s or 1m30s")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_named_by_name_number_or_letter() {
        let quiz = Quiz {
            choices: vec!["kubelet".to_owned(), "controller".to_owned()],
            answer: Some("controller".to_owned()),
            accept: vec![],
        };
        for (answer, right) in [
            ("controller", true),
            (" 2 ", true),
            ("B", true),
            ("1", false),
            ("c", false),
            ("", false),
            ("你", false),
        ] {
            assert_eq!(quiz.accepts(answer), right, "{answer:?}");
        }
    }

    #[test]
    fn a_short_answer_has_no_case() {
        let quiz = Quiz { choices: vec![], answer: None, accept: vec!["Three".to_owned(), "三".to_owned()] };
        assert!(quiz.accepts(" three ") && quiz.accepts("三") && !quiz.accepts("3"));
    }
}
