//! What belongs to the machine that was recorded, or stood in for something there, and to nobody's Kubernetes.

use std::sync::LazyLock;

use regex::Regex;

/// What is taken out or made alike on both sides, and why.
const RULES: &[(&str, &str)] = &[
    // The cluster was a vendor's: it had a certificate of its own in every token volume and every namespace.
    (r"(?m)^ *ConfigMapName: +openshift-service-ca.crt\n *Optional: +false\n", ""),
    (
        r"(?m)^ *- configMap:\n *items:\n *- key: service-ca.crt\n *path: service-ca.crt\n *name: openshift-service-ca.crt\n",
        "",
    ),
    (r#",\s*\{\s*"configMap": \{[^{}]*"items": \[\s*\{[^{}]*service-ca[^{}]*\}\s*\][^{}]*\}\s*\}"#, ""),
    // A template's error shows the whole list.
    (r"(?m)\bmap\[string\]interface \{\}\{.*$", "OBJECT"),
    (r"(?m)^.*openshift.*\n", ""),
    // It had no network: where a registry says that it has no such image, it had nobody to ask.
    (
        r#"failed to pull and unpack image "([^"]+)": failed to resolve image: failed to do request: Head .*: no such host"#,
        "rpc error: code = NotFound desc = failed to pull and unpack image \"$1\": failed to resolve image: $1: not found",
    ),
    // Its kernel, memory, disk and ids.
    (r"Kernel Version: .*", "Kernel Version: KERNEL"),
    (r"6\.\d+\.\d+\S* \(amd64\)", "KERNEL (amd64)"),
    (r"(Machine ID|System UUID): +\S+", "$1: ID"),
    (r"\b(memory|ephemeral-storage): +\d+Ki", "$1: SIZE"),
    (r"containerd://2\.1\.9(\+unknown)?", "containerd://2.1.9"),
    // The port of its API server.
    (r"\b(16443|8443)\b", "APIPORT"),
    // Its nginx was one image of Debian's under many tags.
    (r#"(image"?: "?docker\.io/library/nginx):[\w.]+"#, "$1:TAG"),
    (r"nginx/1\.\d+\.\d+", "nginx/VERSION"),
    (r"curl/\d+\.\d+\.\d+", "curl/VERSION"),
    // Its bootcamp v2 was v1 under another tag.
    (r"\| v=[12]\b", "| v=N"),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    RULES
        .iter()
        .map(|(rule, to)| (Regex::new(rule).expect("the rules are regular expressions"), *to))
        .collect()
});

/// Lines that an earlier topic had left in the recorded cluster: the topic, and what such a line begins with.
const LEFT_THERE: &[(&str, &str)] = &[("01", "manual-1 "), ("02", "manual-1 "), ("02", "farm-")];

/// The text without what belongs to the host.
pub fn without(text: &str) -> String {
    let mut text = text.to_owned();
    for (rule, to) in COMPILED.iter() {
        text = rule.replace_all(&text, *to).into_owned();
    }
    text
}

/// A recording without what an earlier topic had left in the recorded cluster.
pub fn without_leftovers(topic: &str, recording: &str) -> String {
    let left = |line: &str| {
        LEFT_THERE.iter().any(|(of, start)| {
            topic.starts_with(of) && (line.starts_with(start) || line.contains(&format!("od/{start}")))
        })
    };
    recording.lines().filter(|line| !left(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_vendors_certificate_is_taken_out_whole() {
    let described =
        "    DownwardAPI:  true\n    ConfigMapName:  openshift-service-ca.crt\n    Optional:  false\nQoS\n";
    assert_eq!(without(described), "    DownwardAPI:  true\nQoS\n");
    let json = r#"{"a": 1},
      {
        "configMap": {
          "items": [
            {
              "key": "service-ca.crt",
              "path": "service-ca.crt"
            }
          ],
          "name": "openshift-service-ca.crt"
        }
      }
    ]"#;
    assert_eq!(without(json).replace(char::is_whitespace, ""), r#"{"a":1}]"#);
}
