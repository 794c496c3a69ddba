//! Screens as snapshots: a seeded cluster on virtual time, at several sizes, in every language.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::bash::Stdio;
use crate::cluster::{Cluster, ClusterConfig, Time};
use crate::runtime::sim::Pace;
use crate::shell::{Session, SessionConfig};
use crate::tui::app::Message;
use crate::tui::components::{CourseRow, CourseState, Goal, LessonText, Note, NoteKind, Quiz};
use crate::tui::theme::{Palette, Theme};
use crate::tui::views::{Feed, Travel};
use crate::tui::words::Lang;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// The screen's text, as a reader sees it.
fn shown(app: &App) -> String {
    let (columns, rows) = app.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..rows {
        let mut x = 0;
        let mut line = String::new();
        while x < columns {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += width(symbol).max(1) as u16;
        }
        assert!(width(&line) <= usize::from(columns), "row {y} is too wide: {line:?}");
        text.push_str(masked(&line).trim_end());
        text.push('\n');
    }
    text
}

/// The line without the numbers of revisions: which of two controllers writes first when a cluster starts is chance.
fn masked(line: &str) -> String {
    let mut in_revision = false;
    let mask = |c: char| {
        in_revision = c == '#' || in_revision && c.is_ascii_digit();
        if in_revision && c != '#' { 'n' } else { c }
    };
    line.chars().map(mask).collect()
}

/// A cluster on which a few things have happened.
async fn played(commands: &[&str]) -> (Cluster, Vec<String>) {
    let config = ClusterConfig {
        nodes: 2,
        seed: Some(7),
        time: Time::Virtual,
        pace: Pace::Instant,
        ..ClusterConfig::default()
    };
    let cluster = Cluster::start(config).await.unwrap();
    cluster.ready().await;
    let mut session = Session::new(&cluster, SessionConfig::default()).unwrap();
    let mut printed = vec![];
    for command in commands {
        let (writer, kept) = crate::bash::SharedWriter::capture();
        let stdio = Stdio { stdout: Box::new(writer.clone()), stderr: Box::new(writer), ..Stdio::null() };
        session.run(command, stdio).await;
        printed.push(String::from_utf8_lossy(&kept.lock().unwrap()).replace('\n', "\r\n"));
    }
    (cluster, printed)
}

/// The taint keeps pods off the second node, so that no tie between nodes is left to chance.
const COMMANDS: [&str; 5] = [
    "kubectl taint nodes minikube-m02 slow=yes:PreferNoSchedule",
    "kubectl create deployment web --image=nginx --replicas=3",
    "kubectl rollout status deployment/web",
    "kubectl run broken --image=nosuch.example/app:1 && sleep 20",
    "kubectl get pods",
];

/// The TUI on that cluster. One cluster a test: a second one in the same runtime would meet the first one's timers.
fn app((cluster, printed): &(Cluster, Vec<String>), size: (u16, u16), lang: Lang) -> App {
    let mut app = App::new(lang, Theme { palette: Palette::Dark }, cluster.registry().clone(), vec![]);
    app.runtime = Some(cluster.runtime().clone());
    app.update(Message::Resize(size.0, size.1));
    app.load(cluster.store());
    let prompt = || Message::Ended {
        prompt: "learner@k8s-learn:~$ ".into(),
        notices: vec![],
        exited: None,
        typed: vec![],
    };
    app.update(prompt());
    for (command, output) in COMMANDS.iter().zip(printed) {
        for c in command.chars() {
            app.update(Message::Key(crossterm::event::KeyCode::Char(c).into()));
        }
        app.update(Message::Key(crossterm::event::KeyCode::Enter.into()));
        app.update(Message::Output(output.clone().into_bytes()));
        app.update(prompt());
    }
    let decisions = std::sync::Arc::new(cluster.decisions().list());
    app.update(Message::Feed(Feed::Decisions(decisions)));
    app
}

fn lesson(lang: Lang) -> LessonText {
    let (title, body, hint) = match lang {
        Lang::English => (
            "Deploy an app",
            "## Create a Deployment\n\nA **Deployment** keeps as many copies of your app running as you ask for. Type:\n\n```console\nkubectl create deployment web --image=nginx\n```\n\n- The *controller* makes the pods.\n- The scheduler gives each a node.",
            "Look at `kubectl create deployment --help`.",
        ),
        Lang::TraditionalChinese => (
            "部署應用程式",
            "## 建立 Deployment\n\n**Deployment** 會讓你的應用程式保持在你要求的副本數量。請輸入：\n\n```console\nkubectl create deployment web --image=nginx\n```\n\n- *控制器*會建立 Pod。\n- 排程器會替每個 Pod 選一個節點。",
            "看看 `kubectl create deployment --help`。",
        ),
        Lang::SimplifiedChinese => (
            "部署应用",
            "## 创建 Deployment\n\n**Deployment** 会让你的应用保持在你要求的副本数量。请输入：\n\n```console\nkubectl create deployment web --image=nginx\n```\n\n- *控制器*会创建 Pod。\n- 调度器会为每个 Pod 选一个节点。",
            "看看 `kubectl create deployment --help`。",
        ),
    };
    LessonText {
        title: title.into(),
        step: (2, 5),
        body: body.into(),
        goals: vec![Goal { text: String::new(), done: true }, Goal { text: String::new(), done: false }],
        notes: vec![Note { kind: NoteKind::Hint, text: hint.into() }],
        ..LessonText::default()
    }
}

