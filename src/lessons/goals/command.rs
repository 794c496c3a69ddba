//! `command`: what the learner ran, as it is meant and not as it was spelled.
//!
//! `k get po -owide` and `kubectl get pods --output=wide` are one [`Invocation`]. kubectl's own tables of verbs and flags do
//! the reading; other programs are compared word by word.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use regex::Regex;
use serde_json::Value;

use super::super::glob::Glob;
use super::super::world::World;
use super::goal::{Ask, Moment, Needs};
use super::options::Options;
use crate::kubectl::command::find;
use crate::kubectl::factory::global_flags;
use crate::kubectl::flags;
use crate::kubectl::verbs::GROUPS;
use crate::shell::Ran;

/// A command line, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The program; `k` is `kubectl`.
    pub program: String,
    /// The words that are no flags: `rollout`, `status`, `deployments/web`.
    pub words: Vec<String>,
    /// The flags that were given, by their long names.
    pub flags: BTreeMap<String, Vec<String>>,
    /// What stands behind `--`.
    pub behind: Vec<String>,
}

/// Takes a command line apart. `plural` tells the plural of a kind's name, if it is one.
pub fn invocation(args: &[String], plural: &dyn Fn(&str) -> Option<String>) -> Invocation {
    let name = args.first().map_or("", |name| name.rsplit('/').next().unwrap_or(name));
    match name {
        "kubectl" | "k" => kubectl(args.get(1..).unwrap_or_default(), plural),
        name => {
            let words = args.iter().skip(1).cloned().collect();
            Invocation { program: name.to_owned(), words, ..Invocation::default() }
        }
    }
}

fn kubectl(args: &[String], plural: &dyn Fn(&str) -> Option<String>) -> Invocation {
    let program = "kubectl".to_owned();
    let as_typed = || Invocation { program: program.clone(), words: args.to_vec(), ..Invocation::default() };
    let globals = global_flags("");
    let Ok(found) = find(GROUPS, &globals, args) else { return as_typed() };
    let mut known = globals;
    known.extend(found.verb.map(|verb| verb.flags()).unwrap_or_default());
    let Ok((given, mut rest)) = flags::parse(&known, &found.args) else { return as_typed() };
    let behind = given.dash.map_or(vec![], |dash| rest.split_off(dash.min(rest.len())));
    let mut words: Vec<String> = found.path.split(' ').skip(1).map(str::to_owned).collect();
    words.extend(objects(rest, plural));
    let flags = known.iter().filter(|flag| given.changed(flag.name));
    let flags = flags.map(|flag| (flag.name.to_owned(), given.strings(flag.name).to_vec())).collect();
    Invocation { program, words, flags, behind }
}

/// Kinds by their plurals, and `TYPE NAME NAME` as `TYPE/NAME TYPE/NAME`.
fn objects(words: Vec<String>, plural: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let kinds = |word: &str| {
        let kinds: Option<Vec<String>> = word.split(',').map(plural).collect();
        kinds.map(|kinds| kinds.join(","))
    };
    let by_slash =
        |word: String| match word.split_once('/').and_then(|(kind, name)| Some((plural(kind)?, name))) {
            Some((kind, name)) => format!("{kind}/{name}"),
            None => word,
        };
    let Some(kind) = words.first().and_then(|word| kinds(word)) else {
        return words.into_iter().map(by_slash).collect();
    };
    // `key=value` and `key-` are what label, annotate, taint and set take behind the names.
    let is_name = |word: &&String| !word.contains('=') && !word.ends_with('-') && !word.contains('/');
    let names: Vec<&String> = words[1..].iter().take_while(is_name).collect();
    if names.is_empty() {
        return std::iter::once(kind).chain(words[1..].iter().cloned().map(by_slash)).collect();
    }
    let rest = words[1 + names.len()..].iter().cloned();
    names.iter().map(|name| format!("{kind}/{name}")).chain(rest).collect()
}

