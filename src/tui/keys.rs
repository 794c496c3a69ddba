//! The keys of the TUI: one table that finds what a key does and draws the bar and the help.
//!
//! Keys for everywhere are function keys and Alt combinations, so that everything else goes to the shell and to what
//! runs in it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::words::Word;

/// Where a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// In every pane.
    Everywhere,
    /// In every pane, while there is a lesson.
    WithLesson,
    /// In a view.
    View,
    /// In the lesson's text.
    Text,
    /// In the lesson's text, while letters are no answer and not meant for the shell.
    TextLetters,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Help,
    NextView,
    PreviousView,
    View(u8),
    ToggleViews,
    Beside,
    Zoom,
    NextPane,
    Quit,
    Wider,
    Narrower,
    Taller,
    Shorter,
    ShellUp,
    ShellDown,
    Hint,
    Next,
    Course,
    Reset,
    Skip,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    First,
    Last,
    Back,
}

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    /// Which.
    pub code: KeyCode,
    /// With what held down.
    pub modifiers: KeyModifiers,
}

impl Chord {
    const fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    const fn alt(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::ALT }
    }

    const fn shift(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::SHIFT }
    }

    const fn function(number: u8) -> Self {
        Self::plain(KeyCode::F(number))
    }

    /// Whether a key that was pressed is this one.
    pub fn matches(&self, key: &KeyEvent) -> bool {
        // A capital letter comes with or without Shift, as the terminal likes.
        let letter = matches!(self.code, KeyCode::Char(_));
        let held = if letter { key.modifiers - KeyModifiers::SHIFT } else { key.modifiers };
        self.code == key.code && self.modifiers == held
    }

    /// The key's name, like `F2` or `Alt-1`.
    pub fn label(&self) -> String {
        let code = match self.code {
            KeyCode::F(number) => format!("F{number}"),
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            other => format!("{other:?}"),
        };
        match self.modifiers {
            KeyModifiers::ALT => format!("Alt-{code}"),
            KeyModifiers::SHIFT => format!("Shift-{code}"),
            KeyModifiers::CONTROL => format!("Ctrl-{code}"),
            _ => code,
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it counts.
    pub context: Context,
    /// The keys that do it.
    pub chords: &'static [Chord],
    /// What they do.
    pub action: Action,
    /// What it is called.
    pub label: Word,
    /// Whether the bar shows it.
    pub bar: bool,
}

const fn row(context: Context, chords: &'static [Chord], action: Action, label: Word, bar: bool) -> Binding {
    Binding { context, chords, action, label, bar }
}

use Context::{Everywhere, Text, TextLetters, View, WithLesson};

/// Every key of the TUI. What a view does with further keys is in its own table.
pub const BINDINGS: &[Binding] = &[
    row(Everywhere, &[Chord::function(1)], Action::Help, Word::KeyHelp, true),
    row(WithLesson, &[Chord::function(7)], Action::Hint, Word::KeyHint, true),
    row(WithLesson, &[Chord::function(8)], Action::Next, Word::KeyNext, true),
    row(Everywhere, &[Chord::function(2)], Action::NextView, Word::KeyNextView, true),
    row(
        Everywhere,
        &[Chord::shift(KeyCode::F(2)), Chord::alt(KeyCode::Char('0'))],
        Action::PreviousView,
        Word::KeyPreviousView,
        false,
    ),
    row(Everywhere, &[Chord::function(3)], Action::ToggleViews, Word::KeyViews, true),
    row(Everywhere, &[Chord::function(4)], Action::Beside, Word::KeyBeside, true),
    row(Everywhere, &[Chord::function(5)], Action::Zoom, Word::KeyZoom, true),
    row(Everywhere, &[Chord::function(6)], Action::NextPane, Word::KeyPane, true),
    row(Everywhere, &[Chord::function(9)], Action::Course, Word::KeyCourse, true),
    row(Everywhere, &[Chord::function(10)], Action::Quit, Word::KeyQuit, true),
    row(Everywhere, &[Chord::alt(KeyCode::Char('1'))], Action::View(0), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('2'))], Action::View(1), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('3'))], Action::View(2), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('4'))], Action::View(3), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('5'))], Action::View(4), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('6'))], Action::View(5), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('7'))], Action::View(6), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Char('8'))], Action::View(7), Word::KeyView, false),
    row(Everywhere, &[Chord::alt(KeyCode::Right)], Action::Wider, Word::KeyResizePanes, false),
    row(Everywhere, &[Chord::alt(KeyCode::Left)], Action::Narrower, Word::KeyResizePanes, false),
    row(Everywhere, &[Chord::alt(KeyCode::Down)], Action::Taller, Word::KeyResizePanes, false),
    row(Everywhere, &[Chord::alt(KeyCode::Up)], Action::Shorter, Word::KeyResizePanes, false),
    row(Everywhere, &[Chord::shift(KeyCode::PageUp)], Action::ShellUp, Word::KeyScrollShell, false),
    row(Everywhere, &[Chord::shift(KeyCode::PageDown)], Action::ShellDown, Word::KeyScrollShell, false),
    row(
        View,
        &[Chord::plain(KeyCode::Up), Chord::plain(KeyCode::Char('k'))],
        Action::Up,
        Word::KeyMove,
        false,
    ),
    row(
        View,
        &[Chord::plain(KeyCode::Down), Chord::plain(KeyCode::Char('j'))],
        Action::Down,
        Word::KeyMove,
        false,
    ),
    row(View, &[Chord::plain(KeyCode::PageUp)], Action::PageUp, Word::KeyPage, false),
    row(View, &[Chord::plain(KeyCode::PageDown)], Action::PageDown, Word::KeyPage, false),
    row(View, &[Chord::plain(KeyCode::Home)], Action::First, Word::KeyEnds, false),
    row(View, &[Chord::plain(KeyCode::End)], Action::Last, Word::KeyEnds, false),
    row(
        View,
        &[Chord::plain(KeyCode::Right), Chord::plain(KeyCode::Tab)],
        Action::NextView,
        Word::KeyNextView,
        false,
    ),
    row(
        View,
        &[Chord::plain(KeyCode::Left), Chord::plain(KeyCode::BackTab), Chord::shift(KeyCode::BackTab)],
        Action::PreviousView,
        Word::KeyPreviousView,
        false,
    ),
    row(
        View,
        &[Chord::plain(KeyCode::Esc), Chord::plain(KeyCode::Char('q'))],
        Action::Back,
        Word::KeyBack,
        true,
    ),
    row(Text, &[Chord::plain(KeyCode::Up)], Action::Up, Word::KeyMove, false),
    row(Text, &[Chord::plain(KeyCode::Down)], Action::Down, Word::KeyMove, false),
    row(Text, &[Chord::plain(KeyCode::Left)], Action::Left, Word::KeySideways, false),
    row(Text, &[Chord::plain(KeyCode::Right)], Action::Right, Word::KeySideways, false),
    row(Text, &[Chord::plain(KeyCode::PageUp)], Action::PageUp, Word::KeyPage, false),
    row(
        Text,
        &[Chord::plain(KeyCode::PageDown), Chord::plain(KeyCode::Char(' '))],
        Action::PageDown,
        Word::KeyPage,
        false,
    ),
    row(TextLetters, &[Chord::plain(KeyCode::Char('h'))], Action::Hint, Word::KeyHint, false),
    row(TextLetters, &[Chord::plain(KeyCode::Char('n'))], Action::Next, Word::KeyNext, false),
    row(TextLetters, &[Chord::plain(KeyCode::Char('s'))], Action::Skip, Word::KeySkip, true),
    row(TextLetters, &[Chord::plain(KeyCode::Char('r'))], Action::Reset, Word::KeyReset, true),
    row(Text, &[Chord::plain(KeyCode::Esc)], Action::Back, Word::KeyBack, true),
    row(TextLetters, &[Chord::plain(KeyCode::Char('q'))], Action::Back, Word::KeyBack, false),
];

