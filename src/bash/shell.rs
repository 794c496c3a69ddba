//! The shell: scripts in, bytes and exit codes out.
//!
//! The language is bashkit's. What it lacks is added around it: background jobs that outlive their line, standard input
//! that is read as it comes, the cluster's clock, and bytes that reach the streams as they are written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use bashkit::hooks::HookAction;
use bashkit::{ExecOptions, ExecutionExtensions, ExecutionLimits, MemoryLimits, SessionLimits, ShellState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::files::Files;
use super::kit::jobs::{Job, Jobs};
use super::kit::{Adapter, Complaints, KitFiles, Streams, live_stdin, own, scan};
use super::program::{Dialect, Program, Stdio, System};
use super::streams::{SharedReader, SharedWriter};

/// Programs by the name that calls them.
pub type Programs = Arc<BTreeMap<String, Arc<dyn Program>>>;

/// The most that is read of a standard input that a command wants whole.
const MAX_WHOLE_STDIN_BYTES: u64 = 64 << 20;
/// Bytes that a script's pipes and variables may hold at the same time.
const MAX_LIVE_BYTES: u64 = 256 << 20;
/// The longest script.
const MAX_SCRIPT_BYTES: usize = 4 << 20;
/// No code has been given to `exit` yet.
const NO_EXIT: i32 = i32::MIN;

/// What a shell is made of.
#[derive(Clone)]
pub struct BashConfig {
    /// The file system.
    pub files: Arc<dyn Files>,
    /// The machine or container.
    pub system: System,
    /// The exported variables.
    pub env: BTreeMap<String, String>,
    /// The working directory, absolute.
    pub cwd: String,
    /// Programs besides bash's own commands; they win over those of the same name.
    pub programs: Programs,
}

/// A shell with its state: variables, functions, working directory, jobs.
pub struct Bash {
    config: BashConfig,
    kit: bashkit::Bash,
    jobs: Jobs,
    exited: Arc<AtomicI32>,
    last_code: i32,
}

/// Stops what a shell runs in the foreground, as Ctrl-C does.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Stops it; the shell goes on with code 130.
    pub fn interrupt(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Bash {
    /// A fresh shell.
    pub fn new(config: BashConfig) -> Self {
        Self::with_jobs(config, Jobs::default())
    }

    fn with_jobs(config: BashConfig, jobs: Jobs) -> Self {
        let exited = Arc::new(AtomicI32::new(NO_EXIT));
        let kit = build(&config, &jobs, exited.clone());
        Self { config, kit, jobs, exited, last_code: 0 }
    }

    /// Runs a script to its end and returns the exit code. Bytes reach the streams as they are written. Dropping the
    /// future kills what runs, except background jobs, which live as long as the shell.
    pub async fn execute(&mut self, script: &str, stdio: Stdio) -> i32 {
        self.execute_with(script, "bash", &[], stdio).await
    }

    /// [`Bash::execute`] with `$0` and the positional parameters.
    pub async fn execute_with(
        &mut self,
        script: &str,
        arg0: &str,
        positional: &[String],
        stdio: Stdio,
    ) -> i32 {
        let Stdio { stdin, stdout, stderr, terminal, stdin_is_terminal, stdin_is_own } = stdio;
        let streams = Streams { stdin: SharedReader::new(stdin), stdin_is_terminal, stdin_is_own, terminal };
        let (stdout, stderr) = (SharedWriter::new(stdout), SharedWriter::new(stderr));
        for part in scan::parts(script) {
            if self.exited().is_some() {
                break;
            }
            match part {
                scan::Part::Foreground(text) => {
                    self.last_code = run(
                        &mut self.kit,
                        &text,
                        arg0,
                        positional,
                        &streams,
                        (stdout.clone(), stderr.clone(), self.config.system.dialect),
                    )
                    .await;
                }
                scan::Part::Background(text) => {
                    self.start_job(text, arg0, positional, (stdout.clone(), stderr.clone()));
                    self.last_code = 0;
                }
            }
        }
        self.exited().unwrap_or(self.last_code)
    }

    /// The code that `exit` was given, once it was.
    pub fn exited(&self) -> Option<i32> {
        Some(self.exited.load(Ordering::Relaxed)).filter(|code| *code != NO_EXIT)
    }

    /// Stops the foreground from elsewhere.
    pub fn interrupter(&self) -> Interrupt {
        Interrupt(self.kit.cancellation_token())
    }

    /// The working directory.
    pub fn cwd(&self) -> String {
        self.kit.shell_state_view().cwd.to_string_lossy().into_owned()
    }

    /// A variable, exported or not.
    pub fn variable(&self, name: &str) -> Option<String> {
        let state = self.kit.shell_state_view();
        state.variables.get(name).or_else(|| state.env.get(name)).cloned()
    }

    /// What is said of background jobs before the next prompt: those that are new, and those that have ended.
    pub fn job_notices(&self) -> Vec<String> {
        self.jobs.notices()
    }

    /// The file system.
    pub fn files(&self) -> Arc<dyn Files> {
        self.config.files.clone()
    }

    fn start_job(
        &mut self,
        text: String,
        arg0: &str,
        positional: &[String],
        output: (SharedWriter, SharedWriter),
    ) {
        let mut state: ShellState = self.kit.shell_state();
        let mut config = self.config.clone();
        let system = &mut config.system;
        let parent = system.pid.unwrap_or(0);
        let process =
            system.processes.start(parent, &system.user.name, vec![text.clone()], system.clock.now());
        // One command is the process itself; several are its children.
        system.pid = system.pid.and(Some(process.pid)).filter(|_| !scan::is_plain_command(&text));
        let mut shell = Self::with_jobs(config, self.jobs.clone());
        shell.kit.restore_shell_state(&state);
        let (arg0, positional) = (arg0.to_owned(), positional.to_vec());
        let pid = process.pid;
        let command = text.clone();
        let signals = process.signals.clone();
        let output = (output.0, output.1, self.config.system.dialect);
        let running = async move {
            let streams = Streams {
                stdin: SharedReader::empty(),
                stdin_is_terminal: false,
                stdin_is_own: false,
                terminal: None,
            };
            tokio::select! { biased;
                number = signals.fatal() => 128 + number,
                code = run(&mut shell.kit, &text, &arg0, &positional, &streams, output) => code,
            }
        };
        self.jobs.start(Job::new(process, command), running);
        state.last_bg_pid = Some(pid.to_string());
        self.kit.restore_shell_state(&state);
    }
}

/// Runs a script in the foreground of `kit`.
async fn run(
    kit: &mut bashkit::Bash,
    script: &str,
    arg0: &str,
    positional: &[String],
    streams: &Streams,
    (mut stdout, stderr, dialect): (SharedWriter, SharedWriter, Dialect),
) -> i32 {
    let cancelled = kit.cancellation_token();
    cancelled.store(false, Ordering::Relaxed);
    let mut options = ExecOptions::new().arg0(arg0).positional(positional.to_vec());
    let mut extensions = ExecutionExtensions::new();
    extensions.insert(streams.clone());
    options = options.extensions(extensions);
    options = if own::wants_whole_stdin(script) {
        let mut whole = vec![];
        // A stream that breaks is one that ends.
        let _ = streams.stdin.clone().take(MAX_WHOLE_STDIN_BYTES).read_to_end(&mut whole).await;
        options.stdin(String::from_utf8_lossy(&whole).into_owned())
    } else {
        options.stdin(live_stdin())
    };
    let mut stderr = Complaints::new(stderr, dialect);
    let outcome = kit.execute(script).stdout(&mut stdout).stderr(&mut stderr).options(options).await;
    // Nobody reads it any more: the next writer is told.
    let _ = stderr.flush().await;
    match outcome {
        Ok(result) => result.exit_code,
        Err(bashkit::Error::Cancelled) => 130,
        // Nobody reads what is written: the end that SIGPIPE brings.
        Err(bashkit::Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => 141,
        Err(_) if cancelled.load(Ordering::Relaxed) => 130,
        Err(error) => {
            let text = format!("{arg0}: {}\n", own::worded(&error.to_string()));
            // A complaint that nobody reads is lost.
            let _ = stderr.write_all(text.as_bytes()).await;
            let _ = stderr.flush().await;
            2
        }
    }
}

fn build(config: &BashConfig, jobs: &Jobs, exited: Arc<AtomicI32>) -> bashkit::Bash {
    let limits = ExecutionLimits::cli()
        .max_work_units(u64::MAX)
        .max_aggregate_input_bytes(u64::MAX)
        .max_live_intermediate_bytes(MAX_LIVE_BYTES)
        .max_stdout_bytes(usize::MAX / 4)
        .max_stderr_bytes(usize::MAX / 4)
        .max_input_bytes(MAX_SCRIPT_BYTES);
    let user = &config.system.user.name;
    let mut builder = bashkit::Bash::builder()
        .fs(Arc::new(KitFiles(config.files.clone())))
        .cwd(&config.cwd)
        .username(if user.is_empty() { "root" } else { user })
        .hostname(&config.system.hostname)
        .limits(limits)
        .session_limits(SessionLimits::unlimited())
        .memory_limits(MemoryLimits::unlimited())
        .on_exit(Box::new(move |event| {
            exited.store(event.code, Ordering::Relaxed);
            HookAction::Continue(event)
        }))
        .builtin("read", Box::new(own::Read));
    for (name, value) in &config.env {
        builder = builder.env(name, value);
    }
    let own = own::programs(jobs, &config.programs);
    let programs = own.iter().chain(config.programs.iter());
    for (name, program) in programs {
        let adapter = Adapter {
            program: program.clone(),
            files: config.files.clone(),
            system: config.system.clone(),
            builtin: own::BUILTINS.contains(&name.as_str()),
        };
        builder = builder.command(name, adapter);
    }
    let mut kit = builder.build();
    if !config.env.contains_key("USER") {
        // bashkit exports the name that `whoami` answers; a shell does not.
        let mut state = kit.shell_state();
        state.env.remove("USER");
        state.variables.remove("USER");
        kit.restore_shell_state(&state);
    }
    kit
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::memory_files::MemoryFiles;
    use super::super::program::ProgramContext;
    use super::*;
    use crate::clock::Clock;

    struct Upper;

    #[async_trait::async_trait]
    impl Program for Upper {
        async fn run(&self, context: ProgramContext) -> i32 {
            let mut stdio = context.stdio;
            let mut text = String::new();
            stdio.stdin.read_to_string(&mut text).await.unwrap();
            stdio.out(text.to_uppercase()).await;
            context.args.len() as i32
        }
    }

    fn bash(clock: &Clock) -> Bash {
        let program: Arc<dyn Program> = Arc::new(Upper);
        let system = System::new("box", clock.clone());
        // The shell is not the machine's first process, which would not end by TERM.
        system.processes.skip_to(1000);
        Bash::new(BashConfig {
            files: Arc::new(MemoryFiles::new(clock.clone())),
            system,
            env: [("HOME", "/"), ("PATH", "/bin")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            cwd: "/".to_owned(),
            programs: Arc::new([("upper".to_owned(), program)].into()),
        })
    }

    async fn output(bash: &mut Bash, script: &str, stdin: &'static str) -> (String, i32) {
        let (writer, kept) = SharedWriter::capture();
        let stdio = Stdio {
            stdin: Box::new(std::io::Cursor::new(stdin)),
            stdout: Box::new(writer.clone()),
            stderr: Box::new(writer),
            ..Stdio::null()
        };
        let code = bash.execute(script, stdio).await;
        let text = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
        (text, code)
    }

    #[tokio::test(start_paused = true)]
    async fn scripts_run_and_state_is_kept() {
        let clock = Clock::virtual_time();
        let mut bash = bash(&clock);
        for (script, expected, code) in [
            ("x=1; echo a$x >f; cat f", "a1\n", 0),
            ("export Y=2; echo $x$Y", "12\n", 0),
            ("for i in 1 2; do echo $i; done | wc -l", "2\n", 0),
            ("nosuch", "bash: nosuch: command not found\n", 127),
            ("cd /tmp 2>/dev/null || mkdir /tmp && cd /tmp; pwd", "/tmp\n", 0),
            ("echo hi | upper", "HI\n", 1),
            ("upper a b < f2", "bash: line 1: f2: No such file or directory\n", 1),
            ("echo kept > f3; touch f3 f4 && cat f3 f4", "kept\n", 0),
            ("touch -d 2020-01-01 f3", "touch: cannot touch 'f3': only the present time can be set\n", 1),
            ("(exit 7)", "", 7),
            ("cat <<E | upper\nx\nE", "X\n", 1),
            ("v=$(echo in | upper); echo $v", "IN\n", 0),
        ] {
            assert_eq!(output(&mut bash, script, "").await, (expected.to_owned(), code), "{script}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn standard_input_is_read_as_it_comes() {
        let clock = Clock::virtual_time();
        let mut bash = bash(&clock);
        for (script, expected) in [
            ("upper", "ONE\nTWO\n"),
            ("cat", "one\ntwo\n"),
            ("read a; read b; echo $b $a", "two one\n"),
            ("read a; upper", "TWO\n"),
            ("while read l; do echo \"<$l>\"; done", "<one>\n<two>\n"),
            ("wc -l", "2\n"),
            ("true; upper", "ONE\nTWO\n"),
            ("echo x | upper; cat", "X\none\ntwo\n"),
            ("true | upper", ""),
        ] {
            assert_eq!(output(&mut bash, script, "one\ntwo\n").await.0, expected, "{script}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_takes_the_clusters_time() {
        let clock = Clock::virtual_time();
        let before = clock.now();
        let mut bash = bash(&clock);
        assert_eq!(output(&mut bash, "sleep 300; date -u +%M", "").await, ("05\n".to_owned(), 0));
        assert_eq!(clock.now().duration_since(before).as_secs(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_ends_when_its_time_is_over_and_what_it_said_is_kept() {
        let clock = Clock::virtual_time();
        let mut bash = bash(&clock);
        for (script, expected, code) in [
            ("timeout 2 bash -c 'echo begun; sleep 100; echo no' > f; echo $?; cat f", "124\nbegun\n", 0),
            ("timeout 2 bash -c 'echo begun; sleep 100' | upper", "BEGUN\n", 1),
            ("timeout 5 sleep 1", "", 0),
            ("timeout 5 bash -c 'exit 7'", "", 7),
            ("timeout -s KILL 1 sleep 9", "", 137),
            ("timeout --preserve-status 1 sleep 9", "", 143),
            ("timeout -v 1 sleep 9", "timeout: sending signal TERM to command 'sleep'\n", 124),
            ("timeout 400 sleep 350; echo $?", "0\n", 0),
            ("echo in | timeout 1 upper x", "IN\n", 2),
            ("timeout 1 nosuch", "timeout: failed to run command 'nosuch': No such file or directory\n", 127),
        ] {
            assert_eq!(output(&mut bash, script, "").await, (expected.to_owned(), code), "{script}");
        }
        let before = clock.now();
        output(&mut bash, "timeout 30 sleep infinity", "").await;
        assert_eq!(clock.now().duration_since(before).as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn background_jobs_outlive_their_line() {
        let clock = Clock::virtual_time();
        let mut bash = bash(&clock);
        assert_eq!(output(&mut bash, "(sleep 5; echo late > /out) & echo $!", "").await.1, 0);
        assert!(bash.files().read("/out").await.is_err());
        assert_eq!(output(&mut bash, "wait; cat /out", "").await.0, "late\n");
        output(&mut bash, "sleep 1000 &", "").await;
        assert_eq!(output(&mut bash, "kill %1; wait %1; echo $?", "").await.0, "143\n");
    }

    #[tokio::test(start_paused = true)]
    async fn exit_is_told() {
        let clock = Clock::virtual_time();
        let mut bash = bash(&clock);
        assert_eq!(output(&mut bash, "exit 3; echo no", "").await, (String::new(), 3));
        assert_eq!(bash.exited(), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn an_interrupt_stops_the_foreground() {
        let clock = Clock::virtual_time();
        let mut bash = bash(&clock);
        let interrupt = bash.interrupter();
        let other = clock.clone();
        tokio::spawn(async move {
            other.sleep(Duration::from_secs(2)).await;
            interrupt.interrupt();
        });
        let before = clock.now();
        assert_eq!(output(&mut bash, "while true; do sleep 60; done", "").await.1, 130);
        assert!(clock.now().duration_since(before).as_secs() < 10);
        assert_eq!(output(&mut bash, "echo on", "").await, ("on\n".to_owned(), 0));
    }
}
