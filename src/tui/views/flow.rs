//! The flow: every write as it goes from whoever asked through the API server into the store, and who reacted to it.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use crossterm::event::{KeyCode, KeyEvent};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list::{Cursor, Travel, draw_line, draw_list, draw_note};
use super::view::{Scene, View};
use crate::shell::causes::{Verb, about, summary};
use crate::store::{Event, Record, Revision};
use crate::tui::text::{cut, pad};
use crate::tui::words::{Lang, Word};
use crate::tui::world::{World, exact_time};

/// How many writes are kept.
const KEPT: usize = 2000;
/// How many fields a row tells of.
const FIELDS: usize = 2;

/// The view.
#[derive(Debug, Default)]
pub struct Flow {
    rows: VecDeque<Row>,
    cursor: Cursor,
    /// The newest revision that is shown while it is paused.
    paused: Option<Revision>,
    /// Whether heartbeats and events are shown, too.
    all: bool,
}

#[derive(Debug)]
struct Row {
    record: Arc<Record>,
    /// Which of the record's events.
    index: usize,
    routine: bool,
    fields: OnceLock<String>,
}

impl Row {
    fn event(&self) -> &Event {
        &self.record.events[self.index]
    }

    fn verb(&self) -> Verb {
        Verb::of(self.event())
    }

    fn about(&self) -> String {
        about(&self.event().kv.key)
    }

    fn who(&self) -> &str {
        &self.record.author.component
    }

    fn time(&self) -> Timestamp {
        self.record.time
    }

    fn fields(&self) -> &str {
        self.fields.get_or_init(|| summary(self.event(), FIELDS))
    }
}

/// Whether a write is a heartbeat or tells of something else that has happened.
fn is_routine(event: &Event) -> bool {
    let key = &event.kv.key;
    if key.starts_with("/registry/leases/") || key.starts_with("/registry/events/") {
        return true;
    }
    key.starts_with("/registry/minions/") && Verb::of(event) == Verb::Changed && summary(event, 1).is_empty()
}

impl Flow {
    fn shown(&self) -> Vec<&Row> {
        let until = self.paused.unwrap_or(Revision::MAX);
        let counts = |row: &&Row| row.record.revision <= until && (self.all || !row.routine);
        self.rows.iter().filter(counts).collect()
    }

    fn take(&mut self, record: &Arc<Record>) {
        for (index, event) in record.events.iter().enumerate() {
            if self.rows.len() == KEPT {
                self.rows.pop_front();
            }
            let routine = is_routine(event);
            self.rows.push_back(Row { record: record.clone(), index, routine, fields: OnceLock::new() });
        }
    }

    /// The way that the chosen write took, and what came of it.
    fn way(&self, scene: Scene<'_>, row: &Row, columns: usize) -> [Line<'static>; 2] {
        let (theme, lang) = (scene.theme, scene.lang);
        let revision = row.record.revision;
        let reacted = self.rows.iter().filter(|other| other.record.author.cause == Some(revision));
        let mut who: Vec<&str> = reacted.map(Row::who).collect();
        who.sort_unstable();
        who.dedup();
        let arrow = |text: &str| Span::styled(format!(" ─{text}─▶ "), theme.dim());
        let method = row.record.author.request.split(' ').next().unwrap_or_default().to_owned();
        let method = if method.chars().all(|c| c.is_ascii_uppercase()) { method } else { String::new() };
        let mut first = vec![
            Span::styled(row.who().to_owned(), theme.title()),
            arrow(&method),
            Span::raw("API server"),
            arrow(""),
            Span::raw("store "),
            Span::styled(format!("#{revision}"), theme.accent()),
        ];
        if !who.is_empty() {
            first.push(arrow("watch"));
            first.push(Span::styled(who.join(", "), theme.title()));
        }
        let mut second = match row.record.author.cause {
            Some(cause) => format!("{} #{cause} {}", Word::BecauseOf.text(lang), self.told(scene, cause)),
            None => row.record.author.request.to_string(),
        };
        if !row.fields().is_empty() {
            second = format!("{second} · {}", row.fields());
        }
        [Line::from(first), Line::styled(cut(&second, columns), theme.dim())]
    }

