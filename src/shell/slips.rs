//! Common slips: a line of advice below what the command itself answered.
//!
//! kubectl answers as the real one does; the shell looks at the line and its exit code and adds one line if it knows what
//! was meant. Pure functions over the text that was typed.

/// Advice on a line that failed, if the slip is a known one. `exit_code` is the line's.
pub fn advice(line: &str, exit_code: i32) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    SLIPS.iter().find_map(|slip| slip(line, &words, exit_code))
}

/// What to run in place of a line that cannot have been meant as it stands, and why: pasted prompts and curly quotes.
pub fn mended(line: &str) -> Option<(String, &'static str)> {
    let trimmed = line.trim_start();
    for prompt in ["$ ", "# ", "% ", "> "] {
        if let Some(rest) = trimmed.strip_prefix(prompt)
            && is_command(rest)
        {
            return Some((rest.to_owned(), "the prompt that was pasted along is left out"));
        }
    }
    if line.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) && is_command(trimmed) {
        let plain = line.replace(['\u{201c}', '\u{201d}'], "\"").replace(['\u{2018}', '\u{2019}'], "'");
        return Some((plain, "curly quotes are read as straight ones: the shell knows only \" and '"));
    }
    None
}

/// Whether a pasted line begins with something that people paste.
fn is_command(line: &str) -> bool {
    let commands = [
        "kubectl", "k", "minikube", "curl", "wget", "export", "echo", "cat", "etcdctl", "sudo", "for",
        "watch",
    ];
    line.split_whitespace().next().is_some_and(|first| commands.contains(&first))
}

type Slip = fn(line: &str, words: &[&str], exit_code: i32) -> Option<String>;

const SLIPS: &[Slip] =
    &[exec_without_dashes, wildcard, noun_as_verb, old_deployment_forms, node_port, sudo, docker];

/// Ports of the nodes' own components, most of them on a node's loopback only.
const NODE_PORTS: &[&str] = &["10248", "10249", "10250", "10256", "10257", "10259"];

fn is_kubectl(words: &[&str]) -> bool {
    matches!(words.first(), Some(&"kubectl" | &"k"))
}

/// `kubectl exec $POD_NAME env`, as tutorials had it before 1.31.
fn exec_without_dashes(_: &str, words: &[&str], exit_code: i32) -> Option<String> {
    if !is_kubectl(words) || words.get(1) != Some(&"exec") || words.contains(&"--") || exit_code == 0 {
        return None;
    }
    const WITH_VALUE: &[&str] =
        &["-c", "--container", "-n", "--namespace", "-f", "--filename", "--context", "--pod-running-timeout"];
    let is_value = |index: usize| WITH_VALUE.contains(&words[index - 1]);
    let mut plain = (2..words.len()).filter(|index| !words[*index].starts_with('-') && !is_value(*index));
    let (_pod, command) = (plain.next()?, plain.next()?);
    let (before, rest) = (words[..command].join(" "), words[command..].join(" "));
    Some(format!("Since Kubernetes 1.31 the command goes behind `--`:  {before} -- {rest}"))
}

/// `kubectl get pod web-*`: kubectl has no wildcards.
fn wildcard(_: &str, words: &[&str], exit_code: i32) -> Option<String> {
    let star =
        words.iter().skip(2).find(|word| word.contains('*') && !word.contains(['=', '{', '\'', '"', '/']))?;
    if !is_kubectl(words) || exit_code == 0 {
        return None;
    }
    let stem = star.trim_matches('*');
    Some(format!(
        "kubectl knows no wildcards: select by label (-l app=...), or filter the list: kubectl get pods -o name | grep {stem}"
    ))
}

/// `kubectl deployments`: the verb is missing.
fn noun_as_verb(_: &str, words: &[&str], exit_code: i32) -> Option<String> {
    const NOUNS: &[&str] = &[
        "pod",
        "pods",
        "po",
        "deployment",
        "deployments",
        "deploy",
        "service",
        "services",
        "svc",
        "node",
        "nodes",
        "no",
        "replicaset",
        "replicasets",
        "rs",
        "namespace",
        "namespaces",
        "ns",
        "configmap",
        "configmaps",
        "cm",
        "secret",
        "secrets",
        "endpoints",
        "ep",
        "endpointslices",
        "ingress",
        "pv",
        "pvc",
        "jobs",
        "job",
        "cronjobs",
    ];
    let noun = words.get(1).filter(|word| NOUNS.contains(word))?;
    if !is_kubectl(words) || exit_code == 0 {
        return None;
    }
    Some(format!("The verb is missing: kubectl get {noun}"))
}

