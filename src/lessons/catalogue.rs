//! The course: tracks and their lessons, from what is built into the program or from a directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use super::error::{LessonError, Problem};
use super::format::{CourseData, Lesson, LessonFiles, TrackData, Translated, yaml_problem};
use super::language::Language;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/lessons");

/// The most that a lesson's directory may hold.
const MAX_LESSON_BYTES: u64 = 8 << 20;

/// A track with its lessons.
#[derive(Clone, Debug)]
pub struct Track {
    /// The directory's name.
    pub id: String,
    /// Its title and concepts.
    pub data: TrackData,
    /// Its lessons, in order.
    pub lessons: Vec<Arc<Lesson>>,
}

/// The course.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// The tracks, in order.
    pub tracks: Vec<Track>,
}

impl Course {
    /// The course that is built into the program.
    pub fn built_in() -> Result<Self, LessonError> {
        let mut files = BTreeMap::new();
        embedded(&BUILT_IN, &mut files);
        Self::read("lessons", &files)
    }

    /// A course from a directory that has a `course.yaml`.
    pub fn from_directory(directory: &Path) -> Result<Self, LessonError> {
        let place = directory.display().to_string();
        Self::read(&place, &files_below(directory)?)
    }

    /// The lessons of one directory as a course of one track, named by the directory.
    pub fn of(directory: &Path, lessons: Vec<Arc<Lesson>>) -> Self {
        let name = directory.display().to_string();
        let title = Language::ALL.iter().map(|language| (language.tag().to_owned(), name.clone())).collect();
        let data = TrackData { title, about: BTreeMap::new(), concepts: BTreeMap::new() };
        Self { tracks: vec![Track { id: name, data, lessons }] }
    }

    fn read(place: &str, files: &LessonFiles) -> Result<Self, LessonError> {
        let course: CourseData = yaml(place, files, "course.yaml")?;
        let (mut tracks, mut problems) = (vec![], vec![]);
        for id in course.tracks {
            let inside = below(files, &id);
            if inside.is_empty() {
                problems.push(Problem::of_file(
                    format!("{place}/course.yaml"),
                    format!("the track {id:?} has no directory"),
                ));
                continue;
            }
            match read_track(&format!("{place}/{id}"), &id, &inside) {
                Ok(track) => tracks.push(track),
                Err(LessonError::Problems(wrong)) => problems.extend(wrong),
                Err(error) => return Err(error),
            }
        }
        if problems.is_empty() { Ok(Self { tracks }) } else { Err(LessonError::Problems(problems)) }
    }

    /// Every lesson, in the course's order.
    pub fn lessons(&self) -> impl Iterator<Item = &Arc<Lesson>> {
        self.tracks.iter().flat_map(|track| &track.lessons)
    }

    /// The lesson of an id: `basics/deploy-an-app`, or `deploy-an-app` if that is clear.
    pub fn lesson(&self, id: &str) -> Result<Arc<Lesson>, LessonError> {
        let exact = self.lessons().find(|lesson| lesson.id == id);
        let short = || {
            let mut found = self.lessons().filter(|lesson| lesson.id.rsplit('/').next() == Some(id));
            found.next().filter(|_| found.next().is_none())
        };
        exact.or_else(short).cloned().ok_or_else(|| LessonError::Unknown(id.to_owned()))
    }

    /// What the course holds, as a Markdown page.
    pub fn contents(&self, language: Language) -> String {
        let mut page = String::new();
        for track in &self.tracks {
            let say = |words: &Translated| words.get(language.tag()).cloned().unwrap_or_default();
            page += &format!("## {}\n\n{}\n\n", say(&track.data.title), say(&track.data.about));
            page += "| | lesson | minutes | introduces |\n| --- | --- | --- | --- |\n";
            for (number, lesson) in track.lessons.iter().enumerate() {
                let concept = |name: &String| track.data.concepts.get(name).map(say).unwrap_or_default();
                let concepts: Vec<String> = lesson.introduces.iter().map(concept).collect();
                let title = &lesson.text(language).title;
                page +=
                    &format!("| {} | {title} | {} | {} |\n", number + 1, lesson.minutes, concepts.join(", "));
            }
            page.push('\n');
        }
        page
    }

