//! The store's keys with their revisions, as etcd has them.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list::{Cursor, Travel, draw_list, draw_note};
use super::view::{Scene, View};
use crate::tui::text::pad;
use crate::tui::words::Word;
use crate::tui::world::{Object, World};

/// The view.
#[derive(Debug)]
pub struct StoreKeys {
    cursor: Cursor,
    /// Whether events and leases are shown, too.
    all: bool,
}

impl Default for StoreKeys {
    fn default() -> Self {
        Self { cursor: Cursor::first(), all: false }
    }
}

impl StoreKeys {
    fn rows<'a>(&self, world: &'a World) -> Vec<(&'a Arc<str>, &'a Object)> {
        let routine =
            |key: &str| key.starts_with("/registry/events/") || key.starts_with("/registry/leases/");
        world.with_prefix("").filter(|(key, _)| self.all || !routine(key)).collect()
    }
}

impl View for StoreKeys {
    fn name(&self) -> Word {
        Word::Keys
    }

    fn short_name(&self) -> Word {
        Word::KeysShort
    }

    fn keys(&self) -> &'static [(KeyCode, Word)] {
        &[(KeyCode::Enter, Word::KeyOpen), (KeyCode::Char('a'), Word::KeyHeartbeats)]
    }

    fn key(&mut self, key: &KeyEvent, world: &World) -> Option<Arc<str>> {
        if key.code == KeyCode::Char('a') {
            self.all = !self.all;
            return None;
        }
        let rows = self.rows(world);
        rows.get(self.cursor.row(rows.len())).map(|(key, _)| (*key).clone())
    }

    fn travel(&mut self, travel: Travel, world: &World) {
        let count = self.rows(world).len();
        self.cursor.travel(travel, count, false);
    }

    fn note(&self, scene: Scene<'_>) -> Option<String> {
        Some(format!("{} {}", Word::Revision.text(scene.lang), scene.world.revision()))
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let rows = self.rows(scene.world);
        if rows.is_empty() || area.height < 2 {
            return draw_note(area, buffer, Word::NothingYet.text(scene.lang), scene.theme.dim());
        }
        let columns = usize::from(area.width);
        let numbers = 29;
        let key_columns = columns.saturating_sub(numbers).max(10);
        let (lang, theme) = (scene.lang, scene.theme);
        let heads =
            [Word::Revision, Word::Version, Word::Bytes].map(|word| pad(word.text(lang), 10)).concat();
        let head = format!("{}{heads}", pad(Word::Key.text(lang), key_columns));
        buffer.set_stringn(area.x, area.y, head, columns, theme.title());
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let chosen = self.cursor.row(rows.len());
        // What was written last stands out.
        let newest = scene.world.revision().saturating_sub(5);
        draw_list(scene, body, buffer, (rows.len(), chosen), |index| {
            let (key, object) = rows[index];
            let kv = &object.kv;
            let fresh = kv.mod_revision > newest;
            let numbers =
                format!("{:<10}{:<10}{:<9}", format!("#{}", kv.mod_revision), kv.version, kv.value.len());
            Line::from(vec![
                Span::styled(pad(key, key_columns), if fresh { theme.title() } else { theme.text() }),
                Span::styled(numbers, if fresh { theme.accent() } else { theme.dim() }),
            ])
        });
    }
}
