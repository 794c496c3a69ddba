//! What the learner reads: a lesson's Markdown file in one language, taken apart by its headings.
//!
//! `## ID: TITLE` begins a step; the `###` headings under it are words of the format ([`Section`]).

use std::collections::BTreeMap;

use super::super::error::Problem;

/// A lesson's texts in one language. Each is Markdown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LessonText {
    /// The title.
    pub title: String,
    /// What it is about.
    pub intro: String,
    /// The steps' texts by id, in the file's order.
    pub steps: Vec<StepText>,
}

/// A step's texts in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepText {
    /// The step.
    pub id: String,
    /// The line that it begins at.
    pub line: usize,
    /// The title.
    pub title: String,
    /// What to do and why, or the question.
    pub body: String,
    /// From where to look to nearly the whole command.
    pub hints: Vec<String>,
    /// The hints of known wrong paths.
    pub recognise: BTreeMap<String, String>,
    /// What is said of dead ends.
    pub stuck: BTreeMap<String, String>,
    /// Why it worked, or why the right answer is right.
    pub debrief: String,
    /// What to remember.
    pub remember: String,
    /// Common mistakes.
    pub mistakes: String,
    /// The choices of a question.
    pub options: BTreeMap<String, String>,
    /// Why wrong choices are not it; of a short answer, under the empty name.
    pub wrong: BTreeMap<String, String>,
}

impl LessonText {
    /// The texts of a step.
    pub fn step(&self, id: &str) -> Option<&StepText> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// Takes a file apart. Everything that is wrong with its form is told at once.
    pub fn parse(file: &str, markdown: &str) -> Result<Self, Vec<Problem>> {
        let mut parser =
            Parser { file, text: Self::default(), problems: vec![], section: Section::Intro, seen: vec![] };
        let mut block = vec![];
        let mut fence: Option<&str> = None;
        for (index, line) in markdown.lines().enumerate() {
            let trimmed = line.trim_start();
            match fence {
                Some(mark) if trimmed.starts_with(mark) => fence = None,
                Some(_) => {}
                None if trimmed.starts_with("```") => fence = Some("```"),
                None if trimmed.starts_with("~~~") => fence = Some("~~~"),
                None if line.starts_with("# ") || line.starts_with("## ") || line.starts_with("### ") => {
                    parser.close(&block);
                    block.clear();
                    parser.heading(index + 1, line);
                    continue;
                }
                None => {}
            }
            block.push(line);
        }
        parser.close(&block);
        if parser.text.title.is_empty() {
            parser
                .problems
                .insert(0, Problem::at(file, 1, "the file begins with the lesson's title: `# TITLE`"));
        }
        if parser.problems.is_empty() { Ok(parser.text) } else { Err(parser.problems) }
    }
}

/// What the lines that follow a heading are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Section {
    Intro,
    Body,
    Hints(usize),
    Recognise(String),
    Stuck(String),
    Debrief,
    Remember,
    Mistakes,
    Options(usize),
    Wrong(String),
    /// The heading was wrong, which has been told.
    Ignored,
}

struct Parser<'a> {
    file: &'a str,
    text: LessonText,
    problems: Vec<Problem>,
    section: Section,
    /// The sections of this step.
    seen: Vec<Section>,
}

impl Parser<'_> {
    fn problem(&mut self, line: usize, message: impl Into<String>) {
        self.problems.push(Problem::at(self.file, line, message));
    }

    fn heading(&mut self, line: usize, text: &str) {
        if let Some(title) = text.strip_prefix("# ") {
            if !self.text.title.is_empty() || !self.text.steps.is_empty() {
                self.problem(line, "a second title: steps begin with `## ID: TITLE`");
            }
            self.text.title = title.trim().to_owned();
            self.section = Section::Intro;
        } else if let Some(title) = text.strip_prefix("## ") {
            self.step(line, title.trim());
        } else if let Some(words) = text.strip_prefix("### ") {
            self.section = self.part(line, words.trim()).unwrap_or(Section::Ignored);
            if self.section != Section::Ignored && self.seen.contains(&self.section) {
                self.problem(line, format!("`### {}` is there twice in this step", words.trim()));
            }
            self.seen.push(self.section.clone());
        }
    }

    fn step(&mut self, line: usize, title: &str) {
        let Some((id, title)) = title.split_once(':') else {
            self.problem(line, format!("a step begins with `## ID: TITLE`; `{title}` has no `:`"));
            self.section = Section::Ignored;
            return;
        };
        let (id, title) = (id.trim().to_owned(), title.trim().to_owned());
        if self.text.step(&id).is_some() {
            self.problem(line, format!("the step `{id}` is there twice"));
        }
        self.text.steps.push(StepText { id, line, title, ..StepText::default() });
        self.section = Section::Body;
        self.seen.clear();
    }

    fn part(&mut self, line: usize, words: &str) -> Option<Section> {
        if self.text.steps.is_empty() {
            self.problem(line, format!("`### {words}` belongs under a step (`## ID: TITLE`)"));
            return None;
        }
        let (word, name) = words.split_once(' ').map_or((words, ""), |(word, name)| (word, name.trim()));
        let section = match (word, name) {
            ("hints", "") => Section::Hints(line),
            ("debrief", "") => Section::Debrief,
            ("remember", "") => Section::Remember,
            ("mistakes", "") => Section::Mistakes,
            ("options", "") => Section::Options(line),
            ("recognise", name) if !name.is_empty() => Section::Recognise(name.to_owned()),
            ("stuck", name) if !name.is_empty() => Section::Stuck(name.to_owned()),
            ("wrong", name) => Section::Wrong(name.to_owned()),
            _ => {
                self.problem(
                    line,
                    format!(
                        "`### {words}` is no heading of the format: expected hints, recognise ID, stuck ID, debrief, remember, mistakes, options or wrong CHOICE"
                    ),
                );
                return None;
            }
        };
        Some(section)
    }

    /// Puts the lines behind the last heading where they belong.
    fn close(&mut self, lines: &[&str]) {
        let text = lines.join("\n").trim().to_owned();
        let section = self.section.clone();
        if section == Section::Intro {
            self.text.intro = text;
            return;
        }
        let Some(step) = self.text.steps.last_mut() else { return };
        match section {
            Section::Intro | Section::Ignored => {}
            Section::Body => step.body = text,
            Section::Debrief => step.debrief = text,
            Section::Remember => step.remember = text,
            Section::Mistakes => step.mistakes = text,
            Section::Recognise(name) => _ = step.recognise.insert(name, text),
            Section::Stuck(name) => _ = step.stuck.insert(name, text),
            Section::Wrong(name) => _ = step.wrong.insert(name, text),
            Section::Hints(line) => match items(lines, number) {
                Ok(hints) => step.hints = hints.into_iter().map(|(_, text)| text).collect(),
                Err(at) => self.problem(line + at, "hints are numbered: `1. ...`"),
            },
            Section::Options(line) => match items(lines, choice) {
                Ok(options) => step.options = options.into_iter().collect(),
                Err(at) => self.problem(line + at, "an option is `- CHOICE: text`"),
            },
        }
    }
}

