//! The course: nothing is missing in it, and every lesson goes as it is written.
//!
//! What the first solutions print is kept as snapshots: the same seed and a clock that moves by itself give the same text on
//! every machine. `cargo insta review` shows what changed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use k8s_learn::cluster::{Cluster, ClusterConfig, Component, Time};
use k8s_learn::lessons::check::{lint, lint_course, prove};
use k8s_learn::lessons::{Course, Language, World};
use k8s_learn::shell::CommandLog;

fn virtual_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn nothing_is_missing_in_the_course() {
    let course = Course::built_in().unwrap_or_else(|error| panic!("{error}"));
    let without = vec![Component::Scheduler, Component::ControllerManager, Component::Kubelet];
    let config = ClusterConfig { nodes: 5, time: Time::Virtual, without, ..ClusterConfig::default() };
    let problems = virtual_runtime().block_on(async {
        let cluster = Cluster::start(config).await.unwrap();
        let world = World::new(&cluster, CommandLog::default());
        let mut problems = lint_course(&course);
        problems.extend(course.lessons().flat_map(|lesson| lint(lesson, Some(&world))));
        problems
    });
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn every_lesson_goes_as_it_is_written() {
    let course = Course::built_in().unwrap_or_else(|error| panic!("{error}"));
    let lessons: Vec<_> = course.lessons().cloned().collect();
    let (next, proofs) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(|| {
                while let Some(lesson) = lessons.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let proof = virtual_runtime().block_on(prove(lesson));
                    proofs.lock().unwrap_or_else(PoisonError::into_inner).push((lesson.id.clone(), proof));
                }
            });
        }
    });
    let mut proofs = proofs.into_inner().unwrap();
    proofs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let told: Vec<String> =
        proofs.iter().flat_map(|(_, proof)| &proof.problems).map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    for (id, proof) in proofs {
        insta::assert_snapshot!(id.replace('/', "--"), proof.transcript);
    }
}

/// `book/src/course.md` is made of the lessons. `K8S_LEARN_WRITE=1 cargo test --test all course` writes it anew.
#[test]
fn the_book_has_the_contents_of_the_course() {
    let course = Course::built_in().unwrap_or_else(|error| panic!("{error}"));
    let mut page = "# The course\n\nMade from the lessons themselves; every lesson is there in each of these languages.\n".to_owned();
    for language in Language::ALL {
        page += &format!("\n# {}\n\n{}", language.name(), course.contents(language));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/book/src/course.md");
    if std::env::var_os("K8S_LEARN_WRITE").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == page,
        "book/src/course.md is not what the lessons say: write it anew with K8S_LEARN_WRITE=1"
    );
}
