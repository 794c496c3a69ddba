//! What each key does to the line, as readline has it. Whether a line is complete is decided by the shell's own scanner.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::history::History;
use super::menu::{Menu, offered};
use super::text::LineText;
use crate::bash::{Completeness, completeness};
use crate::shell::completion::Completion;

/// The longest line in bytes; more goes into a file.
const MAX_LINE: usize = 128 * 1024;

/// What a key led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The line changed, or nothing did.
    Line,
    /// A command is complete.
    Submit(String),
    /// Ctrl-C: the line was dropped; this is what it was.
    Dropped(String),
    /// Ctrl-D on an empty line.
    End,
    /// Tab: candidates are wanted.
    Complete,
    /// Ctrl-L.
    Clear,
    /// The key means nothing here.
    Unknown,
}

/// The line that is being typed.
#[derive(Clone, Debug, Default)]
pub struct LineEditor {
    line: LineText,
    history: History,
    menu: Option<Menu>,
}

impl LineEditor {
    /// An empty line with this history, oldest first.
    pub fn new(history: Vec<String>) -> Self {
        Self { history: History::new(history), ..Self::default() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.line.as_str()
    }

    /// Where the cursor is, in bytes.
    pub fn cursor(&self) -> usize {
        self.line.cursor()
    }

    /// The candidates to choose from.
    pub fn menu(&self) -> Option<&Menu> {
        self.menu.as_ref()
    }

    /// What is looked for in history: the text and whether it was found.
    pub fn searching(&self) -> Option<(&str, bool)> {
        self.history.searching()
    }

    /// The rest of the newest line of history that begins like this one.
    pub fn hint(&self) -> Option<&str> {
        let wanted = self.line.is_at_end() && self.searching().is_none() && self.menu.is_none();
        wanted.then(|| self.history.hint(self.line.as_str())).flatten()
    }

    /// Puts text in at the cursor. `false`: it is too long.
    pub fn insert(&mut self, text: &str) -> bool {
        if self.text().len() + text.len() > MAX_LINE {
            return false;
        }
        self.menu = None;
        self.line.insert(text);
        true
    }

    /// Takes in a paste: line ends become new lines, other controls go.
    pub fn paste(&mut self, text: &str) -> bool {
        let clean = text.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
        let clean: String = clean.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
        self.end_search();
        self.insert(clean.trim_end_matches('\n'))
    }

    /// Takes in a key.
    pub fn key(&mut self, key: &KeyEvent) -> Edited {
        if self.searching().is_some()
            && let Some(edited) = self.search_key(key)
        {
            return edited;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        if key.code == KeyCode::Tab && !control && !alt {
            return self.tab(true);
        }
        if key.code == KeyCode::BackTab {
            return self.tab(false);
        }
        let had_menu = self.menu.take().is_some();
        match key.code {
            KeyCode::Char(c) if control => return self.control(c),
            KeyCode::Char(c) if alt => return self.alt(c),
            KeyCode::Char(c) => {
                self.insert(c.encode_utf8(&mut [0; 4]));
            }
            KeyCode::Enter => return self.enter(had_menu),
            KeyCode::Backspace if alt || control => self.line.kill_word_back(),
            KeyCode::Backspace => self.line.delete_back(),
            KeyCode::Delete => self.line.delete(),
            KeyCode::Left if control || alt => self.line.word_left(),
            KeyCode::Right if control || alt => self.line.word_right(),
            KeyCode::Left => self.line.left(),
            KeyCode::Right if self.line.is_at_end() => self.take_hint(),
            KeyCode::Right => self.line.right(),
            KeyCode::Home => self.line.home(),
            KeyCode::End => self.end_or_hint(),
            KeyCode::Up => self.recall(true),
            KeyCode::Down => self.recall(false),
            KeyCode::Esc => {}
            _ => return Edited::Unknown,
        }
        Edited::Line
    }

    fn control(&mut self, c: char) -> Edited {
        match c {
            'a' => self.line.home(),
            'e' => self.end_or_hint(),
            'b' => self.line.left(),
            'f' => self.line.right(),
            'h' => self.line.delete_back(),
            'k' => self.line.kill_to_end(),
            'u' => self.line.kill_to_start(),
            'w' => self.line.kill_word_back(),
            'y' => {
                let killed = self.line.killed().to_owned();
                self.insert(&killed);
            }
            'p' => self.recall(true),
            'n' => self.recall(false),
            'r' => {
                let before = self.line.take();
                self.history.search(before);
            }
            'd' if self.text().is_empty() => return Edited::End,
            'd' => self.line.delete(),
            'l' => return Edited::Clear,
            'j' | 'm' => return self.enter(false),
            'c' => {
                self.history.leave();
                return Edited::Dropped(self.line.take());
            }
            _ => return Edited::Unknown,
        }
        Edited::Line
    }

    fn alt(&mut self, c: char) -> Edited {
        match c {
            'b' => self.line.word_left(),
            'f' => self.line.word_right(),
            'd' => self.line.kill_word(),
            _ => return Edited::Unknown,
        }
        Edited::Line
    }

    fn enter(&mut self, had_menu: bool) -> Edited {
        // Enter takes what the menu has put into the line; the next one runs it.
        if had_menu {
            return Edited::Line;
        }
        if completeness(self.text()) == Completeness::NeedsMore {
            self.line.end();
            self.insert("\n");
            return Edited::Line;
        }
        let line = self.line.take();
        self.history.add(&line);
        Edited::Submit(line)
    }

    fn end_or_hint(&mut self) {
        if self.line.is_at_end() {
            self.take_hint();
        } else {
            self.line.end();
        }
    }

    fn take_hint(&mut self) {
        if let Some(rest) = self.hint().map(str::to_owned) {
            self.insert(&rest);
        }
    }

    fn recall(&mut self, older: bool) {
        let recalled = self.history.recall(older, self.line.as_str());
        self.show(recalled);
    }

    /// Shows another line, if there is one.
    fn show(&mut self, line: Option<String>) {
        if let Some(line) = line {
            self.line.set(line);
        }
    }

    /// A key while history is searched; `None`: the search is over and the key means what it means.
    fn search_key(&mut self, key: &KeyEvent) -> Option<Edited> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let line = match key.code {
            KeyCode::Char('r') if control => self.history.search_further(),
            KeyCode::Char('g' | 'c') if control => self.history.drop_search(),
            KeyCode::Esc => self.history.end_search(),
            KeyCode::Backspace => self.history.search_for_less(),
            KeyCode::Char(c) if !control && !alt => self.history.search_for(c),
            _ => {
                self.end_search();
                return None;
            }
        };
        self.show(line);
        Some(Edited::Line)
    }

    fn end_search(&mut self) {
        let line = self.history.end_search();
        self.show(line);
    }

    fn tab(&mut self, forward: bool) -> Edited {
        self.end_search();
        let Some(menu) = &mut self.menu else { return Edited::Complete };
        let start = menu.start;
        self.line.replace_word(start, menu.choose(forward));
        Edited::Line
    }

    /// Takes in candidates for the line that was `text` with the cursor at `cursor`; passed over if it is another by now.
    pub fn complete(&mut self, text: &str, cursor: usize, completion: Completion) {
        let still = self.text() == text && self.cursor() == cursor && self.searching().is_none();
        let start = completion.start;
        if !still || start > cursor || !text.is_char_boundary(start) {
            return;
        }
        let Some((word, menu)) = offered(completion) else { return };
        if word.len() > cursor - start {
            self.line.replace_word(start, &word);
        }
        if menu.is_some() {
            self.menu = menu;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn press(editor: &mut LineEditor, keys: &str) -> Edited {
        let mut last = Edited::Unknown;
        for word in keys.split(' ').filter(|word| !word.is_empty()) {
            let (modifiers, name) = match word.split_once('-') {
                Some(("C", name)) if !name.is_empty() => (KeyModifiers::CONTROL, name),
                Some(("M", name)) if !name.is_empty() => (KeyModifiers::ALT, name),
                _ => (KeyModifiers::NONE, word),
            };
            let code = match name {
                "Enter" => KeyCode::Enter,
                "Tab" => KeyCode::Tab,
                "BackTab" => KeyCode::BackTab,
                "Up" => KeyCode::Up,
                "Down" => KeyCode::Down,
                "Left" => KeyCode::Left,
                "Right" => KeyCode::Right,
                "Home" => KeyCode::Home,
                "End" => KeyCode::End,
                "Back" => KeyCode::Backspace,
                "Esc" => KeyCode::Esc,
                "Space" => KeyCode::Char(' '),
                text if text.chars().count() > 1 => {
                    for c in text.chars() {
                        last = editor.key(&KeyEvent::new(KeyCode::Char(c), modifiers));
                    }
                    continue;
                }
                text => KeyCode::Char(text.chars().next().unwrap()),
            };
            last = editor.key(&KeyEvent::new(code, modifiers));
        }
        last
    }

    #[test]
    fn a_line_is_edited_as_readline_has_it() {
        let cases = [
            ("abc Left Left x", "axbc", 2),
            ("abc Home x End y", "xabcy", 5),
            ("one Space two C-w", "one ", 4),
            ("one Space two C-a C-k C-y C-y", "one twoone two", 14),
            ("one Space two M-b x", "one xtwo", 5),
            ("one Space two C-a M-f x", "onex two", 4),
            ("one Space two C-a M-d", " two", 0),
            ("叢集 Back", "叢", 3),
            ("a叢b Left Left x", "ax叢b", 2),
            ("abc C-u", "", 0),
        ];
        for (keys, text, cursor) in cases {
            let mut editor = LineEditor::default();
            press(&mut editor, keys);
            assert_eq!((editor.text(), editor.cursor()), (text, cursor), "{keys}");
        }
    }

    #[test]
    fn history_is_recalled_searched_and_hinted() {
        let lines = ["kubectl get pods", "ls", "kubectl get nodes"].map(str::to_owned).to_vec();
        let mut editor = LineEditor::new(lines.clone());
        press(&mut editor, "new Up Up");
        assert_eq!(editor.text(), "ls");
        press(&mut editor, "Down Down");
        assert_eq!(editor.text(), "new", "what was typed comes back");
        let mut editor = LineEditor::new(lines.clone());
        press(&mut editor, "C-r get");
        assert_eq!((editor.text(), editor.searching()), ("kubectl get nodes", Some(("get", true))));
        press(&mut editor, "C-r");
        assert_eq!(editor.text(), "kubectl get pods");
        assert_eq!(press(&mut editor, "Enter"), Edited::Submit("kubectl get pods".into()));
        press(&mut editor, "x C-r nosuch");
        assert_eq!(editor.searching(), Some(("nosuch", false)));
        press(&mut editor, "Esc");
        assert_eq!(editor.text(), "x");
        let mut editor = LineEditor::new(lines);
        press(&mut editor, "kub");
        assert_eq!(editor.hint(), Some("ectl get nodes"), "the newest line");
        press(&mut editor, "Right");
        assert_eq!(editor.text(), "kubectl get nodes");
    }

    #[test]
    fn an_open_line_goes_on_and_a_whole_one_is_run() {
        let mut editor = LineEditor::default();
        assert_eq!(press(&mut editor, "echo Space 'a Enter"), Edited::Line);
        assert_eq!(press(&mut editor, "b' Enter"), Edited::Submit("echo 'a\nb'".into()));
        assert_eq!(press(&mut editor, "C-d"), Edited::End);
        assert_eq!(press(&mut editor, "x C-c"), Edited::Dropped("x".into()));
        assert_eq!(editor.text(), "");
    }

    #[test]
    fn candidates_are_put_in_and_chosen_from() {
        let mut editor = LineEditor::default();
        assert_eq!(press(&mut editor, "get Space po Tab"), Edited::Complete);
        let several = |words: &[&str]| Completion {
            start: 4,
            candidates: words.iter().map(|w| (*w).to_owned()).collect(),
        };
        editor.complete("get po", 6, several(&["pod-a", "pod-b"]));
        assert_eq!(editor.text(), "get pod-", "what they share");
        press(&mut editor, "Tab Tab");
        assert_eq!(editor.text(), "get pod-b");
        assert_eq!(press(&mut editor, "Enter"), Edited::Line, "the first Enter takes the choice");
        editor.complete("another", 3, several(&["x"]));
        assert_eq!(editor.text(), "get pod-b", "answers to an older line are passed over");
        press(&mut editor, "Space w");
        editor.complete("get pod-b w", 11, Completion { start: 10, candidates: vec!["web".into()] });
        assert_eq!(editor.text(), "get pod-b web ");
    }

    #[test]
    fn a_huge_paste_is_refused_and_a_usual_one_is_cleaned() {
        let mut editor = LineEditor::default();
        assert!(!editor.paste(&"x".repeat(1 << 20)));
        assert_eq!(editor.text(), "");
        assert!(editor.paste("a\r\nb\x1b[31m\n"));
        assert_eq!(editor.text(), "a\nb[31m");
    }

    proptest! {
        #[test]
        fn no_keys_lead_to_a_panic(keys in proptest::collection::vec(0u8..26, 0..60)) {
            let mut editor = LineEditor::new(vec!["kubectl get 叢集".into(), "ls".into()]);
            for key in keys {
                let code = match key {
                    0 => KeyCode::Left, 1 => KeyCode::Right, 2 => KeyCode::Up, 3 => KeyCode::Down,
                    4 => KeyCode::Home, 5 => KeyCode::End, 6 => KeyCode::Backspace, 7 => KeyCode::Delete,
                    8 => KeyCode::Tab, 9 => KeyCode::Char('叢'), 10 => KeyCode::Char('e'), 11 => KeyCode::Char(' '),
                    12 => KeyCode::Char('\u{301}'), 13 => KeyCode::Esc, 14 => KeyCode::Enter,
                    other => KeyCode::Char(char::from(b'a' + other)),
                };
                let modifiers = if key > 14 { KeyModifiers::CONTROL } else { KeyModifiers::NONE };
                editor.key(&KeyEvent::new(code, modifiers));
                let (text, cursor) = (editor.text().to_owned(), editor.cursor());
                prop_assert!(text.is_char_boundary(cursor));
                if key == 8 {
                    let candidates = vec!["kube".to_owned(), "kubectl".to_owned()];
                    editor.complete(&text, cursor, Completion { start: 0, candidates });
                }
            }
        }
    }
}
