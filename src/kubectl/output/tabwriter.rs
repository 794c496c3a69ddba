//! Columns that line up: text with tabs in, text with spaces out.
// Models Go's text/tabwriter and github.com/liggitt/tabwriter (remembered widths), with spaces for padding.

use unicode_width::UnicodeWidthStr;

/// Collects text whose cells end in tabs; [`flush`](Self::flush) lines the columns up.
///
/// A cell belongs to a column only if a tab ends it. Columns are runs of lines that have such a cell: a line with fewer
/// cells ends the columns to its right.
#[derive(Clone, Debug)]
pub struct TabWriter {
    min_width: usize,
    padding: usize,
    /// Widths of earlier columns, kept between flushes; `None` if they are not kept.
    remembered: Option<Vec<usize>>,
    lines: Vec<Vec<String>>,
    done: String,
}

impl TabWriter {
    /// A writer with a least column width and so many spaces between columns.
    pub fn new(min_width: usize, padding: usize) -> Self {
        Self { min_width, padding, remembered: None, lines: vec![vec![String::new()]], done: String::new() }
    }

    /// The writer of `kubectl get`: columns at least 6 wide with 3 spaces, widths kept between flushes.
    // Models printers.GetNewTabWriter.
    pub fn for_tables() -> Self {
        Self { remembered: Some(vec![]), ..Self::new(6, 3) }
    }

    /// Forgets the widths of earlier columns.
    pub fn forget_widths(&mut self) {
        if let Some(widths) = &mut self.remembered {
            widths.clear();
        }
    }

    /// Adds text.
    pub fn write(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '\t' => self.last().push(String::new()),
                '\n' => {
                    let single = self.last().len() == 1;
                    self.lines.push(vec![String::new()]);
                    // A line without tabs ends all columns.
                    if single && self.remembered.is_none() {
                        self.format();
                    }
                }
                other => {
                    if let Some(cell) = self.last().last_mut() {
                        cell.push(other);
                    }
                }
            }
        }
    }

    /// Adds a line.
    pub fn line(&mut self, text: &str) {
        self.write(text);
        self.write("\n");
    }

    /// The text so far, lined up.
    pub fn flush(&mut self) -> String {
        self.format();
        std::mem::take(&mut self.done)
    }

    fn last(&mut self) -> &mut Vec<String> {
        if self.lines.is_empty() {
            self.lines.push(vec![String::new()]);
        }
        let end = self.lines.len() - 1;
        &mut self.lines[end]
    }

    fn format(&mut self) {
        let lines = std::mem::replace(&mut self.lines, vec![vec![String::new()]]);
        let mut widths = vec![];
        self.columns(&lines, 0, lines.len(), &mut widths);
    }

    /// Prints the lines from `from` to `to`, whose first columns have the given widths.
    fn columns(&mut self, lines: &[Vec<String>], from: usize, to: usize, widths: &mut Vec<usize>) {
        let column = widths.len();
        let mut printed = from;
        let mut at = from;
        while at < to {
            if column + 1 >= lines[at].len() {
                at += 1;
                continue;
            }
            self.print(&lines[printed..at], widths, at < lines.len());
            let start = at;
            let mut width = self.min_width;
            let mut discard = true;
            while at < to && column + 1 < lines[at].len() {
                let cell = UnicodeWidthStr::width(lines[at][column].as_str());
                width = width.max(cell + self.padding);
                discard &= cell == 0;
                at += 1;
            }
            if discard && self.remembered.is_none() && self.min_width == 0 {
                width = self.padding * usize::from(!discard) + if discard { self.padding } else { 0 };
            }
            if let Some(known) = &mut self.remembered {
                match known.get_mut(column) {
                    Some(known) => {
                        width = width.max(*known);
                        *known = width;
                    }
                    None => known.push(width),
                }
            }
            widths.push(width);
            self.columns(lines, start, at, widths);
            widths.pop();
            printed = at;
        }
        self.print(&lines[printed..to], widths, to < lines.len());
    }

    fn print(&mut self, lines: &[Vec<String>], widths: &[usize], more: bool) {
        for (number, line) in lines.iter().enumerate() {
            for (column, cell) in line.iter().enumerate() {
                self.done.push_str(cell);
                if let Some(width) = widths.get(column).filter(|_| column + 1 < line.len()) {
                    let missing = width.saturating_sub(UnicodeWidthStr::width(cell.as_str()));
                    self.done.extend(std::iter::repeat_n(' ', missing));
                }
            }
            // The last line of all has no line break yet.
            if more || number + 1 < lines.len() {
                self.done.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut writer: TabWriter, text: &str, expected: &str) {
        writer.write(text);
        assert_eq!(writer.flush(), expected, "{text:?}");
    }

    #[test]
    fn columns_line_up() {
        check(TabWriter::for_tables(), "NAME\tAGE\nlong-name\t5s\n", "NAME        AGE\nlong-name   5s\n");
        check(TabWriter::for_tables(), "A\tB\n", "A     B\n");
        check(TabWriter::new(0, 2), "Name:\tx\nLonger:\ty\n", "Name:    x\nLonger:  y\n");
    }

    #[test]
    fn a_line_without_tabs_ends_columns() {
        check(TabWriter::new(0, 2), "a\tb\nxxxx\naaaa\tb\n", "a  b\nxxxx\naaaa  b\n");
        check(
            TabWriter::new(0, 2),
            "a\tb\tc\naaa\tb\naaaaa\tbbb\tc\n",
            "a      b  c\naaa    b\naaaaa  bbb  c\n",
        );
    }

    #[test]
    fn widths_are_remembered() {
        let mut writer = TabWriter::for_tables();
        writer.write("long-name-here\tx\n");
        writer.flush();
        writer.write("a\tx\n");
        assert_eq!(writer.flush(), "a                x\n");
    }
}
