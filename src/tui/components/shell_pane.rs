//! The shell's pane: what commands printed, the line at the prompt, and the screen of what runs.
//!
//! Bytes that commands print go through a terminal emulator; while nothing runs, the line that is being typed is drawn
//! behind them. It starts nothing itself: what shall happen comes back as [`ShellWish`]es.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::key_bytes::key_bytes;
use super::line_editor::{Edited, LineEditor};
use super::printed::Printed;
use super::prompt_rows::{PromptRows, prompt_rows};
use super::screen::draw_screen;
use crate::shell::completion::Completion;
use crate::tui::input_bytes::{Parsed, parse};
use crate::tui::theme::Theme;
use crate::tui::words::{Lang, Word};

/// How much of what a command has not read is typed at the prompt, as much as Linux keeps for a terminal. More was a paste
/// for that command, and no line of it is meant for the shell.
const TYPE_AHEAD_BYTES: usize = 4096;
/// The most rows that candidates take.
const MENU_ROWS: usize = 8;

/// What the pane wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShellWish {
    /// Run a command.
    Run(String),
    /// Give these bytes to the command that runs.
    Keys(Vec<u8>),
    /// Find candidates for this line with the cursor there.
    Complete(String, usize),
    /// The learner wants to leave.
    Leave,
    /// Say something.
    Say(Word),
}

/// The pane.
pub struct ShellPane {
    printed: Printed,
    editor: LineEditor,
    prompt: String,
    /// The prompt and the line as they are shown, laid out whenever they change and not for every frame.
    rows: PromptRows,
    running: bool,
    /// How many rows the view is above the newest.
    scroll: usize,
    /// Columns and rows.
    size: (u16, u16),
}

impl ShellPane {
    /// A pane that waits for its first prompt.
    pub fn new(history: Vec<String>) -> Self {
        let size = (80, 24);
        Self {
            printed: Printed::new(size),
            editor: LineEditor::new(history),
            prompt: String::new(),
            rows: PromptRows::default(),
            running: true,
            scroll: 0,
            size,
        }
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Whether a command runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether older rows are looked at.
    pub fn is_scrolled(&self) -> bool {
        self.scroll > 0
    }

    /// The line that is being typed.
    pub fn editor(&self) -> &LineEditor {
        &self.editor
    }

    /// Everything that the screen shows, for tests.
    pub fn contents(&self) -> String {
        self.printed.screen().contents()
    }

    /// Whether a program has taken the whole screen.
    pub fn is_full_screen(&self) -> bool {
        self.running && self.printed.screen().alternate_screen()
    }

    /// Gives the pane another size. `true`: it is another.
    pub fn resize(&mut self, columns: u16, rows: u16) -> bool {
        let size = (columns.max(1), rows.max(1));
        if self.size == size {
            return false;
        }
        self.size = size;
        self.printed.resize(size);
        self.settle();
        true
    }

    /// Takes in what a command printed.
    pub fn output(&mut self, bytes: &[u8]) {
        let before = self.printed.screen().scrollback_len();
        self.printed.process(bytes);
        if self.scroll > 0 {
            // What is being read stays where it is.
            self.scroll += self.printed.screen().scrollback_len().saturating_sub(before);
        }
        self.settle();
    }

    /// Says something in the pane, on lines of its own.
    pub fn say(&mut self, text: &str) {
        self.printed.fresh_line();
        self.printed.process(text.replace('\n', "\r\n").as_bytes());
        self.printed.process(b"\r\n");
        self.settle();
    }

    /// The command has ended; this is the next prompt and what is said before it.
    pub fn ended(&mut self, prompt: String, notices: &[String]) {
        self.running = false;
        self.prompt = prompt;
        self.printed.take_back();
        for notice in notices {
            self.say(notice);
        }
        self.settle();
    }

    /// Takes in what was typed while a command ran that did not read it: as if it were typed now.
    pub fn type_ahead(&mut self, typed: &[u8]) -> Vec<ShellWish> {
        if typed.len() > TYPE_AHEAD_BYTES {
            return vec![ShellWish::Say(Word::InputFull)];
        }
        let (mut wishes, mut left) = (vec![], typed);
        while !left.is_empty() {
            if self.running {
                // A whole line was among it: the rest is for that command.
                wishes.push(ShellWish::Keys(left.to_vec()));
                break;
            }
            let (event, bytes) = match parse(left) {
                Parsed::Event(event, bytes) => (Some(event), bytes),
                Parsed::Nothing(bytes) => (None, bytes),
                Parsed::More => break,
            };
            left = &left[bytes..];
            // The end of input was meant for the command and not for the whole shell.
            let is_end = |key: &KeyEvent| {
                key.code == KeyCode::Char('d') && key.modifiers.contains(KeyModifiers::CONTROL)
            };
            if let Some(Event::Key(key)) = event
                && !is_end(&key)
            {
                wishes.extend(self.key(&key));
            }
        }
        wishes
    }

    /// Takes in a key.
    pub fn key(&mut self, key: &KeyEvent) -> Vec<ShellWish> {
        self.scroll = 0;
        if self.running {
            self.settle();
            let bytes = key_bytes(key, self.printed.screen().application_cursor());
            return if bytes.is_empty() { vec![] } else { vec![ShellWish::Keys(bytes)] };
        }
        // Some terminals tell a line feed for Ctrl-J and for Enter in a paste without brackets.
        let edited = self.editor.key(key);
        self.settle();
        match edited {
            Edited::Submit(line) => self.submit(line),
            Edited::Dropped(line) => {
                self.echo(&line, "^C");
                vec![]
            }
            Edited::End => vec![ShellWish::Leave],
            Edited::Complete => {
                vec![ShellWish::Complete(self.editor.text().to_owned(), self.editor.cursor())]
            }
            Edited::Clear => {
                self.printed.process(b"\x1b[H\x1b[2J");
                self.settle();
                vec![]
            }
            Edited::Line | Edited::Unknown => vec![],
        }
    }

    fn submit(&mut self, line: String) -> Vec<ShellWish> {
        self.echo(&line, "");
        if line.trim().is_empty() {
            return vec![];
        }
        self.running = true;
        vec![ShellWish::Run(line)]
    }

    /// Writes the prompt and the line where the emulator can keep them.
    fn echo(&mut self, line: &str, behind: &str) {
        let shown = line.replace('\n', "\r\n> ");
        let text = format!("\x1b[1;32m{}\x1b[0m{shown}{behind}\r\n", self.prompt);
        self.printed.process(text.as_bytes());
        self.settle();
    }

    /// Takes in letters that came at once.
    pub fn letters(&mut self, text: &str) -> Vec<ShellWish> {
        self.scroll = 0;
        if self.running {
            self.settle();
            return vec![ShellWish::Keys(text.as_bytes().to_vec())];
        }
        if self.editor.searching().is_some() {
            return text
                .chars()
                .flat_map(|c| self.key(&KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)))
                .collect();
        }
        if self.editor.insert(text) {
            self.settle();
            return vec![];
        }
        // Nothing is laid out anew for what is not taken, of which there may be much.
        vec![ShellWish::Say(Word::PasteTooLong)]
    }

