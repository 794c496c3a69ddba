//! What a verb is, how the words of a command line find one, and what `--help` prints.
//!
//! Every verb implements [`Verb`] and stands in the table of `verbs/mod.rs`; `program.rs` finds and runs it.
// Models github.com/spf13/cobra and k8s.io/kubectl/pkg/util/templates (templater.go, help_flags_printer.go).

use async_trait::async_trait;

use super::error::{KubectlError, Result};
use super::flags::{Flag, Flags};
use super::session::Session;

/// A verb of kubectl, or a group of verbs like `config`.
#[async_trait]
pub trait Verb: Send + Sync + 'static {
    /// The word that calls it.
    fn name(&self) -> &'static str;

    /// Other words that call it.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// Words that people type when they mean it; they are suggested it.
    fn suggest_for(&self) -> &'static [&'static str] {
        &[]
    }

    /// One line about it, without a full stop.
    fn short(&self) -> &'static str;

    /// What `--help` begins with. Paragraphs are separated by an empty line; all but the first are printed with a space
    /// in front, as kubectl does.
    fn long(&self) -> &'static str {
        self.short()
    }

    /// Command lines with comments, not indented.
    fn examples(&self) -> &'static str {
        ""
    }

    /// What follows the name in the usage line, like `TYPE NAME`; ` [options]` is added.
    fn usage(&self) -> &'static str {
        ""
    }

    /// The flags of its own; the global ones are added.
    fn flags(&self) -> Vec<Flag> {
        vec![]
    }

    /// The verbs of a group.
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        &[]
    }

    /// Whether it does something itself; a plain group prints its help.
    fn runnable(&self) -> bool {
        self.verbs().is_empty()
    }

    /// Whether lists leave it out.
    fn hidden(&self) -> bool {
        false
    }

    /// The error of flags that it does not understand; `path` is like `kubectl config view`.
    fn flag_error(&self, path: &str, text: String) -> KubectlError {
        flag_error(path, &text)
    }

    /// Does it. `args` are what is left when the flags are taken away; `flags.dash` tells where `--` stood.
    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()>;
}

/// The error of flags that a verb does not understand.
pub fn flag_error(path: &str, text: &str) -> KubectlError {
    let help = if path == "kubectl options" {
        format!("Run '{path}' without flags.")
    } else {
        format!("See '{path} --help' for usage.")
    };
    KubectlError::Message(format!("{text}\n{help}"))
}

/// The error of the `run` of a plain group, which is never called.
pub fn not_runnable(session: &Session) -> KubectlError {
    KubectlError::message(format!("{} needs a subcommand", session.command_path))
}

/// A group of the root's verbs, under a title.
pub struct Group {
    pub title: &'static str,
    pub verbs: &'static [&'static dyn Verb],
}

/// A verb that was found, with the words that led there.
pub struct Found {
    /// The verb; `None` is kubectl itself.
    pub verb: Option<&'static dyn Verb>,
    /// `kubectl config view`.
    pub path: String,
    /// The arguments without the words of the path.
    pub args: Vec<String>,
}

/// Finds the verb that `args` (without kubectl's own name) call, stepping over flags as cobra does.
pub fn find(groups: &[Group], globals: &[Flag], args: &[String]) -> Result<Found> {
    let root: Vec<&'static dyn Verb> = groups.iter().flat_map(|group| group.verbs.iter().copied()).collect();
    let mut found = Found { verb: None, path: "kubectl".to_owned(), args: args.to_vec() };
    let mut verbs = root.clone();
    loop {
        let mut flags = globals.to_vec();
        flags.extend(found.verb.map(|verb| verb.flags()).unwrap_or_default());
        let Some(index) = first_word(&found.args, &flags) else { return Ok(found) };
        let word = found.args[index].as_str();
        let named = |verb: &&&dyn Verb| verb.name() == word || verb.aliases().contains(&word);
        match verbs.iter().find(named).copied() {
            Some(verb) => {
                found.args.remove(index);
                found.path = format!("{} {}", found.path, verb.name());
                found.verb = Some(verb);
                verbs = verb.verbs().to_vec();
            }
            None if found.verb.is_none() => {
                let text = format!("unknown command {word:?} for \"kubectl\"{}", suggestions(&root, word));
                return Err(KubectlError::message(text));
            }
            None => return Ok(found),
        }
    }
}

