//! A paste of a megabyte, with brackets and without, at the prompt and to a program that reads it.

use super::terminal::{CTRL_C, CTRL_D, Screen};

const MEGABYTE: usize = 1 << 20;

async fn still_works(screen: &mut Screen) {
    screen.press("echo still''works\r").await;
    screen.shows("stillworks").await;
    screen.leave().await;
    screen.is_as_it_was();
}

#[tokio::test]
async fn with_brackets_it_is_refused_in_one_line() {
    let mut screen = Screen::free(100, 30).await;
    let paste = format!("\x1b[200~{}\x1b[201~", "kubectl get pods\n".repeat(MEGABYTE / 17));
    screen.pour(paste.as_bytes()).await;
    screen.shows("The paste is too long").await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn without_brackets_the_line_is_full_and_can_be_dropped() {
    let mut screen = Screen::free(100, 30).await;
    screen.pour(&vec![b'x'; MEGABYTE]).await;
    screen.shows("The paste is too long").await;
    screen.press(CTRL_C).await;
    screen.shows("^C").await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn a_program_that_reads_gets_all_of_it() {
    let mut screen = Screen::free(100, 30).await;
    screen.press("cat > big\r").await;
    screen.shows("running:").await;
    screen.pour(&b"a line of a paste without brackets\r".repeat(MEGABYTE / 35)).await;
    screen.press(CTRL_D).await;
    screen.hides("running:").await;
    screen.press("wc -c big\r").await;
    screen.shows(&(MEGABYTE / 35 * 35).to_string()).await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn a_program_that_does_not_read_is_stopped_and_nothing_of_it_is_run() {
    let mut screen = Screen::free(100, 30).await;
    screen.press("sleep 1000\r").await;
    screen.shows("running:").await;
    screen.pour(&b"echo run-by-mistake\r".repeat(MEGABYTE / 20)).await;
    screen.press(CTRL_C).await;
    screen.hides("running:").await;
    screen.press("clear\r").await;
    screen.hides("mistake").await;
    still_works(&mut screen).await;
}

#[tokio::test]
async fn what_is_typed_ahead_is_run_when_its_turn_comes() {
    let mut screen = Screen::free(100, 30).await;
    screen.press("sleep 2\r").await;
    screen.shows("running:").await;
    screen.press("echo fir''st\recho sec''ond").await;
    screen
        .until("the first line was run and the second waits", |text| {
            text.contains("\nfirst") && text.lines().any(|line| line.contains("$ echo sec''ond"))
        })
        .await;
    assert!(!screen.text().contains("\nsecond"));
    screen.press("\r").await;
    screen.shows("\nsecond").await;
    still_works(&mut screen).await;
}