    /// Takes in a paste.
    pub fn paste(&mut self, text: &str) -> Vec<ShellWish> {
        self.scroll_to(0);
        if self.running {
            let text = text.replace("\r\n", "\r").replace('\n', "\r");
            let bracketed = self.printed.screen().bracketed_paste();
            let text = if bracketed { format!("\x1b[200~{text}\x1b[201~") } else { text };
            return vec![ShellWish::Keys(text.into_bytes())];
        }
        let taken = self.editor.paste(text);
        self.settle();
        if taken { vec![] } else { vec![ShellWish::Say(Word::PasteTooLong)] }
    }

    /// Takes in candidates.
    pub fn complete(&mut self, text: &str, cursor: usize, completion: Completion) {
        if !self.running {
            self.editor.complete(text, cursor, completion);
            self.settle();
        }
    }

    /// Looks at older (positive) or newer rows. A program that has the whole screen gets arrow keys instead.
    pub fn scroll_by(&mut self, rows: i32) -> Vec<ShellWish> {
        if self.is_full_screen() {
            let code = if rows > 0 { KeyCode::Up } else { KeyCode::Down };
            let key = KeyEvent::new(code, KeyModifiers::NONE);
            let bytes = key_bytes(&key, self.printed.screen().application_cursor());
            let times = usize::try_from(rows.unsigned_abs()).unwrap_or(1).min(10);
            return vec![ShellWish::Keys(bytes.repeat(times))];
        }
        let to = if rows > 0 {
            self.scroll.saturating_add(rows.unsigned_abs() as usize)
        } else {
            self.scroll.saturating_sub(rows.unsigned_abs() as usize)
        };
        self.scroll_to(to);
        vec![]
    }

    fn scroll_to(&mut self, rows: usize) {
        self.scroll = rows;
        self.settle();
    }

    /// How many rows the prompt takes that do not fit below what was printed, and the rows that were printed.
    fn overflow(&self) -> (usize, usize) {
        let printed = usize::from(self.printed.screen().cursor_position().0)
            + usize::from(self.printed.screen().cursor_position().1 > 0);
        if self.running {
            return (0, printed);
        }
        let height = usize::from(self.size.1);
        ((printed + self.rows.len()).saturating_sub(height), printed)
    }

