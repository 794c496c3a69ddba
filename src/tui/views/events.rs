//! The cluster's events, newest last.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list::{OBJECT_KEYS, ObjectList, Travel, draw_list, draw_note};
use super::view::{Scene, View};
use crate::tui::text::pad;
use crate::tui::words::Word;
use crate::tui::world::{Facts, Object, World, clock_time};

/// The view.
#[derive(Debug, Default)]
pub struct Events {
    /// The cluster's own are those of nodes and of its namespaces.
    list: ObjectList,
}

/// The field of an event, whichever of the two APIs it was written with.
fn field<'a>(facts: &'a Facts, names: [&str; 2]) -> &'a str {
    let found = names.iter().map(|name| facts.text(name)).find(|text| !text.is_empty());
    found.unwrap_or_default()
}

impl Events {
    fn rows<'a>(&self, world: &'a World) -> Vec<(&'a Arc<str>, &'a Object, &'a Facts)> {
        let all =
            world.with_prefix("/registry/events/").map(|(key, object)| (key, object, world.facts(object)));
        let wanted = |facts: &Facts| {
            let kind = field(facts, ["/involvedObject/kind", "/regarding/kind"]);
            self.list.system || (kind != "Node" && !facts.is_system())
        };
        let mut rows: Vec<_> = all.filter(|(_, _, facts)| wanted(facts)).collect();
        rows.sort_by_key(|(_, object, _)| object.kv.mod_revision);
        rows
    }
}

impl View for Events {
    fn name(&self) -> Word {
        Word::Events
    }

    fn short_name(&self) -> Word {
        Word::EventsShort
    }

    fn keys(&self) -> &'static [(KeyCode, Word)] {
        OBJECT_KEYS
    }

    fn key(&mut self, key: &KeyEvent, world: &World) -> Option<Arc<str>> {
        let shown: Vec<&Arc<str>> = self.rows(world).into_iter().map(|(key, ..)| key).collect();
        self.list.key(key, &shown)
    }

    fn travel(&mut self, travel: Travel, world: &World) {
        let count = self.rows(world).len();
        self.list.cursor.travel(travel, count, true);
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let rows = self.rows(scene.world);
        if rows.is_empty() {
            return draw_note(area, buffer, Word::NothingYet.text(scene.lang), scene.theme.dim());
        }
        let chosen = self.list.cursor.row(rows.len());
        draw_list(scene, area, buffer, (rows.len(), chosen), |index| {
            let (_, object, facts) = rows[index];
            line(scene, object, facts, area.width.into())
        });
    }
}

fn line(scene: Scene<'_>, object: &Object, facts: &Facts, columns: usize) -> Line<'static> {
    let theme = scene.theme;
    let kind = field(facts, ["/involvedObject/kind", "/regarding/kind"]).to_lowercase();
    let name = field(facts, ["/involvedObject/name", "/regarding/name"]);
    let warning = facts.text("/type") == "Warning";
    let count = facts.value.pointer("/count").or(facts.value.pointer("/series/count"));
    let count = count.and_then(serde_json::Value::as_i64).filter(|count| *count > 1);
    let count = count.map_or_else(String::new, |count| format!(" (x{count})"));
    let about = if columns >= 100 { pad(&format!("{kind}/{name}"), 36) } else { pad(name, 20) };
    Line::from(vec![
        Span::styled(format!("{} ", clock_time(object.time)), theme.dim()),
        Span::styled(if warning { "! " } else { "  " }, theme.bad()),
        Span::styled(
            format!("{} ", pad(facts.text("/reason"), 17)),
            if warning { theme.bad() } else { theme.accent() },
        ),
        Span::raw(format!("{about} ")),
        Span::styled(format!("{}{count}", field(facts, ["/message", "/note"])), theme.text()),
    ])
}
