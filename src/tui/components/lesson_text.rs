//! The lesson's pane: what a lesson session says, as text.
//!
//! It renders a plain struct, [`LessonText`], and knows nothing of how lessons work. What the learner wants of the
//! lesson comes back as a [`LessonWish`].

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::markdown::{Laid, Page, markdown};
use crate::tui::text::{cut, width, wrap};
use crate::tui::theme::Theme;
use crate::tui::words::{Lang, Word};

/// How far a key moves wide tables, in columns.
const SIDEWAYS: usize = 8;

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

/// What commands begin with by which a learner looks for an answer. No answer begins with one of them and a space.
const COMMANDS: &[&str] =
    &["kubectl", "k", "curl", "minikube", "etcdctl", "cluster", "why", "cat", "ls", "export", "for"];

/// The pane.
#[derive(Clone, Debug, Default)]
pub struct LessonPane {
    text: LessonText,
    scroll: usize,
    /// How far wide tables are moved to the left, in columns.
    sideways: usize,
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

    /// Shows something else. A new step and the lesson's end start at their top; news of the same step are scrolled into sight.
    pub fn set(&mut self, text: LessonText, theme: Theme, lang: Lang) {
        let place = |text: &LessonText| (text.title.clone(), text.step, text.lesson_done);
        let other = place(&self.text) != place(&text);
        let done = text.step_done && !self.text.step_done;
        let news = text.notes.len() > self.text.notes.len();
        self.text = text;
        if other {
            (self.scroll, self.sideways, self.choice) = (0, 0, 0);
            self.answer.clear();
        } else if done {
            // What is said about it begins at the top.
            let laid = self.lay_out(theme, lang);
            self.scroll = laid.done_at.unwrap_or(usize::MAX).min(self.last_scroll(theme, lang));
        } else if news {
            self.scroll = self.last_scroll(theme, lang);
        }
    }