    /// Lays the prompt out, and sets the emulator's window on its older rows by how far the learner has scrolled.
    fn settle(&mut self) {
        if !self.running {
            self.rows = prompt_rows(&self.editor, &self.prompt, usize::from(self.size.0), MENU_ROWS);
        }
        let (overflow, _) = self.overflow();
        let kept = self.printed.screen().scrollback_len();
        self.scroll = self.scroll.min(kept + overflow);
        self.printed.look_back(self.scroll.saturating_sub(overflow));
    }

    /// Draws it and returns where the cursor is.
    pub fn draw(&self, theme: Theme, area: Rect, buffer: &mut Buffer) -> Option<Position> {
        let screen = self.printed.screen();
        if self.running {
            draw_screen(screen, theme, 0, area, buffer);
            let (row, column) = screen.cursor_position();
            let shown = !screen.hide_cursor() && self.scroll == 0 && row < area.height && column < area.width;
            return shown.then(|| Position::new(area.x + column, area.y + row));
        }
        let (overflow, printed) = self.overflow();
        // Scrolled by less than the overflow, the emulator's own screen is merely shown from further up.
        let skipped = overflow.saturating_sub(self.scroll);
        let back = self.scroll.saturating_sub(overflow);
        draw_screen(screen, theme, skipped as u16, area, buffer);
        let top = printed + back - skipped.min(printed + back);
        self.rows.draw(theme, top, skipped.saturating_sub(printed + back), area, buffer)
    }

    /// What the pane's title says besides its name.
    pub fn state(&self, lang: Lang) -> Option<&'static str> {
        if self.scroll > 0 {
            Some(Word::Scrolled.text(lang))
        } else if self.running && !self.prompt.is_empty() {
            Some(Word::Running.text(lang))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Palette;

    const THEME: Theme = Theme { palette: Palette::Dark };

    fn pane(columns: u16, rows: u16) -> ShellPane {
        let mut pane = ShellPane::new(vec![]);
        pane.resize(columns, rows);
        pane.ended("$ ".into(), &[]);
        pane
    }

    fn typed(pane: &mut ShellPane, text: &str) -> Vec<ShellWish> {
        let mut wishes = vec![];
        for c in text.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            wishes.extend(pane.key(&KeyEvent::new(code, KeyModifiers::NONE)));
        }
        wishes
    }

    fn shown(pane: &ShellPane) -> (Vec<String>, Option<(u16, u16)>) {
        let area = Rect::new(0, 0, pane.size.0, pane.size.1);
        let mut buffer = Buffer::empty(area);
        let cursor = pane.draw(THEME, area, &mut buffer);
        let row = |y| (0..area.width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        ((0..area.height).map(|y| row(y).trim_end().to_owned()).collect(), cursor.map(|at| (at.x, at.y)))
    }

    #[test]
    fn a_command_is_typed_run_and_the_next_prompt_follows() {
        let mut pane = pane(20, 5);
        assert_eq!(typed(&mut pane, "ls -l"), []);
        assert_eq!(shown(&pane), (["$ ls -l", "", "", "", ""].map(str::to_owned).to_vec(), Some((7, 0))));
        assert_eq!(typed(&mut pane, "\n"), [ShellWish::Run("ls -l".into())]);
        pane.output(b"one\r\ntwo");
        assert_eq!(shown(&pane).0[..3], ["$ ls -l", "one", "two"]);
        assert_eq!(
            pane.key(&KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)),
            [ShellWish::Keys(vec![3])]
        );
        pane.ended("$ ".into(), &[]);
        assert_eq!(
            shown(&pane),
            (["$ ls -l", "one", "two", "$", ""].map(str::to_owned).to_vec(), Some((2, 3)))
        );
    }

    #[test]
    fn what_a_command_did_not_read_is_typed_at_the_prompt() {
        let mut pane = pane(20, 5);
        typed(&mut pane, "sleep 5\n");
        pane.ended("$ ".into(), &[]);
        assert_eq!(pane.type_ahead("ls 叢\x7f-l\x1b[D".as_bytes()), []);
        assert_eq!((pane.editor().text(), pane.editor().cursor()), ("ls -l", 4));
        assert_eq!(pane.type_ahead(b"\x04\x15"), [], "Ctrl-D does not leave, Ctrl-U empties");
        assert_eq!(pane.editor().text(), "l");
        let wishes = pane.type_ahead(b"s\nread x\nvalue");
        assert_eq!(wishes[0], ShellWish::Run("sl".into()));
        assert_eq!(wishes[1], ShellWish::Keys(b"read x\nvalue".to_vec()), "the rest is for what runs now");
        pane.ended("$ ".into(), &[]);
        assert_eq!(pane.type_ahead(&b"rm x\n".repeat(2000)), [ShellWish::Say(Word::InputFull)]);
        assert!(!pane.is_running());
    }

