//! Plays a lesson as its author says it goes, on virtual time, and says where it does not go so.
//!
//! Every step is unsolved at its start and solved by each solution; after each wrong answer it is not; each known wrong path
//! and dead end is recognised. Each trial has a cluster of its own, brought to the step by the first solutions.

use std::sync::Arc;
use std::time::Duration;

use super::super::error::{LessonError, Problem};
use super::super::format::{Lesson, StepData, Work};
use super::super::grader::Grade;
use super::super::stage::{Answered, Stage, StageConfig};
use crate::bash::{SharedWriter, Stdio};
use crate::shell::{Session, commands};

/// For how long, in the cluster's time, a script is given to take effect.
const PATIENCE: Duration = Duration::from_secs(900);
/// The same on the machine's time, of which everybody has less.
const REAL_PATIENCE: Duration = Duration::from_secs(240);
/// For how long a wrong answer is looked at.
const WATCHED: Duration = Duration::from_secs(60);

/// What came of playing a lesson.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Where it does not go as its author says.
    pub problems: Vec<Problem>,
    /// What the first solutions printed, step by step. The same seed, the same text.
    pub transcript: String,
}

/// Plays a lesson. Call it on a paused runtime.
pub async fn prove(lesson: &Arc<Lesson>) -> Proof {
    prove_as(lesson, &StageConfig { virtual_time: true, ..StageConfig::default() }).await
}

/// [`prove`], in clusters of another kind. In real time only the first solutions are played.
pub async fn prove_as(lesson: &Arc<Lesson>, how: &StageConfig) -> Proof {
    let mut proof = Proof::default();
    if let Err(error) = main_line(lesson, how, &mut proof).await {
        proof.problems.push(problem(lesson, error.to_string()));
        return proof;
    }
    // What does not solve a step has to be watched for minutes: that is proven where minutes take no time.
    if !how.virtual_time {
        return proof;
    }
    for (index, step) in lesson.steps.iter().enumerate() {
        let Work::Goal(data) = &step.work else { continue };
        if let Err(error) = trials(&Tried { lesson, how, index }, data, &mut proof).await {
            proof.problems.push(problem(lesson, format!("step `{}`: {error}", step.id)));
        }
    }
    proof
}

fn problem(lesson: &Lesson, message: String) -> Problem {
    Problem::of_file(format!("{}/lesson.yaml", lesson.place), message)
}

/// The whole lesson by its first solutions, in one cluster.
async fn main_line(lesson: &Arc<Lesson>, how: &StageConfig, proof: &mut Proof) -> Result<(), LessonError> {
    let (mut stage, mut session) = Stage::open(lesson.clone(), how).await?;
    while !stage.over() {
        let step = &lesson.steps[stage.step()];
        proof.transcript += &format!("## {}\n", step.id);
        let mut say =
            |message: String| proof.problems.push(problem(lesson, format!("step `{}`: {message}", step.id)));
        match &step.work {
            Work::Goal(data) => {
                if settled(&stage).await.solved {
                    say("it is solved before anything is done".to_owned());
                }
                let script = data.solutions.first().cloned().unwrap_or_default();
                let transcript = type_in(&mut session, &script).await;
                let patience = if how.virtual_time { PATIENCE } else { REAL_PATIENCE };
                if !until(&stage, patience, |grade| grade.solved).await {
                    say(unsolved("solution 1", &stage, data));
                }
                proof.transcript += &transcript;
            }
            Work::Quiz(quiz) | Work::Predict(quiz) => {
                let right = quiz.answer.as_ref().or(quiz.accept.first()).cloned().unwrap_or_default();
                if stage.answer(&right) == Answered::NoQuestion {
                    say("the answer is not taken".to_owned());
                }
                proof.transcript += &format!("answer: {right}\n");
            }
        }
        proof.transcript.push('\n');
        stage.advance().await?;
    }
    drop(session);
    stage.close().await;
    Ok(())
}

