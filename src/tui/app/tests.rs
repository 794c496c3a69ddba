//! `App::update` without a terminal: keys, the mouse, pastes, sizes.

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyEventState, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::{App, Effect, Message, Overlay};
use crate::api::registry::Registry;
use crate::tui::components::{Goal, LessonText, LessonWish, Quiz};
use crate::tui::layout::Pane;
use crate::tui::theme::{Palette, Theme};
use crate::tui::words::{Lang, Word};

const LESSON: fn() -> LessonText = || LessonText {
    title: "Deploy".into(),
    step: (1, 3),
    body: "text\n\n".repeat(60),
    ..LessonText::default()
};

fn app(columns: u16, rows: u16) -> App {
    let mut app = App::new(Lang::English, Theme { palette: Palette::Dark }, Registry::built_in(), vec![]);
    app.update(Message::Resize(columns, rows));
    app.update(Message::Ended { prompt: "$ ".into(), notices: vec![], exited: None, typed: vec![] });
    app
}

fn press(app: &mut App, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    app.update(Message::Key(KeyEvent::new(code, modifiers)))
}

fn plain(app: &mut App, code: KeyCode) -> Vec<Effect> {
    press(app, code, KeyModifiers::NONE)
}

fn typed(app: &mut App, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| plain(app, if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) })).collect()
}

#[test]
fn what_is_typed_runs_and_keys_go_to_what_runs() {
    let mut app = app(80, 24);
    assert_eq!(typed(&mut app, "vi 1\n"), [Effect::Run("vi 1".into())]);
    assert_eq!(typed(&mut app, ":q"), [Effect::Keys(vec![b':']), Effect::Keys(vec![b'q'])]);
    assert_eq!(press(&mut app, KeyCode::Char('c'), KeyModifiers::CONTROL), [Effect::Keys(vec![3])]);
    app.update(Message::Ended { prompt: "$ ".into(), notices: vec![], exited: None, typed: vec![] });
    assert_eq!(press(&mut app, KeyCode::Char('d'), KeyModifiers::CONTROL), [], "it is asked first");
    assert_eq!(plain(&mut app, KeyCode::Enter), [Effect::Quit(0)]);
    let exited = Message::Ended { prompt: String::new(), notices: vec![], exited: Some(3), typed: vec![] };
    assert_eq!(app.update(exited), [Effect::Quit(3)]);
}

#[test]
fn a_key_that_is_let_go_is_no_key() {
    let mut app = app(80, 24);
    let key = KeyEvent {
        code: KeyCode::Char('x'),
        modifiers: KeyModifiers::NONE,
        kind: KeyEventKind::Release,
        state: KeyEventState::NONE,
    };
    app.update(Message::Key(key));
    assert_eq!(app.shell.editor().text(), "");
}

#[test]
fn views_are_chosen_hidden_zoomed_and_left() {
    let mut app = app(100, 30);
    plain(&mut app, KeyCode::F(2));
    assert_eq!(app.view, 1);
    press(&mut app, KeyCode::Char('8'), KeyModifiers::ALT);
    assert_eq!((app.view, app.wants_decisions()), (7, true));
    plain(&mut app, KeyCode::F(6));
    assert_eq!(app.focus, Pane::View);
    typed(&mut app, "3");
    assert_eq!(app.view, 2, "in a view a digit chooses another");
    plain(&mut app, KeyCode::F(5));
    assert_eq!(app.areas().unwrap().shell, None, "the view has it all");
    plain(&mut app, KeyCode::F(5));
    plain(&mut app, KeyCode::F(3));
    assert_eq!((app.focus, app.areas().unwrap().view), (Pane::Shell, None));
    plain(&mut app, KeyCode::F(2));
    assert!(app.areas().unwrap().view.is_some(), "asking for a view shows it");
    plain(&mut app, KeyCode::F(6));
    press(&mut app, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.focus, Pane::Shell, "Ctrl-C is for the shell wherever the focus is");
}

#[test]
fn leaving_is_asked_for_once() {
    let mut app = app(80, 24);
    assert_eq!(plain(&mut app, KeyCode::F(10)), []);
    assert_eq!(plain(&mut app, KeyCode::Esc), []);
    app.show_course();
    assert_eq!(plain(&mut app, KeyCode::F(10)), []);
    assert!(matches!(app.overlay, Some(Overlay::Quit)), "the bar says so over a menu, too");
    plain(&mut app, KeyCode::Esc);
    assert!(app.overlay.is_none());
    plain(&mut app, KeyCode::F(10));
    assert_eq!(plain(&mut app, KeyCode::Enter), [Effect::Quit(0)]);
}

#[test]
fn a_lesson_has_a_pane_with_keys_of_its_own() {
    let mut app = app(120, 40);
    assert_eq!(plain(&mut app, KeyCode::F(7)), [], "without a lesson there is no hint");
    app.update(Message::Lesson(Some(LESSON())));
    assert!(app.areas().unwrap().text.is_some());
    assert_eq!(plain(&mut app, KeyCode::F(7)), [Effect::Lesson(LessonWish::Hint)]);
    assert_eq!(plain(&mut app, KeyCode::F(8)), [Effect::Lesson(LessonWish::Next)]);
    app.focus = Pane::Text;
    assert_eq!(typed(&mut app, "s"), [Effect::Lesson(LessonWish::Skip)]);
    assert_eq!(typed(&mut app, "r"), [], "it is asked first");
    assert_eq!(typed(&mut app, "\n"), [Effect::Lesson(LessonWish::Reset)]);
    typed(&mut app, "r");
    assert_eq!(plain(&mut app, KeyCode::Esc), []);
    app.update(Message::Lesson(None));
    assert_eq!((app.focus, app.areas().unwrap().text), (Pane::Shell, None));
}

