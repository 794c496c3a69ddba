//! A lesson: its data and its texts joined, as it is played and tested.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::error::{LessonError, Problem};
use super::super::language::Language;
use super::data::{Before, ClusterData, LessonData, Path, Quiz, RuntimeData, Setup, StepData};
use super::text::{LessonText, StepText};
use crate::cluster::RuntimeConfig;

/// The files of a lesson's directory, by their path in it.
pub type LessonFiles = BTreeMap<String, Vec<u8>>;

/// A lesson that can be played.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// `basics/deploy-an-app`.
    pub id: String,
    /// Where it was read from, for messages: `lessons/basics/02-deploy-an-app`.
    pub place: String,
    /// How long it takes.
    pub minutes: u32,
    /// Concepts that it explains.
    pub introduces: Vec<String>,
    /// Concepts that it builds on.
    pub requires: Vec<String>,
    /// The cluster that it is played on.
    pub cluster: ClusterData,
    /// On which runtimes it can be played.
    pub runtime: RuntimeData,
    /// What is there when it begins.
    pub setup: Setup,
    /// The steps.
    pub steps: Vec<Step>,
    /// The texts that there are.
    pub texts: BTreeMap<Language, Arc<LessonText>>,
    /// The files of `files/`, by name: they are in the learner's home.
    pub files: LessonFiles,
}

/// A step that can be played.
#[derive(Clone, Debug)]
pub struct Step {
    /// What its texts are found by.
    pub id: String,
    /// Commands that are run, unseen, when it begins.
    pub before: Vec<Before>,
    /// What there is to do.
    pub work: Work,
}

/// What there is to do in a step.
#[derive(Clone, Debug)]
pub enum Work {
    /// Make something true.
    Goal(Box<StepData>),
    /// Answer a question.
    Quiz(Quiz),
    /// Say what will happen; every answer goes on.
    Predict(Quiz),
}

impl Lesson {
    /// Reads a lesson from the files of its directory. Everything that is wrong is told at once.
    pub fn read(track: &str, place: &str, files: &LessonFiles) -> Result<Self, LessonError> {
        let path = |name: &str| format!("{place}/{name}");
        let mut problems = vec![];
        let data = match text_of(files, "lesson.yaml") {
            None => {
                problems.push(Problem::of_file(path("lesson.yaml"), "is missing, or is no UTF-8"));
                None
            }
            Some(yaml) => match serde_saphyr::from_str::<LessonData>(yaml) {
                Ok(data) => Some(data),
                Err(error) => {
                    problems.push(yaml_problem(&path("lesson.yaml"), &error));
                    None
                }
            },
        };
        let mut texts = BTreeMap::new();
        for language in Language::ALL {
            let name = format!("{}.md", language.tag());
            let Some(markdown) = text_of(files, &name) else { continue };
            match LessonText::parse(&path(&name), markdown) {
                Ok(text) => _ = texts.insert(language, Arc::new(text)),
                Err(wrong) => problems.extend(wrong),
            }
        }
        if texts.is_empty() && problems.is_empty() {
            problems.push(Problem::of_file(place, "there is no text: expected en.md, zh-TW.md or zh-CN.md"));
        }
        let yaml = text_of(files, "lesson.yaml").unwrap_or_default();
        let lesson = data.map(|data| {
            for manifest in &data.setup.manifests {
                let name = format!("files/{}", manifest.strip_prefix("files/").unwrap_or(manifest));
                if !files.contains_key(&name) {
                    let message = format!("`setup.manifests`: expected a file {:?}", path(&name));
                    problems.push(Problem::at(path("lesson.yaml"), line_with(yaml, manifest), message));
                }
            }
            let steps = data.steps.iter().filter_map(|step| match self::step(step) {
                Ok(step) => Some(step),
                Err(message) => {
                    let line = line_with(yaml, &format!("- id: {}", step.id));
                    let message = format!("step `{}`: {message}", step.id);
                    problems.push(Problem::at(path("lesson.yaml"), line, message));
                    None
                }
            });
            let steps: Vec<Step> = steps.collect();
            if steps.is_empty() && problems.is_empty() {
                problems.push(Problem::of_file(path("lesson.yaml"), "a lesson has at least one step"));
            }
            Self {
                id: if track.is_empty() { data.id.clone() } else { format!("{track}/{}", data.id) },
                place: place.to_owned(),
                minutes: data.minutes,
                introduces: data.introduces,
                requires: data.requires,
                cluster: data.cluster,
                runtime: data.runtime,
                setup: data.setup,
                steps,
                texts,
                files: files
                    .iter()
                    .filter_map(|(name, content)| {
                        Some((name.strip_prefix("files/")?.to_owned(), content.clone()))
                    })
                    .collect(),
            }
        });
        match lesson {
            Some(lesson) if problems.is_empty() => Ok(lesson),
            _ => Err(LessonError::Problems(problems)),
        }
    }

    /// Whether it is written for containers that are run so.
    pub fn can_be_played_on(&self, runtime: &RuntimeConfig) -> bool {
        self.runtime == RuntimeData::Any || *runtime == RuntimeConfig::Sim
    }

    /// The texts in a language, or in the first one there is.
    pub fn text(&self, language: Language) -> Arc<LessonText> {
        let text = self.texts.get(&language).or_else(|| self.texts.values().next());
        text.cloned().unwrap_or_default()
    }

    /// The texts of a step; empty ones if they are missing.
    pub fn step_text(&self, language: Language, step: usize) -> StepText {
        let id = self.steps.get(step).map_or("", |step| step.id.as_str());
        self.text(language).step(id).cloned().unwrap_or_default()
    }
}

