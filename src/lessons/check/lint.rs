//! What can be said of a lesson without playing it: missing texts, concepts out of order, goals about kinds there are not.

use std::collections::BTreeSet;

use super::super::catalogue::Course;
use super::super::error::Problem;
use super::super::format::{Lesson, Step, StepText, Work};
use super::super::goals::Goal;
use super::super::language::Language;
use super::super::world::World;

/// How many hints a step has.
const HINTS: usize = 3;

/// Looks at one lesson. With a world, goals are held against the cluster's kinds too.
pub fn lint(lesson: &Lesson, world: Option<&World>) -> Vec<Problem> {
    let mut problems = vec![];
    let yaml = format!("{}/lesson.yaml", lesson.place);
    let mut say = |message: String| problems.push(Problem::of_file(&yaml, message));
    let directory = lesson.place.rsplit('/').next().unwrap_or_default();
    let id = lesson.id.rsplit('/').next().unwrap_or_default();
    if directory.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('-') != id {
        say(format!("the id {id:?} is not the directory's name without its number ({directory})"));
    }
    if !(5..=15).contains(&lesson.minutes) {
        say(format!("`minutes: {}`: a lesson takes from 5 to 15", lesson.minutes));
    }
    if !lesson.steps.iter().any(|step| step.goal().is_some_and(|goal| !goal.wrong.is_empty())) {
        say("no step has a `wrong` answer".to_owned());
    }
    if !lesson.steps.iter().any(|step| step.goal().is_some_and(|goal| !goal.recognise.is_empty())) {
        say("no step has a `recognise`d wrong path".to_owned());
    }
    let mut ids = BTreeSet::new();
    for step in &lesson.steps {
        if !ids.insert(&step.id) {
            say(format!("the step `{}` is there twice", step.id));
        }
        if step.id.is_empty()
            || !step.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            say(format!("the step id {:?} is not made of lower-case letters, digits and -", step.id));
        }
        for problem in step_problems(step, world) {
            say(format!("step `{}`: {problem}", step.id));
        }
    }
    for language in Language::ALL {
        texts(lesson, language, &mut problems);
    }
    problems
}

fn step_problems(step: &Step, world: Option<&World>) -> Vec<String> {
    let Some(data) = step.goal() else { return vec![] };
    let mut problems = vec![];
    if data.solutions.is_empty() {
        problems.push("there is no solution".to_owned());
    }
    let mut seen = BTreeSet::new();
    for path in step.paths() {
        if !seen.insert(&path.id) {
            problems.push(format!("the path `{}` is there twice", path.id));
        }
        if path.when.is_empty() || path.r#try.trim().is_empty() {
            problems.push(format!("the path `{}` needs `when` and `try`", path.id));
        }
    }
    if let Some(world) = world {
        let goals = data.goal.iter().chain(step.paths().flat_map(|path| &path.when));
        problems.extend(goals.flat_map(|goal: &Goal| goal.lint(world)));
    }
    problems
}

fn texts(lesson: &Lesson, language: Language, problems: &mut Vec<Problem>) {
    let file = format!("{}/{}.md", lesson.place, language.tag());
    let Some(text) = lesson.texts.get(&language) else {
        problems.push(Problem::of_file(
            file,
            format!("is missing: the lesson has no text in {}", language.name()),
        ));
        return;
    };
    if text.intro.is_empty() {
        problems.push(Problem::at(&file, 1, "there is no introduction below the title"));
    }
    for step in &lesson.steps {
        match text.step(&step.id) {
            None => problems.push(Problem::of_file(
                &file,
                format!("the step `{}` has no text: `## {}: TITLE`", step.id, step.id),
            )),
            Some(text) => {
                for message in text_problems(step, text) {
                    problems.push(Problem::at(&file, text.line, message));
                }
            }
        }
    }
    for extra in text.steps.iter().filter(|text| !lesson.steps.iter().any(|step| step.id == text.id)) {
        problems.push(Problem::at(&file, extra.line, format!("lesson.yaml has no step `{}`", extra.id)));
    }
}

