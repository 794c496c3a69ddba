//! Commands that print without end, and a terminal that changes its size meanwhile.

use super::terminal::{CTRL_C, ESC, Screen};

async fn stops(screen: &mut Screen, line: &str, prints: impl Fn(&str) -> bool) {
    screen.press(&format!("{line}\r")).await;
    screen.until(&format!("{line} prints"), prints).await;
    screen.press(CTRL_C).await;
    screen.hides("running:").await;
    screen.press("echo a''fter\r").await;
    screen.shows("\nafter").await;
    screen.press("clear\r").await;
    screen.hides("\nafter").await;
}

#[tokio::test]
async fn what_prints_without_end_is_stopped_by_ctrl_c() {
    let mut screen = Screen::free(120, 30).await;
    let rows_of = |text: &str, what: &str| text.lines().filter(|line| line.trim_end() == what).count();
    stops(&mut screen, "yes", |text| rows_of(text, "y") > 5).await;
    stops(&mut screen, "while true; do echo z; done", |text| rows_of(text, "z") > 5).await;
    stops(&mut screen, "while true; do echo; done", |text| {
        text.contains("running:") && !text.contains("while")
    })
    .await;
    screen.press("kubectl run web --image=nginx\r").await;
    screen.shows("pod/web created").await;
    stops(&mut screen, "kubectl get pods -w", |text| text.contains("web ") && text.contains("1/1")).await;
    screen.leave().await;
    screen.is_as_it_was();
}

#[tokio::test]
async fn a_terminal_shrinks_to_20x5_and_grows_again_under_whatever_runs() {
    let mut screen = Screen::free(120, 40).await;
    let tiny_and_back = async |screen: &mut Screen, there: &str| {
        screen.resize(20, 5);
        screen.shows("40x10").await;
        screen.resize(120, 40);
        screen.until("everything is there again", |text| text.contains("F10") && text.contains(there)).await;
    };
    screen.press("echo at the pro").await;
    tiny_and_back(&mut screen, "echo at the pro").await;
    screen.press(CTRL_C).await;
    screen.press("echo one; sleep 1000\r").await;
    screen.shows("running:").await;
    tiny_and_back(&mut screen, "one").await;
    screen.press(CTRL_C).await;
    screen.hides("running:").await;
    screen.press("echo 'text of a file' > file; vi file\r").await;
    screen.shows("1L, 15B").await;
    tiny_and_back(&mut screen, "text of a file").await;
    screen.press(":q!\r").await;
    screen.hides("running:").await;
    screen.press(super::terminal::F9).await;
    screen.shows("Free play").await;
    tiny_and_back(&mut screen, "Free play").await;
    screen.press(ESC).await;
    screen.hides("Free play").await;
    screen.leave().await;
    screen.is_as_it_was();
}
