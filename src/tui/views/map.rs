//! The cluster map: nodes as boxes, pods in them by how they are, and those that wait for a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::list::{Cursor, Travel, draw_note, first_shown};
use super::view::{Scene, View};
use crate::tui::text::{cut, cut_middle, pad, width};
use crate::tui::theme::Theme;
use crate::tui::words::Word;
use crate::tui::world::{Facts, World};

/// The least columns of a node's box.
const BOX: usize = 38;

/// The view.
#[derive(Debug)]
pub struct Map {
    cursor: Cursor,
}

impl Default for Map {
    fn default() -> Self {
        Self { cursor: Cursor::first() }
    }
}

/// How a pod is, in what a symbol can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Starting,
    Waiting,
    Failing,
    Done,
    Ending,
}

impl State {
    const ALL: [(Self, Word); 6] = [
        (Self::Ready, Word::LegendReady),
        (Self::Starting, Word::LegendStarting),
        (Self::Waiting, Word::LegendWaiting),
        (Self::Failing, Word::LegendFailing),
        (Self::Done, Word::LegendDone),
        (Self::Ending, Word::LegendEnding),
    ];

    fn of(pod: &Facts) -> Self {
        let word = pod.status.split("  ").nth(1).unwrap_or_default();
        let broken = word.ends_with("BackOff")
            || word.contains("Err")
            || matches!(
                word,
                "OOMKilled" | "Evicted" | "InvalidImageName" | "Unknown" | "ContainerStatusUnknown"
            );
        let ready =
            pod.value.pointer("/status/conditions").and_then(|list| list.as_array()).is_some_and(|list| {
                list.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            });
        match pod.text("/status/phase") {
            _ if pod.deleting => Self::Ending,
            "Succeeded" => Self::Done,
            "Failed" => Self::Failing,
            _ if broken => Self::Failing,
            _ if pod.text("/spec/nodeName").is_empty() => Self::Waiting,
            _ if ready => Self::Ready,
            _ => Self::Starting,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Ready => "●",
            Self::Starting => "◐",
            Self::Waiting => "○",
            Self::Failing => "✗",
            Self::Done => "✓",
            Self::Ending => "⊘",
        }
    }

    fn style(self, theme: Theme) -> Style {
        match self {
            Self::Ready => theme.good(),
            Self::Starting | Self::Waiting => theme.warn(),
            Self::Failing => theme.bad(),
            Self::Done | Self::Ending => theme.dim(),
        }
    }
}

/// A box: a node, or the pods without one.
struct Place<'a> {
    node: Option<(&'a Arc<str>, &'a Facts)>,
    pods: Vec<(&'a Arc<str>, &'a Facts)>,
}

