//! One object as YAML, with what changed since its last revision marked: `+` came, `-` went.

use std::collections::VecDeque;
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::list::{Travel, draw_line, draw_note};
use super::view::{Scene, View};
use crate::shell::causes::about;
use crate::store::{EventKind, KeyValue, Record};
use crate::tui::text::cut;
use crate::tui::words::Word;
use crate::tui::world::{World, exact_time};
use crate::yaml;

/// How many revisions of the object are kept.
const KEPT: usize = 64;
/// Objects of more bytes are shown without marks: comparing them would take too long.
const MAX_COMPARED: usize = 512 * 1024;

/// The view.
#[derive(Debug, Default)]
pub struct Yaml {
    key: Option<Arc<str>>,
    versions: VecDeque<Version>,
    /// How many revisions back from the newest one is shown.
    back: usize,
    /// Whether managedFields are shown.
    managed: bool,
    lines: Vec<(char, String)>,
    scroll: usize,
    /// Whether the object is gone.
    gone: bool,
}

#[derive(Debug)]
struct Version {
    kv: Arc<KeyValue>,
    who: Arc<str>,
    time: String,
}

impl Yaml {
    /// Starts with another object.
    fn open(&mut self, world: &World) {
        *self = Self { key: world.subject.clone(), managed: self.managed, ..Self::default() };
        let records: Vec<Arc<Record>> = world.records().cloned().collect();
        self.take(&records);
        if let Some(key) = self.key.clone()
            && self.versions.is_empty()
            && let Some(object) = world.object(&key)
        {
            // It was written before the oldest record that is kept.
            self.versions.push_back(Version {
                kv: object.kv.clone(),
                who: "".into(),
                time: exact_time(object.time),
            });
        }
        self.compare();
        // What changed last is what one wants to see first.
        self.scroll = 0;
    }

    /// Takes in revisions. Says whether there were any.
    fn take(&mut self, records: &[Arc<Record>]) -> bool {
        let Some(key) = self.key.clone() else { return false };
        let before = self.versions.len() + usize::from(self.gone);
        let mut changed = false;
        for record in records {
            for event in record.events.iter().filter(|event| event.kv.key == key) {
                changed = true;
                self.gone = event.kind == EventKind::Delete;
                if event.kv.value.is_empty() {
                    continue;
                }
                if self.versions.len() == KEPT {
                    self.versions.pop_front();
                }
                let (who, time) = (record.author.component.clone(), exact_time(record.time));
                self.versions.push_back(Version { kv: event.kv.clone(), who, time });
                if self.back > 0 {
                    // An older revision that is being read stays.
                    self.back = (self.back + 1).min(self.versions.len() - 1);
                }
            }
        }
        changed || before != self.versions.len() + usize::from(self.gone)
    }

    fn shown(&self) -> Option<(usize, &Version)> {
        let index = self.versions.len().checked_sub(1 + self.back)?;
        Some((index, &self.versions[index]))
    }

    fn compare(&mut self) {
        let Some((index, version)) = self.shown() else { return self.lines.clear() };
        let now = self.text(&version.kv);
        let before = index.checked_sub(1).map(|before| self.text(&self.versions[before].kv));
        self.lines = match before {
            Some(before) if before.len() + now.len() < MAX_COMPARED => {
                let diff = TextDiff::from_lines(&before, &now);
                let mark = |tag| match tag {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                diff.iter_all_changes()
                    .map(|change| (mark(change.tag()), change.value().trim_end_matches('\n').to_owned()))
                    .collect()
            }
            _ => now.lines().map(|line| (' ', line.to_owned())).collect(),
        };
        self.scroll = self.scroll.min(self.lines.len().saturating_sub(1));
    }

    fn text(&self, kv: &KeyValue) -> String {
        let Ok(mut value) = serde_json::from_slice::<Value>(&kv.value) else {
            return String::from_utf8_lossy(&kv.value).into_owned();
        };
        if !self.managed
            && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("managedFields");
        }
        yaml::to_string(&value)
    }

    /// Brings the first change into sight.
    fn scroll_to_first_change(&mut self) {
        let first = self.lines.iter().position(|(mark, line)| {
            *mark != ' '
                && !line.trim_start().starts_with("resourceVersion:")
                && !line.trim_start().starts_with("generation:")
        });
        self.scroll = first.map_or(self.scroll, |first| first.saturating_sub(3));
    }
}

impl View for Yaml {
    fn name(&self) -> Word {
        Word::Yaml
    }

    fn keys(&self) -> &'static [(KeyCode, Word)] {
        &[
            (KeyCode::Char('['), Word::KeyOlder),
            (KeyCode::Char(']'), Word::KeyNewer),
            (KeyCode::Char('m'), Word::KeyManaged),
        ]
    }

    fn key(&mut self, key: &KeyEvent, _: &World) -> Option<Arc<str>> {
        match key.code {
            KeyCode::Char('[') => self.back = (self.back + 1).min(self.versions.len().saturating_sub(1)),
            KeyCode::Char(']') => self.back = self.back.saturating_sub(1),
            _ => self.managed = !self.managed,
        }
        self.compare();
        if !matches!(key.code, KeyCode::Char('m')) {
            self.scroll_to_first_change();
        }
        None
    }

    fn travel(&mut self, travel: Travel, _: &World) {
        let last = self.lines.len().saturating_sub(1);
        self.scroll = match travel {
            Travel::By(by) => (self.scroll as i64).saturating_add(by).max(0) as usize,
            Travel::First => 0,
            Travel::Last => last,
        }
        .min(last);
    }

    fn changed(&mut self, _: &World, records: &[Arc<Record>]) {
        if self.take(records) {
            self.compare();
        }
    }

    fn reset(&mut self, world: &World) {
        if self.key != world.subject {
            self.open(world);
        }
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let (theme, lang) = (scene.theme, scene.lang);
        let (Some(key), Some((index, version))) = (&self.key, self.shown()) else {
            return draw_note(area, buffer, Word::NoSubject.text(lang), theme.dim());
        };
        let gone = if self.gone && self.back == 0 {
            format!(" · {}", Word::Gone.text(lang))
        } else {
            String::new()
        };
        let head = Line::from(vec![
            Span::styled(about(key), theme.title()),
            Span::styled(
                format!(
                    "  #{} · {} {}/{} · {} {}{gone}",
                    version.kv.mod_revision,
                    Word::Revision.text(lang),
                    index + 1,
                    self.versions.len(),
                    version.time,
                    version.who
                ),
                theme.dim(),
            ),
        ]);
        draw_line(buffer, (area.x, area.y), &head, area.width);
        let body = Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(1), ..area };
        for (row, (mark, line)) in self.lines.iter().skip(self.scroll).take(body.height.into()).enumerate() {
            let style = match mark {
                '+' => theme.good(),
                '-' => theme.bad(),
                _ => theme.text(),
            };
            let text = cut(&format!("{mark} {line}"), body.width.into());
            buffer.set_stringn(body.x, body.y + row as u16, text, body.width.into(), style);
        }
    }
}
