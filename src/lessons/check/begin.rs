//! A new lesson's directory: small, but whole, so that `lesson test` passes on it from the first minute.

use std::path::{Path, PathBuf};

use super::super::error::LessonError;
use super::super::language::Language;

const YAML: &str = "id: ID
minutes: 5
introduces: []
requires: []
cluster: {nodes: 1, seed: 7, pace: real}
steps:
  - id: create
    goal:
      - condition: {of: deployment/web, type: Available}
    recognise:
      - id: a-pod-only
        when:
          - exists: pod/web
        try: |
          kubectl run web --image=nginx
    solutions:
      - |
        kubectl create deployment web --image=nginx
    wrong:
      - |
        kubectl create deployment api --image=nginx
";

const TEXT: &str = "# ID

What the lesson is about.

## create: Create a Deployment

Create a Deployment called `web` of the image `nginx`.

### hints

1. `kubectl create --help` lists what can be created.
2. `kubectl create deployment --help` shows what it needs.
3. `kubectl create deployment web --image=...`

### recognise a-pod-only

That made a Pod called `web`, and nothing that looks after it.

### debrief

Why it worked.

### remember

- One sentence to keep.
";

/// Makes a lesson's directory with all its files; `directory` must not be there yet. Returns the files.
pub fn new_lesson(directory: &Path) -> Result<Vec<PathBuf>, LessonError> {
    let failed = |path: &Path, error| LessonError::File(path.display().to_string(), error);
    std::fs::create_dir_all(directory.parent().unwrap_or(Path::new(".")))
        .map_err(|error| failed(directory, error))?;
    std::fs::create_dir(directory).map_err(|error| failed(directory, error))?;
    let name = directory.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let id = name.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-');
    let mut files = vec![(directory.join("lesson.yaml"), YAML.replacen("ID", id, 1))];
    for language in Language::ALL {
        files.push((directory.join(format!("{}.md", language.tag())), TEXT.replacen("ID", id, 1)));
    }
    for (path, text) in &files {
        std::fs::write(path, text).map_err(|error| failed(path, error))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}
