//! What could come next on the line: commands, verbs, flags, kinds and the names that exist in the cluster right now.
//!
//! [`complete`] is a pure function over the text and a [`Source`]; the REPL's source asks kubectl's own table of verbs and
//! the live cluster.

use crate::cluster::Component;

/// Where candidates come from.
pub trait Source {
    /// The commands that the shell knows.
    fn commands(&self) -> Vec<String>;
    /// kubectl's verbs, or the sub-commands of one (`path` is `["rollout"]`).
    fn verbs(&self, path: &[&str]) -> Vec<String>;
    /// The flags of a verb with their dashes, and whether each takes a value.
    fn flags(&self, path: &[&str]) -> Vec<(String, bool)>;
    /// The names that kinds go by: plurals and short names.
    fn kinds(&self) -> Vec<String>;
    /// The objects of a kind, in a namespace if one was given.
    fn names(&self, kind: &str, namespace: Option<&str>) -> Vec<String>;
    /// The containers of a pod.
    fn containers(&self, pod: &str, namespace: Option<&str>) -> Vec<String>;
    /// The paths that begin so.
    fn paths(&self, prefix: &str) -> Vec<String>;
}

/// What can be put in place of the text from `start` to the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where the word begins, in bytes.
    pub start: usize,
    /// The candidates, sorted.
    pub candidates: Vec<String>,
}

/// Verbs whose first argument is a pod and not a kind.
const POD_VERBS: &[&str] = &["logs", "exec", "attach", "port-forward", "debug"];
/// Verbs whose first argument is a node.
const NODE_VERBS: &[&str] = &["cordon", "uncordon", "drain"];
/// Verbs with sub-commands that take kinds and names as `get` does.
const NAMED_GROUPS: &[&str] = &["rollout", "set"];

