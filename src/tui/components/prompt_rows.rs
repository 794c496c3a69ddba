//! The prompt in rows: the line that is being typed, its hint, and the candidates below it.
//!
//! Used by `shell_pane`. Wraps by columns, exact for wide characters.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::line_editor::{LineEditor, Menu};
use crate::tui::text::{char_width, pad, width};
use crate::tui::theme::Theme;

/// What a piece of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Prompt,
    Line,
    Hint,
    Candidate,
    Chosen,
}

/// The prompt, laid out.
#[derive(Debug, Default)]
pub struct PromptRows {
    rows: Vec<Vec<(Part, String)>>,
    /// Column and row of the cursor.
    cursor: (usize, usize),
}

/// Lays the prompt out in so many columns.
pub fn prompt_rows(editor: &LineEditor, prompt: &str, columns: usize, menu_rows: usize) -> PromptRows {
    let mut flow = Flow { columns: columns.max(1), rows: vec![vec![]], used: 0 };
    match editor.searching() {
        Some((wanted, found)) => {
            let failed = if found || wanted.is_empty() { "" } else { "failed " };
            flow.push(Part::Prompt, &format!("({failed}reverse-i-search)`{wanted}': "));
        }
        None => flow.push(Part::Prompt, prompt),
    }
    let (before, after) = editor.text().split_at(editor.cursor());
    flow.push_lines(before);
    let cursor = flow.here();
    flow.push_lines(after);
    if let Some(hint) = editor.hint() {
        flow.push(Part::Hint, hint.lines().next().unwrap_or_default());
    }
    let mut rows = flow.rows;
    // The cursor behind a full row needs one more.
    while rows.len() <= cursor.1 {
        rows.push(vec![]);
    }
    if let Some(menu) = editor.menu() {
        rows.extend(candidates(menu, columns, menu_rows));
    }
    PromptRows { rows, cursor }
}

struct Flow {
    columns: usize,
    rows: Vec<Vec<(Part, String)>>,
    used: usize,
}

impl Flow {
    fn push_lines(&mut self, text: &str) {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.new_row();
                self.push(Part::Prompt, "> ");
            }
            self.push(Part::Line, line);
        }
    }

    fn push(&mut self, part: Part, text: &str) {
        for c in text.chars() {
            let wide = char_width(c);
            if self.used + wide > self.columns {
                self.new_row();
            }
            self.used += wide;
            let row = self.rows.last_mut().expect("there is always a row");
            match row.last_mut() {
                Some((same, text)) if *same == part => text.push(c),
                _ => row.push((part, c.to_string())),
            }
        }
    }

    fn new_row(&mut self) {
        self.rows.push(vec![]);
        self.used = 0;
    }

    /// Where the next character would be.
    fn here(&self) -> (usize, usize) {
        if self.used >= self.columns { (0, self.rows.len()) } else { (self.used, self.rows.len() - 1) }
    }
}

/// The candidates in columns, around the chosen one.
fn candidates(menu: &Menu, columns: usize, at_most: usize) -> Vec<Vec<(Part, String)>> {
    let widest =
        menu.candidates.iter().map(|word| width(word)).max().unwrap_or(0).min(columns.saturating_sub(2)) + 2;
    let in_a_row = (columns / widest.max(1)).max(1);
    let rows: Vec<_> = menu.candidates.chunks(in_a_row).enumerate().collect();
    let chosen_row = menu.chosen.map_or(0, |chosen| chosen / in_a_row);
    let start = chosen_row.saturating_sub(at_most.saturating_sub(1)).min(rows.len().saturating_sub(at_most));
    let shown = rows.iter().skip(start).take(at_most);
    let mut lines: Vec<Vec<(Part, String)>> = shown
        .map(|(row, words)| {
            let cell = |(column, word): (usize, &String)| {
                let chosen = menu.chosen == Some(row * in_a_row + column);
                let text = pad(word, widest.saturating_sub(2));
                [(if chosen { Part::Chosen } else { Part::Candidate }, text), (Part::Line, "  ".to_owned())]
            };
            words.iter().enumerate().flat_map(cell).collect()
        })
        .collect();
    let left = rows.len().saturating_sub(start + at_most);
    if left > 0 {
        let count = menu.candidates.len() - (start + at_most) * in_a_row;
        lines.push(vec![(Part::Hint, format!("… +{count}"))]);
    }
    lines
}

impl PromptRows {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Draws them from row `top` of `area` on, without the first `skipped`, and returns where the cursor is.
    pub fn draw(
        &self,
        theme: Theme,
        top: usize,
        skipped: usize,
        area: Rect,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let room = usize::from(area.height).saturating_sub(top);
        for (index, row) in self.rows.iter().skip(skipped).take(room).enumerate() {
            let y = area.y + (top + index) as u16;
            let mut x = area.x;
            for (part, text) in row {
                let left = usize::from(area.right().saturating_sub(x));
                (x, _) = buffer.set_stringn(x, y, text, left, style(*part, theme));
            }
        }
        let row = self.cursor.1.checked_sub(skipped)? + top;
        (row < usize::from(area.height))
            .then(|| Position::new(area.x + self.cursor.0 as u16, area.y + row as u16))
    }
}

fn style(part: Part, theme: Theme) -> Style {
    match part {
        Part::Prompt => theme.good().add_modifier(Modifier::BOLD),
        Part::Line => theme.text(),
        Part::Hint => theme.dim(),
        Part::Candidate => theme.accent(),
        Part::Chosen => theme.selected(),
    }
}
