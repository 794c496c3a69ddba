//! Earlier lines: brought back one by one, searched with Ctrl-R, and hinted at. Used by `editor`.
//!
//! It holds no line of its own: it is told what is typed and says what the line shall be.

/// How many lines are kept.
const MAX_LINES: usize = 2000;
/// The longest line that gets a hint, in bytes.
const MAX_HINTED: usize = 1024;

/// The lines that were typed, and where in them the learner is.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Oldest first.
    lines: Vec<String>,
    /// Which line is shown, and what was typed before.
    recalled: Option<(usize, String)>,
    search: Option<Search>,
}

/// Ctrl-R: what is looked for and which line has it.
#[derive(Clone, Debug)]
struct Search {
    wanted: String,
    found: Option<usize>,
    before: String,
}

impl History {
    /// These lines, oldest first.
    pub(super) fn new(lines: Vec<String>) -> Self {
        let skip = lines.len().saturating_sub(MAX_LINES);
        Self { lines: lines.into_iter().skip(skip).collect(), ..Self::default() }
    }

    /// A line was run: it is the newest, unless it begins with a space, as bash's HISTCONTROL=ignoreboth has it.
    pub(super) fn add(&mut self, line: &str) {
        self.leave();
        if line.trim().is_empty()
            || line.starts_with(' ')
            || self.lines.last().is_some_and(|last| last == line)
        {
            return;
        }
        if self.lines.len() == MAX_LINES {
            self.lines.remove(0);
        }
        self.lines.push(line.to_owned());
    }

    /// The next line is typed anew.
    pub(super) fn leave(&mut self) {
        self.recalled = None;
    }

    /// The rest of the newest line that begins like this one.
    pub(super) fn hint(&self, text: &str) -> Option<&str> {
        if text.is_empty() || text.len() >= MAX_HINTED {
            return None;
        }
        self.lines.iter().rev().find_map(|line| line.strip_prefix(text).filter(|rest| !rest.is_empty()))
    }

    /// The next older or newer line; behind the newest is what was typed.
    pub(super) fn recall(&mut self, older: bool, typed: &str) -> Option<String> {
        let (index, typed) = match (self.recalled.take(), older) {
            (None, true) => (self.lines.len().checked_sub(1)?, typed.to_owned()),
            (None, false) => return None,
            (Some((index, typed)), true) => (index.saturating_sub(1), typed),
            (Some((index, typed)), false) => (index + 1, typed),
        };
        match self.lines.get(index) {
            Some(line) => {
                let line = line.clone();
                self.recalled = Some((index, typed));
                Some(line)
            }
            None => Some(typed),
        }
    }

    // Searching

    /// What is looked for, and whether it was found.
    pub(super) fn searching(&self) -> Option<(&str, bool)> {
        self.search.as_ref().map(|search| (search.wanted.as_str(), search.found.is_some()))
    }

    /// Begins to search; `before` comes back if nothing is found.
    pub(super) fn search(&mut self, before: String) {
        self.search = Some(Search { wanted: String::new(), found: None, before });
    }

    /// One more character is looked for, from the line that was found on.
    pub(super) fn search_for(&mut self, c: char) -> Option<String> {
        self.search.as_mut()?.wanted.push(c);
        self.look(false)
    }

    /// One character less is looked for, from the newest line on.
    pub(super) fn search_for_less(&mut self) -> Option<String> {
        let search = self.search.as_mut()?;
        search.wanted.pop();
        search.found = None;
        self.look(false)
    }

    /// The next older line that has it.
    pub(super) fn search_further(&mut self) -> Option<String> {
        self.look(true)
    }

    fn look(&mut self, further: bool) -> Option<String> {
        let search = self.search.as_mut()?;
        let end = match search.found {
            Some(found) if further => found,
            Some(found) => found + 1,
            None => self.lines.len(),
        };
        let has = |line: &String| !search.wanted.is_empty() && line.contains(&search.wanted);
        let found = self.lines.iter().take(end).rposition(has);
        if found.is_some() || !further {
            search.found = found;
        }
        search.found.map(|index| self.lines[index].clone())
    }

    /// Ends the search with what was found; else the line is what it was before.
    pub(super) fn end_search(&mut self) -> Option<String> {
        let search = self.search.take()?;
        search.found.is_none().then_some(search.before)
    }

    /// Ends the search; the line is what it was before.
    pub(super) fn drop_search(&mut self) -> Option<String> {
        Some(self.search.take()?.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        History::new(["kubectl get pods", "ls", "kubectl get nodes"].map(str::to_owned).to_vec())
    }

    #[test]
    fn lines_come_back_and_what_was_typed_is_behind_the_newest() {
        let mut history = history();
        assert_eq!(history.recall(false, "new"), None);
        assert_eq!(history.recall(true, "new").unwrap(), "kubectl get nodes");
        assert_eq!(history.recall(true, "kubectl get nodes").unwrap(), "ls");
        for _ in 0..5 {
            assert!(history.recall(true, "").is_some(), "the oldest line stays");
        }
        assert_eq!(history.recall(false, "").unwrap(), "ls");
        assert_eq!(history.recall(false, "").unwrap(), "kubectl get nodes");
        assert_eq!(history.recall(false, "").unwrap(), "new");
        assert_eq!(history.recall(false, ""), None);
        assert_eq!(History::default().recall(true, "x"), None);
    }

    #[test]
    fn lines_that_nobody_wants_again_are_not_kept() {
        let mut history = history();
        for line in ["", "  ", " secret", "kubectl get nodes"] {
            history.add(line);
        }
        assert_eq!(history.lines.len(), 3);
        history.add("ls");
        assert_eq!(history.hint("l"), Some("s"));
        assert_eq!(history.hint(""), None);
        let mut full = History::new((0..MAX_LINES + 5).map(|number| number.to_string()).collect());
        full.add("new");
        assert_eq!((full.lines.len(), full.lines[0].as_str()), (MAX_LINES, "6"));
    }

    #[test]
    fn a_search_goes_from_newer_to_older_lines() {
        let mut history = history();
        history.search("typed".to_owned());
        assert_eq!(history.search_for('g').unwrap(), "kubectl get nodes");
        assert_eq!(history.search_for('e').unwrap(), "kubectl get nodes");
        assert_eq!(history.search_further().unwrap(), "kubectl get pods");
        assert_eq!(history.search_further().unwrap(), "kubectl get pods", "there is no older one");
        assert_eq!(history.searching(), Some(("ge", true)));
        assert_eq!(history.end_search(), None, "the line stays what was found");
        history.search("typed".to_owned());
        assert_eq!(history.search_for('!'), None);
        assert_eq!(history.searching(), Some(("!", false)));
        assert_eq!(history.end_search().unwrap(), "typed");
    }
}
