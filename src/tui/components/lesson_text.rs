//! The lesson's pane: what a lesson session says, as text.
//!
//! It renders a plain struct, [`LessonText`], and knows nothing of how lessons work. What the learner wants of the
//! lesson comes back as a [`LessonWish`].

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::markdown::markdown;
use crate::tui::text::wrap;
use crate::tui::theme::Theme;
use crate::tui::words::{Lang, Word};

/// What a lesson shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LessonText {
    /// The lesson's title.
    pub title: String,
    /// Which step it is, from 1, and of how many.
    pub step: (usize, usize),
    /// The step's text, in Markdown.
    pub body: String,
    /// What shall come true.
    pub goals: Vec<Goal>,
    /// Hints, what was recognised, the debrief.
    pub notes: Vec<Note>,
    /// A question to answer.
    pub quiz: Option<Quiz>,
    /// Whether the step is done and the next can begin.
    pub step_done: bool,
    /// Whether the lesson is done.
    pub lesson_done: bool,
}

/// A goal and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// What shall come true; empty if only the mark is shown.
    pub text: String,
    /// Whether it has.
    pub done: bool,
}

/// Something that the lesson says besides its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What kind of thing.
    pub kind: NoteKind,
    /// What it says, in Markdown.
    pub text: String,
}

/// The kinds of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A hint that was asked for.
    Hint,
    /// A wrong path was recognised.
    Recognised,
    /// Why it worked.
    Debrief,
    /// There is no way on but to start over.
    Stuck,
    /// What to remember.
    Remember,
    /// Common mistakes.
    Mistakes,
    /// Other commands for the same.
    Equivalent,
    /// Anything else.
    Note,
}

/// A question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quiz {
    /// What is asked, in Markdown.
    pub question: String,
    /// What can be chosen; empty for a short answer.
    pub choices: Vec<String>,
    /// What became of the last answer: whether it was right, and what is said of it.
    pub verdict: Option<(bool, String)>,
}

/// What the learner wants of the lesson.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LessonWish {
    /// A hint.
    Hint,
    /// Go on.
    Next,
    /// Leave this step out.
    Skip,
    /// Start the lesson over.
    Reset,
    /// The answer to the question: a choice's index.
    Choose(usize),
    /// The answer to the question, typed.
    Answer(String),
}

/// The pane.
#[derive(Clone, Debug, Default)]
pub struct LessonPane {
    text: LessonText,
    scroll: usize,
    choice: usize,
    answer: String,
    /// Columns and rows of the last layout.
    size: (u16, u16),
}

impl LessonPane {
    /// A pane that shows this.
    pub fn new(text: LessonText) -> Self {
        Self { text, ..Self::default() }
    }

    /// What is shown.
    pub fn text(&self) -> &LessonText {
        &self.text
    }

    /// Shows something else. A new step starts at its top; news of the same step are scrolled into sight.
    pub fn set(&mut self, text: LessonText, theme: Theme, lang: Lang) {
        let other = (&self.text.title, self.text.step) != (&text.title, text.step);
        let news = text.notes.len() > self.text.notes.len() || text.step_done && !self.text.step_done;
        self.text = text;
        if other {
            (self.scroll, self.choice) = (0, 0);
            self.answer.clear();
        } else if news {
            self.scroll = self.last_scroll(theme, lang);
        }
    }