/// What a step says of other solutions, wrong answers and known paths, each in its own cluster.
async fn trials(tried: &Tried<'_>, data: &StepData, proof: &mut Proof) -> Result<(), LessonError> {
    let Tried { lesson, index, .. } = *tried;
    let id = &lesson.steps[index].id;
    let mut say = |message: String| proof.problems.push(problem(lesson, format!("step `{id}`: {message}")));
    for (number, script) in data.solutions.iter().enumerate().skip(1) {
        let (stage, mut session) = tried.open().await?;
        type_in(&mut session, script).await;
        if !solved(&stage).await {
            say(unsolved(&format!("solution {}", number + 1), &stage, data));
        }
        stage.close().await;
    }
    for (number, script) in data.wrong.iter().enumerate() {
        let (stage, mut session) = tried.open().await?;
        type_in(&mut session, script).await;
        if until(&stage, WATCHED, |grade| grade.solved).await {
            say(format!("wrong answer {} solves it", number + 1));
        }
        stage.close().await;
    }
    let paths = data.recognise.iter().map(|path| (path, "recognised"));
    for (path, what) in paths.chain(data.stuck.iter().map(|path| (path, "stuck"))) {
        let (stage, mut session) = tried.open().await?;
        if settled(&stage).await.met.contains(&path.id) {
            say(format!("the path `{}` is {what} before anything is done", path.id));
        }
        type_in(&mut session, &path.r#try).await;
        if !until(&stage, PATIENCE, |grade| grade.met.contains(&path.id)).await {
            say(format!("the path `{}` is not {what} after its `try`", path.id));
        }
        if stage.grade().borrow().solved {
            say(format!("the `try` of the path `{}` solves the step", path.id));
        }
        stage.close().await;
    }
    Ok(())
}

/// A step that is tried.
struct Tried<'a> {
    lesson: &'a Arc<Lesson>,
    how: &'a StageConfig,
    index: usize,
}

impl Tried<'_> {
    /// A fresh cluster at the step, whose start has been looked at.
    async fn open(&self) -> Result<(Stage, Session), LessonError> {
        let config = StageConfig { step: self.index, ..self.how.clone() };
        let (stage, session) = Stage::open(self.lesson.clone(), &config).await?;
        settled(&stage).await;
        Ok((stage, session))
    }
}

/// The grade once the step's start has been looked at and what was under way is done.
async fn settled(stage: &Stage) -> Grade {
    stage.cluster().clock().sleep(Duration::from_secs(1)).await;
    stage.grade().borrow().clone()
}

async fn solved(stage: &Stage) -> bool {
    until(stage, PATIENCE, |grade| grade.solved).await
}

async fn until(stage: &Stage, patience: Duration, come: impl Fn(&Grade) -> bool) -> bool {
    let mut grade = stage.grade();
    let waiting = async { grade.wait_for(|grade| come(grade)).await.is_ok() };
    stage.cluster().clock().timeout(patience, waiting).await.unwrap_or(false)
}

fn unsolved(what: &str, stage: &Stage, data: &StepData) -> String {
    let grade = stage.grade();
    let grade = grade.borrow();
    let missing =
        data.goal.iter().zip(&grade.goals).filter(|(_, holds)| !**holds).map(|(goal, _)| goal.to_string());
    let missing: Vec<String> = missing.collect();
    match missing.is_empty() {
        true => format!("{what} does not solve it: its goals are never true at the same time"),
        false => format!("{what} does not solve it; not true: {}", missing.join("; ")),
    }
}

