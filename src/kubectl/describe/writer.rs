//! Text in aligned columns: what is written is cut into cells at tabs, and cells of neighbouring lines form columns.
//!
//! `describe` writes everything through a [`Writer`]; `rollout history` uses [`align`]. It knows no object.
// Models text/tabwriter (Init with minwidth 0, tabwidth 8, padding 2, padchar ' ') and kubectl/pkg/describe (PrefixWriter).

/// How many blanks lie between two columns of a description.
const PADDING: usize = 2;

/// Collects a description, two blanks of indentation a level.
#[derive(Debug, Default)]
pub struct Writer {
    done: String,
    pending: String,
}

impl Writer {
    /// An empty description.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text, indented by `level` at its beginning only.
    pub fn write(&mut self, level: usize, text: &str) {
        self.pending.push_str(&"  ".repeat(level));
        self.pending.push_str(&escape_terminal(text));
    }

    /// Aligns what was written so far by itself.
    pub fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.done.push_str(&align(&pending, PADDING));
    }

    /// The whole text with its tabs, for the few places where kubectl does not align it.
    pub fn finish_unaligned(self) -> String {
        self.done + &self.pending
    }

    /// The whole text, aligned.
    pub fn finish(mut self) -> String {
        self.flush();
        self.done
    }
}

/// Writes formatted text at a level: `put!(writer, 1, "Name:\t{}\n", name)`.
macro_rules! put {
    ($writer:expr, $level:expr, $($format:tt)*) => {
        $writer.write($level, &format!($($format)*))
    };
}
pub(crate) use put;

/// Makes control characters of a terminal harmless.
// Models cli-runtime/pkg/printers (WriteEscaped).
pub fn escape_terminal(text: &str) -> String {
    text.replace('\x1b', "^[").replace('\r', "\\r")
}

/// Aligns cells that end in a tab. A column is a run of neighbouring lines that have a cell in that place; it is as wide
/// as its widest cell and `padding`. What follows a line's last tab belongs to no column.
pub fn align(text: &str, padding: usize) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut layout =
        Layout { lines: &lines, padding, out: String::with_capacity(text.len() * 2), widths: vec![] };
    layout.format(0, lines.len());
    // `split` yields one line more than there are line ends.
    layout.out.pop();
    layout.out
}

struct Layout<'a> {
    lines: &'a [Vec<&'a str>],
    padding: usize,
    out: String,
    widths: Vec<usize>,
}

impl Layout<'_> {
    fn format(&mut self, from: usize, to: usize) {
        let column = self.widths.len();
        let (mut written, mut line) = (from, from);
        while line < to {
            if column + 1 >= self.lines[line].len() {
                line += 1;
                continue;
            }
            self.write_lines(written, line);
            let start = line;
            while line < to && column + 1 < self.lines[line].len() {
                line += 1;
            }
            let widest = self.lines[start..line].iter().map(|cells| cells[column].chars().count()).max();
            self.widths.push(widest.unwrap_or(0) + self.padding);
            self.format(start, line);
            self.widths.pop();
            written = line;
        }
        self.write_lines(written, to);
    }

    fn write_lines(&mut self, from: usize, to: usize) {
        for cells in &self.lines[from..to] {
            for (place, cell) in cells.iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(place) {
                    let used = cell.chars().count();
                    self.out.push_str(&" ".repeat(width.saturating_sub(used)));
                }
            }
            self.out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cases = [
            ("a\tb\nccc\td\n", "a    b\nccc  d\n"),
            // A line without the cell ends the column.
            ("a\tb\nx\nccc\td\n", "a  b\nx\nccc  d\n"),
            // A cell that ends in a tab is filled up, even at the end of a line.
            ("Name:\tx\nMedium:\t\n", "Name:    x\nMedium:  \n"),
            ("a\t\tb\nccc\t\td\n", "a      b\nccc    d\n"),
            ("one\ttwo", "one  two"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(align(text, 2), expected, "{text:?}");
        }
    }

    #[test]
    fn a_flush_ends_every_column() {
        let mut writer = Writer::new();
        put!(writer, 0, "Long name:\t{}\n", 1);
        writer.flush();
        put!(writer, 1, "a\tb\x1b\n");
        assert_eq!(writer.finish(), "Long name:  1\n  a  b^[\n");
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_lines_and_letters(text in "[a-zé\t\n ]{0,80}") {
            let aligned = align(&text, 2);
            prop_assert_eq!(aligned.matches('\n').count(), text.matches('\n').count());
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
            prop_assert_eq!(letters(&aligned), letters(&text));
        }
    }
}