/// The mark of a numbered item, and what follows it.
fn number(line: &str) -> Option<(String, &str)> {
    let (mark, rest) = line.split_once(". ")?;
    let digits = !mark.is_empty() && mark.chars().all(|c| c.is_ascii_digit());
    digits.then(|| (mark.to_owned(), rest))
}

/// The name of a choice, and its text.
fn choice(line: &str) -> Option<(String, &str)> {
    let (name, rest) = line.strip_prefix("- ")?.split_once(':')?;
    Some((name.trim().to_owned(), rest))
}

/// The items of a list; lines that are indented, and fenced blocks, belong to the item above them. `Err`: the line that is
/// no item, counted from the heading.
fn items(
    lines: &[&str],
    mark: impl Fn(&str) -> Option<(String, &str)>,
) -> Result<Vec<(String, String)>, usize> {
    let mut items: Vec<(String, Vec<&str>)> = vec![];
    for (index, line) in lines.iter().enumerate() {
        if let Some((name, rest)) = mark(line) {
            items.push((name, vec![rest.trim()]));
        } else if line.trim().is_empty() || line.starts_with(' ') {
            if let Some((_, lines)) = items.last_mut() {
                lines.push(line.strip_prefix("   ").or_else(|| line.strip_prefix("  ")).unwrap_or(line));
            }
        } else if let Some((_, lines)) = items.last_mut() {
            // A line that goes on without indentation, as Markdown allows.
            lines.push(line);
        } else {
            return Err(index + 1);
        }
    }
    Ok(items.into_iter().map(|(name, lines)| (name, lines.join("\n").trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LESSON: &str = "# Deploy\n\nAbout.\n\n## create: Create it\n\nDo.\n\n```sh\n# no heading\n```\n\n### hints\n\n1. Look\n   again\n2. Try\n3. Nearly\n\n### recognise wrong-image\n\nOh.\n\n### debrief\n\nBecause.\n\n## who: Who?\n\nQ\n\n### options\n\n- a: One\n- b: Two: three\n\n### wrong a\n\nNo.\n\n### debrief\n\nYes.\n";

    #[test]
    fn a_file_is_taken_apart() {
        let text = LessonText::parse("en.md", LESSON).unwrap();
        assert_eq!((text.title.as_str(), text.intro.as_str()), ("Deploy", "About."));
        let create = text.step("create").unwrap();
        assert_eq!(create.body, "Do.\n\n```sh\n# no heading\n```");
        assert_eq!(create.hints, ["Look\nagain", "Try", "Nearly"]);
        assert_eq!(create.recognise["wrong-image"], "Oh.");
        assert_eq!(create.debrief, "Because.");
        let who = text.step("who").unwrap();
        assert_eq!(who.options["b"], "Two: three");
        assert_eq!(who.wrong["a"], "No.");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = "text\n## create\n### hints\nnothing\n## a: A\n### hint\n### hints\nno item\n### debrief\n### debrief\n";
        let problems = LessonText::parse("en.md", wrong).unwrap_err();
        let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(
            told,
            [
                "en.md:1: the file begins with the lesson's title: `# TITLE`",
                "en.md:2: a step begins with `## ID: TITLE`; `create` has no `:`",
                "en.md:3: `### hints` belongs under a step (`## ID: TITLE`)",
                "en.md:6: `### hint` is no heading of the format: expected hints, recognise ID, stuck ID, debrief, remember, mistakes, options or wrong CHOICE",
                "en.md:8: hints are numbered: `1. ...`",
                "en.md:10: `### debrief` is there twice in this step",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "([#`\\-1.: a\n]|你){0,80}") {
            let _ = LessonText::parse("en.md", &text);
        }
    }
}
