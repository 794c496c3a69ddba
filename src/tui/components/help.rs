//! The bar at the bottom and the help: both drawn from the tables of keys.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::keys::{Action, BINDINGS, Binding, Chord, Context};
use crate::tui::tabs::TabName;
use crate::tui::text::{pad, width, wrap};
use crate::tui::theme::Theme;
use crate::tui::words::{Lang, Word};

/// Keys at the prompt that are worth knowing.
const PROMPT_KEYS: &[(&str, Word)] = &[
    ("Tab", Word::EditTab),
    ("↑ ↓", Word::EditHistory),
    ("Ctrl-R", Word::EditSearch),
    ("→", Word::EditHint),
    ("Alt-B Alt-F", Word::EditWords),
    ("Ctrl-K Ctrl-U Ctrl-W", Word::EditKill),
    ("Ctrl-C", Word::EditInterrupt),
    ("Ctrl-L", Word::EditClear),
];

/// A view's own keys.
pub type ViewKeys = &'static [(KeyCode, Word)];

fn label_of(code: KeyCode) -> String {
    Chord { code, modifiers: crossterm::event::KeyModifiers::NONE }.label()
}

/// Draws the bar: what the keys do here, as many as fit, and always how to leave.
pub fn draw_bar(
    theme: Theme,
    lang: Lang,
    contexts: &[Context],
    view: ViewKeys,
    area: Rect,
    buffer: &mut Buffer,
) {
    let in_bar = |binding: &&Binding| binding.bar && contexts.contains(&binding.context);
    let mut items: Vec<(String, &'static str)> = vec![];
    // What counts only here comes first.
    for (code, word) in view {
        items.push((label_of(*code), word.text(lang)));
    }
    let local =
        |binding: &&Binding| matches!(binding.context, Context::View | Context::Text | Context::TextLetters);
    let bindings = || BINDINGS.iter().filter(in_bar);
    items.extend(bindings().filter(local).map(|b| (b.chords[0].label(), b.label.text(lang))));
    items.extend(
        bindings()
            .filter(|b| !local(b) && b.action != Action::Quit)
            .map(|b| (b.chords[0].label(), b.label.text(lang))),
    );
    let quit =
        BINDINGS.iter().find(|b| b.action == Action::Quit).map(|b| (b.chords[0].label(), b.label.text(lang)));
    let room = usize::from(area.width);
    let columns = |(key, label): &(String, &str)| width(key) + width(label) + 3;
    let mut left = room.saturating_sub(quit.as_ref().map_or(0, columns));
    let mut shown = vec![];
    for item in items {
        if columns(&item) > left {
            continue;
        }
        left -= columns(&item);
        shown.push(item);
    }
    let spans = shown
        .into_iter()
        .chain(quit)
        .flat_map(|(key, label)| [Span::styled(key, theme.key()), Span::raw(format!(" {label}  "))]);
    buffer.set_line(area.x, area.y, &Line::from_iter(spans), area.width);
}

/// The help, as lines.
pub fn help_lines(
    theme: Theme,
    lang: Lang,
    view: ViewKeys,
    names: &[TabName],
    with_lesson: bool,
    columns: usize,
) -> Vec<Line<'static>> {
    let mut lines = vec![];
    let heading = |lines: &mut Vec<Line<'static>>, word: Word| {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(word.text(lang), theme.title()));
    };
    heading(&mut lines, Word::HelpEverywhere);
    rows(&mut lines, theme, lang, columns, &[Context::Everywhere, Context::WithLesson]);
    for (index, name) in names.iter().enumerate() {
        row(&mut lines, theme, columns, &format!("  Alt-{}", index + 1), name.full);
    }
    heading(&mut lines, Word::HelpInShell);
    for (key, word) in PROMPT_KEYS {
        row(&mut lines, theme, columns, key, word.text(lang));
    }
    heading(&mut lines, Word::HelpInViews);
    rows(&mut lines, theme, lang, columns, &[Context::View]);
    for (code, word) in view {
        row(&mut lines, theme, columns, &label_of(*code), word.text(lang));
    }
    if with_lesson {
        heading(&mut lines, Word::HelpInText);
        rows(&mut lines, theme, lang, columns, &[Context::Text, Context::TextLetters]);
    }
    lines.push(Line::default());
    lines.extend(wrap(Word::HelpMouse.text(lang), columns).into_iter().map(Line::from));
    lines
}

/// The keys of some contexts; keys of the same meaning share a row.
fn rows(lines: &mut Vec<Line<'static>>, theme: Theme, lang: Lang, columns: usize, contexts: &[Context]) {
    let mut merged: Vec<(Word, Vec<String>)> = vec![];
    for binding in BINDINGS.iter().filter(|binding| contexts.contains(&binding.context)) {
        let label = binding.chords[0].label();
        match merged.iter_mut().find(|(word, _)| *word == binding.label) {
            Some((_, keys)) => keys.push(label),
            None => merged.push((binding.label, vec![label])),
        }
    }
    for (word, keys) in merged {
        let keys = match &keys[..] {
            [first, .., last] if keys.len() > 4 => format!("{first} … {last}"),
            keys => keys.join(" "),
        };
        row(lines, theme, columns, &keys, word.text(lang));
    }
}

fn row(lines: &mut Vec<Line<'static>>, theme: Theme, columns: usize, keys: &str, label: &str) {
    let key_columns = 24.min(columns / 2);
    lines.push(Line::from(vec![
        Span::raw("  "),
        Span::styled(pad(keys, key_columns), theme.key()),
        Span::raw(label.to_owned()),
    ]));
}
