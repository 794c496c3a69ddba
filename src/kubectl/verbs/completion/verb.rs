//! The scripts.

use async_trait::async_trait;

use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flags;
use crate::kubectl::session::Session;

/// The verb.
pub struct Completion;

/// Asks `kubectl __complete` with the words so far; its last line tells what the shell should add.
const BASH: &str = r#"# bash completion for kubectl

__kubectl_complete() {
    local words=("${COMP_WORDS[@]:1:$COMP_CWORD}") answer=() line current
    current="${COMP_WORDS[$COMP_CWORD]}"
    while IFS= read -r line; do
        [[ $line == :* ]] || answer+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    COMPREPLY=($(compgen -W "${answer[*]}" -- "$current"))
}

complete -o default -F __kubectl_complete kubectl
"#;

const ZSH: &str = r#"#compdef kubectl
# zsh completion for kubectl

_kubectl() {
    local -a answer
    local line
    while IFS= read -r line; do
        [[ $line == :* ]] || answer+=("${line%%$'\t'*}")
    done < <("${words[1]}" __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)
    compadd -a answer
}

compdef _kubectl kubectl
"#;

const FISH: &str = r#"# fish completion for kubectl

function __kubectl_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null | string match -v ':*'
end

complete -c kubectl -f -a '(__kubectl_complete)'
"#;

#[async_trait]
impl Verb for Completion {
    fn name(&self) -> &'static str {
        "completion"
    }

    fn short(&self) -> &'static str {
        "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)"
    }

    fn long(&self) -> &'static str {
        "Print a script that makes a shell complete the words of kubectl commands. Source it to use it."
    }

    fn examples(&self) -> &'static str {
        "# Complete in this bash\nsource <(kubectl completion bash)\n\n# Complete in every zsh\nkubectl completion zsh > \
         \"${fpath[1]}/_kubectl\"\n\n# Complete in this fish\nkubectl completion fish | source"
    }

    fn usage(&self) -> &'static str {
        "SHELL"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        let script = match args {
            [] => return Err(KubectlError::usage(&session.command_path, "Shell not specified.")),
            [shell] => match shell.as_str() {
                "bash" => BASH,
                "zsh" => ZSH,
                "fish" => FISH,
                "powershell" => {
                    return Err(KubectlError::message(
                        "completion for powershell is not offered by this kubectl",
                    ));
                }
                other => {
                    return Err(KubectlError::usage(
                        &session.command_path,
                        format!("Unsupported shell type {other:?}."),
                    ));
                }
            },
            _ => {
                return Err(KubectlError::usage(
                    &session.command_path,
                    "Too many arguments. Expected only the shell type.",
                ));
            }
        };
        session.out.write(script).await
    }
}
