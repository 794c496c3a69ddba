//! Draws the state: panes, their titles, the bar, and what lies over them. Looks only.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::app::{App, Overlay};
use super::components::help::{draw_bar, help_lines};
use super::layout::{LEAST, Pane, inside};
use super::tabs::{Tab, tabs};
use super::text::{cut, width};
use super::views::Scene;
use super::words::Word;
use crate::cluster::RuntimeConfig;

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let cursor = render(app, area, frame.buffer_mut());
    if let Some(at) = cursor {
        frame.set_cursor_position(at);
    }
}

/// Draws everything into a buffer and returns where the cursor is.
pub fn render(app: &App, screen: Rect, buffer: &mut Buffer) -> Option<Position> {
    if screen.width < app.size.0 || screen.height < app.size.1 {
        // The terminal has just become smaller; the message about it is on its way.
        return None;
    }
    let Some(areas) = app.areas() else {
        too_small(app, screen, buffer);
        return None;
    };
    let mut cursor = None;
    if let (Some(area), Some(lesson)) = (areas.text, &app.lesson) {
        title(app, Pane::Text, area, &lesson.title(app.lang), None, buffer);
        lesson.draw(app.theme, app.lang, inside(area), buffer);
    }
    if let Some(area) = areas.shell {
        title(app, Pane::Shell, area, Word::Shell.text(app.lang), app.shell.state(app.lang), buffer);
        tell_runtime(app, area, buffer);
        let at = app.shell.draw(app.theme, inside(area), buffer);
        cursor = at.filter(|_| app.focus == Pane::Shell);
    }
    if let Some(area) = areas.view {
        draw_view(app, area, buffer);
    }
    for separator in &areas.separators {
        for y in separator.y..separator.bottom() {
            buffer.set_stringn(separator.x, y, "│", 1, app.theme.border(false));
        }
    }
    match &app.notice {
        Some(notice) => {
            buffer.set_stringn(areas.bar.x, areas.bar.y, notice, areas.bar.width.into(), app.theme.warn());
        }
        None => {
            let view = if app.focus == Pane::View { app.views[app.view].keys() } else { &[] };
            draw_bar(app.theme, app.lang, &app.contexts(), view, areas.bar, buffer);
        }
    }
    if app.overlay.is_some() {
        draw_overlay(app, screen, buffer);
        return None;
    }
    cursor
}

/// One line in the middle, as much of it as fits.
fn too_small(app: &App, screen: Rect, buffer: &mut Buffer) {
    let text = format!("{} ({}x{})", Word::TooSmall.text(app.lang), LEAST.0, LEAST.1);
    let columns = usize::from(screen.width);
    let lines = super::text::wrap(&text, columns);
    let top = screen.y + screen.height.saturating_sub(lines.len() as u16) / 2;
    for (index, line) in lines.iter().enumerate().take(screen.height.into()) {
        let left = (columns.saturating_sub(width(line)) / 2) as u16;
        buffer.set_stringn(screen.x + left, top + index as u16, line, columns, app.theme.warn());
    }
}

/// A pane's title row: a line with its name, and what there is to say of it.
fn title(app: &App, pane: Pane, area: Rect, name: &str, state: Option<&str>, buffer: &mut Buffer) {
    let focused = app.focus == pane;
    let style = app.theme.border(focused);
    let columns = usize::from(area.width);
    buffer.set_stringn(area.x, area.y, "─".repeat(columns), columns, style);
    // What has the focus is told by a mark, too, and not by its colour alone.
    let mark = if focused { "▶" } else { "─" };
    let state = state.map_or_else(String::new, |state| format!("({state}) "));
    let text = cut(&format!("{mark} {name} {state}"), columns);
    buffer.set_stringn(area.x, area.y, text, columns, style);
}

/// Says at the end of the shell's title who runs the containers, if there is room.
fn tell_runtime(app: &App, area: Rect, buffer: &mut Buffer) {
    let word = match app.runtime {
        None => return,
        Some(RuntimeConfig::Sim) => Word::RuntimeSim,
        Some(RuntimeConfig::Containerd(_)) => Word::RuntimeContainerd,
    };
    let text = format!(" {} ", word.text(app.lang));
    let taken = 30 + width(&text);
    if usize::from(area.width) >= taken {
        let left = area.right() - width(&text) as u16 - 1;
        buffer.set_stringn(left, area.y, &text, width(&text), app.theme.border(app.focus == Pane::Shell));
    }
}

fn tabs_of(app: &App, columns: usize) -> Vec<Tab> {
    tabs(&super::views::names(&app.views, app.lang), app.view, columns)
}

/// The view whose name is at that place of the view's pane.
pub fn tab_at(app: &App, area: Rect, at: (u16, u16)) -> Option<usize> {
    if at.1 != area.y || at.0 < area.x {
        return None;
    }
    let column = usize::from(at.0 - area.x);
    tabs_of(app, area.width.into()).iter().position(|tab| (tab.begin..tab.end()).contains(&column))
}

