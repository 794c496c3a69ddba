//! The object tree: what belongs to what, with how it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list::{Cursor, OBJECT_KEYS, ObjectList, Travel, draw_list, draw_note};
use super::view::{Scene, View};
use crate::tui::text::pad;
use crate::tui::words::Word;
use crate::tui::world::{Facts, World};

/// Kinds that are no news in a tree.
const HIDDEN: &[&str] = &["Event", "Lease", ""];

/// The view.
#[derive(Debug)]
pub struct Tree {
    list: ObjectList,
}

impl Default for Tree {
    fn default() -> Self {
        Self { list: ObjectList { cursor: Cursor::first(), system: false } }
    }
}

struct Row<'a> {
    key: &'a Arc<str>,
    facts: &'a Facts,
    /// The lines that lead to it.
    branch: String,
}

impl Tree {
    fn rows<'a>(&self, world: &'a World) -> Vec<Row<'a>> {
        let objects: Vec<(&Arc<str>, &Facts)> = world
            .with_prefix("/registry/")
            .filter(|(key, _)| !key.starts_with("/registry/events/") && !key.starts_with("/registry/leases/"))
            .map(|(key, object)| (key, world.facts(object)))
            .filter(|(_, facts)| !HIDDEN.contains(&facts.kind.as_str()))
            .collect();
        let uids: BTreeSet<&str> = objects.iter().map(|(_, facts)| facts.uid.as_str()).collect();
        let mut children: BTreeMap<&str, Vec<(&Arc<str>, &Facts)>> = BTreeMap::new();
        let mut roots = vec![];
        for (key, facts) in &objects {
            match facts.owners.iter().find(|uid| uids.contains(uid.as_str()) && **uid != facts.uid) {
                Some(owner) => children.entry(owner).or_default().push((key, facts)),
                None => roots.push((*key, *facts)),
            }
        }
        let own = |facts: &Facts| !facts.is_system() && !matches!(facts.kind.as_str(), "Node" | "Namespace");
        roots.retain(|(_, facts)| self.list.system || own(facts));
        // By namespace, then the kinds as their keys sort.
        roots.sort_by(|(_, a), (_, b)| {
            (&a.namespace, &a.kind, &a.name).cmp(&(&b.namespace, &b.kind, &b.name))
        });
        let mut rows = vec![];
        for (key, facts) in roots {
            add(&mut rows, &children, (key, facts), String::new(), String::new());
        }
        rows
    }
}

fn add<'a>(
    rows: &mut Vec<Row<'a>>,
    children: &BTreeMap<&str, Vec<(&'a Arc<str>, &'a Facts)>>,
    (key, facts): (&'a Arc<str>, &'a Facts),
    branch: String,
    below: String,
) {
    // Owners that go round in circles have no root and are never reached; depth is bounded for the rest.
    if below.chars().count() > 40 {
        return;
    }
    rows.push(Row { key, facts, branch });
    let owned = children.get(facts.uid.as_str()).map_or(&[][..], Vec::as_slice);
    for (index, child) in owned.iter().enumerate() {
        let last = index + 1 == owned.len();
        let branch = format!("{below}{}", if last { "└─ " } else { "├─ " });
        let deeper = format!("{below}{}", if last { "   " } else { "│  " });
        add(rows, children, *child, branch, deeper);
    }
}

impl View for Tree {
    fn name(&self) -> Word {
        Word::Tree
    }

    fn short_name(&self) -> Word {
        Word::TreeShort
    }

    fn keys(&self) -> &'static [(KeyCode, Word)] {
        OBJECT_KEYS
    }

    fn key(&mut self, key: &KeyEvent, world: &World) -> Option<Arc<str>> {
        let shown: Vec<&Arc<str>> = self.rows(world).into_iter().map(|row| row.key).collect();
        self.list.key(key, &shown)
    }

    fn travel(&mut self, travel: Travel, world: &World) {
        let count = self.rows(world).len();
        self.list.cursor.travel(travel, count, false);
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let rows = self.rows(scene.world);
        if rows.is_empty() {
            return draw_note(area, buffer, Word::NoObjects.text(scene.lang), scene.theme.dim());
        }
        let chosen = self.list.cursor.row(rows.len());
        let columns = usize::from(area.width);
        let left = (columns * 55 / 100).max(24).min(columns);
        draw_list(scene, area, buffer, (rows.len(), chosen), |index| line(scene, &rows[index], left));
    }
}

fn line(scene: Scene<'_>, row: &Row<'_>, left: usize) -> Line<'static> {
    let (theme, facts) = (scene.theme, row.facts);
    let used = crate::tui::text::width(&row.branch) + crate::tui::text::width(&facts.kind) + 1;
    let place = if matches!(facts.namespace.as_str(), "" | "default") {
        String::new()
    } else {
        format!(" ({})", facts.namespace)
    };
    let name = pad(&format!("{}{place}", facts.name), left.saturating_sub(used).max(8));
    let status = if facts.deleting { "deletionTimestamp" } else { "" };
    Line::from(vec![
        Span::styled(row.branch.clone(), theme.dim()),
        Span::styled(format!("{} ", facts.kind), theme.accent()),
        Span::raw(name),
        Span::styled(format!(" {status} "), theme.warn()),
        Span::raw(facts.status.clone()),
    ])
}
