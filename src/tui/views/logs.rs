//! The logs of several pods, line by line as they come, each with its pod's name.

use std::collections::VecDeque;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::list::{Cursor, Travel, draw_list, draw_note};
use super::view::{Feed, LogTarget, Scene, View};
use crate::tui::text::{cut, pad};
use crate::tui::theme::{Palette, Theme};
use crate::tui::words::Word;
use crate::tui::world::World;

/// How many lines are kept.
const KEPT: usize = 2000;
/// How many containers are followed at the same time.
const FOLLOWED: usize = 16;
/// The longest line that is kept, in characters.
const MAX_LINE: usize = 1000;

/// The view.
#[derive(Debug, Default)]
pub struct Logs {
    lines: VecDeque<(LogTarget, String)>,
    cursor: Cursor,
}

impl View for Logs {
    fn name(&self) -> Word {
        Word::Logs
    }

    fn short_name(&self) -> Word {
        Word::LogsShort
    }

    fn travel(&mut self, travel: Travel, _: &World) {
        self.cursor.travel(travel, self.lines.len(), true);
    }

    fn feed(&mut self, feed: &Feed) {
        let Feed::Log(target, line) = feed else { return };
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_LINE).collect();
        self.lines.push_back((target.clone(), line));
    }

    fn wanted_logs(&self, world: &World) -> Vec<LogTarget> {
        let mut wanted = vec![];
        for (_, object) in world.with_prefix("/registry/pods/") {
            let facts = world.facts(object);
            if facts.is_system() {
                continue;
            }
            let statuses = facts.value.pointer("/status/containerStatuses").and_then(Value::as_array);
            for status in
                statuses.into_iter().flatten().filter(|status| !status["state"]["running"].is_null())
            {
                wanted.push(LogTarget {
                    namespace: facts.namespace.clone(),
                    pod: facts.name.clone(),
                    container: status["name"].as_str().unwrap_or_default().to_owned(),
                    restarts: status["restartCount"].as_i64().unwrap_or_default(),
                });
            }
        }
        wanted.truncate(FOLLOWED);
        wanted
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        if self.lines.is_empty() {
            return draw_note(area, buffer, Word::NoLogs.text(scene.lang), scene.theme.dim());
        }
        let chosen = self.cursor.row(self.lines.len());
        let columns = usize::from(area.width);
        draw_list(scene, area, buffer, (self.lines.len(), chosen), |index| {
            let (target, text) = &self.lines[index];
            // The end of a name tells pods of one Deployment apart.
            let shown = (columns / 4).clamp(12, 30);
            let count = target.pod.chars().count();
            let name: String = target.pod.chars().skip(count.saturating_sub(shown)).collect();
            Line::from(vec![
                Span::styled(format!("{} │ ", pad(&name, shown)), colour(target, scene.theme)),
                Span::raw(cut(text, columns)),
            ])
        });
    }
}

/// A colour that stays with a pod.
fn colour(target: &LogTarget, theme: Theme) -> Style {
    const COLOURS: [Color; 5] = [Color::Cyan, Color::Green, Color::Magenta, Color::Blue, Color::Red];
    if theme.palette == Palette::Plain {
        return theme.text();
    }
    let sum = target.pod.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Style::new().fg(COLOURS[sum % COLOURS.len()])
}