fn draw_view(app: &App, area: Rect, buffer: &mut Buffer) {
    let theme = app.theme;
    let focused = app.focus == Pane::View;
    let columns = usize::from(area.width);
    let style = theme.border(focused);
    buffer.set_stringn(area.x, area.y, "─".repeat(columns), columns, style);
    buffer.set_stringn(area.x, area.y, if focused { "▶" } else { "─" }, 1, style);
    let mut end = 1;
    for (index, tab) in tabs_of(app, columns).into_iter().enumerate() {
        if tab.begin > end {
            let gap = " ".repeat(tab.begin - end);
            buffer.set_stringn(
                area.x + end.min(columns) as u16,
                area.y,
                gap,
                columns.saturating_sub(end),
                style,
            );
        }
        let style = if index == app.view { theme.selected() } else { style };
        let left = columns.saturating_sub(tab.begin);
        buffer.set_stringn(area.x + tab.begin.min(columns) as u16, area.y, &tab.text, left, style);
        end = tab.end();
    }
    if end < columns {
        buffer.set_stringn(area.x + end as u16, area.y, " ", 1, style);
    }
    let scene = Scene { world: &app.world, lang: app.lang, theme, focused };
    let view = &app.views[app.view];
    if let Some(note) = view.note(scene) {
        let text = format!(" ({note}) ");
        let left = columns.saturating_sub(end + 1);
        if width(&text) <= left {
            buffer.set_stringn(area.x + end as u16 + 1, area.y, text, left, theme.warn());
        }
    }
    view.draw(scene, inside(area), buffer);
}

/// A box in the middle of the screen.
fn boxed(app: &App, screen: Rect, (columns, rows): (u16, u16), name: &str, buffer: &mut Buffer) -> Rect {
    let (columns, rows) = ((columns + 4).min(screen.width), (rows + 2).min(screen.height));
    let area = Rect {
        x: screen.x + (screen.width - columns) / 2,
        y: screen.y + (screen.height - rows) / 2,
        width: columns,
        height: rows,
    };
    let style = app.theme.border(true);
    // The half of a wide character that sticks out of the box would shift what follows.
    for y in area.y..area.bottom() {
        if area.x > 0 && width(buffer[(area.x - 1, y)].symbol()) == 2 {
            buffer[(area.x - 1, y)].set_symbol(" ");
        }
        for x in area.x..area.right() {
            buffer[(x, y)].reset();
        }
    }
    let line = "─".repeat(usize::from(columns).saturating_sub(2));
    buffer.set_stringn(area.x, area.y, format!("┌{line}┐"), columns.into(), style);
    buffer.set_stringn(area.x, area.bottom() - 1, format!("└{line}┘"), columns.into(), style);
    for y in area.y + 1..area.bottom() - 1 {
        buffer.set_stringn(area.x, y, "│", 1, style);
        buffer.set_stringn(area.right() - 1, y, "│", 1, style);
    }
    if !name.is_empty() {
        let text = cut(&format!(" {name} "), usize::from(columns).saturating_sub(4));
        buffer.set_stringn(area.x + 2, area.y, text, columns.into(), app.theme.title());
    }
    Rect { x: area.x + 2, y: area.y + 1, width: columns.saturating_sub(4), height: rows.saturating_sub(2) }
}

fn draw_overlay(app: &App, screen: Rect, buffer: &mut Buffer) {
    match &app.overlay {
        None => {}
        Some(asking @ (Overlay::Quit | Overlay::Reset)) => {
            let word = if matches!(asking, Overlay::Quit) { Word::QuitAsk } else { Word::ResetAsk };
            let text = word.text(app.lang);
            let columns = (width(text) as u16).min(screen.width.saturating_sub(6)).max(10);
            let lines = super::text::wrap(text, columns.into());
            let area = boxed(app, screen, (columns, lines.len() as u16), "", buffer);
            for (index, line) in lines.iter().enumerate().take(area.height.into()) {
                buffer.set_stringn(area.x, area.y + index as u16, line, area.width.into(), app.theme.text());
            }
        }
        Some(Overlay::Problem(text) | Overlay::Note { text, .. }) => {
            let is_note = matches!(app.overlay, Some(Overlay::Note { .. }));
            let name = if is_note { Word::YourProgress } else { Word::Problem };
            let columns = screen.width.saturating_sub(10).min(100);
            let lines = super::text::wrap(text, columns.into());
            let rows = (lines.len() as u16).min(screen.height.saturating_sub(4));
            let area = boxed(app, screen, (columns, rows), name.text(app.lang), buffer);
            for (index, line) in lines.iter().enumerate().take(area.height.into()) {
                buffer.set_stringn(area.x, area.y + index as u16, line, area.width.into(), app.theme.text());
            }
        }
        Some(Overlay::Help(scroll)) => {
            let columns = 72.min(screen.width.saturating_sub(6));
            let keys = app.views[app.view].keys();
            let names = super::views::names(&app.views, app.lang);
            let lines = help_lines(app.theme, app.lang, keys, &names, app.lesson.is_some(), columns.into());
            let area =
                boxed(app, screen, (columns, lines.len() as u16), Word::HelpTitle.text(app.lang), buffer);
            let last = lines.len().saturating_sub(area.height.into());
            let from = (*scroll).min(last);
            for (index, line) in lines.iter().skip(from).take(area.height.into()).enumerate() {
                buffer.set_line(area.x, area.y + index as u16, line, area.width);
            }
            if from < last {
                let note = Line::from(Span::styled(format!(" ↓ {} ", last - from), app.theme.accent()));
                buffer.set_line(area.right().saturating_sub(8), area.bottom(), &note, 8);
            }
        }
        Some(Overlay::Course(map)) => {
            let size = (80.min(screen.width.saturating_sub(6)), screen.height.saturating_sub(4));
            let area = boxed(app, screen, size, Word::CourseTitle.text(app.lang), buffer);
            let list = Rect { height: area.height.saturating_sub(2), ..area };
            map.draw(app.theme, app.lang, list, buffer);
            let keys = Word::CourseKeys.text(app.lang);
            let others: Vec<&str> = super::words::Lang::ALL.iter().map(|lang| lang.name()).collect();
            let keys = format!("{keys}   ({})", others.join(" · "));
            let y = area.bottom().saturating_sub(1);
            buffer.set_stringn(
                area.x,
                y,
                cut(&keys, area.width.into()),
                area.width.into(),
                app.theme.accent(),
            );
        }
    }
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