    /// A write in a few words.
    fn told(&self, scene: Scene<'_>, revision: Revision) -> String {
        let Some(record) = scene.world.record(revision) else { return String::new() };
        let Some(event) = record.events.first() else { return String::new() };
        let verb = verb_word(Verb::of(event), scene.lang);
        format!("{} {verb} {}", record.author.component, about(&event.kv.key))
    }

    fn line(&self, scene: Scene<'_>, row: &Row, columns: usize) -> Line<'static> {
        let theme = scene.theme;
        let who_columns = if columns >= 100 { 22 } else { 21 };
        let style = match row.verb() {
            Verb::Created => theme.good(),
            Verb::Changed => theme.text(),
            Verb::Deleted => theme.bad(),
        };
        let who = if matches!(row.who(), "kubectl" | "curl") { theme.title() } else { theme.text() };
        let cause = row.record.author.cause.map_or_else(String::new, |cause| format!("←#{cause} "));
        let mut spans = vec![];
        // The namespace that everybody begins in goes without saying.
        let about = row.about().replace("/default/", "/");
        if columns >= 100 {
            spans.push(Span::styled(format!("{} ", exact_time(row.time())), theme.dim()));
        }
        spans.extend([
            Span::styled(pad(&format!("#{}", row.record.revision), 6), theme.accent()),
            Span::styled(format!("{} ", pad(row.who(), who_columns)), who),
            Span::styled(format!("{} ", verb_word(row.verb(), scene.lang)), style),
            Span::raw(format!("{about} ")),
            Span::styled(cause, theme.accent()),
            Span::styled(row.fields().to_owned(), theme.dim()),
        ]);
        Line::from(spans)
    }
}

fn verb_word(verb: Verb, lang: Lang) -> &'static str {
    match verb {
        Verb::Created => Word::Created,
        Verb::Changed => Word::Changed,
        Verb::Deleted => Word::Deleted,
    }
    .text(lang)
}

impl View for Flow {
    fn name(&self) -> Word {
        Word::Flow
    }

    fn short_name(&self) -> Word {
        Word::FlowShort
    }

    fn keys(&self) -> &'static [(KeyCode, Word)] {
        &[
            (KeyCode::Char(' '), Word::KeyPause),
            (KeyCode::Char('a'), Word::KeyHeartbeats),
            (KeyCode::Enter, Word::KeyOpen),
        ]
    }

    fn key(&mut self, key: &KeyEvent, world: &World) -> Option<Arc<str>> {
        match key.code {
            KeyCode::Char(' ') => {
                self.paused = if self.paused.is_some() { None } else { Some(world.revision()) };
            }
            KeyCode::Char('a') => self.all = !self.all,
            _ => {
                let shown = self.shown();
                return shown.get(self.cursor.row(shown.len())).map(|row| row.event().kv.key.clone());
            }
        }
        None
    }

    fn travel(&mut self, travel: Travel, _: &World) {
        let count = self.shown().len();
        self.cursor.travel(travel, count, true);
    }

    fn changed(&mut self, _: &World, records: &[Arc<Record>]) {
        let full = self.rows.len() + records.len() > KEPT;
        for record in records {
            self.take(record);
        }
        // What falls out at the front would move the choice.
        if full && !self.cursor.follows() && self.paused.is_none() {
            self.paused = records.last().map(|record| record.revision);
        }
    }

    fn reset(&mut self, world: &World) {
        let newest = self.rows.back().map_or(0, |row| row.record.revision);
        for record in world.records().filter(|record| record.revision > newest) {
            self.take(record);
        }
    }

    fn note(&self, scene: Scene<'_>) -> Option<String> {
        self.paused.map(|_| Word::Paused.text(scene.lang).to_owned())
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let shown = self.shown();
        if shown.is_empty() {
            return draw_note(area, buffer, Word::NothingYet.text(scene.lang), scene.theme.dim());
        }
        let chosen = self.cursor.row(shown.len());
        let head = if area.height >= 6 { 2 } else { 0 };
        if head > 0 {
            for (index, line) in self.way(scene, shown[chosen], area.width.into()).iter().enumerate() {
                draw_line(buffer, (area.x, area.y + index as u16), line, area.width);
            }
        }
        let list = Rect { y: area.y + head, height: area.height - head, ..area };
        draw_list(scene, list, buffer, (shown.len(), chosen), |index| {
            self.line(scene, shown[index], area.width.into())
        });
    }
}
