//! Text in columns: how wide it is, cutting, padding and wrapping, exact for wide (CJK) characters.
//!
//! Used by every component. It knows nothing of styles.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// How many columns a character takes; controls take none.
pub fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text in at most so many columns, with `…` where something was left out.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    if text.is_ascii() {
        cut.push_str(&text[..columns.saturating_sub(1)]);
    } else {
        // The width of the whole, since some marks change that of the character before them.
        for c in text.chars() {
            cut.push(c);
            if width(&cut) + 1 > columns {
                cut.pop();
                break;
            }
        }
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// The text in at most so many columns, with `…` for what was left out before its last few characters.
pub fn cut_middle(text: &str, columns: usize) -> String {
    const KEPT: usize = 6;
    let chars: Vec<char> = text.chars().collect();
    if width(text) <= columns || chars.len() <= KEPT || columns <= 2 * KEPT {
        return cut(text, columns);
    }
    let (begin, end) = chars.split_at(chars.len() - KEPT);
    let (begin, end): (String, String) = (begin.iter().collect(), end.iter().collect());
    format!("{}{end}", cut(&begin, columns.saturating_sub(width(&end))))
}

/// The text in exactly so many columns.
pub fn pad(text: &str, columns: usize) -> String {
    let mut padded = cut(text, columns);
    let missing = columns.saturating_sub(width(&padded));
    padded.extend(std::iter::repeat_n(' ', missing));
    padded
}

/// Characters that no line begins with, in Chinese typography.
pub const NEVER_FIRST: &str = "，。、；：？！）」』】》〉”’…—,.;:?!)]}";
/// Characters that no line ends with.
pub const NEVER_LAST: &str = "（「『【《〈“‘([{";

/// Whether a line may be broken between two characters: at spaces, and between wide characters except before or after
/// some punctuation.
pub fn may_break(before: char, after: char) -> bool {
    if after == ' ' || before == ' ' {
        return true;
    }
    let wide = |c: char| char_width(c) == 2;
    (wide(before) || wide(after)) && !NEVER_FIRST.contains(after) && !NEVER_LAST.contains(before)
}

/// The text in lines of at most so many columns.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = vec![];
    for paragraph in text.split('\n') {
        let chars: Vec<char> = paragraph.chars().collect();
        let mut start = 0;
        while start < chars.len() {
            let end = line_end(&chars, start, columns);
            lines.push(chars[start..end].iter().collect::<String>().trim_end().to_owned());
            start = end;
            while start < chars.len() && chars[start] == ' ' {
                start += 1;
            }
        }
        if chars.is_empty() {
            lines.push(String::new());
        }
    }
    lines
}

/// Where the line that begins at `start` ends.
pub fn line_end(chars: &[char], start: usize, columns: usize) -> usize {
    let (mut used, mut end) = (0, start);
    while end < chars.len() && used + char_width(chars[end]) <= columns {
        used += char_width(chars[end]);
        end += 1;
    }
    if end == chars.len() {
        return end;
    }
    let breaks = (start + 1..=end).rev().find(|&at| may_break(chars[at - 1], chars[at]));
    breaks.unwrap_or(end.max(start + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(cut("叢集裡的節點", 7), "叢集裡…");
        assert_eq!(cut("叢集", 4), "叢集");
        assert_eq!(pad("叢集", 5), "叢集 ");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut_middle("web-7957885594-hh286", 20), "web-7957885594-hh286");
        assert_eq!(cut_middle("web-7957885594-hh286", 16), "web-79578…-hh286");
        assert_eq!(cut_middle("web-7957885594-hh286", 9), "web-7957…");
    }

    #[test]
    fn lines_break_at_words_and_between_wide_characters_but_not_before_a_full_stop() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("叢集裡有節點。好", 12), ["叢集裡有節", "點。好"]);
        assert_eq!(wrap("a\n\nb", 8), ["a", "", "b"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked_and_nothing_is_lost(text in "[a-z叢集。 ]{0,60}", columns in 2usize..20) {
            let lines = wrap(&text, columns);
            for line in &lines {
                prop_assert!(width(line) <= columns, "{line:?}");
            }
            let without = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(without(&lines.concat()), without(&text));
        }

        #[test]
        fn a_cut_is_never_too_wide(text in "\\PC{0,40}", columns in 0usize..20) {
            prop_assert!(width(&cut(&text, columns)) <= columns.max(1));
            prop_assert!(width(&pad(&text, columns)) >= columns);
        }
    }
}