/// The columns of a box in which every pod's name and status are whole.
fn box_for_names(places: &[Place<'_>]) -> usize {
    let pods = places.iter().flat_map(|place| &place.pods);
    let row = |(_, pod): &(&Arc<str>, &Facts)| width(&pod.name) + width(&pod.status) + 7;
    pods.map(row).max().unwrap_or(0).max(BOX)
}

/// How many boxes are beside each other.
fn side_by_side(places: &[Place<'_>], columns: usize, box_columns: usize) -> usize {
    (columns / box_columns).clamp(1, places.len().max(1))
}

/// How many lines boxes with the names of pods take.
fn height(places: &[Place<'_>], columns: usize, box_columns: usize) -> usize {
    let rows = |place: &Place<'_>| place.pods.len().max(1) + 2;
    let bands = places.chunks(side_by_side(places, columns, box_columns));
    bands.map(|band| band.iter().map(rows).max().unwrap_or(0)).sum()
}

/// A name in exactly so many columns. It keeps its end, by which the pods of one owner are told apart.
fn name_columns(name: &str, columns: usize) -> String {
    pad(&cut_middle(name, columns), columns)
}

fn places(world: &World) -> Vec<Place<'_>> {
    let mut by_node: BTreeMap<&str, Vec<(&Arc<str>, &Facts)>> = BTreeMap::new();
    for (key, object) in world.with_prefix("/registry/pods/") {
        let facts = world.facts(object);
        by_node.entry(facts.text("/spec/nodeName")).or_default().push((key, facts));
    }
    let waiting = by_node.remove("").map(|pods| Place { node: None, pods });
    let mut places: Vec<Place<'_>> = waiting.into_iter().collect();
    for (key, object) in world.with_prefix("/registry/minions/") {
        let facts = world.facts(object);
        let pods = by_node.remove(facts.name.as_str()).unwrap_or_default();
        places.push(Place { node: Some((key, facts)), pods });
    }
    places
}

/// The keys of everything that can be chosen, in order.
fn items(places: &[Place<'_>]) -> Vec<Arc<str>> {
    let of = |place: &Place<'_>| -> Vec<Arc<str>> {
        let node = place.node.iter().map(|(key, _)| (*key).clone());
        node.chain(place.pods.iter().map(|(key, _)| (*key).clone())).collect()
    };
    places.iter().flat_map(of).collect()
}

impl View for Map {
    fn name(&self) -> Word {
        Word::Map
    }

    fn short_name(&self) -> Word {
        Word::MapShort
    }

    fn keys(&self) -> &'static [(KeyCode, Word)] {
        &[(KeyCode::Enter, Word::KeyOpen)]
    }

    fn key(&mut self, _: &KeyEvent, world: &World) -> Option<Arc<str>> {
        let items = items(&places(world));
        items.get(self.cursor.row(items.len())).cloned()
    }

    fn travel(&mut self, travel: Travel, world: &World) {
        let count = items(&places(world)).len();
        self.cursor.travel(travel, count, false);
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let places = places(scene.world);
        if places.is_empty() {
            return draw_note(area, buffer, Word::NoNodes.text(scene.lang), scene.theme.dim());
        }
        let count: usize =
            places.iter().map(|place| place.pods.len() + usize::from(place.node.is_some())).sum();
        let chosen = scene.focused.then(|| self.cursor.row(count));
        let legend = u16::from(area.height > 6);
        let room = Rect { height: area.height - legend, ..area };
        // Names are whole if there is room for boxes that wide; then they are cut, and at last left out.
        let columns = usize::from(area.width);
        let fits = |box_columns: &usize| height(&places, columns, *box_columns) <= usize::from(room.height);
        let named = [box_for_names(&places), BOX].into_iter().find(fits);
        let mut canvas = Canvas::new(scene, (columns, named.unwrap_or(BOX)), chosen, named.is_none());
        canvas.places(&places);
        let start = first_shown(canvas.chosen_line, canvas.lines.len(), room.height.into());
        for (index, line) in canvas.lines.iter().skip(start).take(room.height.into()).enumerate() {
            buffer.set_line(room.x, room.y + index as u16, line, room.width);
        }
        if legend == 1 {
            let words = State::ALL.iter().flat_map(|(state, word)| {
                [
                    Span::styled(state.symbol(), state.style(scene.theme)),
                    Span::styled(format!(" {}  ", word.text(scene.lang)), scene.theme.dim()),
                ]
            });
            buffer.set_line(area.x, area.bottom() - 1, &Line::from_iter(words), area.width);
        }
    }
}

/// The boxes as lines, before the part that fits is shown.
struct Canvas<'a> {
    scene: Scene<'a>,
    columns: usize,
    /// The least columns of a box.
    box_columns: usize,
    /// Which item is chosen, and the line that it is on.
    chosen: Option<usize>,
    chosen_line: usize,
    /// Whether pods are symbols only.
    compact: bool,
    /// How many items there were so far.
    items: usize,
    lines: Vec<Line<'static>>,
}

impl<'a> Canvas<'a> {
    fn new(
        scene: Scene<'a>,
        (columns, box_columns): (usize, usize),
        chosen: Option<usize>,
        compact: bool,
    ) -> Self {
        Self { scene, columns, box_columns, chosen, chosen_line: 0, compact, items: 0, lines: vec![] }
    }