fn text_problems(step: &Step, text: &StepText) -> Vec<String> {
    let mut problems = vec![];
    let mut need = |there: bool, what: String| {
        if !there {
            problems.push(format!("step `{}`: {what}", step.id));
        }
    };
    need(!text.title.is_empty(), "the title is empty".to_owned());
    need(!text.body.is_empty(), "the text is empty".to_owned());
    need(!text.debrief.is_empty(), "`### debrief` is missing".to_owned());
    match &step.work {
        Work::Goal(data) => {
            need(
                text.hints.len() == HINTS,
                format!("{} hints in place of {HINTS} under `### hints`", text.hints.len()),
            );
            for path in &data.recognise {
                need(
                    text.recognise.contains_key(&path.id),
                    format!("`### recognise {}` is missing", path.id),
                );
            }
            for path in &data.stuck {
                need(text.stuck.contains_key(&path.id), format!("`### stuck {}` is missing", path.id));
            }
            for id in text.recognise.keys() {
                need(
                    data.recognise.iter().any(|path| path.id == *id),
                    format!("lesson.yaml has no `recognise` called `{id}`"),
                );
            }
            for id in text.stuck.keys() {
                need(
                    data.stuck.iter().any(|path| path.id == *id),
                    format!("lesson.yaml has no `stuck` called `{id}`"),
                );
            }
        }
        Work::Quiz(quiz) | Work::Predict(quiz) => {
            for choice in &quiz.choices {
                need(text.options.contains_key(choice), format!("`### options` has no `- {choice}: ...`"));
            }
            for name in text.options.keys() {
                need(quiz.choices.contains(name), format!("lesson.yaml has no choice `{name}`"));
            }
            if matches!(step.work, Work::Quiz(_)) {
                let wrong = quiz.choices.iter().filter(|choice| quiz.answer.as_ref() != Some(choice));
                for choice in wrong {
                    need(text.wrong.contains_key(choice), format!("`### wrong {choice}` is missing"));
                }
                if quiz.choices.is_empty() {
                    need(text.wrong.contains_key(""), "`### wrong` is missing".to_owned());
                }
            }
        }
    }
    problems
}

/// Looks at what lessons are to each other: concepts are introduced once, before they are needed, and have names.
pub fn lint_course(course: &Course) -> Vec<Problem> {
    let (mut problems, mut met) = (vec![], BTreeSet::new());
    for track in &course.tracks {
        let file = format!("lessons/{}/track.yaml", track.id);
        for language in Language::ALL {
            let tag = language.tag();
            let concepts =
                track.data.concepts.iter().map(|(name, words)| (format!("concepts.{name}"), words));
            let texts = [("title".to_owned(), &track.data.title), ("about".to_owned(), &track.data.about)];
            for (what, words) in texts.into_iter().chain(concepts) {
                if !words.contains_key(tag) {
                    problems.push(Problem::of_file(&file, format!("`{what}` has no {tag}")));
                }
            }
        }
        let mut introduced = BTreeSet::new();
        for lesson in &track.lessons {
            let yaml = format!("{}/lesson.yaml", lesson.place);
            for concept in lesson.requires.iter().filter(|concept| !met.contains(*concept)) {
                problems.push(Problem::of_file(
                    &yaml,
                    format!("`requires: {concept}`: no earlier lesson introduces it"),
                ));
            }
            for concept in &lesson.introduces {
                if !track.data.concepts.contains_key(concept) {
                    problems.push(Problem::of_file(
                        &yaml,
                        format!("`introduces: {concept}`: track.yaml has no such concept"),
                    ));
                }
                if !met.insert(concept.clone()) {
                    problems.push(Problem::of_file(
                        &yaml,
                        format!("`introduces: {concept}`: an earlier lesson did"),
                    ));
                }
                introduced.insert(concept);
            }
        }
        for concept in track.data.concepts.keys().filter(|concept| !introduced.contains(concept)) {
            problems.push(Problem::of_file(&file, format!("no lesson introduces the concept `{concept}`")));
        }
    }
    problems
}
