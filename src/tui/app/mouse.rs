//! What the mouse does to the state: it chooses panes and views, drags borders, and turns its wheel.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::message::{Effect, Overlay};
use super::state::App;
use crate::tui::draw::tab_at;
use crate::tui::layout::{Areas, Pane};
use crate::tui::views::Travel;

/// How many rows a turn of the wheel moves.
const WHEEL: i32 = 3;

impl App {
    pub(super) fn mouse(&mut self, mouse: MouseEvent, effects: &mut Vec<Effect>) {
        let at = (mouse.column, mouse.row);
        let Some(areas) = self.areas() else { return };
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if self.overlay.is_none() => {
                if let Some(index) = areas.view.and_then(|area| tab_at(self, area, at)) {
                    self.view = index;
                    self.focus = Pane::View;
                    return;
                }
                self.dragged = areas.border_at(at.0, at.1);
                if self.dragged.is_none()
                    && let Some(pane) = areas.pane_at(at.0, at.1)
                {
                    (self.focus, self.asked) = (pane, false);
                }
            }
            MouseEventKind::Drag(MouseButton::Left) => {
                if let Some(border) = self.dragged {
                    self.layout.drag(border, at, self.size, self.lesson.is_some());
                }
            }
            MouseEventKind::Up(_) => self.dragged = None,
            MouseEventKind::ScrollUp => self.wheel(&areas, at, WHEEL, effects),
            MouseEventKind::ScrollDown => self.wheel(&areas, at, -WHEEL, effects),
            _ => {}
        }
    }

    fn wheel(&mut self, areas: &Areas, at: (u16, u16), up: i32, effects: &mut Vec<Effect>) {
        if let Some(Overlay::Help(scroll)) = &mut self.overlay {
            *scroll = scroll.saturating_add_signed(-up as isize);
            return;
        }
        match areas.pane_at(at.0, at.1) {
            Some(Pane::Shell) => {
                let wishes = self.shell.scroll_by(up);
                self.shell_wishes(wishes, effects);
            }
            Some(Pane::View) => self.views[self.view].travel(Travel::By(i64::from(-up)), &self.world),
            Some(Pane::Text) => {
                if let Some(lesson) = &mut self.lesson {
                    lesson.scroll_by(-up, self.theme, self.lang);
                }
            }
            None => {}
        }
    }
}
