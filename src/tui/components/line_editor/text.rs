//! The text of the line and the cursor in it: moving, putting in, taking out. Used by `editor`; it knows no keys.

use crate::tui::text::char_width;

/// A line and where the cursor is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct LineText {
    text: String,
    /// A byte index at a character's border.
    cursor: usize,
    /// What was taken out last, to be put in again.
    killed: String,
}

impl LineText {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the cursor is, in bytes.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    /// Puts another line in place of this one, with the cursor at its end.
    pub(super) fn set(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    /// Takes the line away.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts text in at the cursor.
    pub(super) fn insert(&mut self, text: &str) {
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    /// Puts a word in place of what stands between `start` and the cursor.
    pub(super) fn replace_word(&mut self, start: usize, word: &str) {
        self.text.replace_range(start..self.cursor, word);
        self.cursor = start + word.len();
    }

    // Moving

    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.left_of(self.cursor);
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.right_of(self.cursor);
    }

    pub(super) fn word_left(&mut self) {
        let before = self.text[..self.cursor].trim_end_matches(|c: char| !c.is_alphanumeric());
        let start = before.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |index| self.right_of(index));
        self.cursor = start.min(self.cursor);
    }

    pub(super) fn word_right(&mut self) {
        self.cursor = self.word_end();
    }

    fn word_end(&self) -> usize {
        let rest = &self.text[self.cursor..];
        let begin = rest.find(char::is_alphanumeric).unwrap_or(rest.len());
        let end =
            rest[begin..].find(|c: char| !c.is_alphanumeric()).map_or(rest.len(), |index| begin + index);
        self.cursor + end
    }

    fn left_of(&self, at: usize) -> usize {
        let mut before = self.text[..at].char_indices().rev();
        // Marks that sit on a character go with it.
        before.find(|(_, c)| char_width(*c) > 0 || *c == '\n').map_or(0, |(index, _)| index)
    }

    fn right_of(&self, at: usize) -> usize {
        let mut after = self.text[at..].char_indices().skip(1);
        after.find(|(_, c)| char_width(*c) > 0 || *c == '\n').map_or(self.text.len(), |(index, _)| at + index)
    }

    // Taking out

    pub(super) fn delete_back(&mut self) {
        let from = self.left_of(self.cursor);
        self.text.drain(from..self.cursor);
        self.cursor = from;
    }

    pub(super) fn delete(&mut self) {
        if !self.is_at_end() {
            let to = self.right_of(self.cursor);
            self.text.drain(self.cursor..to);
        }
    }

    pub(super) fn kill_to_start(&mut self) {
        self.kill(0, self.cursor);
    }

    pub(super) fn kill_to_end(&mut self) {
        self.kill(self.cursor, self.text.len());
    }

    pub(super) fn kill_word(&mut self) {
        self.kill(self.cursor, self.word_end());
    }

    pub(super) fn kill_word_back(&mut self) {
        // As bash's Ctrl-W: to the space before.
        let before = self.text[..self.cursor].trim_end();
        let from = before.rfind(char::is_whitespace).map_or(0, |index| self.right_of(index));
        self.kill(from.min(self.cursor), self.cursor);
    }

    fn kill(&mut self, from: usize, to: usize) {
        self.killed = self.text.drain(from..to).collect();
        self.cursor = from;
    }

    /// What was taken out last.
    pub(super) fn killed(&self) -> &str {
        &self.killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, cursor: usize) -> LineText {
        LineText { text: text.to_owned(), cursor, killed: String::new() }
    }

    #[test]
    fn marks_go_with_their_character_and_wide_characters_are_one() {
        let mut text = line("e\u{301}叢", 6);
        text.left();
        assert_eq!(text.cursor(), 3);
        text.left();
        assert_eq!(text.cursor(), 0);
        text.right();
        assert_eq!(text.cursor(), 3);
        text.delete_back();
        assert_eq!((text.as_str(), text.cursor()), ("叢", 0));
    }

    #[test]
    fn words_end_at_what_is_no_letter_but_are_killed_to_the_space() {
        let mut text = line("get pod/web-1", 13);
        text.word_left();
        assert_eq!(text.cursor(), 12);
        text.word_left();
        assert_eq!(text.cursor(), 8);
        text.word_right();
        assert_eq!(text.cursor(), 11);
        text.kill_word_back();
        assert_eq!((text.as_str(), text.cursor(), text.killed()), ("get -1", 4, "pod/web"));
    }
}
