//! Draws the terminal emulator's screen into a pane.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::tui::theme::{Palette, Theme};

/// Draws the emulator's rows from `skipped` on.
pub fn draw_screen(screen: &vt100::Screen, theme: Theme, skipped: u16, area: Rect, buffer: &mut Buffer) {
    for y in 0..area.height {
        for x in 0..area.width {
            let Some(cell) = screen.cell(y.saturating_add(skipped), x) else { continue };
            let target = &mut buffer[(area.x + x, area.y + y)];
            let style = style(cell, theme);
            // A wide character at the edge would reach out of the pane.
            let fits = !cell.is_wide() || x + 1 < area.width;
            if cell.has_contents() && fits && !cell.contents().contains(char::is_control) {
                target.set_symbol(cell.contents()).set_style(style);
            } else {
                target.set_symbol(" ").set_style(style);
            }
        }
    }
}

fn style(cell: &vt100::Cell, theme: Theme) -> Style {
    let mut style = Style::new();
    if theme.palette != Palette::Plain {
        style = style.fg(colour(cell.fgcolor())).bg(colour(cell.bgcolor()));
    }
    for (set, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if set {
            style = style.add_modifier(modifier);
        }
    }
    style
}

fn colour(colour: vt100::Color) -> Color {
    match colour {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(index) => Color::Indexed(index),
        vt100::Color::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    }
}