/// Completes `line` at `cursor` (in bytes).
pub fn complete(line: &str, cursor: usize, source: &dyn Source) -> Completion {
    let text = line.get(..cursor).unwrap_or(line);
    // What counts is the command that the cursor is in, behind pipes and inside `$(`.
    let begin = text.rfind(['|', ';', '&', '(', '`', '{']).map_or(0, |index| index + 1);
    let start = text
        .rfind(|c: char| c.is_whitespace() || "|;&(`{='\"".contains(c))
        .map_or(0, |index| index + 1)
        .max(begin);
    let word = &text[start..];
    let before: Vec<&str> = text[begin..start].split_whitespace().collect();
    let equals_flag =
        text[..start].ends_with('=').then(|| text[begin..start].split_whitespace().last()).flatten();
    let candidates = match before.first() {
        None => source.commands(),
        Some(&"kubectl" | &"k") => kubectl(&before[1..], word, equals_flag, source),
        Some(&"cluster") => cluster(&before[1..], source),
        Some(&"minikube") => minikube(&before[1..], source),
        Some(_) => source.paths(word),
    };
    let mut candidates: Vec<String> =
        candidates.into_iter().filter(|candidate| candidate.starts_with(word)).collect();
    candidates.sort();
    candidates.dedup();
    Completion { start, candidates }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// `cluster stop kubelet NODE`.
fn cluster(before: &[&str], source: &dyn Source) -> Vec<String> {
    match before {
        [] => owned(&["start", "status", "stop"]),
        ["start" | "stop"] => Component::ALL.map(|component| component.name().to_owned()).into(),
        ["start" | "stop", component] if component.parse().is_ok_and(Component::is_per_node) => {
            source.names("nodes", None)
        }
        _ => vec![],
    }
}

fn minikube(before: &[&str], source: &dyn Source) -> Vec<String> {
    match before {
        [] => owned(&["ip", "node", "profile", "service", "ssh", "start", "status", "version"]),
        ["node"] => owned(&["list"]),
        ["ssh" | "ip", .., "-n" | "--node"] => source.names("nodes", None),
        ["ssh" | "ip"] => owned(&["--node"]),
        ["service"] => source.names("services", None).into_iter().chain(["list".to_owned()]).collect(),
        _ => vec![],
    }
}

fn kubectl(before: &[&str], word: &str, equals_flag: Option<&str>, source: &dyn Source) -> Vec<String> {
    if before.contains(&"--") {
        return vec![];
    }
    let plain = positional(before, source);
    let path = verb_path(&plain, source);
    let namespace = value_of(before, &["-n", "--namespace"]);
    if let Some(flag) = equals_flag.map(|flag| flag.trim_end_matches('=')).or(before.last().copied())
        && let Some(values) = flag_values(flag, word, &plain[path.len()..], namespace, source)
    {
        return values;
    }
    if word.starts_with('-') {
        return source.flags(&path).into_iter().map(|(flag, _)| flag).collect();
    }
    let subcommands = source.verbs(&path);
    let arguments = &plain[path.len()..];
    if path.is_empty() || (arguments.is_empty() && !subcommands.is_empty()) {
        return subcommands;
    }
    arguments_of(&path, arguments, word, namespace, source)
}

fn arguments_of(
    path: &[&str],
    arguments: &[&str],
    word: &str,
    namespace: Option<&str>,
    source: &dyn Source,
) -> Vec<String> {
    if path == ["cp"] {
        // Either side may be a path of the learner's machine, or a pod with a colon behind it.
        let pods = source.names("pods", namespace).into_iter().map(|pod| pod + ":");
        return pods.chain(source.paths(word)).collect();
    }
    if let Some((kind, _)) = word.split_once('/') {
        return source.names(kind, namespace).into_iter().map(|name| format!("{kind}/{name}")).collect();
    }
    let verb = path[0];
    if POD_VERBS.contains(&verb) {
        return if arguments.is_empty() { source.names("pods", namespace) } else { vec![] };
    }
    if NODE_VERBS.contains(&verb) {
        return source.names("nodes", None);
    }
    if path.len() > 1 && !NAMED_GROUPS.contains(&verb) {
        return vec![];
    }
    match arguments {
        [] => source.kinds(),
        [kind, ..] if kind.contains('/') => source.kinds(),
        [kind, ..] => {
            let chosen: Vec<&str> = arguments[1..].to_vec();
            source
                .names(kind, namespace)
                .into_iter()
                .filter(|name| !chosen.contains(&name.as_str()))
                .collect()
        }
    }
}

/// The values of a flag that takes one; `None` if the flag says nothing about what comes next.
fn flag_values(
    flag: &str,
    word: &str,
    arguments: &[&str],
    namespace: Option<&str>,
    source: &dyn Source,
) -> Option<Vec<String>> {
    let fixed = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect());
    match flag {
        "-n" | "--namespace" => Some(source.names("namespaces", None)),
        "-o" | "--output" => {
            fixed(&["custom-columns=", "go-template=", "json", "jsonpath=", "kyaml", "name", "wide", "yaml"])
        }
        "-f" | "--filename" => Some(source.paths(word)),
        "-c" | "--container" => {
            Some(arguments.first().map_or_else(Vec::new, |pod| source.containers(pod, namespace)))
        }
        "--dry-run" => fixed(&["client", "none", "server"]),
        "--cascade" => fixed(&["background", "foreground", "orphan"]),
        _ => None,
    }
}

/// The words that are neither flags nor their values.
fn positional<'a>(words: &[&'a str], source: &dyn Source) -> Vec<&'a str> {
    let mut plain: Vec<&str> = vec![];
    let mut skip = false;
    for word in words {
        if std::mem::take(&mut skip) {
            continue;
        }
        if word.starts_with('-') {
            let path = verb_path(&plain, source);
            skip = !word.contains('=')
                && source.flags(&path).iter().any(|(flag, takes_value)| flag == word && *takes_value);
        } else {
            plain.push(word);
        }
    }
    plain
}