    /// Boxes side by side as far as they fit, the next ones below.
    fn places(&mut self, places: &[Place<'_>]) {
        let side_by_side = side_by_side(places, self.columns, self.box_columns);
        let widths = self.columns / side_by_side;
        for band in places.chunks(side_by_side) {
            let boxes: Vec<Vec<Line<'static>>> = band.iter().map(|place| self.boxed(place, widths)).collect();
            let height = boxes.iter().map(Vec::len).max().unwrap_or(0);
            for row in 0..height {
                let mut spans = vec![];
                for lines in &boxes {
                    match lines.get(row) {
                        Some(line) => spans.extend(line.spans.iter().cloned()),
                        None => spans.push(Span::raw(" ".repeat(widths))),
                    }
                }
                self.lines.push(Line::from(spans));
            }
        }
    }

    fn boxed(&mut self, place: &Place<'_>, columns: usize) -> Vec<Line<'static>> {
        let theme = self.scene.theme;
        let inner = columns.saturating_sub(4);
        let (title, style) = self.title(place);
        let title = cut(&title, inner);
        let rest = "─".repeat(columns.saturating_sub(width(&title) + 5));
        let mark = if place.node.is_some() { self.style_of_next(0, style) } else { style };
        let mut lines = vec![Line::from(vec![
            Span::styled("┌─ ", theme.dim()),
            Span::styled(title, mark),
            Span::styled(format!(" {rest}┐"), theme.dim()),
        ])];
        let pods = if self.compact { self.symbols(place, inner) } else { self.named(place, inner) };
        for pod in pods {
            let mut spans = vec![Span::styled("│ ", theme.dim())];
            let missing = inner.saturating_sub(pod.width());
            spans.extend(pod.spans);
            spans.push(Span::styled(format!("{} │", " ".repeat(missing)), theme.dim()));
            lines.push(Line::from(spans));
        }
        lines.push(Line::styled(format!("└{}┘", "─".repeat(columns.saturating_sub(2))), theme.dim()));
        lines
    }

    /// The style of the item that comes next, which may be the chosen one; `line` is where it is in its box.
    fn style_of_next(&mut self, line: usize, style: Style) -> Style {
        let chosen = self.chosen == Some(self.items);
        self.items += 1;
        if chosen {
            self.chosen_line = self.lines.len() + line;
            return self.scene.theme.selected();
        }
        style
    }

    fn title(&self, place: &Place<'_>) -> (String, Style) {
        let (lang, theme) = (self.scene.lang, self.scene.theme);
        let Some((_, node)) = place.node else { return (Word::Waiting.text(lang).to_owned(), theme.warn()) };
        let ready = node.status.starts_with("Ready");
        let state = node.status.split("  ").next().unwrap_or_default();
        let style = if ready { theme.title() } else { theme.bad() };
        (format!("{} · {state} · {}", node.name, place.pods.len()), style)
    }

    fn named(&mut self, place: &Place<'_>, columns: usize) -> Vec<Line<'static>> {
        if place.pods.is_empty() {
            return vec![Line::styled(Word::NoPods.text(self.scene.lang), self.scene.theme.dim())];
        }
        let mut lines = vec![];
        for (index, (_, pod)) in place.pods.iter().enumerate() {
            let state = State::of(pod);
            let style = state.style(self.scene.theme);
            let chosen = self.style_of_next(index + 1, Style::new());
            let word = cut(&pod.status, columns.saturating_sub(14));
            let name = name_columns(&pod.name, columns.saturating_sub(width(&word) + 3));
            lines.push(Line::from(vec![
                Span::styled(format!("{} ", state.symbol()), style),
                Span::styled(name, chosen),
                Span::styled(format!(" {word}"), style),
            ]));
        }
        lines
    }

    fn symbols(&mut self, place: &Place<'_>, columns: usize) -> Vec<Line<'static>> {
        let mut lines = vec![];
        for (row, pods) in place.pods.chunks((columns / 2).max(1)).enumerate() {
            let spans: Vec<Span<'static>> = pods
                .iter()
                .flat_map(|(_, pod)| {
                    let state = State::of(pod);
                    let style = self.style_of_next(row + 1, state.style(self.scene.theme));
                    [Span::styled(state.symbol(), style), Span::raw(" ")]
                })
                .collect();
            lines.push(Line::from(spans));
        }
        // The name of the chosen one, since a symbol does not tell.
        let first = self.items - place.pods.len();
        let chosen = self.chosen.and_then(|chosen| place.pods.get(chosen.checked_sub(first)?));
        if let Some((_, pod)) = chosen {
            lines.push(Line::styled(
                cut(&format!("{} {}", pod.name, pod.status), columns),
                self.scene.theme.accent(),
            ));
        }
        lines
    }
}
