//! A Killercoda scenario as the start of a lesson: its texts and its steps, with the verify scripts beside as what has to be
//! said again as goals.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::error::{LessonError, Problem};
use super::super::language::Language;

/// `index.json`, as far as a lesson has use for it.
#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    title: String,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    intro: Part,
    #[serde(default)]
    steps: Vec<Part>,
    #[serde(default)]
    finish: Part,
}

#[derive(Default, Deserialize)]
struct Part {
    #[serde(default)]
    title: String,
    text: Option<String>,
    verify: Option<String>,
    background: Option<String>,
    foreground: Option<String>,
}

/// Makes a lesson's directory of a scenario's. Returns what the author has to do by hand.
pub fn import(scenario: &Path, directory: &Path) -> Result<Vec<String>, LessonError> {
    let failed = |path: &Path, error| LessonError::File(path.display().to_string(), error);
    let index_file = scenario.join("index.json");
    let text = std::fs::read_to_string(&index_file).map_err(|error| failed(&index_file, error))?;
    let index: Index = serde_json::from_str(&text).map_err(|error| {
        LessonError::Problems(vec![Problem::at(
            index_file.display().to_string(),
            error.line(),
            error.to_string(),
        )])
    })?;
    if index.details.steps.is_empty() {
        let message = "`details.steps` is missing or empty: is it a scenario?";
        return Err(LessonError::Problems(vec![Problem::of_file(index_file.display().to_string(), message)]));
    }
    std::fs::create_dir(directory).map_err(|error| failed(directory, error))?;
    let mut written = Written { scenario, todo: vec![], steps: String::new(), markdown: String::new() };
    written.markdown = format!(
        "# {}\n\n{}\n",
        or(&index.title, "Untitled"),
        written.text(index.details.intro.text.as_deref())?
    );
    for (number, part) in index.details.steps.iter().enumerate() {
        written.step(number + 1, part)?;
    }
    if index.details.finish.text.is_some() {
        let finish = written.text(index.details.finish.text.as_deref())?;
        written.todo.push(
            "the scenario's last page stands at the end of en.md: move it into the last step's debrief"
                .to_owned(),
        );
        written.markdown += &format!("\n### remember\n\n{}\n", demoted(&finish));
    }
    let name = directory.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let id = name.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
    let yaml = format!("id: {id}\nminutes: 10\nintroduces: []\nrequires: []\nsteps:\n{}", written.steps);
    let write = |name: PathBuf, text: &str| std::fs::write(&name, text).map_err(|error| failed(&name, error));
    write(directory.join("lesson.yaml"), &yaml)?;
    write(directory.join(format!("{}.md", Language::English.tag())), &written.markdown)?;
    written.todo.push("the texts in the other languages are missing".to_owned());
    Ok(written.todo)
}

struct Written<'a> {
    scenario: &'a Path,
    todo: Vec<String>,
    steps: String,
    markdown: String,
}

impl Written<'_> {
    /// The text of a file of the scenario; one outside its directory is refused.
    fn text(&self, name: Option<&str>) -> Result<String, LessonError> {
        let Some(name) = name else { return Ok(String::new()) };
        let path = self.scenario.join(name);
        let inside = Path::new(name)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
        if !inside {
            let message = format!("{name:?} is outside the scenario's directory");
            return Err(LessonError::Problems(vec![Problem::of_file(
                self.scenario.display().to_string(),
                message,
            )]));
        }
        std::fs::read_to_string(&path).map_err(|error| LessonError::File(path.display().to_string(), error))
    }

    fn step(&mut self, number: usize, part: &Part) -> Result<(), LessonError> {
        let id = format!("step-{number}");
        let text = self.text(part.text.as_deref())?;
        let title = or(&part.title, "Untitled").to_owned();
        self.markdown += &format!(
            "\n## {id}: {title}\n\n{}\n\n### hints\n\n1. \n2. \n3. \n\n### debrief\n\nWhy it worked.\n",
            demoted(&text)
        );
        self.steps += &format!("  - id: {id}\n");
        for script in [&part.background, &part.foreground].into_iter().flatten() {
            self.todo.push(format!("{id}: {script} ran by itself there; say it as `before:` or `setup:`"));
        }
        match &part.verify {
            Some(verify) => {
                let script = self.text(Some(verify))?;
                self.steps += "    # The scenario's check, to be said as goals:\n";
                for line in script.lines() {
                    self.steps += format!("    #   {line}").trim_end();
                    self.steps.push('\n');
                }
                self.todo
                    .push(format!("{id}: say {verify} as `goal:`, and give a solution and a wrong answer"));
            }
            None => self
                .todo
                .push(format!("{id}: it had no check: give it a goal, a solution and a wrong answer")),
        }
        self.steps += "    goal: []\n    solutions: []\n    wrong: []\n";
        Ok(())
    }
}

/// Headings inside a step's text are made smaller, so that they are not taken for the format's own.
fn demoted(markdown: &str) -> String {
    let smaller = |line: &str| match line.trim_start_matches('#') {
        rest if rest.len() < line.len() && rest.starts_with(' ') => format!("####{rest}"),
        _ => line.to_owned(),
    };
    let mut fenced = false;
    let lines = markdown.trim().lines().map(|line| {
        fenced ^= line.trim_start().starts_with("```");
        // Killercoda's `{{exec}}` and `{{copy}}` are buttons.
        if fenced { line.to_owned() } else { smaller(line) }.replace("{{exec}}", "").replace("{{copy}}", "")
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.trim().is_empty() { other } else { text.trim() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn a_scenario_becomes_the_start_of_a_lesson() {
        let from = scenario(&[
            (
                "index.json",
                r#"{"title": "Pods", "details": {"intro": {"text": "intro.md"}, "steps": [{"title": "Run", "text": "s1.md", "verify": "v.sh"}]}}"#,
            ),
            ("intro.md", "Hello"),
            ("s1.md", "# Run it\n\n`kubectl run web --image=nginx`{{exec}}\n\n```\n# kept\n```"),
            ("v.sh", "kubectl get pod web\n"),
        ]);
        let to = tempfile::tempdir().unwrap();
        let directory = to.path().join("01-pods");
        let todo = import(from.path(), &directory).unwrap();
        assert!(todo[0].starts_with("step-1: say v.sh as `goal:`"), "{todo:?}");
        let markdown = std::fs::read_to_string(directory.join("en.md")).unwrap();
        assert!(
            markdown.starts_with(
                "# Pods\n\nHello\n\n## step-1: Run\n\n#### Run it\n\n`kubectl run web --image=nginx`\n"
            ),
            "{markdown}"
        );
        assert!(markdown.contains("\n# kept\n"));
        let yaml = std::fs::read_to_string(directory.join("lesson.yaml")).unwrap();
        assert!(yaml.contains("    #   kubectl get pod web\n"), "{yaml}");
    }

    #[test]
    fn a_scenario_cannot_reach_outside_its_directory() {
        let from = scenario(&[("index.json", r#"{"details": {"steps": [{"text": "../../etc/passwd"}]}}"#)]);
        let to = tempfile::tempdir().unwrap();
        let error = import(from.path(), &to.path().join("a")).unwrap_err();
        assert!(error.to_string().contains("outside the scenario's directory"), "{error}");
    }
}