    /// Tells the pane its size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
    }

    fn last_scroll(&self, theme: Theme, lang: Lang) -> usize {
        self.lines(theme, lang).len().saturating_sub(usize::from(self.size.1))
    }

    /// Moves the text.
    pub fn scroll_by(&mut self, rows: i32, theme: Theme, lang: Lang) {
        let to = self.scroll as i64 + i64::from(rows);
        self.scroll = (to.max(0) as usize).min(self.last_scroll(theme, lang));
    }

    /// How many rows a page has.
    pub fn page(&self) -> i32 {
        i32::from(self.size.1.max(2)) - 1
    }

    /// Whether keys are an answer's letters.
    pub fn takes_letters(&self) -> bool {
        self.text.quiz.as_ref().is_some_and(|quiz| quiz.choices.is_empty() && !answered(quiz))
    }

    /// Takes in a key that means nothing elsewhere.
    pub fn key(&mut self, key: &KeyEvent) -> Option<LessonWish> {
        let quiz = self.text.quiz.as_ref().filter(|quiz| !answered(quiz))?;
        let count = quiz.choices.len();
        if count == 0 {
            match key.code {
                KeyCode::Char(c) => self.answer.push(c),
                KeyCode::Backspace => drop(self.answer.pop()),
                KeyCode::Enter if !self.answer.trim().is_empty() => {
                    return Some(LessonWish::Answer(std::mem::take(&mut self.answer)));
                }
                _ => {}
            }
            return None;
        }
        match key.code {
            KeyCode::Char(c @ '1'..='9') if (c as usize - '1' as usize) < count => {
                self.choice = c as usize - '1' as usize;
                return Some(LessonWish::Choose(self.choice));
            }
            KeyCode::Tab | KeyCode::Right => self.choice = (self.choice + 1) % count,
            KeyCode::BackTab | KeyCode::Left => self.choice = (self.choice + count - 1) % count,
            KeyCode::Enter => return Some(LessonWish::Choose(self.choice)),
            _ => {}
        }
        None
    }

    fn lines(&self, theme: Theme, lang: Lang) -> Vec<Line<'static>> {
        let columns = usize::from(self.size.0).max(8);
        let mut lines = markdown(&self.text.body, columns, theme);
        if !self.text.goals.is_empty() {
            lines.push(Line::default());
            let mark = |goal: &Goal| if goal.done { ("✓", theme.good()) } else { ("·", theme.text()) };
            let mut head = vec![Span::styled(Word::Goal.text(lang), theme.title())];
            for goal in self.text.goals.iter().filter(|goal| goal.text.is_empty()) {
                let (symbol, style) = mark(goal);
                head.push(Span::styled(format!(" {symbol}"), style));
            }
            lines.push(Line::from(head));
            for goal in self.text.goals.iter().filter(|goal| !goal.text.is_empty()) {
                let (symbol, style) = mark(goal);
                bullet(&mut lines, symbol, &goal.text, columns, style);
            }
        }
        if let Some(quiz) = &self.text.quiz {
            self.quiz(quiz, columns, theme, lang, &mut lines);
        }
        for note in &self.text.notes {
            lines.push(Line::default());
            let (word, style) = match note.kind {
                NoteKind::Hint => (Word::Hint, theme.accent()),
                NoteKind::Recognised => (Word::Recognised, theme.warn()),
                NoteKind::Debrief => (Word::Debrief, theme.good()),
                NoteKind::Stuck => (Word::Stuck, theme.bad()),
                NoteKind::Remember => (Word::Remember, theme.accent()),
                NoteKind::Mistakes => (Word::Mistakes, theme.warn()),
                NoteKind::Equivalent => (Word::Equivalent, theme.accent()),
                NoteKind::Note => (Word::Note, theme.text()),
            };
            lines.push(Line::styled(word.text(lang), style.add_modifier(Modifier::BOLD)));
            lines.extend(markdown(&note.text, columns, theme));
        }
        let end = match (self.text.lesson_done, self.text.step_done) {
            (true, _) => Some(Word::LessonDone),
            (false, true) => Some(Word::StepDone),
            (false, false) => None,
        };
        if let Some(word) = end {
            lines.push(Line::default());
            bullet(&mut lines, "✓", word.text(lang), columns, theme.good().add_modifier(Modifier::BOLD));
        }
        lines
    }

    fn quiz(&self, quiz: &Quiz, columns: usize, theme: Theme, lang: Lang, lines: &mut Vec<Line<'static>>) {
        lines.push(Line::default());
        if !quiz.question.is_empty() {
            lines.push(Line::styled(Word::Question.text(lang), theme.title()));
        }
        lines.extend(markdown(&quiz.question, columns, theme));
        for (index, choice) in quiz.choices.iter().enumerate() {
            let chosen = index == self.choice;
            let style = if chosen && !answered(quiz) { theme.selected() } else { theme.text() };
            bullet(
                lines,
                &format!("{}{}.", if chosen { '›' } else { ' ' }, index + 1),
                choice,
                columns,
                style,
            );
        }
        if quiz.choices.is_empty() && !answered(quiz) {
            lines.push(Line::styled(Word::TypeAnswer.text(lang), theme.dim()));
            lines.push(Line::from(vec![
                Span::styled("› ", theme.accent()),
                Span::raw(format!("{}_", self.answer)),
            ]));
        }
        if let Some((right, text)) = &quiz.verdict {
            let (word, style) =
                if *right { (Word::Right, theme.good()) } else { (Word::Wrong, theme.warn()) };
            lines.push(Line::styled(word.text(lang), style.add_modifier(Modifier::BOLD)));
            lines.extend(markdown(text, columns, theme));
        }
    }

    /// Draws the text.
    pub fn draw(&self, theme: Theme, lang: Lang, area: Rect, buffer: &mut Buffer) {
        let lines = self.lines(theme, lang);
        let rows = usize::from(area.height);
        for (index, line) in lines.iter().skip(self.scroll).take(rows).enumerate() {
            buffer.set_line(area.x, area.y + index as u16, line, area.width);
        }
        let left = lines.len().saturating_sub(self.scroll + rows);
        if left > 0 && rows > 0 {
            let note = format!("↓ {left} {}", Word::More.text(lang));
            let columns = (crate::tui::text::width(&note) as u16).min(area.width);
            buffer.set_stringn(
                area.right() - columns,
                area.bottom() - 1,
                note,
                columns.into(),
                theme.accent(),
            );
        }
    }

    /// What the pane's title says.
    pub fn title(&self, lang: Lang) -> String {
        let (step, of) = self.text.step;
        if of == 0 {
            return self.text.title.clone();
        }
        format!("{} · {} {step}/{of}", self.text.title, Word::Step.text(lang))
    }
}