    /// The lesson behind `lesson`.
    pub fn next(&self, lesson: &str) -> Option<Arc<Lesson>> {
        self.lessons().skip_while(|known| known.id != lesson).nth(1).cloned()
    }
}

fn read_track(place: &str, id: &str, files: &LessonFiles) -> Result<Track, LessonError> {
    let data: TrackData = yaml(place, files, "track.yaml")?;
    let mut names: Vec<&str> = files.keys().filter_map(|path| Some(path.split_once('/')?.0)).collect();
    names.dedup();
    let (mut lessons, mut problems) = (vec![], vec![]);
    for name in names {
        match Lesson::read(id, &format!("{place}/{name}"), &below(files, name)) {
            Ok(lesson) => lessons.push(Arc::new(lesson)),
            Err(LessonError::Problems(wrong)) => problems.extend(wrong),
            Err(error) => return Err(error),
        }
    }
    match problems.is_empty() {
        true => Ok(Track { id: id.to_owned(), data, lessons }),
        false => Err(LessonError::Problems(problems)),
    }
}

/// The lessons of any directory: a lesson's own, a track's, or a whole course's.
pub fn lessons_in(directory: &Path) -> Result<Vec<Arc<Lesson>>, LessonError> {
    let files = files_below(directory)?;
    let place = directory.display().to_string();
    if files.contains_key("course.yaml") {
        return Ok(Course::read(&place, &files)?.lessons().cloned().collect());
    }
    if files.contains_key("track.yaml") {
        let id = directory.canonicalize().ok();
        let id = id
            .as_deref()
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        return Ok(read_track(&place, &id, &files)?.lessons);
    }
    // A lesson of a track keeps its track's name.
    let track = directory.canonicalize().ok().and_then(|full| {
        let parent = full.parent()?;
        parent
            .join("track.yaml")
            .is_file()
            .then(|| parent.file_name().map(|name| name.to_string_lossy().into_owned()))?
    });
    Ok(vec![Arc::new(Lesson::read(track.as_deref().unwrap_or_default(), &place, &files)?)])
}

fn yaml<T: serde::de::DeserializeOwned>(
    place: &str,
    files: &LessonFiles,
    name: &str,
) -> Result<T, LessonError> {
    let file = format!("{place}/{name}");
    let text = files.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let text = text
        .ok_or_else(|| LessonError::Problems(vec![Problem::of_file(&file, "is missing, or is no UTF-8")]))?;
    serde_saphyr::from_str(text).map_err(|error| LessonError::Problems(vec![yaml_problem(&file, &error)]))
}

/// The files below a directory of `files`, by their path in it.
fn below(files: &LessonFiles, directory: &str) -> LessonFiles {
    let inside = |path: &String| Some(path.strip_prefix(directory)?.strip_prefix('/')?.to_owned());
    files.iter().filter_map(|(path, content)| Some((inside(path)?, content.clone()))).collect()
}

fn embedded(directory: &Dir<'_>, files: &mut LessonFiles) {
    for file in directory.files() {
        files.insert(file.path().to_string_lossy().into_owned(), file.contents().to_vec());
    }
    for inner in directory.dirs() {
        embedded(inner, files);
    }
}

fn files_below(directory: &Path) -> Result<LessonFiles, LessonError> {
    let mut files = LessonFiles::new();
    let mut bytes = 0;
    gather(directory, "", &mut files, &mut bytes)?;
    Ok(files)
}

fn gather(
    directory: &Path,
    prefix: &str,
    files: &mut LessonFiles,
    bytes: &mut u64,
) -> Result<(), LessonError> {
    let failed = |error| LessonError::File(directory.display().to_string(), error);
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            gather(&entry.path(), &format!("{name}/"), files, bytes)?;
        } else if kind.is_file() {
            *bytes += entry.metadata().map_err(failed)?.len();
            if *bytes > MAX_LESSON_BYTES {
                let message =
                    format!("the directory holds over {} MiB: is it a lesson's?", MAX_LESSON_BYTES >> 20);
                return Err(LessonError::Problems(vec![Problem::of_file(
                    directory.display().to_string(),
                    message,
                )]));
            }
            files.insert(name, std::fs::read(entry.path()).map_err(failed)?);
        }
    }
    Ok(())
}