#[test]
fn a_question_takes_the_focus_and_gives_it_back() {
    let mut app = app(120, 40);
    app.update(Message::Lesson(Some(LESSON())));
    let quiz = Quiz { choices: vec!["a".into(), "b".into()], ..Quiz::default() };
    app.update(Message::Lesson(Some(LessonText { quiz: Some(quiz.clone()), step: (2, 3), ..LESSON() })));
    assert_eq!(app.focus, Pane::Text);
    assert_eq!(plain(&mut app, KeyCode::Down), []);
    assert_eq!(plain(&mut app, KeyCode::Enter), [Effect::Lesson(LessonWish::Choose(1))]);
    assert_eq!(typed(&mut app, "2"), [Effect::Lesson(LessonWish::Choose(1))]);
    app.update(Message::Lesson(Some(LessonText {
        quiz: Some(quiz),
        step: (2, 3),
        step_done: true,
        ..LESSON()
    })));
    assert_eq!(app.focus, Pane::Shell);
    let other = Some(Quiz { choices: vec!["c".into(), "d".into()], ..Quiz::default() });
    app.update(Message::Lesson(Some(LessonText { quiz: other, step: (2, 4), ..LESSON() })));
    assert_eq!(app.focus, Pane::Text);
    assert_eq!(
        typed(&mut app, "describe\n"),
        [Effect::Run("describe".into())],
        "letters are still the shell's"
    );
    app.update(Message::Ended { prompt: "$ ".into(), notices: vec![], exited: None, typed: vec![] });
    assert_eq!(typed(&mut app, "get\n"), [Effect::Run("get".into())], "and so are those of the next command");
    app.update(Message::Ended { prompt: "$ ".into(), notices: vec![], exited: None, typed: vec![] });
    assert_eq!(typed(&mut app, "2"), [Effect::Lesson(LessonWish::Choose(1))], "but a number answers");
    app.update(Message::Lesson(Some(LESSON())));
    let short = Quiz::default();
    app.update(Message::Lesson(Some(LessonText { quiz: Some(short), step: (3, 3), ..LESSON() })));
    assert_eq!(
        typed(&mut app, "srn\n"),
        [Effect::Lesson(LessonWish::Answer("srn".into()))],
        "letters are the answer's"
    );
    assert_eq!(
        typed(&mut app, "kubectl get pods\n"),
        [Effect::Run("kubectl get pods".into())],
        "a command is meant for the shell"
    );
    app.update(Message::Ended { prompt: "$ ".into(), notices: vec![], exited: None, typed: vec![] });
    assert_eq!(
        typed(&mut app, "3\n"),
        [Effect::Lesson(LessonWish::Answer("3".into()))],
        "and then answers go on"
    );
}

#[test]
fn every_size_is_drawn_and_survived() {
    let mut app = app(120, 40);
    let goals = vec![Goal { text: String::new(), done: true }];
    app.update(Message::Lesson(Some(LessonText { goals, ..LESSON() })));
    for view in 0..app.views.len() {
        app.view = view;
        for (columns, rows) in
            [(20, 5), (1, 1), (40, 10), (80, 24), (41, 11), (300, 100), (0, 0), (200, 10), (40, 60)]
        {
            app.update(Message::Resize(columns, rows));
            let screen = ratatui::layout::Rect::new(0, 0, columns, rows);
            for overlay in [None, Some(Overlay::Help(0)), Some(Overlay::Quit)] {
                app.overlay = overlay;
                crate::tui::draw::render(&app, screen, &mut ratatui::buffer::Buffer::empty(screen));
            }
            app.overlay = None;
        }
    }
}

#[test]
fn a_huge_paste_is_told_of_and_the_next_key_brings_the_bar_back() {
    let mut app = app(80, 24);
    assert_eq!(app.update(Message::Paste("x".repeat(1 << 20))), []);
    assert_eq!(app.notice.as_deref(), Some(Word::PasteTooLong.text(Lang::English)));
    typed(&mut app, "l");
    assert_eq!((app.notice.as_deref(), app.shell.editor().text()), (None, "l"));
}

#[test]
fn the_mouse_chooses_panes_and_drags_borders() {
    let mut app = app(100, 41);
    let mouse = |app: &mut App, kind, column, row| {
        app.update(Message::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    let down = MouseEventKind::Down(MouseButton::Left);
    mouse(&mut app, down, 5, 35);
    assert_eq!(app.focus, Pane::View);
    mouse(&mut app, down, 5, 3);
    assert_eq!(app.focus, Pane::Shell);
    let title = app.areas().unwrap().view.unwrap().y;
    mouse(&mut app, down, 99, title);
    mouse(&mut app, MouseEventKind::Drag(MouseButton::Left), 99, 10);
    mouse(&mut app, MouseEventKind::Up(MouseButton::Left), 99, 10);
    assert_eq!(app.areas().unwrap().view.unwrap().y, 10);
    mouse(&mut app, MouseEventKind::Drag(MouseButton::Left), 99, 30);
    assert_eq!(app.areas().unwrap().view.unwrap().y, 10, "nothing is dragged any more");
    mouse(&mut app, down, 10, 10);
    assert_eq!((app.view, app.focus), (1, Pane::View), "a view's name was clicked");
}

#[test]
fn output_without_end_keeps_memory_bounded() {
    let mut app = app(80, 24);
    typed(&mut app, "yes\n");
    for _ in 0..200 {
        app.update(Message::Output(b"y\r\n".repeat(1000)));
    }
    app.update(Message::Ended { prompt: "$ ".into(), notices: vec![], exited: None, typed: vec![] });
    assert_eq!(typed(&mut app, "ls\n"), [Effect::Run("ls".into())]);
}