    #[test]
    fn the_prompt_stays_in_sight_when_the_screen_is_full_and_older_rows_can_be_seen() {
        let mut pane = pane(10, 4);
        typed(&mut pane, "x\n");
        pane.output(b"1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n");
        pane.ended("$ ".into(), &[]);
        assert_eq!(shown(&pane), (["4", "5", "6", "$"].map(str::to_owned).to_vec(), Some((2, 3))));
        typed(&mut pane, "123456789abc");
        assert_eq!(shown(&pane).0, ["5", "6", "$ 12345678", "9abc"], "a long line takes a second row");
        pane.scroll_by(1);
        assert_eq!(shown(&pane).0, ["4", "5", "6", "$ 12345678"]);
        pane.scroll_by(3);
        assert_eq!(shown(&pane).0, ["1", "2", "3", "4"]);
        pane.scroll_by(100);
        assert_eq!(shown(&pane).0, ["$ x", "1", "2", "3"]);
        typed(&mut pane, "d");
        assert_eq!(shown(&pane).0, ["5", "6", "$ 12345678", "9abcd"], "typing comes back to the prompt");
    }

    #[test]
    fn what_a_job_prints_comes_before_the_prompt() {
        let mut pane = pane(20, 5);
        typed(&mut pane, "ab");
        pane.output(b"from a job\r\n");
        assert_eq!(shown(&pane).0[..2], ["from a job", "$ ab"]);
    }

    #[test]
    fn wide_characters_keep_their_columns() {
        let mut pane = pane(9, 4);
        typed(&mut pane, "echo 叢集");
        // A wide character that does not fit goes to the next row.
        assert_eq!(shown(&pane).1, Some((2, 1)));
        typed(&mut pane, "\n");
        pane.output("叢集裡\r\n".as_bytes());
        pane.ended("$ ".into(), &[]);
        let (rows, cursor) = shown(&pane);
        assert_eq!(rows[2].replace(' ', ""), "叢集裡");
        assert_eq!(cursor, Some((2, 3)));
    }

    #[test]
    fn a_program_on_its_own_screen_leaves_no_trace_when_it_is_killed() {
        let mut pane = pane(20, 4);
        typed(&mut pane, "vi x\n");
        pane.output(b"\x1b[?1049h\x1b[H\x1b[2Jtext of vi\x1b[?1h\x1b[?25l");
        assert!(pane.is_full_screen());
        let up = KeyEvent::new(KeyCode::Up, KeyModifiers::NONE);
        assert_eq!(pane.key(&up), [ShellWish::Keys(b"\x1bOA".to_vec())]);
        pane.ended("$ ".into(), &[]);
        assert_eq!(shown(&pane).0[..2], ["$ vi x", "$"]);
    }

    #[test]
    fn a_huge_paste_is_refused_in_one_line_and_goes_through_to_a_program() {
        let mut pane = pane(20, 4);
        let huge = "x\n".repeat(1 << 19);
        assert_eq!(pane.paste(&huge), [ShellWish::Say(Word::PasteTooLong)]);
        typed(&mut pane, "cat\n");
        let [ShellWish::Keys(bytes)] = &pane.paste(&huge)[..] else { panic!("the program gets it") };
        assert_eq!(bytes.len(), huge.len());
    }

    #[test]
    fn what_was_printed_is_laid_out_anew_when_the_width_changes() {
        let mut pane = pane(20, 5);
        typed(&mut pane, "x\n");
        pane.output(b"a line of more than ten\r\n");
        pane.ended("$ ".into(), &[]);
        pane.resize(10, 6);
        assert_eq!(shown(&pane).0, ["$ x", "a line of", "more than", "ten", "$", ""]);
        pane.resize(30, 6);
        assert_eq!(shown(&pane).0[..3], ["$ x", "a line of more than ten", "$"]);
    }

    #[test]
    fn every_size_is_survived() {
        let mut pane = pane(20, 5);
        typed(&mut pane, "echo 叢集 and a long line\n");
        pane.output("叢集\r\n".repeat(30).as_bytes());
        pane.ended("$ ".into(), &[]);
        typed(&mut pane, "more text 叢集");
        for (columns, rows) in [(1, 1), (2, 3), (200, 60), (3, 1), (20, 5), (0, 0)] {
            pane.resize(columns, rows);
            shown(&pane);
            pane.scroll_by(7);
            shown(&pane);
        }
    }
}
