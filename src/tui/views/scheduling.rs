//! Scheduling: why each pod went where it went. For every attempt the nodes, who refused them and how they scored,
//! plugin by plugin.

use std::collections::BTreeMap;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::list::{Cursor, Travel, draw_line, draw_list, draw_note};
use super::view::{Feed, Scene, View};
use crate::scheduler::Decision;
use crate::tui::text::{cut, pad, wrap};
use crate::tui::words::Word;
use crate::tui::world::{World, exact_time};

/// The view.
#[derive(Debug, Default)]
pub struct Scheduling {
    decisions: Arc<Vec<Decision>>,
    cursor: Cursor,
}

impl View for Scheduling {
    fn name(&self) -> Word {
        Word::Scheduling
    }

    fn short_name(&self) -> Word {
        Word::SchedulingShort
    }

    fn travel(&mut self, travel: Travel, _: &World) {
        self.cursor.travel(travel, self.decisions.len(), true);
    }

    fn feed(&mut self, feed: &Feed) {
        if let Feed::Decisions(decisions) = feed {
            self.decisions = decisions.clone();
        }
    }

    fn wants_decisions(&self) -> bool {
        true
    }

    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer) {
        let count = self.decisions.len();
        if count == 0 {
            return draw_note(area, buffer, Word::NoDecisions.text(scene.lang), scene.theme.dim());
        }
        let chosen = self.cursor.row(count);
        let details = details(scene, &self.decisions[chosen], area.width.into());
        let wanted = details.len() as u16;
        // The details get what they want, but the list keeps a few rows and never more than half.
        let most = (area.height / 2).max(3).min(area.height);
        let rows = area.height.saturating_sub(wanted + 1).max(3).min(most);
        let list = Rect { height: rows, ..area };
        draw_list(scene, list, buffer, (count, chosen), |index| {
            line(scene, &self.decisions[index], index == chosen)
        });
        let below = Rect { y: list.bottom(), height: area.height - list.height, ..area };
        for (index, line) in details.iter().take(below.height.into()).enumerate() {
            draw_line(buffer, (below.x, below.y + index as u16), line, below.width);
        }
    }
}

fn line(scene: Scene<'_>, decision: &Decision, chosen: bool) -> Line<'static> {
    let (theme, lang) = (scene.theme, scene.lang);
    let (end, style) = match &decision.chosen {
        Some(node) => (format!("→ {node}"), theme.good()),
        None => (format!("✗ {}", Word::NoNodeFits.text(lang)), theme.bad()),
    };
    let (namespace, name) = &decision.pod;
    Line::from(vec![
        Span::styled(if chosen { "› " } else { "  " }, theme.accent()),
        Span::styled(format!("{} ", exact_time(decision.time)), theme.dim()),
        Span::raw(format!("{namespace}/{name} ")),
        Span::styled(end, style),
    ])
}

/// The table of nodes and plugins of one attempt.
fn details(scene: Scene<'_>, decision: &Decision, columns: usize) -> Vec<Line<'static>> {
    let (theme, lang) = (scene.theme, scene.lang);
    let mut lines = vec![Line::styled("─".repeat(columns), theme.dim())];
    let plugins: std::collections::BTreeSet<&str> =
        decision.scores.iter().map(|(_, plugin, ..)| plugin.as_str()).collect();
    let nodes: Vec<&String> = decision.feasible.iter().take(8).collect();
    if !plugins.is_empty() {
        scores(scene, decision, &plugins, &nodes, columns, &mut lines);
    } else if let [only] = &nodes[..] {
        lines.push(Line::from(vec![
            Span::styled(format!("{only}: "), theme.good()),
            Span::raw(Word::OnlyOneFits.text(lang)),
        ]));
    }
    for (node, plugin, reason) in &decision.rejected {
        lines.push(Line::from(vec![
            Span::styled("✗ ", theme.bad()),
            Span::raw(format!("{node} ")),
            Span::styled(format!("{} {plugin}: ", Word::Refused.text(lang)), theme.dim()),
            Span::styled(reason.clone(), theme.warn()),
        ]));
    }
    if let Some(message) = &decision.message {
        lines.extend(wrap(message, columns).into_iter().map(|line| Line::styled(line, theme.dim())));
    }
    lines
}

/// A column a node, a row a plugin, and the totals.
fn scores(
    scene: Scene<'_>,
    decision: &Decision,
    plugins: &std::collections::BTreeSet<&str>,
    nodes: &[&String],
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let (theme, lang) = (scene.theme, scene.lang);
    let name_columns = 26.min(columns / 2);
    let node_columns = ((columns - name_columns) / nodes.len().max(1)).clamp(6, 18);
    let by: BTreeMap<(&str, &str), (i64, i64)> = decision
        .scores
        .iter()
        .map(|(node, plugin, score, weighted)| ((node.as_str(), plugin.as_str()), (*score, *weighted)))
        .collect();
    let chosen = |node: &str| decision.chosen.as_deref() == Some(node);
    let style = |node: &str| if chosen(node) { theme.good() } else { theme.text() };
    let mut head = vec![Span::styled(pad("", name_columns), theme.dim())];
    for node in nodes {
        let mark = if chosen(node) { "→" } else { "" };
        head.push(Span::styled(
            pad(&cut(&format!("{mark}{node}"), node_columns - 1), node_columns),
            style(node),
        ));
    }
    lines.push(Line::from(head));
    for plugin in plugins {
        let mut row = vec![Span::styled(pad(plugin, name_columns), theme.accent())];
        for node in nodes {
            let (score, weighted) = by.get(&(node.as_str(), *plugin)).copied().unwrap_or_default();
            let text = if score == weighted { score.to_string() } else { format!("{score} → {weighted}") };
            row.push(Span::styled(pad(&text, node_columns), style(node)));
        }
        lines.push(Line::from(row));
    }
    let mut totals = vec![Span::styled(pad(Word::Total.text(lang), name_columns), theme.title())];
    for node in nodes {
        let total: i64 =
            by.iter().filter(|((of, _), _)| *of == node.as_str()).map(|(_, (_, weighted))| weighted).sum();
        totals.push(Span::styled(pad(&total.to_string(), node_columns), style(node)));
    }
    lines.push(Line::from(totals));
}