/// What a key does in one of these contexts.
pub fn lookup(key: &KeyEvent, contexts: &[Context]) -> Option<Action> {
    let counts = |binding: &&Binding| {
        contexts.contains(&binding.context) && binding.chords.iter().any(|chord| chord.matches(key))
    };
    BINDINGS.iter().find(counts).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things_in_one_place() {
        for (index, binding) in BINDINGS.iter().enumerate() {
            for other in &BINDINGS[index + 1..] {
                let meet = binding.context == other.context
                    || matches!(
                        (binding.context, other.context),
                        (Everywhere | WithLesson, _)
                            | (_, Everywhere | WithLesson)
                            | (Text, TextLetters)
                            | (TextLetters, Text)
                    );
                let same = binding.chords.iter().any(|chord| other.chords.contains(chord));
                assert!(!(meet && same), "{:?} and {:?}", binding.action, other.action);
            }
        }
    }

    #[test]
    fn what_counts_everywhere_is_nothing_that_people_type() {
        for binding in BINDINGS.iter().filter(|binding| matches!(binding.context, Everywhere | WithLesson)) {
            for chord in binding.chords {
                let safe = matches!(chord.code, KeyCode::F(_)) || chord.modifiers != KeyModifiers::NONE;
                assert!(safe, "{:?}", binding.action);
            }
        }
    }

    #[test]
    fn keys_are_found_where_they_count() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        let alt_3 = key(KeyCode::Char('3'), KeyModifiers::ALT);
        assert_eq!(lookup(&alt_3, &[Everywhere]), Some(Action::View(2)));
        assert_eq!(lookup(&key(KeyCode::Char('q'), KeyModifiers::NONE), &[Everywhere]), None);
        assert_eq!(
            lookup(&key(KeyCode::Char('q'), KeyModifiers::NONE), &[Everywhere, View]),
            Some(Action::Back)
        );
        assert_eq!(Chord::alt(KeyCode::Char('1')).label(), "Alt-1");
    }
}
