//! The line at the prompt: editing, history, search, completion. State and pure changes; `shell_pane` draws it.
//!
//! Keys are readline's. Whether a line is complete is decided by the shell's own scanner.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::bash::{Completeness, completeness};
use crate::shell::completion::Completion;
use crate::tui::text::char_width;

/// The longest line in bytes; more goes into a file.
pub const MAX_LINE: usize = 128 * 1024;
/// How many lines of history are kept.
const MAX_HISTORY: usize = 2000;
/// The longest line that gets a hint.
const MAX_HINTED: usize = 1024;

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
    text: String,
    /// A byte index at a character's border.
    cursor: usize,
    history: Vec<String>,
    /// Which line of history is shown, and what was typed before.
    recalled: Option<(usize, String)>,
    search: Option<Search>,
    killed: String,
    menu: Option<Menu>,
}

/// Ctrl-R: what is looked for and which line has it.
#[derive(Clone, Debug)]
struct Search {
    wanted: String,
    found: Option<usize>,
    before: String,
}

/// Candidates to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Where the word begins.
    start: usize,
    /// The candidates.
    pub candidates: Vec<String>,
    /// Which one is in the line.
    pub chosen: Option<usize>,
}

impl LineEditor {
    /// An empty line with this history, oldest first.
    pub fn new(history: Vec<String>) -> Self {
        let skip = history.len().saturating_sub(MAX_HISTORY);
        Self { history: history.into_iter().skip(skip).collect(), ..Self::default() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor is, in bytes.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The candidates to choose from.
    pub fn menu(&self) -> Option<&Menu> {
        self.menu.as_ref()
    }

    /// What is looked for in history: the text and whether it was found.
    pub fn searching(&self) -> Option<(&str, bool)> {
        self.search.as_ref().map(|search| (search.wanted.as_str(), search.found.is_some()))
    }

    /// The rest of the newest line of history that begins like this one.
    pub fn hint(&self) -> Option<&str> {
        let at_end = self.cursor == self.text.len() && !self.text.is_empty() && self.text.len() < MAX_HINTED;
        if !at_end || self.search.is_some() || self.menu.is_some() {
            return None;
        }
        self.history
            .iter()
            .rev()
            .find_map(|line| line.strip_prefix(&self.text).filter(|rest| !rest.is_empty()))
    }

    /// Puts text in at the cursor. `false`: it is too long.
    pub fn insert(&mut self, text: &str) -> bool {
        if self.text.len() + text.len() > MAX_LINE {
            return false;
        }
        self.menu = None;
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
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
        if self.search.is_some()
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
            KeyCode::Backspace if alt || control => self.kill_word_back(),
            KeyCode::Backspace => self.delete_back(),
            KeyCode::Delete => self.delete(),
            KeyCode::Left if control || alt => self.cursor = self.word_left(),
            KeyCode::Right if control || alt => self.cursor = self.word_right(),
            KeyCode::Left => self.cursor = self.left_of(self.cursor),
            KeyCode::Right if self.cursor == self.text.len() => self.take_hint(),
            KeyCode::Right => self.cursor = self.right_of(self.cursor),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End if self.cursor == self.text.len() => self.take_hint(),
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Up => self.recall(true),
            KeyCode::Down => self.recall(false),
            KeyCode::Esc => {}
            _ => return Edited::Unknown,
        }
        Edited::Line
    }

    fn control(&mut self, c: char) -> Edited {
        match c {
            'a' => self.cursor = 0,
            'e' if self.cursor == self.text.len() => self.take_hint(),
            'e' => self.cursor = self.text.len(),
            'b' => self.cursor = self.left_of(self.cursor),
            'f' => self.cursor = self.right_of(self.cursor),
            'h' => self.delete_back(),
            'k' => self.killed = self.text.split_off(self.cursor),
            'u' => self.kill(0, self.cursor),
            'w' => self.kill_word_back(),
            'y' => {
                let killed = self.killed.clone();
                self.insert(&killed);
            }
            'p' => self.recall(true),
            'n' => self.recall(false),
            'r' => {
                let before = std::mem::take(&mut self.text);
                self.cursor = 0;
                self.search = Some(Search { wanted: String::new(), found: None, before });
            }
            'd' if self.text.is_empty() => return Edited::End,
            'd' => self.delete(),
            'l' => return Edited::Clear,
            'j' | 'm' => return self.enter(false),
            'c' => {
                self.recalled = None;
                self.cursor = 0;
                return Edited::Dropped(std::mem::take(&mut self.text));
            }
            _ => return Edited::Unknown,
        }
        Edited::Line
    }

    fn alt(&mut self, c: char) -> Edited {
        match c {
            'b' => self.cursor = self.word_left(),
            'f' => self.cursor = self.word_right(),
            'd' => self.kill(self.cursor, self.word_right()),
            _ => return Edited::Unknown,
        }
        Edited::Line
    }

    fn enter(&mut self, had_menu: bool) -> Edited {
        // Enter takes what the menu has put into the line; the next one runs it.
        if had_menu {
            return Edited::Line;
        }
        if completeness(&self.text) == Completeness::NeedsMore {
            self.cursor = self.text.len();
            self.insert("\n");
            return Edited::Line;
        }
        self.recalled = None;
        self.cursor = 0;
        let line = std::mem::take(&mut self.text);
        if !line.trim().is_empty() && !line.starts_with(' ') && self.history.last() != Some(&line) {
            if self.history.len() == MAX_HISTORY {
                self.history.remove(0);
            }
            self.history.push(line.clone());
        }
        Edited::Submit(line)
    }

    // Moving and deleting

    fn left_of(&self, at: usize) -> usize {
        let mut before = self.text[..at].char_indices().rev();
        // Marks that sit on a character go with it.
        before.find(|(_, c)| char_width(*c) > 0 || *c == '\n').map_or(0, |(index, _)| index)
    }

    fn right_of(&self, at: usize) -> usize {
        let mut after = self.text[at..].char_indices().skip(1);
        after.find(|(_, c)| char_width(*c) > 0 || *c == '\n').map_or(self.text.len(), |(index, _)| at + index)
    }

    fn word_left(&self) -> usize {
        let before = self.text[..self.cursor].trim_end_matches(|c: char| !c.is_alphanumeric());
        before.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |index| self.right_of(index)).min(self.cursor)
    }

