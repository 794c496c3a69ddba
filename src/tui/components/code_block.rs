//! Code blocks of lessons in panes that are narrower than they are.
//!
//! A command or a message goes on in the next row, with a mark in front, so that all of it can be read: what stands behind
//! the mark follows at once, and a space that belongs to the command is seen as one. A table as kubectl prints it would be
//! torn apart by that: it is set narrower, and where that is not enough its rows are cut with `…` and can be moved sideways.

use super::narrow_table::fitted;
use crate::tui::text::{char_width, cut, width};

/// What a row that continues the one above begins with.
pub const CONTINUED: &str = "↪";

/// A row of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// Whether it continues the row above.
    pub continued: bool,
    /// Its text.
    pub text: String,
}

/// Lays a block out in so many columns, with its tables moved to the left by `sideways`.
pub fn code_rows(code: &str, columns: usize, sideways: usize) -> Vec<CodeRow> {
    let parts = parts(code);
    let most = sideways.min(widest(&parts, columns).saturating_sub(columns));
    let mut rows = vec![];
    for part in &parts {
        match part {
            Part::Line(line) => wrap_line(line, columns, &mut rows),
            Part::Table(table) => rows.extend(
                fitted(table, columns)
                    .iter()
                    .map(|line| CodeRow { continued: false, text: cut(&without(line, most), columns) }),
            ),
        }
    }
    rows
}

/// How many columns the tables of a block need when they are laid out in so many; 0 if there is no table.
pub fn widest_table(code: &str, columns: usize) -> usize {
    widest(&parts(code), columns)
}

fn widest(parts: &[Part<'_>], columns: usize) -> usize {
    let rows = |part: &Part<'_>| match part {
        Part::Line(_) => 0,
        Part::Table(table) => fitted(table, columns).iter().map(|row| width(row)).max().unwrap_or(0),
    };
    parts.iter().map(rows).max().unwrap_or(0)
}

/// A part of a block: a line of text, or a table from its head to the next empty line or command.
enum Part<'a> {
    Line(&'a str),
    Table(Vec<&'a str>),
}

fn parts(code: &str) -> Vec<Part<'_>> {
    let mut parts = vec![];
    for line in code.trim_end_matches('\n').split('\n') {
        let ends = line.trim().is_empty() || line.starts_with("$ ");
        match parts.last_mut() {
            _ if is_head(line) => parts.push(Part::Table(vec![line])),
            Some(Part::Table(table)) if !ends => table.push(line),
            _ => parts.push(Part::Line(line)),
        }
    }
    parts
}

/// Whether a line is the head of a table as kubectl prints it: `NAME   READY   NOMINATED NODE`.
fn is_head(line: &str) -> bool {
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let letter = |c: char| c.is_ascii_uppercase() || matches!(c, ' ' | '-' | '(' | ')' | '_' | '%' | '/');
    cells.len() > 1 && !line.starts_with(' ') && cells.iter().all(|cell| cell.chars().all(letter))
}

/// The line without its first columns.
fn without(line: &str, columns: usize) -> String {
    let mut skipped = 0;
    let mut rest = line.chars();
    while skipped < columns
        && let Some(c) = rest.next()
    {
        skipped += char_width(c);
    }
    // The other half of a wide character.
    format!("{}{}", " ".repeat(skipped.saturating_sub(columns)), rest.as_str())
}

fn wrap_line(line: &str, columns: usize, rows: &mut Vec<CodeRow>) {
    let chars: Vec<char> = line.chars().collect();
    let mut start = 0;
    loop {
        let continued = start > 0;
        let room = columns.saturating_sub(if continued { width(CONTINUED) } else { 0 }).max(2);
        let end = row_end(&chars, start, room);
        rows.push(CodeRow { continued, text: chars[start..end].iter().collect() });
        start = end;
        if start >= chars.len() {
            return;
        }
    }
}

/// Where the row that begins at `start` ends: before a space, which goes to the row below, where it can be seen.
fn row_end(chars: &[char], start: usize, room: usize) -> usize {
    let mut used = 0;
    let fits = |c: &&char| {
        used += char_width(**c);
        used <= room
    };
    let end = (start + chars[start..].iter().take_while(fits).count()).max(start + 1).min(chars.len());
    if end == chars.len() {
        return end;
    }
    let word = chars[start..end].iter().position(|c| *c != ' ').map_or(end, |index| start + index);
    (word + 1..=end).rev().find(|at| chars[*at] == ' ').unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(code: &str, columns: usize, sideways: usize) -> Vec<String> {
        let row = |row: CodeRow| format!("{}{}", if row.continued { CONTINUED } else { "" }, row.text);
        code_rows(code, columns, sideways).into_iter().map(row).collect()
    }

    #[test]
    fn a_command_goes_on_below_and_its_spaces_are_seen() {
        let command = "kubectl create deployment web --image=registry.example/nginx:1";
        assert_eq!(
            shown(command, 24, 0),
            ["kubectl create", "↪ deployment web", "↪ --image=registry.examp", "↪le/nginx:1"]
        );
        assert_eq!(shown("short", 24, 0), ["short"]);
        assert_eq!(shown("a\n\nb", 24, 0), ["a", "", "b"]);
    }

    #[test]
    fn a_table_is_cut_and_moved_and_what_follows_it_is_not() {
        let table =
            "$ kubectl get pods\nNAME   READY   NODE\nweb    1/1     minikube\n$ ls -l\n\na long message";
        assert_eq!(
            shown(table, 13, 0),
            [
                "$ kubectl get",
                "↪ pods",
                "NAME   READY…",
                "web    1/1  …",
                "$ ls -l",
                "",
                "a long",
                "↪ message"
            ]
        );
        assert_eq!(shown(table, 13, 100)[2..4], ["DY   NODE", "     minikube"], "to its right end");
        assert_eq!(widest_table(table, 13), 23);
        assert_eq!(widest_table("kubectl get pods  -o wide", 13), 0);
    }

    proptest! {
        #[test]
        fn nothing_of_a_command_is_lost(line in "[a-z叢=/ -]{0,80}", columns in 6usize..40) {
            let rows = code_rows(&line, columns, 0);
            let joined: String = rows.iter().map(|row| row.text.as_str()).collect();
            prop_assert_eq!(joined, line);
            for row in rows {
                prop_assert!(width(&row.text) + usize::from(row.continued) <= columns, "{:?}", row);
            }
        }

        #[test]
        fn no_table_is_too_wide(line in "[a-z叢 ]{1,80}", columns in 6usize..40, sideways in 0usize..200) {
            for row in code_rows(&format!("NAME   AGE\n{line}"), columns, sideways) {
                prop_assert!(width(&row.text) <= columns, "{:?}", row);
            }
        }
    }
}
