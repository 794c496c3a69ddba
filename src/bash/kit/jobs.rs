//! Background jobs: their numbers, how they end, and what is said of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bash::process::{Process, signal};
use crate::watch;

/// A command in the background.
pub(in crate::bash) struct Job {
    process: Process,
    command: String,
}

impl Job {
    pub(in crate::bash) fn new(process: Process, command: String) -> Self {
        Self { process, command }
    }
}

/// The jobs of a shell. Cheap to clone; they end with the last clone that the shell and its programs hold.
#[derive(Clone, Default)]
pub(in crate::bash) struct Jobs {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    jobs: BTreeMap<u32, Entry>,
}

struct Entry {
    pid: u32,
    command: String,
    signals: crate::bash::process::Signals,
    /// The exit code, once it has one.
    ended: watch::Receiver<Option<i32>>,
    announced: bool,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A job as `jobs` shows it.
pub(in crate::bash) struct JobInfo {
    pub(in crate::bash) number: u32,
    pub(in crate::bash) command: String,
    pub(in crate::bash) ended: Option<i32>,
}

impl Jobs {
    /// Runs a command in the background.
    pub(in crate::bash) fn start(&self, job: Job, running: impl Future<Output = i32> + Send + 'static) {
        let (sender, ended) = watch::channel(None);
        let mut table = self.lock();
        let number = table.jobs.keys().next_back().map_or(1, |last| last + 1);
        let Job { process, command } = job;
        let (pid, signals) = (process.pid, process.signals.clone());
        let task = tokio::spawn(async move {
            let code = running.await;
            drop(process);
            sender.send_replace(Some(code));
        });
        table.jobs.insert(number, Entry { pid, command, signals, ended, announced: false, task });
    }

    /// Every job, by number.
    pub(in crate::bash) fn list(&self) -> Vec<JobInfo> {
        let info = |(number, entry): (&u32, &Entry)| JobInfo {
            number: *number,
            command: entry.command.clone(),
            ended: *entry.ended.borrow(),
        };
        self.lock().jobs.iter().map(info).collect()
    }

    /// The job that `%2`, `%%`, `%name` or a process number means.
    pub(in crate::bash) fn find(&self, word: &str) -> Option<u32> {
        let table = self.lock();
        let Some(spec) = word.strip_prefix('%') else {
            let pid: u32 = word.parse().ok()?;
            return table.jobs.iter().find(|(_, entry)| entry.pid == pid).map(|(number, _)| *number);
        };
        match spec {
            "" | "%" | "+" => table.jobs.keys().next_back().copied(),
            "-" => table.jobs.keys().rev().nth(1).copied(),
            spec => match spec.parse() {
                Ok(number) => table.jobs.contains_key(&number).then_some(number),
                Err(_) => table
                    .jobs
                    .iter()
                    .find(|(_, entry)| entry.command.starts_with(spec))
                    .map(|(number, _)| *number),
            },
        }
    }

    /// Sends a signal to a job.
    pub(in crate::bash) fn signal(&self, number: u32, signal: i32) {
        if let Some(entry) = self.lock().jobs.get(&number) {
            entry.signals.send(signal);
        }
    }

    /// Waits until a job has ended, forgets it and returns its code.
    pub(in crate::bash) async fn wait(&self, number: u32) -> Option<i32> {
        let mut ended = self.lock().jobs.get(&number)?.ended.clone();
        // A task that was aborted has been killed.
        let code =
            ended.wait_for(Option::is_some).await.map_or(128 + signal::KILL, |code| code.unwrap_or_default());
        self.lock().jobs.remove(&number);
        Some(code)
    }

    /// What is said before a prompt: `[1] 12` of new jobs, `[1]+  Done ...` of those that ended, which are forgotten.
    pub(in crate::bash) fn notices(&self) -> Vec<String> {
        let mut table = self.lock();
        let mut notices = vec![];
        for (number, entry) in &mut table.jobs {
            if !std::mem::replace(&mut entry.announced, true) {
                notices.push(format!("[{number}] {}", entry.pid));
            }
            if let Some(code) = *entry.ended.borrow() {
                notices.push(format!("[{number}]+  {:<24}{}", state(Some(code)), entry.command));
            }
        }
        table.jobs.retain(|_, entry| entry.ended.borrow().is_none());
        notices
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's state in bash's words.
pub(in crate::bash) fn state(ended: Option<i32>) -> String {
    match ended {
        None => "Running".to_owned(),
        Some(0) => "Done".to_owned(),
        Some(code) if code == 128 + signal::TERM => "Terminated".to_owned(),
        Some(code) if code == 128 + signal::KILL => "Killed".to_owned(),
        Some(code) if code == 128 + signal::INT => "Interrupt".to_owned(),
        Some(code) => format!("Exit {code}"),
    }
}
