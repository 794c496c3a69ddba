//! A session without a lesson, from the first key to the end, and the ends that come from outside.

use super::terminal::{AND_AFTER, F10, Screen};

#[tokio::test]
async fn a_session_from_the_first_command_to_the_end_and_the_terminal_is_as_it_was() {
    let mut screen = Screen::open(&format!("$K8S_LEARN; {AND_AFTER}"), 120, 40);
    // The course comes first; Esc is free play. A key that follows Esc at once would be one with Alt.
    screen.shows("Free play").await;
    screen.press("\x1b").await;
    screen.until("the course is gone", |text| !text.contains("Free play") && text.contains(":~$")).await;
    screen.shows("minikube · Ready").await;
    screen.press("kubectl create deployment hello --image=nginx\r").await;
    screen.shows("deployment.apps/hello created").await;
    let on_the_map = |line: &str| line.contains("● hello-") && line.contains("Running");
    screen.until("the pod is ready on the map", |text| text.lines().any(on_the_map)).await;
    // A program that prints without end is stopped, and what is typed shows.
    screen.press("while true; do echo y; done\r").await;
    screen.until("it prints", |text| text.lines().filter(|line| line.starts_with('y')).count() > 5).await;
    screen.press("\x03").await;
    screen.until("the prompt is back", |text| !text.contains("running:")).await;
    screen.press("echo a''fter\r").await;
    screen.shows("after").await;
    // A size that is too small, and back.
    screen.resize(20, 5);
    screen.shows("40x10").await;
    screen.resize(120, 40);
    screen.shows("F10 Quit").await;
    screen.press(F10).await;
    screen.shows("Leave?").await;
    screen.press("\r").await;
    screen.ended().await;
    screen.is_as_it_was();
}

#[tokio::test]
async fn a_signal_gives_the_terminal_back() {
    let mut screen = Screen::open("exec $K8S_LEARN", 80, 24);
    screen.until("it runs", |text| text.contains("F10")).await;
    screen.signal("-TERM").await;
    assert!(screen.ended().await.success());
    assert!(screen.left_the_screen());
}

#[tokio::test]
async fn without_a_terminal_one_line_says_so() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_k8s-learn"))
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("k8s-learn: this is no terminal"), "{said}");
}