fn answered(quiz: &Quiz) -> bool {
    quiz.verdict.as_ref().is_some_and(|(right, _)| *right)
}

fn bullet(
    lines: &mut Vec<Line<'static>>,
    mark: &str,
    text: &str,
    columns: usize,
    style: ratatui::style::Style,
) {
    let hang = crate::tui::text::width(mark) + 1;
    for (index, part) in wrap(text, columns.saturating_sub(hang)).into_iter().enumerate() {
        let begin = if index == 0 { format!("{mark} ") } else { " ".repeat(hang) };
        lines.push(Line::styled(format!("{begin}{part}"), style));
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;
    use crate::tui::theme::Palette;

    const THEME: Theme = Theme { palette: Palette::Dark };

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn a_question_is_answered_by_number_by_arrow_or_by_word() {
        let quiz = Quiz { choices: vec!["kubelet".into(), "scheduler".into()], ..Quiz::default() };
        let mut pane = LessonPane::new(LessonText { quiz: Some(quiz), ..LessonText::default() });
        assert_eq!(pane.key(&key(KeyCode::Char('2'))), Some(LessonWish::Choose(1)));
        assert_eq!(pane.key(&key(KeyCode::Tab)), None);
        assert_eq!(pane.key(&key(KeyCode::Enter)), Some(LessonWish::Choose(0)));
        assert_eq!(pane.key(&key(KeyCode::Char('9'))), None);
        let mut pane = LessonPane::new(LessonText { quiz: Some(Quiz::default()), ..LessonText::default() });
        assert!(pane.takes_letters());
        for c in "3x".chars() {
            pane.key(&key(KeyCode::Char(c)));
        }
        pane.key(&key(KeyCode::Backspace));
        assert_eq!(pane.key(&key(KeyCode::Enter)), Some(LessonWish::Answer("3".into())));
    }

    #[test]
    fn news_are_scrolled_into_sight_and_a_new_step_starts_at_its_top() {
        let text = LessonText { body: "a\n\n".repeat(50), step: (1, 2), ..LessonText::default() };
        let mut pane = LessonPane::new(text.clone());
        pane.resize(30, 10);
        let mut news = text.clone();
        news.notes.push(Note { kind: NoteKind::Hint, text: "look there".into() });
        pane.set(news, THEME, Lang::English);
        let area = Rect::new(0, 0, 30, 10);
        let mut buffer = Buffer::empty(area);
        pane.draw(THEME, Lang::English, area, &mut buffer);
        let last: String = (0..30).map(|x| buffer[(x, 9)].symbol().to_owned()).collect();
        assert_eq!(last.trim_end(), "look there");
        pane.set(LessonText { step: (2, 2), ..text }, THEME, Lang::English);
        assert_eq!(pane.scroll, 0);
    }
}
