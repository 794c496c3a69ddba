//! A whole lesson, typed by reading it; and what is left of a lesson when the program is killed in its middle.

use std::path::Path;
use std::sync::Arc;

use super::terminal::{AND_AFTER, DOWN, F8, Screen};

/// Waits until the step is checked, with what is said about it, and goes on to the next.
async fn checked(screen: &mut Screen, debrief: &str, next: &str) {
    screen.until("the step is done", |text| text.contains("F8 goes on.") && text.contains(debrief)).await;
    screen.press(F8).await;
    // A screen comes in pieces: the next step's number may be there with the last step's text below it.
    screen.until(next, |text| text.contains(next) && !text.contains("F8 goes on.")).await;
}

fn progress(home: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(home.join("k8s-learn/progress.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_lesson_is_typed_through_and_its_progress_survives_a_kill_in_the_next_one() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let mut screen = Screen::open_at(&home, &format!("$K8S_LEARN; {AND_AFTER}"), 180, 50);
    // The languages in turn, and English again.
    screen.shows("The course").await;
    screen.press("l").await;
    screen.shows("部署應用程式").await;
    screen.press("l").await;
    screen.shows("部署应用").await;
    screen.press("l").await;
    screen.shows("Deploy an app").await;
    screen.press(DOWN).await;
    screen.press("\r").await;
    screen.until("the lesson", |text| text.contains("Step 1/7") && text.contains("learner@")).await;

    screen.press("kubectl create deployment kubernetes-bootcamp --image=gcr.io/google-samples/kubernetes-bootcamp:v1\r").await;
    checked(&mut screen, "Why it worked", "Step 2/7").await;
    screen.press("kubectl get deployments\r").await;
    checked(&mut screen, "actual / desired", "Step 3/7").await;
    // A question: a wrong answer says why, the right one goes on.
    screen.shows("Press the number").await;
    screen.press("1").await;
    screen.shows("Not so").await;
    screen.press("2").await;
    checked(&mut screen, "controllers", "Step 4/7").await;
    screen.press("kubectl proxy &\r").await;
    screen.shows("Starting to serve").await;
    screen.press("curl http://localhost:8001/version\r").await;
    checked(&mut screen, "Server Version", "Step 5/7").await;
    // A prediction.
    screen.shows("Press the number").await;
    screen.press("2").await;
    checked(&mut screen, "You expected", "Step 6/7").await;
    screen
        .press("curl http://localhost:8001/apis/apps/v1/namespaces/default/deployments/kubernetes-bootcamp\r")
        .await;
    checked(&mut screen, "You expected: What I typed", "Step 7/7").await;
    // A short answer.
    screen.shows("Type the answer").await;
    screen.press("spec\r").await;
    checked(&mut screen, "actual state", "The lesson is done").await;
    screen.leave().await;
    screen.is_as_it_was();
    let kept = progress(home.path());
    let lesson = &kept["lessons"]["basics/deploy-an-app"];
    assert_eq!((&lesson["done"], lesson["solved"].as_array().unwrap().len()), (&true.into(), 7), "{kept}");

    // The middle of another lesson.
    let mut screen = Screen::open_at(&home, "exec $K8S_LEARN", 180, 50);
    screen.until("the lesson is marked as done", |text| text.contains("✓ Deploy an app")).await;
    screen.press("\r").await;
    screen.until("the lesson", |text| text.contains("Step 1/") && text.contains("learner@")).await;
    screen.press("minikube version\r").await;
    screen.shows("minikube version:").await;
    screen.press("minikube start\r").await;
    checked(&mut screen, "Why it worked", "Step 2/").await;
    screen.signal("-KILL").await;
    assert!(!screen.ended().await.success());

    let mut screen = Screen::open_at(&home, &format!("$K8S_LEARN; {AND_AFTER}"), 180, 50);
    screen.until("the lesson is marked as begun", |text| text.contains("◐ Create a cluster")).await;
    screen.press("\r").await;
    screen.until("the step that was left", |text| text.contains("Create a cluster · Step 2/")).await;
    screen.press("minikube status\r").await;
    checked(&mut screen, "Why it worked", "Step 3/").await;
    screen.leave().await;
    screen.is_as_it_was();
    let kept = progress(home.path());
    assert_eq!(kept["lessons"]["basics/create-a-cluster"]["solved"], serde_json::json!(["start", "status"]));
    assert_eq!(kept["lessons"]["basics/deploy-an-app"]["done"], true);
}