    /// Tells the pane its size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
    }

    fn last_scroll(&self, theme: Theme, lang: Lang) -> usize {
        let Pages { lines, hidden, .. } = self.lay_out(theme, lang);
        lines.len().saturating_sub(usize::from(self.size.1).saturating_sub(usize::from(hidden > 0)))
    }

    /// Moves wide tables.
    pub fn move_sideways(&mut self, right: bool, theme: Theme, lang: Lang) {
        let to = if right { self.sideways + SIDEWAYS } else { self.sideways.saturating_sub(SIDEWAYS) };
        self.sideways = to.min(self.lay_out(theme, lang).hidden);
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

    /// Whether a question waits for its answer.
    pub fn waits_for_answer(&self) -> bool {
        self.takes_letters() || self.takes_arrows()
    }

    /// Whether keys are an answer's letters.
    pub fn takes_letters(&self) -> bool {
        self.text.quiz.as_ref().is_some_and(|quiz| quiz.choices.is_empty() && !answered(quiz))
    }

    /// Whether the arrows up and down go through choices.
    pub fn takes_arrows(&self) -> bool {
        self.text.quiz.as_ref().is_some_and(|quiz| !quiz.choices.is_empty() && !answered(quiz))
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
            KeyCode::Tab | KeyCode::Down => self.choice = (self.choice + 1) % count,
            KeyCode::BackTab | KeyCode::Up => self.choice = (self.choice + count - 1) % count,
            KeyCode::Enter => return Some(LessonWish::Choose(self.choice)),
            _ => {}
        }
        None
    }

    /// Takes what was typed as an answer and is the begin of a command: it was meant for the shell.
    pub fn take_command(&mut self) -> Option<String> {
        let command = self.answer.strip_suffix(' ')?;
        COMMANDS.contains(&command).then(|| std::mem::take(&mut self.answer))
    }

    fn lay_out(&self, theme: Theme, lang: Lang) -> Pages {
        let page = Page { columns: usize::from(self.size.0).max(8), sideways: self.sideways, theme };
        let columns = page.columns;
        let mut done_at = None;
        let Laid { mut lines, mut hidden } = markdown(&self.text.body, page);
        if !self.text.goals.is_empty() {
            lines.push(Line::default());
            let mark = |goal: &Goal| if goal.done { ("✓", theme.good()) } else { ("·", theme.text()) };
            let met = self.text.goals.iter().filter(|goal| goal.done).count();
            let counted = Word::Goal.before(lang, format_args!("{met}/{}", self.text.goals.len()));
            let mut head = vec![Span::styled(counted, theme.title())];
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
            self.quiz(quiz, page, lang, &mut lines);
        }
        let end = match (self.text.lesson_done, self.text.step_done) {
            (true, _) => Some(Word::LessonDone),
            (false, true) => Some(Word::StepDone),
            (false, false) => None,
        };
        if let Some(word) = end {
            lines.push(Line::default());
            done_at = Some(lines.len());
            bullet(&mut lines, "✓", word.text(lang), columns, theme.good().add_modifier(Modifier::BOLD));
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
            let laid = markdown(&note.text, page);
            lines.extend(laid.lines);
            hidden = hidden.max(laid.hidden);
        }
        Pages { lines, done_at, hidden }
    }

    fn quiz(&self, quiz: &Quiz, page: Page, lang: Lang, lines: &mut Vec<Line<'static>>) {
        let Page { columns, theme, .. } = page;
        lines.push(Line::default());
        if !quiz.question.is_empty() {
            lines.push(Line::styled(Word::Question.text(lang), theme.title()));
        }
        lines.extend(markdown(&quiz.question, page).lines);
        for (index, choice) in quiz.choices.iter().enumerate() {
            let chosen = index == self.choice;
            let style = if chosen && !answered(quiz) { theme.selected() } else { theme.text() };
            bullet(
                lines,
                &format!("{}{}.", if chosen { '›' } else { ' ' }, index + 1),
                // A choice is one line of words: code marks would only be in the way.
                &choice.replace(['`', '*'], ""),
                columns,
                style,
            );
        }
        if !quiz.choices.is_empty() && !answered(quiz) {
            note(lines, Word::ChooseNumber.text(lang), columns, theme.dim());
        }
        if quiz.choices.is_empty() && !answered(quiz) {
            note(lines, Word::TypeAnswer.text(lang), columns, theme.dim());
            lines.push(Line::from(vec![
                Span::styled("› ", theme.accent()),
                Span::raw(format!("{}_", self.answer)),
            ]));
        }
        if let Some((right, text)) = &quiz.verdict {
            lines.push(Line::default());
            let (word, style) =
                if *right { (Word::Right, theme.good()) } else { (Word::Wrong, theme.warn()) };
            lines.push(Line::styled(word.text(lang), style.add_modifier(Modifier::BOLD)));
            lines.extend(markdown(text, page).lines);
        }
    }

    /// Draws the text.
    pub fn draw(&self, theme: Theme, lang: Lang, area: Rect, buffer: &mut Buffer) {
        let Pages { lines, hidden, .. } = self.lay_out(theme, lang);
        let all = usize::from(area.height);
        // What is told of the rest has a row of its own, so that it covers nothing.
        let told = hidden > 0 || lines.len() > self.scroll + all;
        let rows = all - usize::from(told).min(all);
        for (index, line) in lines.iter().skip(self.scroll).take(rows).enumerate() {
            buffer.set_line(area.x, area.y + index as u16, line, area.width);
        }
        let shown = lines.len().saturating_sub(self.scroll).min(rows);
        let left = lines.len().saturating_sub(self.scroll + shown);
        let wide = if hidden > 0 { Word::WideTable.text(lang).to_owned() } else { String::new() };
        let more =
            if left > 0 { Word::MoreRows.text(lang).replace('#', &left.to_string()) } else { String::new() };
        if told && all > 0 {
            let y = area.bottom() - 1;
            let columns = (width(&more) as u16).min(area.width);
            let room = usize::from(area.width - columns).saturating_sub(1);
            buffer.set_stringn(area.x, y, cut(&wide, room), room, theme.dim());
            buffer.set_stringn(area.right() - columns, y, more, columns.into(), theme.accent());
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

/// The pane's text, laid out.
struct Pages {
    lines: Vec<Line<'static>>,
    /// Which line says that the step is done.
    done_at: Option<usize>,
    /// How many columns wide tables stick out.
    hidden: usize,
}

fn answered(quiz: &Quiz) -> bool {
    quiz.verdict.as_ref().is_some_and(|(right, _)| *right)
}

/// Adds a line of the interface's own words, in as many rows as it needs.
fn note(lines: &mut Vec<Line<'static>>, text: &str, columns: usize, style: Style) {
    lines.extend(wrap(text, columns).into_iter().map(|row| Line::styled(row, style)));
}

fn bullet(lines: &mut Vec<Line<'static>>, mark: &str, text: &str, columns: usize, style: Style) {
    let hang = width(mark) + 1;
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
        assert_eq!(pane.key(&key(KeyCode::Down)), None);
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
    fn what_is_told_of_the_rest_covers_nothing_and_wide_tables_move() {
        let table = "```console\nNAME         NODE\nweb-1234     minikube-m02.example.com\n```\n";
        let body = format!("{table}\n{}", "a line of text\n\n".repeat(9));
        let mut pane = LessonPane::new(LessonText { body, ..LessonText::default() });
        pane.resize(20, 6);
        let area = Rect::new(0, 0, 20, 6);
        let shown = |pane: &LessonPane| -> Vec<String> {
            let mut buffer = Buffer::empty(area);
            pane.draw(THEME, Lang::English, area, &mut buffer);
            let row = |y| (0..20).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
            (0..6).map(|y| row(y).trim_end().to_owned()).collect()
        };
        let first = shown(&pane);
        assert_eq!(first[..4], ["▏ NAME         NODE", "▏ web-1234     mini…", "", "a line of text"]);
        assert!(first[5].ends_with("↓ 15 more"), "{first:?}");
        pane.move_sideways(true, THEME, Lang::English);
        assert_eq!(shown(&pane)[1], "▏      minikube-m02…");
        pane.scroll_by(100, THEME, Lang::English);
        assert_eq!(shown(&pane)[4], "a line of text", "the last line");
        assert_eq!(shown(&pane)[5], "Wide table: F6, th…");
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
        pane.set(LessonText { step: (2, 2), ..text.clone() }, THEME, Lang::English);
        assert_eq!(pane.scroll, 0);
        pane.set(LessonText { step: (2, 2), step_done: true, ..text.clone() }, THEME, Lang::English);
        assert!(pane.scroll > 0, "what is said of a step that is done is below its text");
        let end =
            LessonText { body: "The end".into(), step: (2, 2), lesson_done: true, ..LessonText::default() };
        pane.set(end, THEME, Lang::English);
        assert_eq!(pane.scroll, 0, "the end is behind the last step");
    }
}
