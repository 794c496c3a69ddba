//! What is broken on disk: lessons that cannot be read, and a damaged file of progress.

use std::path::Path;
use std::sync::Arc;

use super::terminal::{AND_AFTER, Screen};

const LESSON: &str = "lessons/basics/02-deploy-an-app";

/// A copy of a lesson as a directory `mine` of that home.
fn copy_lesson(home: &Path) {
    let to = home.join("mine");
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(LESSON)).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
    }
}

fn edit(home: &Path, file: &str, from: &str, to: &str) {
    let path = home.join("mine").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has {from:?}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// What `run` says of the lesson after something was done to it, without ever taking the screen.
async fn said(spoil: impl Fn(&Path)) -> String {
    let home = Arc::new(tempfile::tempdir().unwrap());
    copy_lesson(home.path());
    spoil(home.path());
    let mut screen = Screen::open_at(&home, &format!("$K8S_LEARN run mine; {AND_AFTER}"), 200, 40);
    screen.ended().await;
    assert!(!screen.took_the_screen(), "the screen is not taken for it");
    screen.is_cooked();
    let text = screen.text();
    assert!(text.contains("code=1"), "{text}");
    text.split("code=1").next().unwrap().to_owned()
}

#[tokio::test]
async fn broken_yaml_is_told_with_its_file_and_line() {
    let said =
        said(|home| edit(home, "lesson.yaml", "steps:\n  - id: create", "steps:\n  - id: [create")).await;
    assert!(said.contains("mine/lesson.yaml:7"), "{said}");
    assert!(said.lines().count() < 8, "{said}");
}

#[tokio::test]
async fn an_unknown_goal_is_told_with_what_was_expected() {
    let said = said(|home| edit(home, "lesson.yaml", "- exists: deployment", "- exits: deployment")).await;
    assert!(said.contains("mine/lesson.yaml:9") && said.contains("exits"), "{said}");
    assert!(said.contains("exists") && said.contains("condition"), "what there is: {said}");
}

#[tokio::test]
async fn a_missing_file_is_told_by_its_name() {
    let without =
        |name: &'static str| move |home: &Path| std::fs::remove_file(home.join("mine").join(name)).unwrap();
    let without_texts = |home: &Path| {
        for name in ["en.md", "zh-TW.md", "zh-CN.md"] {
            std::fs::remove_file(home.join("mine").join(name)).unwrap();
        }
    };
    let said_text = said(without_texts).await;
    assert!(said_text.contains("mine") && said_text.contains("expected en.md"), "{said_text}");
    let said_yaml = said(without("lesson.yaml")).await;
    assert!(said_yaml.contains("lesson.yaml"), "{said_yaml}");
    let said_all = said(|home| std::fs::remove_dir_all(home.join("mine")).unwrap()).await;
    assert!(said_all.contains("mine"), "{said_all}");
}

#[tokio::test]
async fn a_lesson_that_is_broken_while_it_is_played_says_so_until_it_is_mended() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    copy_lesson(home.path());
    let mut screen = Screen::open_at(&home, &format!("$K8S_LEARN run mine; {AND_AFTER}"), 160, 40);
    screen.until("the lesson", |text| text.contains("Step 1/7") && text.contains("learner@")).await;
    edit(home.path(), "en.md", "nothing runs in it.", "nothing at all runs.");
    screen.shows("nothing at all runs.").await;
    edit(home.path(), "lesson.yaml", "- exists: deployment", "- exits: deployment");
    screen.shows("lesson.yaml:9").await;
    edit(home.path(), "lesson.yaml", "- exits: deployment", "- exists: deployment");
    screen.hides("lesson.yaml:9").await;
    screen.press("echo still''works\r").await;
    screen.shows("stillworks").await;
    screen.leave().await;
    screen.is_as_it_was();
}

#[tokio::test]
async fn a_damaged_file_of_progress_is_kept_aside_and_what_is_whole_is_used() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let directory = home.path().join("k8s-learn");
    std::fs::create_dir(&directory).unwrap();
    let damaged = r#"{ "version": 1, "language": "en", "last": "basics/deploy-an-app", "lessons": {
        "basics/create-a-cluster": { "step": null, "solved": ["start"], "skipped": [], "done": true },
        "basics/deploy-an-app": { "step": "look", "solv"#;
    std::fs::write(directory.join("progress.json"), damaged).unwrap();
    let mut screen = Screen::open_at(&home, &format!("$K8S_LEARN; {AND_AFTER}"), 120, 40);
    screen.shows("was damaged").await;
    assert!(screen.text().contains("unreadable-1.json"), "{}", screen.text());
    screen.press("\r").await;
    screen.shows("✓ Create a cluster").await;
    screen.press("\x1b").await;
    screen.hides("Free play").await;
    screen.leave().await;
    screen.is_as_it_was();
    let aside = directory.join("progress.unreadable-1.json");
    assert_eq!(std::fs::read_to_string(aside).unwrap(), damaged, "the old file is as it was");
    // The next start has nothing to complain of.
    let mut screen = Screen::open_at(&home, &format!("$K8S_LEARN; {AND_AFTER}"), 120, 40);
    screen.shows("✓ Create a cluster").await;
    assert!(!screen.text().contains("damaged"));
    screen.press("\x1b").await;
    screen.hides("Free play").await;
    screen.leave().await;
}