/// The index of the first argument that is no flag and no flag's value.
// Models cobra's stripFlags.
fn first_word(args: &[String], flags: &[Flag]) -> Option<usize> {
    let mut index = 0;
    while let Some(arg) = args.get(index) {
        if arg == "--" {
            return None;
        }
        let alone = |flag: Option<&Flag>| flag.is_some_and(|flag| flag.no_value.is_some());
        if let Some(long) = arg.strip_prefix("--") {
            if !long.contains('=') && !alone(flags.iter().find(|flag| flag.name == long)) {
                index += 1;
            }
        } else if arg.starts_with('-') && arg.len() > 1 {
            let short = arg[1..]
                .chars()
                .next()
                .and_then(|letter| flags.iter().find(|flag| flag.short == Some(letter)));
            if !arg.contains('=') && arg.chars().count() == 2 && !alone(short) {
                index += 1;
            }
        } else if !arg.is_empty() {
            return Some(index);
        }
        index += 1;
    }
    None
}

/// The verbs that a mistyped word may mean, as cobra prints them.
fn suggestions(verbs: &[&'static dyn Verb], typed: &str) -> String {
    let typed = typed.to_lowercase();
    let mut names: Vec<&str> = vec![];
    for verb in verbs.iter().filter(|verb| !verb.hidden()) {
        let name = verb.name().to_lowercase();
        let listed = verb.suggest_for().iter().any(|word| word.eq_ignore_ascii_case(&typed));
        if distance(&typed, &name) <= 2 || name.starts_with(&typed) || listed {
            names.push(verb.name());
        }
    }
    if names.is_empty() {
        return String::new();
    }
    names.iter().fold("\n\nDid you mean this?\n".to_owned(), |text, name| text + "\t" + name + "\n")
}

/// The Levenshtein distance of two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = if x == *y { diagonal } else { 1 + diagonal.min(row[j]).min(row[j + 1]) };
            diagonal = row[j + 1];
            row[j + 1] = cost;
        }
    }
    row[b.len()]
}

/// What `--help` prints for a verb.
pub fn help(verb: &dyn Verb, path: &str) -> String {
    format!("{}{}", long_description(verb.long()), usage(verb, path))
}

fn long_description(long: &str) -> String {
    let paragraphs: Vec<&str> = long.trim().split("\n\n").map(str::trim).collect();
    paragraphs.join("\n\n ")
}

fn usage(verb: &dyn Verb, path: &str) -> String {
    let mut text = "\n\n".to_owned();
    if !verb.aliases().is_empty() {
        text += &format!("Aliases:\n{}, {}\n\n", verb.name(), verb.aliases().join(", "));
    }
    let examples = verb.examples().trim();
    if !examples.is_empty() {
        let lines: Vec<String> = examples.lines().map(|line| format!("  {line}")).collect();
        text += &format!("Examples:\n{}\n\n", lines.join("\n"));
    }
    let mut verbs: Vec<&dyn Verb> = verb.verbs().iter().copied().filter(|verb| !verb.hidden()).collect();
    if !verbs.is_empty() {
        verbs.sort_by_key(|verb| verb.name());
        text += &format!("Available Commands:{}\n\n", command_lines(&verbs, name_padding(&verbs)));
    }
    let options = options(&verb.flags());
    if !options.is_empty() {
        text += &format!("Options:\n{}\n\n", options.trim_end());
    }
    let line = [path, verb.usage()].join(" ");
    let line = line.trim_end();
    let suffix = if line.contains("[options]") { "" } else { " [options]" };
    text += &format!("Usage:\n  {line}{suffix}\n\n");
    if !verb.verbs().is_empty() {
        text += &format!("Use \"{path} <command> --help\" for more information about a given command.\n");
    }
    text + "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n"
}

