//! `sh`, `bash`, `ash`: the shell as a program, with a script of its own, one on its input, or a person at a terminal.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::super::launcher::{Launcher, look_up, read_all};
use super::traps;
use crate::bash::{Bash, BashConfig, Dialect, Program, ProgramContext, is_plain_command};

/// The largest script that is read from standard input.
const MAX_SCRIPT_BYTES: u64 = 4 << 20;
/// The shell.
pub(super) struct Shell {
    launcher: Launcher,
}

/// What a shell was asked to run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    /// The letters of `-e`, `-u`, `-x` and their like.
    options: String,
    script: Option<String>,
    /// A file with the script.
    file: Option<String>,
    args: Vec<String>,
    interactive: bool,
}

impl Shell {
    pub(super) fn new(launcher: Launcher) -> Self {
        Self { launcher }
    }
}

/// Reads the words of a call. The error is the option that no shell has.
fn parse(words: &[String]) -> Result<Call, String> {
    let mut call = Call::default();
    let mut words = words.iter().skip(1);
    let mut wants_script = false;
    while let Some(word) = words.next() {
        let letters = match word.strip_prefix('-') {
            Some("" | "-") => break,
            Some("-norc" | "-noprofile" | "-login" | "-posix") => continue,
            Some(letters) if !letters.starts_with('-') => letters,
            Some(_) => return Err(word.clone()),
            None => {
                let rest = words.cloned().collect();
                return Ok(match wants_script {
                    // The word after the script is the shell's own name, `$0`.
                    true => Call { script: Some(word.clone()), args: rest, ..call },
                    false => Call { file: Some(word.clone()), args: rest, ..call },
                });
            }
        };
        for letter in letters.chars() {
            match letter {
                'c' => wants_script = true,
                'i' => call.interactive = true,
                'l' | 's' => {}
                'o' => drop(
                    words.next().filter(|name| name.as_str() == "pipefail").map(|_| call.options.push('o')),
                ),
                'e' | 'u' | 'x' | 'f' | 'v' | 'n' | 'a' => call.options.push(letter),
                other => return Err(format!("-{other}")),
            }
        }
    }
    if wants_script { Err("-c".to_owned()) } else { Ok(call) }
}

/// What a shell exports of its own.
fn introduce(env: &mut BTreeMap<String, String>, cwd: &str, dialect: Dialect) {
    env.insert("PWD".to_owned(), cwd.to_owned());
    if dialect != Dialect::Dash {
        let level = env.get("SHLVL").and_then(|level| level.parse::<u32>().ok()).unwrap_or(0);
        env.insert("SHLVL".to_owned(), (level + 1).to_string());
    }
}

/// The words of a script that is one command without any of the shell's own syntax.
fn single_command(script: &str) -> Option<Vec<String>> {
    is_plain_command(script).then(|| script.split_whitespace().map(str::to_owned).collect())
}

/// Whose words a shell has: `sh` is busybox's or dash's, whatever else the image has, and `bash` beside dash is bash.
fn spoken_by(name: &str, dialect: Dialect) -> Dialect {
    match (name, dialect) {
        ("bash", Dialect::Dash) => Dialect::Gnu,
        ("bash", other) | (_, other @ (Dialect::Busybox | Dialect::Dash)) => other,
        (_, Dialect::Gnu) => Dialect::Dash,
    }
}