impl Step {
    /// The question, if it is one.
    pub fn quiz(&self) -> Option<&Quiz> {
        match &self.work {
            Work::Goal(_) => None,
            Work::Quiz(quiz) | Work::Predict(quiz) => Some(quiz),
        }
    }

    /// What there is to do, if it is not a question.
    pub fn goal(&self) -> Option<&StepData> {
        match &self.work {
            Work::Goal(data) => Some(data),
            Work::Quiz(_) | Work::Predict(_) => None,
        }
    }

    /// Known wrong paths and dead ends.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.goal().into_iter().flat_map(|goal| goal.recognise.iter().chain(&goal.stuck))
    }
}

fn step(data: &StepData) -> Result<Step, String> {
    let work = match (data.goal.is_empty(), &data.quiz, &data.predict) {
        (false, None, None) => Work::Goal(Box::new(data.clone())),
        (true, Some(quiz), None) => Work::Quiz(sound(quiz)?),
        (true, None, Some(quiz)) => Work::Predict(sound(quiz)?),
        _ => return Err("has one of `goal`, `quiz` and `predict`".to_owned()),
    };
    if data.goal.is_empty()
        && (!data.solutions.is_empty() || !data.wrong.is_empty() || !data.recognise.is_empty())
    {
        return Err("`solutions`, `wrong` and `recognise` belong to a step with a `goal`".to_owned());
    }
    Ok(Step { id: data.id.clone(), before: data.before.clone(), work })
}

fn sound(quiz: &Quiz) -> Result<Quiz, String> {
    match (&quiz.answer, quiz.choices.len(), quiz.accept.len()) {
        (Some(answer), 2..=9, 0) if quiz.choices.contains(answer) => Ok(quiz.clone()),
        (Some(answer), 2..=9, 0) => Err(format!("the answer {answer:?} is none of the choices")),
        (None, 0, 1..) => Ok(quiz.clone()),
        _ => Err("a question has `choices` (2 to 9) and their `answer`, or `accept`".to_owned()),
    }
}

fn text_of<'a>(files: &'a LessonFiles, name: &str) -> Option<&'a str> {
    std::str::from_utf8(files.get(name)?).ok()
}

/// The line that has this text, from 1; 0 if none has, as when it is written in another of YAML's ways.
fn line_with(yaml: &str, text: &str) -> usize {
    let has = |line: &str| {
        line.split_once(text)
            .is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
    };
    yaml.lines().position(has).map_or(0, |index| index + 1)
}

/// What serde-saphyr says, with its line.
pub(crate) fn yaml_problem(file: &str, error: &serde_saphyr::Error) -> Problem {
    let line = error.location().map_or(0, |location| location.line() as usize);
    let text = error.to_string();
    // The first line says what is wrong; the rest draws the place, which the line number tells too.
    let message = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("cannot be read");
    let message = message.trim_start_matches("error: ");
    let message = match message.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest,
        None => message,
    };
    Problem::at(file, line, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(yaml: &str) -> Result<Lesson, LessonError> {
        let mut files = LessonFiles::new();
        files.insert("lesson.yaml".to_owned(), yaml.as_bytes().to_vec());
        files.insert("en.md".to_owned(), b"# T\n".to_vec());
        Lesson::read("basics", "lessons/basics/01-t", &files)
    }

    fn problem(yaml: &str) -> String {
        read(yaml).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_what_was_expected() {
        let head = "id: t\nminutes: 5\nsteps:\n";
        for (yaml, wanted) in [
            ("id: t\nminutes: soon\nsteps: []\n", "lessons/basics/01-t/lesson.yaml:2: "),
            ("id: t\nminutes: 5\nstep: []\n", "lessons/basics/01-t/lesson.yaml:3: unknown field `step`"),
            (
                "id: t\nminutes: 5\nruntime: docker\nsteps: []\n",
                "lessons/basics/01-t/lesson.yaml:3: unknown variant `docker`, expected one of any, sim",
            ),
            (
                "id: t\nminutes: 5\nsteps: []\n",
                "lessons/basics/01-t/lesson.yaml: a lesson has at least one step",
            ),
            (
                &format!("{head}  - id: a\n"),
                "lessons/basics/01-t/lesson.yaml:4: step `a`: has one of `goal`, `quiz` and `predict`",
            ),
            (
                &format!("{head}  - id: a\n    quiz: {{choices: [x, y], answer: z}}\n"),
                "step `a`: the answer \"z\" is none of the choices",
            ),
            (
                &format!("setup: {{manifests: [web.yaml]}}\n{head}  - id: a\n    quiz: {{accept: [x]}}\n"),
                "lesson.yaml:1: `setup.manifests`: expected a file \"lessons/basics/01-t/files/web.yaml\"",
            ),
            (
                &format!("{head}  - id: a\n    goal:\n      - exist: pod/web\n"),
                "there is no goal `exist`: expected one of exists, gone, field",
            ),
            (
                &format!("{head}  - id: a\n    goal:\n      - field: {{of: pods, path: .a}}\n"),
                "goal `field`: an operator is missing: is, is-not",
            ),
            (
                &format!("{head}  - id: a\n    goal:\n      - count: {{of: pods, id: 3, is: 3}}\n"),
                "goal `count`: unknown key `id`: expected of, namespace",
            ),
            (
                &format!("{head}  - id: a\n    goal:\n      - always:\n          - command: ls\n"),
                "cannot be asked of a past revision",
            ),
        ] {
            let told = problem(yaml);
            assert!(told.contains(wanted), "{yaml}\n{told}");
        }
    }

    proptest! {
        #[test]
        fn no_lesson_breaks_it(yaml in "(id|minutes|steps|goal|exists|field|[:\\-{}\\[\\] a1\n]){0,60}") {
            let _ = read(&yaml);
        }
    }
}