/// What `kubectl` alone prints.
pub fn root_help(groups: &[Group]) -> String {
    let about = "kubectl controls the Kubernetes cluster manager.\n\n Find more information at: \
                 https://kubernetes.io/docs/reference/kubectl/";
    format!("{about}{}", root_usage(groups))
}

/// The lists of verbs, and how to go on from there.
pub fn root_usage(groups: &[Group]) -> String {
    let all: Vec<&dyn Verb> = groups.iter().flat_map(|group| group.verbs.iter().copied()).collect();
    let padding = name_padding(&all);
    let list = |group: &Group| {
        let verbs: Vec<&dyn Verb> = group.verbs.iter().copied().filter(|verb| !verb.hidden()).collect();
        format!("{}{}", group.title, command_lines(&verbs, padding))
    };
    let lists: Vec<String> = groups.iter().map(list).collect();
    format!(
        "\n\n{}\n\nUsage:\n  kubectl [flags] [options]\n\n\
         Use \"kubectl <command> --help\" for more information about a given command.\n\
         Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n",
        lists.join("\n\n")
    )
}

fn name_padding(verbs: &[&dyn Verb]) -> usize {
    verbs.iter().map(|verb| verb.name().len()).max().unwrap_or_default().max(11)
}

fn command_lines(verbs: &[&dyn Verb], padding: usize) -> String {
    verbs.iter().map(|verb| format!("\n  {:padding$}   {}", verb.name(), verb.short())).collect()
}

/// The flags as `--help` and `kubectl options` list them.
pub fn options(flags: &[Flag]) -> String {
    let mut flags: Vec<&Flag> = flags.iter().filter(|flag| !flag.hidden).collect();
    flags.sort_by_key(|flag| flag.name);
    let list = |flag: &&Flag| {
        let short = flag.short.map(|letter| format!("-{letter}, ")).unwrap_or_default();
        let usage = flag.usage.replace('\n', " ");
        format!("    {short}--{}={}:\n\t{usage}\n\n", flag.name, flag.printed_default())
    };
    flags.iter().map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, expected) in
            [("get", "gets", 1), ("", "abc", 3), ("kitten", "sitting", 3), ("run", "run", 0)]
        {
            assert_eq!(distance(a, b), expected);
        }
    }
    #[test]
    fn every_verb_describes_itself_and_its_flags_do_not_clash() {
        fn look(verb: &dyn Verb, path: &str) {
            let path = format!("{path} {}", verb.name());
            let text = help(verb, &path);
            assert!(text.contains(&format!("Usage:\n  {path}")), "{path}");
            assert!(!verb.short().is_empty() && !verb.short().ends_with('.'), "{path}: {:?}", verb.short());
            let mut names: Vec<&str> = verb.flags().iter().map(|flag| flag.name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{path} has a flag twice: {names:?}");
            verb.verbs().iter().for_each(|verb| look(*verb, &path));
        }
        let groups = crate::kubectl::verbs::GROUPS;
        groups.iter().flat_map(|group| group.verbs).for_each(|verb| look(*verb, "kubectl"));
        assert!(root_help(groups).contains("\n  get             Display one or many resources\n"));
    }

    #[test]
    fn mistyped_words_are_suggested() {
        let args = ["gets".to_owned()];
        let Err(error) = find(crate::kubectl::verbs::GROUPS, &[], &args) else { panic!("gets is no verb") };
        let expected =
            "error: unknown command \"gets\" for \"kubectl\"\n\nDid you mean this?\n\tset\n\tget\n";
        assert_eq!(error.report().0, expected);
    }
}
