//! A list with a chosen row: moving in it and drawing the part that fits. Used by most views.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::view::Scene;
use crate::tui::words::Word;

/// A way to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// So many rows down, or up if negative.
    By(i64),
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

/// Where the choice is in a list that changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The chosen row; `None` follows the last one.
    at: Option<usize>,
}

impl Cursor {
    /// At the first row.
    pub fn first() -> Self {
        Self { at: Some(0) }
    }

    /// The chosen row of so many.
    pub fn row(self, count: usize) -> usize {
        self.at.unwrap_or(usize::MAX).min(count.saturating_sub(1))
    }

    /// Whether it stays with the newest.
    pub fn follows(self) -> bool {
        self.at.is_none()
    }

    /// Moves. Moving behind the last row follows it, if the list is one that grows at its end.
    pub fn travel(&mut self, travel: Travel, count: usize, grows: bool) {
        let last = count.saturating_sub(1);
        let row = match travel {
            Travel::By(by) => (self.row(count) as i64).saturating_add(by).max(0) as usize,
            Travel::First => 0,
            Travel::Last => usize::MAX,
        };
        self.at = if grows && row >= last { None } else { Some(row.min(last)) };
    }
}

/// The keys of an [`ObjectList`].
pub const OBJECT_KEYS: &[(KeyCode, Word)] =
    &[(KeyCode::Enter, Word::KeyOpen), (KeyCode::Char('s'), Word::KeySystem)];

/// A list of objects that leaves out the cluster's own until they are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectList {
    /// Where the choice is.
    pub cursor: Cursor,
    /// Whether the cluster's own objects are shown, too.
    pub system: bool,
}

impl ObjectList {
    /// Takes in one of [`OBJECT_KEYS`]. Returns the object to open, of those that are shown.
    pub fn key(&mut self, key: &KeyEvent, shown: &[&Arc<str>]) -> Option<Arc<str>> {
        if key.code == KeyCode::Char('s') {
            self.system = !self.system;
            return None;
        }
        shown.get(self.cursor.row(shown.len())).map(|key| (*key).clone())
    }
}

/// The first row to show so that the chosen one is in sight, near the middle.
pub fn first_shown(chosen: usize, count: usize, height: usize) -> usize {
    chosen.saturating_sub(height / 2).min(count.saturating_sub(height))
}

/// Draws one line of a view, with `…` where it does not fit.
pub fn draw_line(buffer: &mut Buffer, (x, y): (u16, u16), line: &Line<'_>, columns: u16) {
    buffer.set_line(x, y, line, columns);
    if columns == 0 || line.width() <= usize::from(columns) {
        return;
    }
    let last = x + columns - 1;
    // The mark may take the second half of a wide character's place.
    if columns > 1 && crate::tui::text::width(buffer[(last - 1, y)].symbol()) == 2 {
        buffer[(last - 1, y)].set_symbol(" ");
    }
    buffer[(last, y)].set_symbol("…");
}

/// Draws the rows around the chosen one; `row` makes a row.
pub fn draw_list(
    scene: Scene<'_>,
    area: Rect,
    buffer: &mut Buffer,
    (count, chosen): (usize, usize),
    row: impl Fn(usize) -> Line<'static>,
) {
    let height = usize::from(area.height);
    let start = first_shown(chosen, count, height);
    for index in start..count.min(start + height) {
        let y = area.y + (index - start) as u16;
        draw_line(buffer, (area.x, y), &row(index), area.width);
        if index == chosen && scene.focused {
            buffer.set_style(Rect { y, height: 1, ..area }, scene.theme.selected());
        }
    }
}

/// Says one thing in an otherwise empty view.
pub fn draw_note(area: Rect, buffer: &mut Buffer, text: &str, style: Style) {
    for (index, line) in
        crate::tui::text::wrap(text, area.width.into()).iter().take(area.height.into()).enumerate()
    {
        buffer.set_stringn(area.x, area.y + index as u16, line, area.width.into(), style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_fit_says_so() {
        let drawn = |text: &str, columns: u16| {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
            draw_line(&mut buffer, (0, 0), &Line::raw(text.to_owned()), columns);
            let symbols = (0..8).map(|x| buffer[(x, 0)].symbol().to_owned());
            symbols.collect::<String>().trim_end().to_owned()
        };
        assert_eq!(drawn("12345", 5), "12345");
        assert_eq!(drawn("123456", 5), "1234…");
        assert_eq!(drawn("123456", 1), "…");
        assert_eq!(drawn("123456", 0), "");
        assert_eq!(drawn("叢集裡", 4).replace(' ', ""), "叢…", "a wide character goes whole");
    }

    #[test]
    fn the_choice_stays_in_the_list() {
        let mut cursor = Cursor::first();
        cursor.travel(Travel::By(-3), 5, false);
        assert_eq!(cursor.row(5), 0);
        cursor.travel(Travel::By(9), 5, false);
        assert_eq!(cursor.row(5), 4);
        assert_eq!(cursor.row(2), 1, "the list has become shorter");
        assert_eq!(cursor.row(0), 0);
        let mut cursor = Cursor::default();
        assert_eq!((cursor.row(9), cursor.follows()), (8, true));
        cursor.travel(Travel::By(-1), 9, true);
        assert_eq!((cursor.row(20), cursor.follows()), (7, false));
        cursor.travel(Travel::Last, 20, true);
        assert!(cursor.follows());
    }

    #[test]
    fn the_clusters_own_objects_come_and_go_and_the_chosen_one_is_opened() {
        let keys: [Arc<str>; 2] = ["/a".into(), "/b".into()];
        let shown: Vec<&Arc<str>> = keys.iter().collect();
        let mut list = ObjectList { cursor: Cursor::first(), system: false };
        assert_eq!(list.key(&KeyCode::Char('s').into(), &shown), None);
        assert!(list.system);
        list.cursor.travel(Travel::By(1), 2, false);
        assert_eq!(list.key(&KeyCode::Enter.into(), &shown).as_deref(), Some("/b"));
        assert_eq!(list.key(&KeyCode::Enter.into(), &[]), None);
    }

    #[test]
    fn the_chosen_row_is_in_sight() {
        assert_eq!(first_shown(0, 100, 10), 0);
        assert_eq!(first_shown(50, 100, 10), 45);
        assert_eq!(first_shown(99, 100, 10), 90);
        assert_eq!(first_shown(3, 5, 10), 0);
    }
}
