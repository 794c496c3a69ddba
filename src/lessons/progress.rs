//! What a learner has done, kept on disk as it happens: one JSON file, replaced whole, so that a kill leaves the old or the
//! new one and never a part.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::language::Language;
use super::salvage::{Salvaged, salvage};

/// The form of the file; a file of another form is put aside.
const VERSION: u32 = 1;

/// What a learner has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    file: Option<PathBuf>,
    kept: Kept,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kept {
    version: u32,
    /// The language that was chosen, if one was.
    language: Option<String>,
    /// The lesson that was played last.
    last: Option<String>,
    lessons: BTreeMap<String, LessonProgress>,
}

/// How far a lesson is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LessonProgress {
    /// The step to go on with.
    pub step: Option<String>,
    /// Steps that were solved, in the order in which they were.
    pub solved: Vec<String>,
    /// Steps that were skipped.
    pub skipped: Vec<String>,
    /// Whether the end was reached.
    pub done: bool,
}

impl Progress {
    /// Progress that is not kept.
    pub fn unkept() -> Self {
        Self::default()
    }

    /// Reads what is kept in a file; nothing is, if there is none. A file that is not whole is put aside under another name,
    /// which is returned, and what can be read of it is used: nothing is lost.
    pub fn open(file: &Path) -> std::io::Result<(Self, Option<PathBuf>)> {
        let fresh = Self { file: Some(file.to_owned()), kept: Kept { version: VERSION, ..Kept::default() } };
        let text = match std::fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((fresh, None)),
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) if kept.version == VERSION => Ok((Self { kept, ..fresh }, None)),
            _ => {
                let aside = (1..)
                    .map(|number| file.with_extension(format!("unreadable-{number}.json")))
                    .find(|path| !path.exists())
                    .expect("there is always another number");
                std::fs::rename(file, &aside)?;
                let Salvaged { language, last, lessons } = salvage(&text);
                let kept = Kept { version: VERSION, language, last, lessons };
                let progress = Self { kept, ..fresh };
                // At once, since the next start does not look at the file that was put aside.
                progress.keep()?;
                Ok((progress, Some(aside)))
            }
        }
    }

    /// Where progress is kept: `$XDG_DATA_HOME/k8s-learn/progress.json`, or below `~/.local/share`.
    pub fn default_file(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
        Some(data.join("k8s-learn/progress.json"))
    }

    /// How far a lesson is.
    pub fn lesson(&self, id: &str) -> LessonProgress {
        self.kept.lessons.get(id).cloned().unwrap_or_default()
    }

    /// Changes how far a lesson is, and keeps it at once.
    pub fn update(&mut self, id: &str, change: impl FnOnce(&mut LessonProgress)) -> std::io::Result<()> {
        change(self.kept.lessons.entry(id.to_owned()).or_default());
        self.kept.last = Some(id.to_owned());
        self.keep()
    }

    /// Forgets a lesson.
    pub fn reset(&mut self, id: &str) -> std::io::Result<()> {
        self.kept.lessons.remove(id);
        self.keep()
    }

    /// How many lessons there is something to tell of.
    pub fn count(&self) -> usize {
        self.kept.lessons.len()
    }

    /// The lesson that was played last.
    pub fn last(&self) -> Option<&str> {
        self.kept.last.as_deref()
    }

    /// The language that was chosen.
    pub fn language(&self) -> Option<Language> {
        self.kept.language.as_deref()?.parse().ok()
    }

    /// Chooses a language.
    pub fn choose_language(&mut self, language: Language) -> std::io::Result<()> {
        self.kept.language = Some(language.tag().to_owned());
        self.keep()
    }

    fn keep(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let new = file.with_extension("json.new");
        let mut writer = std::fs::File::create(&new)?;
        serde_json::to_writer_pretty(&mut writer, &self.kept)?;
        writer.write_all(b"\n")?;
        writer.sync_all()?;
        std::fs::rename(new, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_there_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deep/progress.json");
        let (mut progress, aside) = Progress::open(&file).unwrap();
        assert_eq!(aside, None);
        progress.update("basics/deploy", |lesson| lesson.solved.push("create".to_owned())).unwrap();
        progress.choose_language(Language::TraditionalChinese).unwrap();
        let (again, _) = Progress::open(&file).unwrap();
        assert_eq!(again, progress);
        assert_eq!(again.last(), Some("basics/deploy"));
        assert_eq!(again.language(), Some(Language::TraditionalChinese));
    }

    #[test]
    fn what_can_be_read_of_a_broken_file_is_used_and_kept_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("progress.json");
        let (mut progress, _) = Progress::open(&file).unwrap();
        for id in ["basics/a", "basics/b"] {
            progress.update(id, |lesson| lesson.solved.push("one".to_owned())).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, &text[..text.find("basics/b\": {").unwrap() + 14]).unwrap();
        let (salvaged, aside) = Progress::open(&file).unwrap();
        assert!(aside.is_some());
        assert_eq!((salvaged.count(), salvaged.lesson("basics/a").solved), (1, vec!["one".to_owned()]));
        let (again, aside) = Progress::open(&file).unwrap();
        assert_eq!((again.count(), aside), (1, None));
        std::fs::write(&file, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
        assert_eq!(
            Progress::open(&file).unwrap().0.count(),
            2,
            "a file of another form is read as far as it goes"
        );
    }

    #[test]
    fn a_broken_file_is_put_aside_and_never_lost() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("progress.json");
        for number in 1..=2 {
            std::fs::write(&file, format!("{{ broken {number}")).unwrap();
            let (progress, aside) = Progress::open(&file).unwrap();
            assert_eq!(progress.count(), 0);
            assert_eq!(std::fs::read_to_string(aside.unwrap()).unwrap(), format!("{{ broken {number}"));
        }
    }
}
