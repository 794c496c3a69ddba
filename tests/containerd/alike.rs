//! Both runtimes answer alike: the lessons' first solutions, and a list of commands, on simulated and on real containers.
//!
//! Of a lesson the simulation's side is its snapshot, which `lessons` holds against the simulation itself. What differs from
//! run to run is made alike first, as for the transcripts. What still differs stands in `differences.txt` with its reason,
//! by the place: a command that differs and is not named there fails. A test takes a few lessons of each track;
//! `K8S_LEARN_WHOLE_COURSE=1` takes them all (a quarter of an hour), `K8S_LEARN_LESSONS=basics,operating/07` those whose
//! directories begin so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;

use super::machine::Machine;
use crate::transcripts::compare::{self, Entry};

/// The lessons of a run that nobody chose others for.
const USUAL: &[&str] = &[
    "basics/02",
    "basics/03",
    "basics/04",
    "basics/06",
    "operating/04",
    "operating/06",
    "operating/09",
    "architecture/11",
];

/// What is made alike beyond what differs between any two clusters.
const RULES: &[(&str, &str)] = &[
    // An image stays in containerd when a cluster ends, and has other bytes.
    (r"(?m)^.*Pulling image.*\n", ""),
    (r#"Successfully pulled image ("[^"]*").*"#, "Has image $1"),
    (r#"Container image ("[^"]*") already present.*"#, "Has image $1"),
    // Nodes that suit alike are chosen by chance.
    (r"\bminikube-m0\d\b", "minikube"),
    // curl tells the speed of its transfer, and how long it tried.
    (r"[\d.]+[kM]?( +0( +--:--:--){3} +)[\d.]+[kM]?", "SPEED${1}SPEED"),
    (r"after \d+ ms", "after TIME"),
    // Files of an image have the image's time, and a simulated image has the container's.
    (r#"ETag: "[0-9a-f]+-"#, "ETag: \"TIME-"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "TIME"),
    // A simulated node was delivered with some images, which have no digest of a registry.
    (r"(Image ID: +)\S+", "${1}IMAGE"),
    // Events are named after the time.
    (r"\.[0-9a-f]{16}\b", ".EVENT"),
    // Numbers of processes.
    (r"(?m)^ *\d+ (root +\d:\d\d )", "PID $1"),
    // The node is this machine.
    (
        r"(?m)^( *(Kernel Version|OS Image|Container Runtime Version|Machine ID|System UUID|Boot ID|cpu|memory|ephemeral-storage):).*$",
        "$1 NODE",
    ),
    (r"sim://\S+|containerd://\d+\.\S*", "RUNTIME"),
    (r"\b\d+(\.\d+)?(Ki|Mi|Gi)? +\(\d+%\)", "SHARE"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    RULES
        .iter()
        .map(|(rule, to)| (Regex::new(rule).expect("the rules are regular expressions"), *to))
        .collect()
});

fn alike(entry: &Entry) -> Entry {
    let mut output = entry.output.clone();
    for (rule, to) in COMPILED.iter() {
        output = rule.replace_all(&output, *to).into_owned();
    }
    if entry.command.contains("rollout status") {
        // What is seen on the way is chance.
        output = output.trim_end().lines().last().unwrap_or_default().to_owned();
    }
    if entry.command.contains("get events") || entry.command.contains("kubectl events") {
        let mut lines: Vec<&str> = output.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        output = lines.join("\n");
    }
    Entry { output, ..entry.clone() }
}

/// The commands of a transcript with what they printed. A step's heading is one, too.
fn entries(transcript: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = vec![];
    for line in transcript.lines() {
        let command = line.strip_prefix("$ ").or_else(|| line.starts_with("## ").then_some(line));
        match (command, entries.last_mut()) {
            (Some(command), _) => entries.push(Entry { command: command.to_owned(), ..Entry::default() }),
            (None, Some(entry)) => entry.output += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    entries
}

/// The places that may differ: lesson, time and command.
fn known() -> Vec<(String, usize, String)> {
    let place = |line: &str| {
        let [lesson, time, command, _why] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("differences.txt: lesson, time, command and reason with tabs between them, but: {line}");
        };
        (lesson.to_owned(), time.parse().expect("a command's time is a number"), command.to_owned())
    };
    let text = include_str!("differences.txt");
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(place).collect()
}

/// What differs and may not.
fn differing(of: &str, simulated: &str, real: &str) -> Vec<String> {
    let (simulated, real) = (entries(simulated), entries(real));
    let known = known();
    let mut typed: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = vec![];
    for (index, want) in simulated.iter().enumerate() {
        let name = compare::normal(&want.command).replace('\n', " ");
        let time = typed.entry(name.clone()).or_default();
        *time += 1;
        let difference = match real.get(index) {
            Some(got) => compare::difference(&alike(want), &alike(got)),
            None => "  was not run".to_owned(),
        };
        let place = (of.to_owned(), *time, name);
        if !difference.is_empty() && !known.contains(&place) {
            wrong.push(format!("{of}\t{}\t{}\n{difference}", place.1, place.2));
        }
    }
    wrong
}

/// The directories of the lessons that are played, in order.
fn chosen() -> Vec<PathBuf> {
    let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
    let wanted: Vec<String> =
        match (std::env::var("K8S_LEARN_LESSONS"), std::env::var_os("K8S_LEARN_WHOLE_COURSE")) {
            (Ok(list), _) => list.split(',').map(str::to_owned).collect(),
            (Err(_), Some(_)) => vec![String::new()],
            (Err(_), None) => USUAL.iter().map(|start| (*start).to_owned()).collect(),
        };
    let mut found = vec![];
    for track in ["basics", "operating", "architecture"] {
        let directories = std::fs::read_dir(lessons.join(track)).unwrap().flatten().map(|entry| entry.path());
        let mut directories: Vec<PathBuf> =
            directories.filter(|path| path.join("lesson.yaml").is_file()).collect();
        directories.sort();
        let is_chosen = |path: &PathBuf| {
            let name = path.strip_prefix(&lessons).unwrap().to_string_lossy().into_owned();
            wanted.iter().any(|start| name.starts_with(start))
        };
        found.extend(directories.into_iter().filter(is_chosen));
    }
    found
}

#[test]
fn lessons_go_alike_on_real_containers() {
    let Some(machine) = Machine::start() else { return };
    let mut wrong = vec![];
    for lesson in chosen() {
        let place = lesson.to_string_lossy();
        let output = machine.k8s_learn_with(&["lesson", "test", &place, "--transcript"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            wrong.push(format!("{place}:\n{said}{}", String::from_utf8_lossy(&output.stderr)));
            continue;
        }
        // A lesson that is for simulated containers only has no transcript.
        let Some((_, transcript)) = said.split_once("\n# ") else { continue };
        let (id, transcript) = transcript.split_once('\n').unwrap();
        // Behind it the problems are counted.
        let transcript = transcript.trim_end().rsplit_once('\n').unwrap().0;
        let snapshot = format!("tests/snapshots/all__lessons__{}.snap", id.replace('/', "--"));
        let snapshot = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(snapshot)).unwrap();
        wrong.extend(differing(id, &snapshot, transcript));
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The list of commands as one script, and what each of them printed.
fn transcript(mut shell: Command) -> String {
    let commands: Vec<&str> = include_str!("alike.cmds")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    // A line that begins with a dash is run and not compared.
    let script: String = commands
        .iter()
        .map(|line| match line.strip_prefix("- ") {
            Some(hidden) => format!("{{ {hidden}\n}} >/dev/null 2>&1\n"),
            None => format!("cat <<'@@'\n$ {line}\n@@\n{{ {line}\n}} 2>&1\necho \"[exit $?]\"\n"),
        })
        .collect();
    let output = shell.args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaints.is_empty(), "{complaints}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn commands_answer_alike_on_real_containers() {
    let Some(machine) = Machine::start() else { return };
    let mut simulated = Command::new(env!("CARGO_BIN_EXE_k8s-learn"));
    simulated.args(["shell", "--nodes", "1"]).env("LC_ALL", "C.UTF-8");
    let wrong = differing("commands", &transcript(simulated), &transcript(machine.k8s_learn("shell", "1")));
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_a_list_does_not_name_is_a_difference() {
    let snapshot =
        "---\nsource: x\n---\n## a\n$ kubectl get pods\nNAME READY\nweb-5d8f9c7b6d-x2x4z 1/1\n$ date\nx\n";
    let real = "## a\n$ kubectl get pods\nNAME READY\nweb-79bf577f4d-zzzzz 1/1\n$ date\ny\n";
    let wrong = differing("t", snapshot, real);
    assert_eq!(wrong, ["t\t1\tdate\n  - x\n  + y"]);
}