    fn word_right(&self) -> usize {
        let rest = &self.text[self.cursor..];
        let begin = rest.find(char::is_alphanumeric).unwrap_or(rest.len());
        let end =
            rest[begin..].find(|c: char| !c.is_alphanumeric()).map_or(rest.len(), |index| begin + index);
        self.cursor + end
    }

    fn kill(&mut self, from: usize, to: usize) {
        self.killed = self.text.drain(from..to).collect();
        self.cursor = from;
    }

    fn kill_word_back(&mut self) {
        // As bash's Ctrl-W: to the space before.
        let before = self.text[..self.cursor].trim_end();
        let from = before.rfind(char::is_whitespace).map_or(0, |index| self.right_of(index)).min(self.cursor);
        self.kill(from, self.cursor);
    }

    fn delete_back(&mut self) {
        let from = self.left_of(self.cursor);
        self.text.drain(from..self.cursor);
        self.cursor = from;
    }

    fn delete(&mut self) {
        if self.cursor < self.text.len() {
            let to = self.right_of(self.cursor);
            self.text.drain(self.cursor..to);
        }
    }

    fn take_hint(&mut self) {
        if let Some(rest) = self.hint().map(str::to_owned) {
            self.insert(&rest);
        }
    }

    fn set(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    // History

    fn recall(&mut self, older: bool) {
        let (index, typed) = match (self.recalled.take(), older) {
            (None, true) => (self.history.len().checked_sub(1), self.text.clone()),
            (None, false) => return,
            (Some((index, typed)), true) => (Some(index.saturating_sub(1)), typed),
            (Some((index, typed)), false) => (Some(index + 1), typed),
        };
        let Some(index) = index else { return };
        match self.history.get(index) {
            Some(line) => {
                self.set(line.clone());
                self.recalled = Some((index, typed));
            }
            None => self.set(typed),
        }
    }

    /// A key while history is searched; `None`: the search is over and the key means what it means.
    fn search_key(&mut self, key: &KeyEvent) -> Option<Edited> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let search = self.search.as_mut()?;
        match key.code {
            KeyCode::Char('r') if control => self.look(true),
            KeyCode::Char('g' | 'c') if control => {
                let before = self.search.take()?.before;
                self.set(before);
            }
            KeyCode::Esc => self.end_search(),
            KeyCode::Backspace => {
                search.wanted.pop();
                search.found = None;
                self.look(false);
            }
            KeyCode::Char(c) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
                search.wanted.push(c);
                self.look(false);
            }
            _ => {
                self.end_search();
                return None;
            }
        }
        Some(Edited::Line)
    }

    fn look(&mut self, further: bool) {
        let Some(search) = &mut self.search else { return };
        let end = match search.found {
            Some(found) if further => found,
            Some(found) => found + 1,
            None => self.history.len(),
        };
        let newest =
            |(_, line): &(usize, &String)| !search.wanted.is_empty() && line.contains(&search.wanted);
        let found = self.history.iter().enumerate().take(end).rev().find(newest).map(|(index, _)| index);
        if found.is_some() || !further {
            search.found = found;
        }
        let line = search.found.map(|index| self.history[index].clone());
        if let Some(line) = line {
            self.set(line);
        }
    }

    fn end_search(&mut self) {
        if let Some(search) = self.search.take()
            && search.found.is_none()
        {
            self.set(search.before);
        }
    }

    // Completion

    fn tab(&mut self, forward: bool) -> Edited {
        self.end_search();
        let Some(menu) = &mut self.menu else { return Edited::Complete };
        let count = menu.candidates.len();
        let next = match (menu.chosen, forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(chosen), true) => (chosen + 1) % count,
            (Some(chosen), false) => (chosen + count - 1) % count,
        };
        menu.chosen = Some(next);
        let (start, word) = (menu.start, menu.candidates[next].clone());
        self.text.replace_range(start..self.cursor, &word);
        self.cursor = start + word.len();
        Edited::Line
    }

    /// Takes in candidates for the line that was `text` with the cursor at `cursor`; passed over if it is another by now.
    pub fn complete(&mut self, text: &str, cursor: usize, completion: Completion) {
        let still = self.text == text && self.cursor == cursor && self.search.is_none();
        if !still || completion.start > cursor || !self.text.is_char_boundary(completion.start) {
            return;
        }
        let Completion { start, candidates } = completion;
        let whole = match &candidates[..] {
            [] => return,
            [only] => {
                // A flag's value or the rest of a path may follow at once.
                let space = if only.ends_with(['/', '=', ':']) { "" } else { " " };
                format!("{only}{space}")
            }
            several => common_prefix(several),
        };
        if whole.len() > cursor - start {
            self.text.replace_range(start..cursor, &whole);
            self.cursor = start + whole.len();
        }
        if candidates.len() > 1 {
            self.menu = Some(Menu { start, candidates, chosen: None });
        }
    }
}

fn common_prefix(words: &[String]) -> String {
    let mut prefix = words[0].as_str();
    for word in words {
        let shared =
            prefix.char_indices().zip(word.chars()).find(|((_, a), b)| a != b).map(|((index, _), _)| index);
        prefix = &prefix[..shared.unwrap_or(prefix.len().min(word.len()))];
    }
    prefix.to_owned()
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
