//! Where the panes are: the lesson's text, the shell, the views; sizes that keys and the mouse change.
//!
//! Every pane has a title row; between the left and the right is a column. A pure function from sizes to rectangles.

use ratatui::layout::Rect;

/// The least that can be used.
pub const LEAST: (u16, u16) = (40, 10);
/// How much a key moves a border, in percent.
const KEY_STEP: i16 = 5;
/// How much of the width the text has, in percent, as long as the learner has not chosen.
const TEXT_PERCENT: u16 = 42;
/// The columns that the text gives up the last, so that the shell has room for a table.
const TEXT_COLUMNS: u16 = 43;
/// The columns of `kubectl get pods` with a Deployment's pod that is Terminating.
const TABLE_COLUMNS: u16 = 76;

/// The panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The lesson's text.
    Text,
    /// The shell.
    Shell,
    /// The live view.
    View,
}

/// A line between panes that can be dragged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Between the text and the rest.
    Text,
    /// Between the shell and the view.
    View,
}

/// What the learner has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How much of the width the text has, in percent; `None`: so much that a table fits beside it.
    pub text_percent: Option<u16>,
    /// How much the shell has of what it shares with the view, in percent.
    pub shell_percent: u16,
    /// Whether the view is shown; `None`: when there is room.
    pub views: Option<bool>,
    /// Whether the view is beside the shell; `None`: when there is room.
    pub beside: Option<bool>,
    /// Whether the pane with the focus has everything.
    pub zoom: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { text_percent: None, shell_percent: 50, views: None, beside: None, zoom: false }
    }
}

/// Where everything is. A pane's rectangle begins with its title row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// The lesson's text.
    pub text: Option<Rect>,
    /// The shell.
    pub shell: Option<Rect>,
    /// The view.
    pub view: Option<Rect>,
    /// The columns between panes.
    pub separators: Vec<Rect>,
    /// The bar at the bottom.
    pub bar: Rect,
    /// The column between text and work, and what is right of the shell or the title row below it.
    pub borders: Vec<(Border, Rect)>,
}

impl Areas {
    /// The pane at a place.
    pub fn pane_at(&self, x: u16, y: u16) -> Option<Pane> {
        let panes = [(Pane::Text, self.text), (Pane::Shell, self.shell), (Pane::View, self.view)];
        panes
            .into_iter()
            .find(|(_, area)| area.is_some_and(|area| contains(area, x, y)))
            .map(|(pane, _)| pane)
    }

    /// The border at a place.
    pub fn border_at(&self, x: u16, y: u16) -> Option<Border> {
        self.borders.iter().find(|(_, area)| contains(*area, x, y)).map(|(border, _)| *border)
    }

    /// Where a pane is.
    pub fn of(&self, pane: Pane) -> Option<Rect> {
        match pane {
            Pane::Text => self.text,
            Pane::Shell => self.shell,
            Pane::View => self.view,
        }
    }
}

fn contains(area: Rect, x: u16, y: u16) -> bool {
    x >= area.x && x < area.right() && y >= area.y && y < area.bottom()
}

/// A pane without its title row.
pub fn inside(pane: Rect) -> Rect {
    let title = 1.min(pane.height);
    Rect { y: pane.y + title, height: pane.height - title, ..pane }
}

impl Layout {
    /// Whether the view is shown.
    pub fn shows_views(&self, size: (u16, u16), with_text: bool) -> bool {
        self.views.unwrap_or(!with_text || size.1 >= 30)
    }

    /// Whether the view is beside the shell.
    pub fn is_beside(&self, size: (u16, u16), with_text: bool) -> bool {
        self.beside.unwrap_or(size.0 >= if with_text { 220 } else { 150 })
    }

    /// The rectangles for a screen; `None` if it is too small for anything.
    pub fn areas(&self, size: (u16, u16), with_text: bool, focus: Pane) -> Option<Areas> {
        let (width, height) = size;
        if width < LEAST.0 || height < LEAST.1 {
            return None;
        }
        let mut areas = Areas { bar: Rect::new(0, height - 1, width, 1), ..Areas::default() };
        let all = Rect::new(0, 0, width, height - 1);
        if self.zoom {
            match focus {
                Pane::Text if with_text => areas.text = Some(all),
                Pane::View => areas.view = Some(all),
                _ => areas.shell = Some(all),
            }
            return Some(areas);
        }
        let mut work = all;
        if with_text {
            let least = 18;
            let columns = self.text_columns(width).clamp(least, width - least - 1);
            let separator = Rect::new(columns, 0, 1, all.height);
            areas.text = Some(Rect { width: columns, ..all });
            areas.separators.push(separator);
            areas.borders.push((Border::Text, separator));
            work = Rect { x: columns + 1, width: width - columns - 1, ..all };
        }
        if !self.shows_views(size, with_text) {
            areas.shell = Some(work);
        } else if self.is_beside(size, with_text) {
            let columns =
                percent(work.width, self.shell_percent).clamp(10, work.width.saturating_sub(11).max(10));
            let separator = Rect { x: work.x + columns, width: 1, ..work };
            areas.shell = Some(Rect { width: columns, ..work });
            areas.view = Some(Rect { x: separator.x + 1, width: work.width - columns - 1, ..work });
            areas.separators.push(separator);
            areas.borders.push((Border::View, separator));
        } else {
            let rows = percent(work.height, self.shell_percent).clamp(3, work.height - 3);
            let view = Rect { y: work.y + rows, height: work.height - rows, ..work };
            areas.shell = Some(Rect { height: rows, ..work });
            areas.borders.push((Border::View, Rect { height: 1, ..view }));
            areas.view = Some(view);
        }
        Some(areas)
    }

