//! Completion: what candidates put into the line, and the menu to choose from them. Used by `editor`.

use crate::shell::completion::Completion;

/// Candidates to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Where the word begins.
    pub(super) start: usize,
    /// The candidates.
    pub candidates: Vec<String>,
    /// Which one is in the line.
    pub chosen: Option<usize>,
}

impl Menu {
    /// Chooses the next candidate or the one before, and says which.
    pub(super) fn choose(&mut self, forward: bool) -> &str {
        let count = self.candidates.len();
        let next = match (self.chosen, forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(chosen), true) => (chosen + 1) % count,
            (Some(chosen), false) => (chosen + count - 1) % count,
        };
        self.chosen = Some(next);
        &self.candidates[next]
    }
}

/// What stands for the word once the candidates are known, and the menu if there are several.
pub(super) fn offered(completion: Completion) -> Option<(String, Option<Menu>)> {
    let Completion { start, candidates } = completion;
    match &candidates[..] {
        [] => None,
        [only] => {
            // A flag's value or the rest of a path may follow at once.
            let space = if only.ends_with(['/', '=', ':']) { "" } else { " " };
            Some((format!("{only}{space}"), None))
        }
        several => {
            let word = common_prefix(several);
            Some((word, Some(Menu { start, candidates, chosen: None })))
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
    use super::*;

    fn completion(words: &[&str]) -> Completion {
        Completion { start: 0, candidates: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn one_candidate_is_put_in_and_of_several_what_they_share() {
        assert_eq!(offered(completion(&[])), None);
        assert_eq!(offered(completion(&["web"])), Some(("web ".to_owned(), None)));
        assert_eq!(offered(completion(&["dir/"])), Some(("dir/".to_owned(), None)));
        let (word, menu) = offered(completion(&["叢a", "叢b"])).unwrap();
        assert_eq!((word.as_str(), menu.is_some()), ("叢", true));
    }

    #[test]
    fn the_choice_goes_round() {
        let (_, menu) = offered(completion(&["a", "b", "c"])).unwrap();
        let mut menu = menu.unwrap();
        assert_eq!(menu.choose(false), "c");
        assert_eq!(menu.choose(true), "a");
        assert_eq!(menu.choose(true), "b");
    }
}