fn name(what: &str, size: (u16, u16), lang: Lang) -> String {
    format!("{what}_{}x{}_{}", size.0, size.1, lang.tag())
}

#[tokio::test(start_paused = true)]
async fn the_main_screen_without_and_with_a_lesson() {
    let played = played(&COMMANDS).await;
    for size in SIZES {
        for lang in Lang::ALL {
            let mut app = app(&played, size, lang);
            insta::assert_snapshot!(name("free", size, lang), shown(&app));
            app.update(Message::Lesson(Some(lesson(lang))));
            insta::assert_snapshot!(name("lesson", size, lang), shown(&app));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_view() {
    let mut app = app(&played(&COMMANDS).await, (120, 40), Lang::English);
    app.focus = crate::tui::layout::Pane::View;
    app.world.subject = Some("/registry/deployments/default/web".into());
    app.views[crate::tui::views::YAML].reset(&app.world);
    app.layout.shell_percent = 20;
    for index in 0..app.views.len() {
        app.view = index;
        let word = format!("{:?}", app.views[index].name()).to_lowercase();
        let mut lines: Vec<String> = shown(&app).lines().map(str::to_owned).collect();
        if matches!(app.views[index].name(), Word::Events | Word::Flow) {
            // Which of several writers of one moment comes first is chance.
            lines.sort();
        }
        insta::assert_snapshot!(format!("view_{word}"), lines.join("\n"));
    }
    // The first revision of the Deployment, and a write in the middle of the flow.
    for _ in 0..3 {
        app.update(Message::Key(crossterm::event::KeyCode::Char('[').into()));
    }
    app.view = 1;
    app.views[1].travel(Travel::By(-12), &app.world);
    let text = shown(&app);
    assert!(text.contains("─▶ API server ──▶ store #") && text.contains("because of #"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_lies_over_the_panes() {
    let rows = vec![
        CourseRow { title: "Basics".into(), ..CourseRow::default() },
        CourseRow {
            id: Some("basics/a".into()),
            title: "Create a cluster".into(),
            minutes: 8,
            state: CourseState::Done,
            ..CourseRow::default()
        },
        CourseRow {
            id: Some("basics/b".into()),
            title: "部署應用程式".into(),
            minutes: 12,
            state: CourseState::Begun,
            ..CourseRow::default()
        },
        CourseRow {
            id: Some("basics/c".into()),
            title: "Explore your app".into(),
            minutes: 10,
            ..CourseRow::default()
        },
    ];
    let played = played(&COMMANDS).await;
    for lang in [Lang::English, Lang::TraditionalChinese] {
        let size = (80, 24);
        let mut app = app(&played, size, lang);
        app.update(Message::Course(rows.clone()));
        for (what, overlay) in [("help", Overlay::Help(0)), ("quit", Overlay::Quit)] {
            app.overlay = Some(overlay);
            insta::assert_snapshot!(name(what, size, lang), shown(&app));
        }
        app.show_course();
        insta::assert_snapshot!(name("course", size, lang), shown(&app));
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_its_verdict_and_the_end() {
    let mut app = app(&played(&COMMANDS).await, (80, 24), Lang::English);
    let choices =
        vec!["The kubelet, on the node that was chosen for it".into(), "The ReplicaSet controller".into()];
    let quiz =
        Quiz { choices, verdict: Some((false, "The kubelet only *starts* it.".into())), ..Quiz::default() };
    let text = LessonText {
        body: "## Who made the pod?".into(),
        quiz: Some(quiz),
        goals: vec![],
        notes: vec![],
        ..lesson(Lang::English)
    };
    app.update(Message::Lesson(Some(text)));
    insta::assert_snapshot!("question", shown(&app));
    let notes = vec![
        Note { kind: NoteKind::Debrief, text: "The controller saw a difference.".into() },
        Note { kind: NoteKind::Remember, text: "Desired and actual.".into() },
    ];
    app.update(Message::Lesson(Some(LessonText { step_done: true, notes, ..lesson(Lang::English) })));
    insta::assert_snapshot!("step_done", shown(&app));
}

#[test]
fn a_tiny_terminal_asks_for_more_room() {
    for lang in Lang::ALL {
        let mut app = App::new(
            lang,
            Theme { palette: Palette::Dark },
            crate::api::registry::Registry::built_in(),
            vec![],
        );
        app.update(Message::Resize(20, 5));
        let text = shown(&app);
        assert!(text.contains("40x10"), "{text}");
        assert!(text.contains(&Word::TooSmall.text(lang)[..3]), "{text}");
    }
}

/// What is seen without colours is seen with them: only styles differ.
#[tokio::test(start_paused = true)]
async fn no_meaning_hangs_on_colour() {
    let mut app = app(&played(&COMMANDS).await, (120, 40), Lang::English);
    for view in 0..app.views.len() {
        app.view = view;
        app.theme.palette = Palette::Dark;
        let coloured = shown(&app);
        app.theme.palette = Palette::Plain;
        assert_eq!(shown(&app), coloured);
    }
}