/// Types a script in, command by command, and returns what a learner would have seen.
async fn type_in(session: &mut Session, script: &str) -> String {
    let mut seen = String::new();
    for command in commands(script) {
        seen += &format!("$ {command}\n");
        let (printed, kept) = SharedWriter::capture();
        let stdio = Stdio { stdout: Box::new(printed.clone()), stderr: Box::new(printed), ..Stdio::null() };
        session.run(&command, stdio).await;
        let bytes = std::mem::take(&mut *kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        seen += &String::from_utf8_lossy(&bytes);
        if !seen.ends_with('\n') {
            seen.push('\n');
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::super::super::format::LessonFiles;
    use super::*;
    use crate::cluster::RuntimeConfig;
    use crate::runtime::containerd::ContainerdConfig;

    const TEXT: &str = "# T\n\nAbout.\n\n## make: Make\n\nDo.\n\n### hints\n\n1. a\n2. b\n3. c\n\n### recognise alone\n\nOh.\n\n### debrief\n\nYes.\n";

    fn lesson(steps: &str) -> Arc<Lesson> {
        let yaml = format!("id: t\nminutes: 5\ncluster: {{pace: instant}}\nsteps:\n{steps}");
        let mut files = LessonFiles::new();
        files.insert("lesson.yaml".to_owned(), yaml.into_bytes());
        files.insert("en.md".to_owned(), TEXT.as_bytes().to_vec());
        Arc::new(Lesson::read("x", "x/01-t", &files).unwrap())
    }

    fn told(proof: &Proof) -> Vec<String> {
        proof.problems.iter().map(Problem::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lesson_that_goes_as_written_has_no_problems() {
        let lesson = lesson(
            r"  - id: make
    goal:
      - condition: {of: deployment/web, type: Available}
      - count: {of: pods, labels: app=web, is: 2}
      - http: {service: web, contains: Welcome}
      - command: kubectl scale deployment/web --replicas=2
      - always:
          - not: {count: {of: pods, labels: app=web, at-least: 3}}
    recognise:
      - id: alone
        when:
          - exists: pod/web
        try: kubectl run web --image=nginx
    solutions:
      - |
        kubectl create deployment web --image=nginx
        kubectl expose deployment web --port=80
        kubectl scale deploy web --replicas 2
    wrong:
      - |
        kubectl create deployment web --image=nginx --replicas=3
        kubectl expose deployment web --port=80
        kubectl scale deploy web --replicas 2
",
        );
        let proof = prove(&lesson).await;
        assert_eq!(told(&proof), Vec::<String>::new());
        assert_eq!(
            proof.transcript,
            "## make\n$ kubectl create deployment web --image=nginx\ndeployment.apps/web created\n$ kubectl expose deployment web --port=80\nservice/web exposed\n$ kubectl scale deploy web --replicas 2\ndeployment.apps/web scaled\n\n"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_lesson_for_simulated_containers_begins_nothing_on_others() {
        let steps =
            "  - {id: make, goal: [{exists: pod/web}], solutions: [kubectl get pods]}\nruntime: sim\n";
        let runtime = RuntimeConfig::Containerd(ContainerdConfig::default());
        let how = StageConfig { runtime, ..StageConfig::default() };
        assert_eq!(
            told(&prove_as(&lesson(steps), &how).await),
            [
                "x/01-t/lesson.yaml: the lesson x/t is for simulated containers only: play it with --runtime sim"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_thing_that_goes_otherwise_is_told() {
        let lesson = lesson(
            r"  - id: make
    goal:
      - exists: configmap/kube-root-ca.crt
    recognise:
      - id: alone
        when:
          - exists: pod/web
        try: kubectl get pods
    solutions:
      - kubectl get pods
    wrong:
      - kubectl get nodes
",
        );
        assert_eq!(
            told(&prove(&lesson).await),
            [
                "x/01-t/lesson.yaml: step `make`: it is solved before anything is done",
                "x/01-t/lesson.yaml: step `make`: wrong answer 1 solves it",
                "x/01-t/lesson.yaml: step `make`: the path `alone` is not recognised after its `try`",
                "x/01-t/lesson.yaml: step `make`: the `try` of the path `alone` solves the step",
            ]
        );
    }
}
