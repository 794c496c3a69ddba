//! Command lists: what is typed, and the directives around it.
//!
//! The format is that of the recorder which made the transcripts from a real cluster, so that one list drives both.

/// One step of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Begin as the recorder does: without the events of what was before.
    Clean,
    /// A command whose output is compared.
    Run(String),
    /// A file that is written and shown with `cat`.
    File { name: String, content: String },
    /// A command whose output is not shown.
    Silent(String),
    /// Wait until `kubectl wait` with these arguments succeeds.
    Wait(String),
    /// Repeat a command until it succeeds, for so many seconds; not shown.
    Until(u64, String),
    /// Let so many seconds pass.
    Sleep(f64),
    /// Keep a command's output under a name, for `@{NAME}`.
    Let(String, String),
    /// Start a command in the background; its first output is shown.
    Background(String, String),
    /// Start a command in the background; nothing is shown.
    HiddenBackground(String, String),
    /// End a background command; its later output is shown.
    End(String),
    /// Run a command on a terminal and type these lines.
    Terminal(String, Vec<String>),
}

/// Reads a list. Panics with the line where it is wrong: lists are ours.
pub fn parse(text: &str) -> Vec<Step> {
    let mut lines = text.lines();
    let mut steps = vec![];
    while let Some(raw) = lines.next() {
        let line = raw.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut here_document = |tag: &str| -> Vec<String> {
            lines.by_ref().take_while(|line| *line != tag).map(str::to_owned).collect()
        };
        let named = || {
            let (name, command) =
                rest.split_once(' ').unwrap_or_else(|| panic!("a name and a command, but: {line}"));
            (name.to_owned(), command.to_owned())
        };
        steps.push(match word {
            "TITLE" | "NOTE" | "==" | "TIMEOUT" => continue,
            "CLEAN" => Step::Clean,
            "SLEEP" => Step::Sleep(rest.parse().unwrap_or_else(|e| panic!("{line}: {e}"))),
            "WAIT" => Step::Wait(rest.to_owned()),
            "UNTIL" => {
                let (seconds, command) = named();
                Step::Until(seconds.parse().unwrap_or_else(|e| panic!("{line}: {e}")), command)
            }
            "SILENT" => Step::Silent(rest.to_owned()),
            "LET" => {
                let (name, command) = named();
                Step::Let(name, command)
            }
            "BG" => {
                let (name, command) = named();
                Step::Background(name, command)
            }
            "HIDDENBG" => {
                let (name, command) = named();
                Step::HiddenBackground(name, command)
            }
            "END" => Step::End(rest.to_owned()),
            "FILE" => {
                let (name, tag) =
                    rest.split_once(" <<").unwrap_or_else(|| panic!("FILE name <<TAG, but: {line}"));
                let content = here_document(tag).iter().map(|line| format!("{line}\n")).collect();
                Step::File { name: name.to_owned(), content }
            }
            "RUN" => Step::Run(here_document(rest.trim_start_matches('<')).join("\n")),
            "TTY" => match rest.split_once(" <<") {
                Some((command, tag)) => Step::Terminal(command.to_owned(), here_document(tag)),
                None => Step::Terminal(rest.to_owned(), vec![]),
            },
            _ => Step::Run(line.to_owned()),
        });
    }
    steps
}

#[test]
fn a_list_is_read() {
    let steps = parse(
        "TITLE x\nkubectl get pods\nFILE a.yaml <<E\nb: c\nE\nUNTIL 20 true\nTTY sh <<T\nls\nexit\nT\n",
    );
    let expected = [
        Step::Run("kubectl get pods".into()),
        Step::File { name: "a.yaml".into(), content: "b: c\n".into() },
        Step::Until(20, "true".into()),
        Step::Terminal("sh".into(), vec!["ls".into(), "exit".into()]),
    ];
    assert_eq!(steps, expected);
}
