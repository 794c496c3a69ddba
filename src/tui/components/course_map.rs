//! The map of the course: tracks, lessons, and what is done. A plain table that is handed in.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::text::{cut, pad, width};
use crate::tui::theme::Theme;
use crate::tui::words::{Lang, Word};

/// How far a lesson is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CourseState {
    /// Not begun.
    #[default]
    New,
    /// Begun and left.
    Begun,
    /// Done.
    Done,
    /// Left out.
    Skipped,
}

impl CourseState {
    fn symbol(self) -> &'static str {
        match self {
            Self::New => "·",
            Self::Begun => "◐",
            Self::Done => "✓",
            Self::Skipped => "»",
        }
    }
}

/// A row: a track's heading, or a lesson.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CourseRow {
    /// The lesson; `None` for a heading.
    pub id: Option<String>,
    /// The title in the learner's language.
    pub title: String,
    /// How long it takes.
    pub minutes: u32,
    /// How far it is.
    pub state: CourseState,
    /// Whether it was played last.
    pub last: bool,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CourseWish {
    /// Play this lesson; `None` is free play.
    Open(Option<String>),
    /// The next language.
    Language,
    /// Nothing: back.
    Close,
}

/// The map.
#[derive(Clone, Debug, Default)]
pub struct CourseMap {
    rows: Vec<CourseRow>,
    /// 0 is free play, then the lessons.
    chosen: usize,
}

impl CourseMap {
    /// A map of these rows. The lesson that was left in the middle is chosen, or else the first one that is not done.
    pub fn new(rows: Vec<CourseRow>) -> Self {
        let lessons = || rows.iter().filter(|row| row.id.is_some());
        let open = |row: &CourseRow| matches!(row.state, CourseState::New | CourseState::Begun);
        let left = lessons().position(|row| row.last && row.state == CourseState::Begun);
        let chosen = left.or_else(|| lessons().position(open)).map_or(0, |index| index + 1);
        Self { rows, chosen }
    }

    /// Shows the rows as they are now; what is chosen stays. The first rows are chosen from.
    pub fn set(&mut self, rows: Vec<CourseRow>) {
        if self.rows.is_empty() {
            *self = Self::new(rows);
            return;
        }
        self.rows = rows;
        self.chosen = self.chosen.min(self.lessons().len());
    }

    fn lessons(&self) -> Vec<&CourseRow> {
        self.rows.iter().filter(|row| row.id.is_some()).collect()
    }

    /// Takes in a key.
    pub fn key(&mut self, key: &KeyEvent) -> Option<CourseWish> {
        let last = self.lessons().len();
        match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.chosen = (self.chosen + 1).min(last),
            KeyCode::PageUp => self.chosen = self.chosen.saturating_sub(8),
            KeyCode::PageDown => self.chosen = (self.chosen + 8).min(last),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = last,
            KeyCode::Enter => {
                let id = self.chosen.checked_sub(1).and_then(|index| self.lessons().get(index)?.id.clone());
                return Some(CourseWish::Open(id));
            }
            KeyCode::Char('l') => return Some(CourseWish::Language),
            KeyCode::Esc | KeyCode::Char('q') => return Some(CourseWish::Close),
            _ => {}
        }
        None
    }

    /// Draws it.
    pub fn draw(&self, theme: Theme, lang: Lang, area: Rect, buffer: &mut Buffer) {
        let columns = usize::from(area.width);
        let mut lines = vec![(
            self.chosen == 0,
            Line::from(vec![Span::raw("  "), Span::raw(Word::CourseFree.text(lang))]),
        )];
        let mut number = 0;
        for row in &self.rows {
            if row.id.is_none() {
                lines.push((false, Line::default()));
                lines.push((false, Line::styled(row.title.clone(), theme.title())));
                continue;
            }
            number += 1;
            let style = match row.state {
                CourseState::Done => theme.good(),
                CourseState::Begun => theme.warn(),
                CourseState::Skipped => theme.dim(),
                CourseState::New => theme.text(),
            };
            let minutes = format!("{:>3} {}", row.minutes, Word::Minutes.text(lang));
            let title = pad(&cut(&row.title, columns), columns.saturating_sub(width(&minutes) + 4));
            lines.push((
                self.chosen == number,
                Line::from(vec![
                    Span::styled(format!("  {} ", row.state.symbol()), style),
                    Span::raw(title),
                    Span::styled(minutes, theme.dim()),
                ]),
            ));
        }
        let height = usize::from(area.height);
        let chosen = lines.iter().position(|(chosen, _)| *chosen).unwrap_or(0);
        let start = chosen.saturating_sub(height / 2).min(lines.len().saturating_sub(height));
        for (index, (chosen, line)) in lines.iter().skip(start).take(height).enumerate() {
            let y = area.y + index as u16;
            buffer.set_line(area.x, y, line, area.width);
            if *chosen {
                // Not told by its colour alone.
                buffer.set_stringn(area.x, y, "▶", area.width.into(), theme.accent());
                buffer.set_style(Rect { y, height: 1, ..area }, theme.selected());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn the_next_lesson_is_chosen_and_headings_are_passed_over() {
        let lesson = |id: &str, state| CourseRow { id: Some(id.into()), state, ..CourseRow::default() };
        let rows = vec![
            CourseRow::default(),
            lesson("a", CourseState::Done),
            CourseRow::default(),
            lesson("b", CourseState::Begun),
            lesson("c", CourseState::New),
        ];
        let mut map = CourseMap::new(vec![]);
        map.set(rows);
        let press = |map: &mut CourseMap, code| map.key(&KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(press(&mut map, KeyCode::Enter), Some(CourseWish::Open(Some("b".into()))));
        press(&mut map, KeyCode::Up);
        assert_eq!(press(&mut map, KeyCode::Enter), Some(CourseWish::Open(Some("a".into()))));
        let mut rows = map.rows.clone();
        rows.push(CourseRow { last: true, ..lesson("d", CourseState::Begun) });
        let mut left = CourseMap::new(rows);
        assert_eq!(press(&mut left, KeyCode::Enter), Some(CourseWish::Open(Some("d".into()))));
        press(&mut map, KeyCode::Home);
        assert_eq!(press(&mut map, KeyCode::Enter), Some(CourseWish::Open(None)));
        press(&mut map, KeyCode::End);
        press(&mut map, KeyCode::Down);
        assert_eq!(press(&mut map, KeyCode::Enter), Some(CourseWish::Open(Some("c".into()))));
    }
}