/// The leading words that name a verb and its sub-commands.
fn verb_path<'a>(plain: &[&'a str], source: &dyn Source) -> Vec<&'a str> {
    let mut path: Vec<&str> = vec![];
    for word in plain {
        if !source.verbs(&path).iter().any(|verb| verb == word) {
            break;
        }
        path.push(word);
    }
    path
}

fn value_of<'a>(words: &[&'a str], flags: &[&str]) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(index, word)| {
        if flags.contains(word) {
            return words.get(index + 1).copied();
        }
        let (flag, value) = word.split_once('=')?;
        flags.contains(&flag).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Source for Fixed {
        fn commands(&self) -> Vec<String> {
            owned(&["kubectl", "curl", "ls"])
        }
        fn verbs(&self, path: &[&str]) -> Vec<String> {
            match path {
                [] => owned(&["get", "describe", "delete", "logs", "rollout", "drain", "cp"]),
                ["rollout"] => owned(&["status", "undo"]),
                _ => vec![],
            }
        }
        fn flags(&self, _: &[&str]) -> Vec<(String, bool)> {
            vec![
                ("-n".into(), true),
                ("--namespace".into(), true),
                ("--watch".into(), false),
                ("-o".into(), true),
                ("-c".into(), true),
            ]
        }
        fn kinds(&self) -> Vec<String> {
            owned(&["pods", "po", "deployments", "deploy"])
        }
        fn names(&self, kind: &str, namespace: Option<&str>) -> Vec<String> {
            match (kind, namespace) {
                ("pods", Some("other")) => owned(&["far-1"]),
                ("pods", _) => owned(&["web-1", "web-2"]),
                ("deploy", _) => owned(&["web"]),
                ("namespaces", _) => owned(&["default", "other"]),
                ("nodes", _) => owned(&["minikube"]),
                _ => vec![],
            }
        }
        fn containers(&self, _: &str, _: Option<&str>) -> Vec<String> {
            owned(&["main", "sidecar"])
        }
        fn paths(&self, _: &str) -> Vec<String> {
            owned(&["web.yaml"])
        }
    }

    #[test]
    fn what_could_come_next() {
        let cases: &[(&str, &[&str])] = &[
            ("ku", &["kubectl"]),
            ("kubectl de", &["delete", "describe"]),
            ("kubectl get p", &["po", "pods"]),
            ("kubectl get pods w", &["web-1", "web-2"]),
            ("kubectl get pods web-1 ", &["web-2"]),
            ("kubectl -n other get pods ", &["far-1"]),
            ("kubectl get pods --namespace=o", &["other"]),
            ("kubectl get deploy/", &["deploy/web"]),
            ("kubectl logs web-1 -c s", &["sidecar"]),
            ("kubectl rollout ", &["status", "undo"]),
            ("kubectl rollout undo deploy", &["deploy", "deployments"]),
            ("kubectl get pods -o j", &["json", "jsonpath="]),
            ("kubectl cp w", &["web-1:", "web-2:", "web.yaml"]),
            ("kubectl drain ", &["minikube"]),
            ("kubectl get pods --w", &["--watch"]),
            ("echo $(kubectl get pods web", &["web-1", "web-2"]),
            ("kubectl get pods | kubectl l", &["logs"]),
            ("cat w", &["web.yaml"]),
            ("cluster st", &["start", "status", "stop"]),
            ("cluster stop k", &["kube-proxy", "kubelet"]),
            ("cluster stop kubelet m", &["minikube"]),
            ("cluster stop scheduler ", &[]),
            ("minikube ssh -n ", &["minikube"]),
            ("kubectl exec web-1 -- l", &[]),
        ];
        for (line, expected) in cases {
            assert_eq!(complete(line, line.len(), &Fixed).candidates, *expected, "{line}");
        }
    }

    #[test]
    fn a_cursor_inside_a_character_is_no_panic() {
        complete("kubectl get é", 13, &Fixed);
    }
}