/// `kubectl run --replicas`, `--generator`, `kubectl create deployment` without an image and their like.
fn old_deployment_forms(_: &str, words: &[&str], exit_code: i32) -> Option<String> {
    if !is_kubectl(words) || exit_code == 0 {
        return None;
    }
    let has = |flag: &str| words.iter().any(|word| word.split('=').next() == Some(flag));
    match words.get(1) {
        Some(&"run") if has("--replicas") || has("--generator") => Some(
            "`kubectl run` makes a single Pod today; for replicas: kubectl create deployment NAME --image=IMAGE --replicas=N".to_owned(),
        ),
        Some(&"rolling-update") => Some("Deployments roll by themselves: kubectl set image deployment/NAME CONTAINER=IMAGE".to_owned()),
        _ => None,
    }
}

/// `curl http://127.0.0.1:10248/healthz` on the learner's machine: that loopback is not the node's.
fn node_port(line: &str, words: &[&str], exit_code: i32) -> Option<String> {
    // curl's code for a connection that was refused.
    if !matches!(words.first(), Some(&"curl" | &"wget")) || ![4, 7].contains(&exit_code) {
        return None;
    }
    let own = |word: &&&str| {
        let address = word.trim_start_matches("https://").trim_start_matches("http://");
        let address = address.split('/').next().unwrap_or_default();
        let (host, port) = address.split_once(':').unwrap_or((address, ""));
        ["127.0.0.1", "localhost"].contains(&host) && NODE_PORTS.contains(&port)
    };
    words.iter().find(own)?;
    Some(format!(
        "127.0.0.1 is this machine here; the component listens on its node:  minikube ssh -- {}",
        line.trim()
    ))
}

fn sudo(line: &str, words: &[&str], exit_code: i32) -> Option<String> {
    if words.first() != Some(&"sudo") || exit_code == 0 {
        return None;
    }
    let rest = line.trim_start().trim_start_matches("sudo").trim_start();
    Some(format!("Nothing here needs root: {rest}"))
}

fn docker(_: &str, words: &[&str], exit_code: i32) -> Option<String> {
    if !matches!(words.first(), Some(&"docker" | &"podman")) || exit_code == 0 {
        return None;
    }
    Some(match words.get(1) {
        Some(&"ps") => "Containers live in pods here: kubectl get pods".to_owned(),
        Some(&"run") => "In a cluster that is: kubectl run NAME --image=IMAGE".to_owned(),
        Some(&"logs") => "In a cluster that is: kubectl logs POD".to_owned(),
        Some(&"exec") => "In a cluster that is: kubectl exec -it POD -- COMMAND".to_owned(),
        _ => "There is no docker here: the cluster's nodes run containers through containerd.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_slips_get_todays_form() {
        let cases = [
            (
                "kubectl exec web-1 env",
                "Since Kubernetes 1.31 the command goes behind `--`:  kubectl exec web-1 -- env",
            ),
            (
                "kubectl exec -ti web-1 bash",
                "Since Kubernetes 1.31 the command goes behind `--`:  kubectl exec -ti web-1 -- bash",
            ),
            (
                "k exec -n a web-1 -c main ls -l",
                "Since Kubernetes 1.31 the command goes behind `--`:  k exec -n a web-1 -c main -- ls -l",
            ),
            ("kubectl deployments", "The verb is missing: kubectl get deployments"),
            ("sudo kubectl get pods", "Nothing here needs root: kubectl get pods"),
            (
                "kubectl get pod web-*",
                "kubectl knows no wildcards: select by label (-l app=...), or filter the list: kubectl get pods -o name | grep web-",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(advice(line, 1).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_works_or_is_right_gets_no_advice() {
        for line in [
            "kubectl exec web-1 -- env",
            "kubectl exec web-1",
            "kubectl get pods -l 'a=*'",
            "ls",
            "kubectl get pods",
        ] {
            assert_eq!(advice(line, 1), None, "{line}");
        }
        assert_eq!(advice("kubectl exec web-1 env", 0), None);
        assert_eq!(advice("curl http://127.0.0.1:8001/api", 7), None);
        assert_eq!(
            advice("curl http://127.0.0.1:10248/healthz", 7).as_deref(),
            Some(
                "127.0.0.1 is this machine here; the component listens on its node:  minikube ssh -- curl http://127.0.0.1:10248/healthz"
            )
        );
    }

    #[test]
    fn pasted_prompts_and_curly_quotes_are_mended() {
        assert_eq!(mended("$ kubectl get pods").unwrap().0, "kubectl get pods");
        assert_eq!(mended("echo \u{201c}hi\u{201d}").unwrap().0, "echo \"hi\"");
        assert!(mended("# a comment").is_none());
        assert!(mended("kubectl get pods").is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(
            line in "(sudo )?(\\$ )?(kubectl|k) (get|exec|logs|run)? ?[a-z*“”' -]{0,30}|\\PC{0,40}",
            exit_code in -1..130,
        ) {
            let _ = (advice(&line, exit_code), mended(&line));
        }
    }
}