/// A command line that others are held against: `*` stands for any part of a word, a last word `...` for more words.
#[derive(Clone, Debug)]
pub struct Pattern {
    typed: Vec<String>,
    more: bool,
}

impl Pattern {
    /// Reads one, with bash's quotes.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut typed = shlex::split(text).ok_or_else(|| format!("{text:?} has an open quote"))?;
        let more = typed.last().is_some_and(|word| word == "...");
        if more {
            typed.pop();
        }
        if typed.is_empty() {
            Err("a command begins with a program".to_owned())
        } else {
            Ok(Self { typed, more })
        }
    }

    /// Whether a command line is one that is meant.
    pub fn matches(&self, args: &[String], plural: &dyn Fn(&str) -> Option<String>) -> bool {
        let (wanted, ran) = (invocation(&self.typed, plural), invocation(args, plural));
        if wanted.program != ran.program {
            return false;
        }
        if wanted.program != "kubectl" {
            return self.each_in_order(&wanted.words, &ran.words);
        }
        let words = if wanted.behind.is_empty() {
            self.all(&wanted.words, &ran.words, self.more)
        } else {
            self.all(&wanted.words, &ran.words, false) && self.all(&wanted.behind, &ran.behind, self.more)
        };
        words
            && wanted.flags.iter().all(|(name, values)| {
                ran.flags.get(name).is_some_and(|given| {
                    values.iter().all(|value| given.iter().any(|one| Glob::new(value).matches(one)))
                })
            })
    }

    fn all(&self, wanted: &[String], ran: &[String], more: bool) -> bool {
        let of_kind = |index: usize, word: &str| {
            // `get pods ...` means `get pods web`, too, which is `get pods/web`.
            let kind = word.split('/').next().unwrap_or_default();
            more && index + 1 == wanted.len() && word.contains('/') && wanted[index] == kind
        };
        (wanted.len() == ran.len() || (more && wanted.len() < ran.len()))
            && wanted
                .iter()
                .zip(ran)
                .enumerate()
                .all(|(index, (wanted, word))| Glob::new(wanted).matches(word) || of_kind(index, word))
    }

    /// Of a program whose flags are not known: every word is there, in order.
    fn each_in_order(&self, wanted: &[String], ran: &[String]) -> bool {
        let mut left = ran.iter();
        wanted.iter().all(|wanted| left.any(|word| Glob::new(wanted).matches(word)))
    }
}

/// How a command must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Succeeded,
    Failed,
    Any,
}

#[derive(Debug)]
struct Command {
    ran: Pattern,
    exit: Exit,
    prints: Option<Regex>,
}

pub(super) fn read(written: Value) -> Result<Arc<dyn Ask>, String> {
    if let Value::String(text) = &written {
        return Ok(Arc::new(Command { ran: Pattern::read(text)?, exit: Exit::Succeeded, prints: None }));
    }
    let mut options = Options::of(written)?;
    let ran = Pattern::read(&options.need::<String>("ran")?)?;
    let exit = match options.take::<Value>("exit")? {
        None => Exit::Succeeded,
        Some(Value::String(text)) if text == "any" => Exit::Any,
        Some(Value::String(text)) if text == "failed" => Exit::Failed,
        Some(Value::Number(number)) if number.as_i64() == Some(0) => Exit::Succeeded,
        Some(other) => return Err(format!("`exit: {other}`: expected 0, any or failed")),
    };
    let goal = Command { ran, exit, prints: options.regex("prints")? };
    options.end()?;
    Ok(Arc::new(goal))
}

impl Command {
    fn is(&self, ran: &Ran, world: &World) -> bool {
        let ended = match self.exit {
            // 130 is a command that runs until it is stopped, like `kubectl get -w`.
            Exit::Succeeded => ran.code == 0 || ran.code == 130,
            Exit::Failed => ran.code != 0,
            Exit::Any => true,
        };
        ended
            && self.ran.matches(&ran.args, &|word| world.plural(word))
            && self.prints.as_ref().is_none_or(|regex| regex.is_match(&ran.output))
    }
}