#[async_trait]
impl Program for Shell {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let name = context.name().to_owned();
        let call = match parse(&context.args) {
            Ok(call) => call,
            Err(option) if option == "-c" => {
                context.stdio.err(format!("{name}: -c: option requires an argument\n")).await;
                return 2;
            }
            Err(option) => {
                context.stdio.err(format!("{name}: {option}: invalid option\n")).await;
                return 2;
            }
        };
        let script = match (&call.script, &call.file) {
            (Some(script), _) => script.clone(),
            (None, Some(file)) => match context.files.read(&context.path(file)).await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) => {
                    let text = match context.system.dialect {
                        Dialect::Busybox => format!("{name}: can't open '{file}': {}\n", error.strerror()),
                        Dialect::Dash if name == "sh" => {
                            format!("sh: 0: cannot open {file}: {}\n", error.strerror())
                        }
                        _ => format!("{name}: {file}: {}\n", error.strerror()),
                    };
                    context.stdio.err(text).await;
                    return if context.system.dialect == Dialect::Gnu { 127 } else { 2 };
                }
            },
            (None, None) if context.stdio.stdin_is_terminal => return self.interactive(context).await,
            (None, None) => {
                let bytes = read_all(&mut *context.stdio.stdin, MAX_SCRIPT_BYTES).await;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        if let Some(words) = single_command(&script).filter(|_| call.options.is_empty())
            && self.launcher.programs().contains_key(&words[0])
            && look_up(&*context.files, &context.env, &context.cwd, &words[0]).await.is_ok()
        {
            return self.launcher.exec(context, words).await;
        }
        self.script(context, &call, &script).await
    }
}

impl Shell {
    /// A shell for the person at the terminal. `sh` is busybox's or dash's, whatever else the image has.
    async fn interactive(&self, context: ProgramContext) -> i32 {
        let dialect = spoken_by(context.name(), context.system.dialect);
        let ProgramContext { mut env, cwd, files, stdio, mut system, .. } = context;
        system.dialect = dialect;
        introduce(&mut env, &cwd, dialect);
        let programs = self.launcher.programs();
        let mut bash = Bash::new(BashConfig { files, system: system.clone(), env, cwd, programs });
        crate::bash::interactive(&mut bash, &system, stdio).await
    }

    async fn script(&self, context: ProgramContext, call: &Call, script: &str) -> i32 {
        let mut whole = String::new();
        for option in call.options.chars() {
            whole.push_str(
                if option == 'o' { "set -o pipefail\n".to_owned() } else { format!("set -{option}\n") }
                    .as_str(),
            );
        }
        whole.push_str(script);
        let args0 = context.name().to_owned();
        let dialect = spoken_by(&args0, context.system.dialect);
        let ProgramContext { mut env, cwd, files, stdio, mut system, .. } = context;
        system.dialect = dialect;
        introduce(&mut env, &cwd, dialect);
        let programs = self.launcher.programs();
        // `sh -c script name one`: the first word is `$0`.
        let (arg0, positional) = match (&call.script, &call.file) {
            (Some(_), _) => {
                (call.args.first().cloned().unwrap_or(args0), call.args.get(1..).unwrap_or_default().to_vec())
            }
            (None, Some(file)) => (file.clone(), call.args.clone()),
            (None, None) => (args0, call.args.clone()),
        };
        let signals = system.signals.clone();
        let mut bash = Bash::new(BashConfig { files, system, env, cwd, programs });
        let traps = traps::traps(&whole);
        if traps.is_empty() {
            return bash.execute_with(&whole, &arg0, &positional, stdio).await;
        }
        let script = traps::Script { text: whole, arg0, positional };
        traps::execute(&mut bash, &script, stdio, &signals, &traps).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn calls_are_read_as_shells_do() {
        let call = parse(&words("sh -ec script name one")).unwrap();
        assert_eq!(
            (call.options.as_str(), call.script.as_deref(), &call.args[..]),
            ("e", Some("script"), &words("name one")[..])
        );
        let call = parse(&words("bash -x /start.sh one")).unwrap();
        assert_eq!(
            (call.options.as_str(), call.file.as_deref(), &call.args[..]),
            ("x", Some("/start.sh"), &words("one")[..])
        );
        assert_eq!(parse(&words("sh -c")), Err("-c".to_owned()));
        assert_eq!(parse(&words("sh -Q")), Err("-Q".to_owned()));
    }

    #[test]
    fn a_plain_command_needs_no_shell() {
        assert_eq!(single_command(" sleep 5 "), Some(words("sleep 5")));
        for script in ["sleep 5; exit", "echo $HOME", "a | b", "X=1 env", ""] {
            assert_eq!(single_command(script), None, "{script}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_call_is_read_or_refused(words in proptest::collection::vec("-{0,2}[a-z]{0,4}|\\PC{0,8}", 0..6)) {
            let _ = parse(&words);
        }
    }
}