    /// Moves a border to a place.
    pub fn drag(&mut self, border: Border, at: (u16, u16), size: (u16, u16), with_text: bool) {
        let (width, height) = (size.0.max(1), size.1.max(2) - 1);
        match border {
            Border::Text => self.text_percent = Some(share(at.0, width)),
            Border::View if self.is_beside(size, with_text) => {
                let left = if with_text { self.text_columns(width) + 1 } else { 0 };
                self.shell_percent = share(at.0.saturating_sub(left), width.saturating_sub(left).max(1));
            }
            Border::View => self.shell_percent = share(at.1, height),
        }
    }

    /// Moves a border by a key on a screen of so many columns.
    pub fn nudge(&mut self, border: Border, more: bool, width: u16) {
        let step = if more { KEY_STEP } else { -KEY_STEP };
        let moved = |percent: u16| percent.saturating_add_signed(step).clamp(10, 90);
        match border {
            Border::Text => {
                let now = self.text_percent.unwrap_or_else(|| share(self.text_columns(width), width.max(1)));
                self.text_percent = Some(moved(now));
            }
            Border::View => self.shell_percent = moved(self.shell_percent),
        }
    }

    fn text_columns(&self, width: u16) -> u16 {
        let usual = || {
            let columns = percent(width, TEXT_PERCENT);
            let beside_a_table = width.saturating_sub(TABLE_COLUMNS + 1);
            columns.min(beside_a_table.max(TEXT_COLUMNS))
        };
        self.text_percent.map_or_else(usual, |share| percent(width, share))
    }
}

fn percent(of: u16, percent: u16) -> u16 {
    // Both factors are below 2^16, and a percentage of a u16 fits.
    (u32::from(of) * u32::from(percent) / 100) as u16
}

fn share(part: u16, whole: u16) -> u16 {
    // Rounded, so that a border stays where it is dropped.
    ((u32::from(part) * 100 + u32::from(whole) / 2) / u32::from(whole)).clamp(10, 90) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_screens() {
        let layout = Layout::default();
        assert_eq!(layout.areas((20, 5), true, Pane::Shell), None);
        let small = layout.areas((80, 24), true, Pane::Shell).unwrap();
        assert_eq!(small.text.map(|area| area.width), Some(33));
        let usual = layout.areas((120, 40), true, Pane::Shell).unwrap();
        assert_eq!(usual.shell.map(|area| area.width), Some(76), "the table of a Deployment's pods fits");
        assert_eq!(small.view, None, "a small screen with a lesson has no view at first");
        let free = layout.areas((80, 24), false, Pane::Shell).unwrap();
        assert_eq!((free.shell.unwrap().height, free.view.unwrap().height), (11, 12));
        let large = layout.areas((200, 60), false, Pane::Shell).unwrap();
        assert_eq!(large.view.unwrap().x, 101, "beside on a wide screen");
    }

    proptest! {
        #[test]
        fn panes_never_overlap_nor_leave_the_screen(
            width in 40u16..300, height in 10u16..120, text_percent: Option<u16>, shell_percent in 10u16..=90,
            with_text: bool, views: Option<bool>, beside: Option<bool>, zoom: bool,
        ) {
            let text_percent = text_percent.map(|percent| 10 + percent % 81);
            let layout = Layout { text_percent, shell_percent, views, beside, zoom };
            let areas = layout.areas((width, height), with_text, Pane::Shell).unwrap();
            let mut rects: Vec<Rect> = [areas.text, areas.shell, areas.view].into_iter().flatten().collect();
            rects.extend(areas.separators.iter().copied());
            rects.push(areas.bar);
            for (index, rect) in rects.iter().enumerate() {
                prop_assert!(rect.right() <= width && rect.bottom() <= height && rect.area() > 0, "{rect:?}");
                for other in &rects[index + 1..] {
                    prop_assert_eq!(rect.intersection(*other).area(), 0);
                }
            }
        }

        #[test]
        fn a_border_stays_where_it_is_dropped(width in 100u16..250, x in 30u16..70) {
            let mut layout = Layout::default();
            layout.drag(Border::Text, (x, 3), (width, 40), true);
            let at = layout.areas((width, 40), true, Pane::Shell).unwrap().separators[0].x;
            prop_assert!(at.abs_diff(x) <= 2, "{at} {x}");
        }
    }
}