#[async_trait]
impl Ask for Command {
    async fn holds(&self, moment: &Moment<'_>) -> bool {
        let commands = moment.world.commands.since(moment.since.commands);
        commands.iter().any(|ran| self.is(ran, moment.world))
    }

    fn needs(&self) -> Needs {
        Needs { present: true, ..Needs::default() }
    }

    fn lint(&self, world: &World) -> Vec<String> {
        let words = invocation(&self.ran.typed, &|word| world.plural(word)).words;
        let known = ["kubectl", "k"].contains(&self.ran.typed[0].as_str());
        // A command that shall fail may be one that kubectl does not have.
        let meant = self.exit == Exit::Succeeded && words.first().is_some_and(|verb| !verb.contains('*'));
        let misread = known && meant && find(GROUPS, &global_flags(""), &self.ran.typed[1..]).is_err();
        if misread { vec![format!("kubectl has no command {:?}", words.join(" "))] } else { vec![] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plural(word: &str) -> Option<String> {
        let (plural, _) = [
            ("pods", ["pod", "po"]),
            ("deployments", ["deployment", "deploy"]),
            ("services", ["service", "svc"]),
        ]
        .into_iter()
        .find(|(plural, others)| *plural == word || others.contains(&word))?;
        Some(plural.to_owned())
    }

    fn matches(pattern: &str, line: &str) -> bool {
        Pattern::read(pattern).unwrap().matches(&shlex::split(line).unwrap(), &plural)
    }

    #[test]
    fn what_is_meant_counts_not_how_it_is_spelled() {
        for (pattern, line, wanted) in [
            ("kubectl get pods", "k get po", true),
            ("kubectl get pods", "kubectl get pods -A", true),
            ("kubectl get pods", "kubectl get pod web", false),
            ("kubectl get pods *", "kubectl get pods", false),
            ("kubectl get pods -o wide", "kubectl get po -owide", true),
            ("kubectl get pods -o wide", "kubectl -n default get pods --output=wide", true),
            ("kubectl get pods -o wide", "kubectl get pods", false),
            ("kubectl get pods -o wide", "kubectl get pods -o yaml", false),
            ("kubectl get pods -o *", "kubectl get pods -o yaml", true),
            ("kubectl get pod/web", "kubectl get pods web", true),
            ("kubectl describe pods/web-*", "kubectl describe po web-1", true),
            ("kubectl get pods,services", "kubectl get po,svc", true),
            ("kubectl get ...", "kubectl get pods web", true),
            ("kubectl get pods ...", "kubectl get pods web", true),
            ("kubectl get pods ...", "kubectl get po", true),
            ("kubectl get pods ...", "kubectl get svc web", false),
            ("kubectl * ...", "kubectl get svc web", true),
            ("kubectl rollout status deployment/web", "k rollout status deploy web", true),
            ("kubectl scale deployment/web --replicas=3", "kubectl scale --replicas 3 deploy/web", true),
            ("kubectl exec * -- env", "kubectl exec web-1 -- env", true),
            ("kubectl exec * -- curl ...", "kubectl exec -ti web-1 -c a -- curl localhost", true),
            ("kubectl exec * -- env", "kubectl exec web-1 -- ls", false),
            ("kubectl label pod/web app=web", "kubectl label pods web app=web", true),
            ("curl *8001*", "curl -s http://localhost:8001/version", true),
            ("curl *8001*", "curl -s http://localhost:8080", false),
            ("kubectl", "curl", false),
        ] {
            assert_eq!(matches(pattern, line), wanted, "{pattern} | {line}");
        }
    }

    #[test]
    fn a_line_that_kubectl_would_refuse_is_taken_as_typed() {
        let line = shlex::split("kubectl get --nothing pods").unwrap();
        assert_eq!(invocation(&line, &plural).words, ["get", "--nothing", "pods"]);
    }
}
