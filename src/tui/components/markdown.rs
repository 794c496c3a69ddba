//! Markdown in styled lines of a given width, exact for wide characters.
//!
//! What lessons use: headings, paragraphs, emphasis, code, code blocks, lists, quotes, links, tables, rules. No HTML.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::code_block::{CONTINUED, code_rows, widest_table};
use crate::tui::text::{char_width, cut, line_end, pad, width};
use crate::tui::theme::Theme;

/// The most levels that are indented.
const MAX_DEPTH: usize = 4;

/// What Markdown is laid out for.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The most columns of a line.
    pub columns: usize,
    /// How far the tables in code blocks are moved to the left, in columns.
    pub sideways: usize,
    /// The colours.
    pub theme: Theme,
}

/// Markdown, laid out.
#[derive(Debug, Default)]
pub struct Laid {
    /// Its lines.
    pub lines: Vec<Line<'static>>,
    /// How many columns the tables in code blocks stick out.
    pub hidden: usize,
}

/// Lays Markdown out in lines.
pub fn markdown(text: &str, page: Page) -> Laid {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut writer = Writer::new(Page { columns: page.columns.max(8), ..page });
    for event in Parser::new_ext(text, options) {
        writer.event(event);
    }
    writer.flush();
    while writer.lines.last().is_some_and(|line| line.width() == 0) {
        writer.lines.pop();
    }
    Laid { lines: writer.lines, hidden: writer.hidden }
}

struct Writer {
    columns: usize,
    sideways: usize,
    hidden: usize,
    theme: Theme,
    lines: Vec<Line<'static>>,
    /// The paragraph so far, character by character with its style.
    flow: Vec<(char, Style)>,
    styles: Vec<Style>,
    /// The numbers of the lists around; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// What the next line begins with, and those after it.
    marker: Option<String>,
    quotes: usize,
    code_block: Option<String>,
    link: Option<String>,
    table: Option<Table>,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    cell: String,
    heads: usize,
}

