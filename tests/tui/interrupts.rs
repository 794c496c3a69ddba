//! Ctrl-C at any moment: a sane screen, and the terminal is given back.

use super::terminal::{AND_AFTER, CTRL_C, F1, F9, F10, Screen};

async fn still_works(screen: &mut Screen) {
    screen.press("echo a''fter\r").await;
    screen.shows("after").await;
    screen.leave().await;
    screen.is_as_it_was();
}

#[tokio::test]
async fn at_the_prompt_the_line_is_dropped() {
    let mut screen = Screen::free(120, 30).await;
    screen.press("kubectl delete everything").await;
    screen.shows("everything").await;
    screen.press(CTRL_C).await;
    screen.shows("everything^C").await;
    // In a search of earlier lines, and in an open quotation.
    screen.press("\x12").await;
    screen.shows("reverse-i-search").await;
    screen.press(CTRL_C).await;
    screen.hides("reverse-i-search").await;
    screen.press("echo 'open\r").await;
    screen.shows("> ").await;
    screen.press(CTRL_C).await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn a_command_is_stopped() {
    let mut screen = Screen::free(120, 30).await;
    for line in
        ["sleep 1000", "cat", "sleep 1000 | cat", "kubectl wait --for=create pod/never --timeout=900s"]
    {
        screen.press(&format!("{line}\r")).await;
        screen.shows("running:").await;
        screen.press(CTRL_C).await;
        screen.hides("running:").await;
    }
    still_works(&mut screen).await;
}

#[tokio::test]
async fn in_a_container_it_is_the_containers() {
    let mut screen = Screen::free(120, 30).await;
    screen.press("kubectl run web --image=nginx && kubectl wait --for=condition=Ready pod/web\r").await;
    screen.shows("condition met").await;
    screen.press("kubectl exec -ti web -- bash\r").await;
    screen.shows("root@web").await;
    screen.press("sleep 1000\r").await;
    screen.shows("sleep 1000").await;
    screen.press(CTRL_C).await;
    screen.shows("^C").await;
    screen.press("hostname | sed s/web/in-web/\r").await;
    screen.shows("\nin-web").await;
    // At the container's prompt the line is dropped, and the container is not left.
    screen.press("half a line").await;
    screen.press(CTRL_C).await;
    screen.press("exit\r").await;
    screen.hides("running:").await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn in_an_editor_it_is_the_editors() {
    let mut screen = Screen::free(120, 30).await;
    screen.press("echo 'text of a file' > file; vi file\r").await;
    screen.shows("1L, 15B").await;
    screen.press("x").await;
    screen.until("vi has taken a letter", |text| text.lines().any(|line| line.starts_with("ext of"))).await;
    screen.press(CTRL_C).await;
    screen.shows("to abandon all changes").await;
    screen.press(":q!\r").await;
    screen.hides("running:").await;
    screen.press("kubectl create deployment web --image=nginx\r").await;
    screen.shows("web created").await;
    screen.press("kubectl edit deployment web\r").await;
    screen.shows("Please edit the object below").await;
    screen.press(CTRL_C).await;
    screen.shows("exit Vim").await;
    screen.press(":q!\r").await;
    screen.hides("running:").await;
    screen.shows("cancelled").await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn in_a_menu_it_closes_the_menu() {
    let mut screen = Screen::free(120, 40).await;
    for (key, shown) in [(F9, "Free play"), (F1, "Everywhere"), (F10, "Enter: leave")] {
        screen.press(key).await;
        screen.shows(shown).await;
        screen.press(CTRL_C).await;
        screen.hides(shown).await;
    }
    still_works(&mut screen).await;
}

#[tokio::test]
async fn in_a_lesson_nothing_that_was_done_is_lost() {
    let script = format!("$K8S_LEARN --lesson basics/create-a-cluster; {AND_AFTER}");
    let mut screen = Screen::open(&script, 160, 40);
    screen.until("the lesson", |text| text.contains("Step 1/") && text.contains("learner@")).await;
    for line in ["minikube version", "minikube start"] {
        screen.press(&format!("{line}\r")).await;
        screen.press(CTRL_C).await;
        screen.press(&format!("{line}\r")).await;
    }
    screen.shows("F8 goes on").await;
    for _ in 0..20 {
        screen.press(CTRL_C).await;
    }
    screen.press("\x1b[19~").await;
    screen.shows("Step 2/").await;
    screen.leave().await;
    screen.is_as_it_was();
    let kept = std::fs::read_to_string(screen.home().join("k8s-learn/progress.json")).unwrap();
    assert!(kept.contains("\"start\""), "{kept}");
}

/// Before the terminal is taken Ctrl-C ends the program as it ends any; afterwards it is a key. The shell around the program
/// lives on and looks at the terminal.
#[tokio::test]
async fn at_the_start_it_ends_the_program_or_is_a_key() {
    // The shell is safe from the first key on.
    let script = format!("trap : INT; echo begin; $K8S_LEARN; {AND_AFTER}");
    // As soon as the process is there, and as soon as it has drawn anything.
    for wait in [false, true] {
        let mut screen = Screen::open(&script, 100, 30);
        screen.until("the begin", |text| text.contains("begin")).await;
        if wait {
            screen.hides("begin").await;
        }
        for _ in 0..5 {
            screen.press(CTRL_C).await;
        }
        // Whichever it was: it ends by itself, or the screen is there and can be left.
        let there = |text: &str| text.contains("code=") || text.contains(":~$") || text.contains("Free play");
        screen.until("an end, a prompt or the course", there).await;
        if !screen.text().contains("code=") {
            screen.press(F10).await;
            screen.shows("Enter: leave").await;
            screen.press("\r").await;
        }
        screen.ended().await;
        assert!(screen.left_the_screen());
        screen.is_cooked();
    }
}
