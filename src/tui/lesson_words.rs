//! What a stage says, as the lesson's pane shows it: texts of the step, its grade, hints, answers.

use super::components::{Goal, LessonText, Note, NoteKind, Quiz};
use super::words::{Lang, Word};
use crate::lessons::{Answered, Grade, Lesson, Stage, StepText, Work};

/// What the learner has seen of a step besides its text.
#[derive(Clone, Debug, Default)]
pub struct LessonView {
    /// How many hints.
    pub hints: usize,
    /// The last answer, and what came of it.
    pub answer: Option<(String, Answered)>,
}

/// What the pane shows, with the texts of `lesson`. `next` is the lesson behind this one.
pub fn lesson_text(
    stage: &Stage,
    lesson: &Lesson,
    view: &LessonView,
    next: Option<&Lesson>,
    lang: Lang,
) -> LessonText {
    let count = lesson.steps.len();
    let title = lesson.text(lang).title.clone();
    let Some(step) = lesson.steps.get(stage.step()) else {
        return LessonText {
            title,
            step: (count, count),
            body: end(next, lang),
            lesson_done: true,
            ..LessonText::default()
        };
    };
    let text = lesson.step_text(lang, stage.step());
    let grade = stage.grade().borrow().clone();
    let intro = if stage.step() == 0 { format!("{}\n\n", lesson.text(lang).intro) } else { String::new() };
    let goals = match &step.work {
        // One goal says no more than the step's end does.
        Work::Goal(_) if grade.goals.len() > 1 => {
            grade.goals.iter().map(|done| Goal { text: String::new(), done: *done || grade.solved }).collect()
        }
        _ => vec![],
    };
    LessonText {
        title,
        step: (stage.step() + 1, count),
        body: format!("{intro}## {}\n\n{}", text.title, text.body),
        goals,
        quiz: step.quiz().map(|quiz| Quiz {
            question: String::new(),
            choices: quiz.choices.iter().map(|id| text.options.get(id).unwrap_or(id).clone()).collect(),
            verdict: verdict(view, &text, lang),
        }),
        notes: notes(stage, view, &text, &grade, lang),
        step_done: grade.solved,
        lesson_done: false,
    }
}

/// What is said behind the last step.
fn end(next: Option<&Lesson>, lang: Lang) -> String {
    match next {
        Some(next) => {
            let (title, minutes) = (&next.text(lang).title, next.minutes);
            let named = format!("**{title}** ({minutes} {})", Word::Minutes.text(lang));
            Word::NextLesson.before(lang, named)
        }
        None => Word::CourseDone.text(lang).to_owned(),
    }
}

fn verdict(view: &LessonView, text: &StepText, lang: Lang) -> Option<(bool, String)> {
    let (answer, answered) = view.answer.as_ref()?;
    match answered {
        Answered::Right => Some((true, String::new())),
        Answered::Predicted => {
            let shown = text.options.get(answer).unwrap_or(answer);
            Some((true, Word::Predicted.before(lang, shown)))
        }
        Answered::Wrong(choice) => {
            let why = text.wrong.get(choice.as_deref().unwrap_or_default()).or_else(|| text.wrong.get(""));
            Some((false, why.cloned().unwrap_or_default()))
        }
        Answered::NoQuestion => None,
    }
}

fn notes(stage: &Stage, view: &LessonView, text: &StepText, grade: &Grade, lang: Lang) -> Vec<Note> {
    let mut notes = vec![];
    let mut note = |kind, text: &str| {
        if !text.trim().is_empty() {
            notes.push(Note { kind, text: text.to_owned() });
        }
    };
    if !grade.solved {
        for path in &grade.recognised {
            note(NoteKind::Recognised, text.recognise.get(path).map_or("", String::as_str));
        }
        if let Some(path) = &grade.stuck {
            let said = text.stuck.get(path).map_or("", String::as_str);
            note(NoteKind::Stuck, &format!("{said}\n\n{}", Word::StuckReset.text(lang)));
        }
    }
    for hint in text.hints.iter().take(view.hints) {
        note(NoteKind::Hint, hint);
    }
    let predicted = matches!(view.answer, Some((_, Answered::Predicted)));
    if !grade.solved || predicted {
        return notes;
    }
    if let Some(prediction) = stage.prediction().filter(|prediction| prediction.step < stage.step()) {
        let options = stage.lesson().step_text(lang, prediction.step).options;
        let answer = options.get(&prediction.answer).unwrap_or(&prediction.answer);
        let word = if prediction.right { Word::PredictionRight } else { Word::PredictionWrong };
        let stop = if lang == Lang::English { ". " } else { "。" };
        let predicted = format_args!("{answer}{stop}{}", word.text(lang));
        note(NoteKind::Note, &Word::Predicted.before(lang, predicted));
    }
    note(NoteKind::Debrief, &text.debrief);
    note(NoteKind::Remember, &text.remember);
    note(NoteKind::Mistakes, &text.mistakes);
    if let Some(data) = stage.lesson().steps.get(stage.step()).and_then(|step| step.goal())
        && !data.equivalent.is_empty()
    {
        note(NoteKind::Equivalent, &format!("```console\n{}\n```", data.equivalent.join("\n")));
    }
    notes
}