impl Writer {
    fn new(page: Page) -> Self {
        let Page { columns, sideways, theme } = page;
        Self {
            columns,
            sideways,
            hidden: 0,
            theme,
            lines: vec![],
            flow: vec![],
            styles: vec![theme.text()],
            lists: vec![],
            marker: None,
            quotes: 0,
            code_block: None,
            link: None,
            table: None,
        }
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(code) => {
                if let Some(table) = &mut self.table {
                    table.cell.push_str(&code);
                } else {
                    let style = self.theme.code();
                    self.flow.extend(code.chars().map(|c| (c, style)));
                }
            }
            Event::SoftBreak => self.soft_break(),
            Event::HardBreak => self.flush(),
            Event::Rule => {
                self.flush();
                let rule = "─".repeat(self.columns);
                self.lines.push(Line::styled(rule, self.theme.dim()));
                self.blank();
            }
            _ => {}
        }
    }

    /// A line end in a paragraph: a space, but nothing between Chinese characters.
    fn soft_break(&mut self) {
        if self.flow.last().is_some_and(|(c, _)| char_width(*c) < 2) {
            self.flow.push((' ', self.style()));
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(code) = &mut self.code_block {
            code.push_str(text);
        } else if let Some(table) = &mut self.table {
            table.cell.push_str(text);
        } else {
            let style = self.style();
            self.flow.extend(text.chars().map(|c| (c, style)));
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.flush();
                let style = self.theme.title();
                let underline =
                    if level == HeadingLevel::H1 { Modifier::UNDERLINED } else { Modifier::empty() };
                self.styles.push(style.add_modifier(underline));
            }
            Tag::Emphasis => self.push_style(Modifier::ITALIC),
            Tag::Strong => self.push_style(Modifier::BOLD),
            Tag::Strikethrough => self.push_style(Modifier::CROSSED_OUT),
            Tag::Link { dest_url, .. } => {
                self.link = Some(dest_url.to_string());
                self.push_style(Modifier::UNDERLINED);
            }
            Tag::CodeBlock(kind) => {
                self.flush();
                let _language = matches!(kind, CodeBlockKind::Fenced(_));
                self.code_block = Some(String::new());
            }
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                self.marker = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                });
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.quotes += 1;
            }
            Tag::Table(_) => {
                self.flush();
                self.table = Some(Table::default());
            }
            Tag::TableRow | Tag::TableHead => {
                if let Some(table) = &mut self.table {
                    table.rows.push(vec![]);
                }
            }
            _ => {}
        }
    }

    fn push_style(&mut self, modifier: Modifier) {
        self.styles.push(self.style().add_modifier(modifier));
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.flush();
                if self.lists.is_empty() {
                    self.blank();
                }
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
                self.blank();
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => drop(self.styles.pop()),
            TagEnd::Link => {
                self.styles.pop();
                let shown: String = self.flow.iter().map(|(c, _)| *c).collect();
                if let Some(url) = self.link.take().filter(|url| url.contains("://") && !shown.ends_with(url))
                {
                    let style = self.theme.dim();
                    self.flow.extend(format!(" ({url})").chars().map(|c| (c, style)));
                }
            }
            TagEnd::CodeBlock => self.code(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
                if self.lists.is_empty() {
                    self.blank();
                }
            }
            TagEnd::Item => {
                self.flush();
                self.marker = None;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes = self.quotes.saturating_sub(1);
                self.blank();
            }
            TagEnd::TableCell => {
                if let Some(table) = &mut self.table {
                    let cell = std::mem::take(&mut table.cell);
                    table.rows.last_mut().expect("a cell is in a row").push(cell);
                }
            }
            TagEnd::TableHead => {
                if let Some(table) = &mut self.table {
                    table.heads = table.rows.len();
                }
            }
            TagEnd::Table => self.draw_table(),
            _ => {}
        }
    }

    fn blank(&mut self) {
        if self.lines.last().is_some_and(|line| line.width() > 0) {
            self.lines.push(Line::default());
        }
    }

    /// What the next line begins with, and what those below it do.
    fn indents(&mut self) -> (String, String) {
        let quote = "│ ".repeat(self.quotes.min(MAX_DEPTH));
        let depth = "  ".repeat(self.lists.len().saturating_sub(1).min(MAX_DEPTH));
        let marker = self.marker.take();
        let hang =
            " ".repeat(if self.lists.is_empty() { 0 } else { marker.as_ref().map_or(2, |m| width(m)) });
        (format!("{quote}{depth}{}", marker.unwrap_or_else(|| hang.clone())), format!("{quote}{depth}{hang}"))
    }

    /// Ends the paragraph: wraps it into lines.
    fn flush(&mut self) {
        if self.flow.is_empty() {
            return;
        }
        let flow = std::mem::take(&mut self.flow);
        let chars: Vec<char> = flow.iter().map(|(c, _)| *c).collect();
        let (first, rest) = self.indents();
        let (mut start, mut indent) = (0, first);
        while start < chars.len() {
            let end = line_end(&chars, start, self.columns.saturating_sub(width(&indent)).max(4));
            let mut spans = vec![Span::styled(indent, self.theme.dim())];
            let shown = flow[start..end].iter();
            let mut text = String::new();
            let mut style = None;
            for (c, now) in shown {
                if style.is_some_and(|style| style != *now) {
                    spans.push(Span::styled(std::mem::take(&mut text), style.unwrap_or_default()));
                }
                style = Some(*now);
                text.push(*c);
            }
            spans.push(Span::styled(text.trim_end().to_owned(), style.unwrap_or_default()));
            self.lines.push(Line::from(spans));
            start = end;
            while start < chars.len() && chars[start] == ' ' {
                start += 1;
            }
            indent = rest.clone();
        }
    }

    fn code(&mut self) {
        let code = self.code_block.take().unwrap_or_default();
        let (indent, _) = self.indents();
        let room = self.columns.saturating_sub(width(&indent) + 2).max(4);
        self.hidden = self.hidden.max(widest_table(&code, room).saturating_sub(room));
        for row in code_rows(&code, room, self.sideways) {
            let mark = if row.continued { CONTINUED } else { "" };
            self.lines.push(Line::from(vec![
                Span::styled(format!("{indent}▏ "), self.theme.dim()),
                Span::styled(mark, self.theme.dim()),
                Span::styled(row.text, self.theme.code()),
            ]));
        }
        self.blank();
    }

    fn draw_table(&mut self) {
        let Some(table) = self.table.take() else { return };
        let count = table.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; count];
        for row in &table.rows {
            for (column, cell) in row.iter().enumerate() {
                widths[column] = widths[column].max(width(cell));
            }
        }
        // The widest column gives until it fits.
        while widths.iter().sum::<usize>() + 2 * count.saturating_sub(1) > self.columns {
            let Some(widest) = widths.iter_mut().max() else { break };
            if *widest <= 4 {
                break;
            }
            *widest -= 1;
        }
        for (index, row) in table.rows.iter().enumerate() {
            let style = if index < table.heads { self.theme.title() } else { self.theme.text() };
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, columns)| pad(cell, *columns)).collect();
            self.lines.push(Line::styled(cut(cells.join("  ").trim_end(), self.columns), style));
        }
        self.blank();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::theme::Palette;

    fn plain(text: &str, columns: usize) -> Vec<String> {
        let page = Page { columns, sideways: 0, theme: Theme { palette: Palette::Dark } };
        markdown(text, page).lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_lessons_use_is_laid_out() {
        let text = "# Deploy\n\nA *Deployment* keeps `replicas`\nof a pod.\n\n- one\n- two is longer than that\n\n1. a\n2. b\n\n```console\nkubectl get pods\n```\n\n> said\n";
        assert_eq!(
            plain(text, 20),
            [
                "Deploy",
                "",
                "A Deployment keeps",
                "replicas of a pod.",
                "",
                "• one",
                "• two is longer than",
                "  that",
                "",
                "1. a",
                "2. b",
                "",
                "▏ kubectl get pods",
                "",
                "│ said"
            ]
        );
    }

    #[test]
    fn chinese_paragraphs_join_their_lines_and_break_at_the_edge() {
        assert_eq!(plain("叢集裡有\n節點，節點上有 Pod。", 16), ["叢集裡有節點，節", "點上有 Pod。"]);
    }

    #[test]
    fn tables_fit() {
        assert_eq!(plain("| a | b |\n|---|---|\n| 1 | 叢集 |\n", 30), ["a  b", "1  叢集"]);
    }

    #[test]
    fn links_tell_where_they_lead() {
        assert_eq!(plain("[docs](https://kubernetes.io)", 60), ["docs (https://kubernetes.io)"]);
    }

    proptest! {
        #[test]
        fn no_text_leads_to_a_panic_or_a_wide_line(text in "[-a-z0-9 #*`>|\n\\[\\]()叢集。_~]{0,200}", columns in 12usize..60) {
            for line in plain(&text, columns) {
                prop_assert!(width(&line) <= columns.max(40), "{line:?}");
            }
        }
    }
}
