//! Whole requests that are too deep, too large, or made to grow: Kubernetes' error, and a server that goes on.

use super::fixture::{Address, kubectl, memory_bytes};
use crate::parity::server::Server;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Sends bodies and compares what is answered; the server's memory and objects must stay as they are.
fn check(requests: &[(String, Vec<u8>, &str)]) {
    let server = Server::start();
    let address = Address::of(&server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let maps = || kubectl(&server, &["get", "configmaps", "-A", "-o", "json"]);
    let (before, memory) = (maps(), memory_bytes(&server));
    for (head, body, expected) in requests {
        let answer = runtime.block_on(address.ask(head, body));
        let shown: String = answer.chars().take(1500).collect();
        assert!(
            answer.contains(expected),
            "{}:\n{shown}\n--- expected\n{expected}",
            &head[..head.len().min(200)]
        );
        assert_eq!(kubectl(&server, &["get", "--raw", "/readyz"]), "ok");
    }
    assert_eq!(maps(), before, "nothing was written");
    let grown = memory_bytes(&server).saturating_sub(memory);
    assert!(grown < 100 << 20, "{grown} bytes more");
}

fn post(media: &str) -> String {
    format!("POST {MAPS} HTTP/1.1\r\nContent-Type: {media}")
}

fn patch(media: &str) -> String {
    format!("PATCH {MAPS}/kube-root-ca.crt HTTP/1.1\r\nContent-Type: application/{media}+json")
}

/// `prefix`, then `depth` times `open`, then `depth` times `close`.
fn nested(prefix: &str, open: &str, close: &str, depth: usize, suffix: &str) -> Vec<u8> {
    format!("{prefix}{}{}{suffix}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

#[test]
fn deep_nesting() {
    let head = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"deep\"},\"data\":";
    check(&[
        (post("application/json"), nested("", "[", "]", 100_000, ""), "json parse error: exceeded max depth"),
        (post("application/json"), nested(head, "{\"a\":", "}", 10_001, "}"), "\"code\":400"),
        (post("application/yaml"), nested("a: ", "[", "]", 100_000, ""), "\"code\":400"),
        (post("application/yaml"), nested("", "- ", "", 100_000, "x"), "\"code\":400"),
        (patch("merge-patch"), nested("{\"data\":", "{\"a\":", "1}", 100_000, "}"), "\"code\":400"),
        (patch("strategic-merge-patch"), nested("{\"data\":", "{\"a\":", "1}", 100_000, "}"), "\"code\":400"),
        (
            patch("json-patch"),
            nested("[{\"op\":\"add\",\"path\":\"/data/a\",\"value\":", "[", "]", 100_000, "}]"),
            "\"code\":400",
        ),
        (
            format!(
                "PATCH {MAPS}/deep?fieldManager=a HTTP/1.1\r\nContent-Type: application/apply-patch+yaml"
            ),
            nested("a: ", "{a: ", "}", 100_000, ""),
            "\"code\":400",
        ),
    ]);
}

#[test]
fn yaml_bombs() {
    let mut laughs = String::from(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n",
    );
    for level in 1..12 {
        let last = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![last; 9].join(", ")));
    }
    let itself = b"apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: bomb, labels: *m}\n".to_vec();
    let apply =
        format!("PATCH {MAPS}/bomb?fieldManager=a HTTP/1.1\r\nContent-Type: application/apply-patch+yaml");
    check(&[
        (post("application/yaml"), laughs.clone().into_bytes(), "\"code\":400"),
        (apply, laughs.into_bytes(), "\"code\":400"),
        (post("application/yaml"), itself, "\"code\":400"),
    ]);
}

#[test]
fn a_body_over_the_limit() {
    let over = |bytes: usize| {
        let fill = "x".repeat(bytes);
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"big\"}},\"data\":{{\"a\":\"{fill}\"}}}}").into_bytes()
    };
    let too_large = "\"message\":\"Request entity too large: limit is 3145728\",\"reason\":\"RequestEntityTooLarge\",\"code\":413";
    check(&[
        (post("application/json"), over(3 << 20), too_large),
        (post("application/yaml"), over(3 << 20), too_large),
        (patch("merge-patch"), over(3 << 20), too_large),
        (
            format!("PUT {MAPS}/kube-root-ca.crt HTTP/1.1\r\nContent-Type: application/json"),
            over(3 << 20),
            too_large,
        ),
        (
            format!("DELETE {MAPS}/kube-root-ca.crt HTTP/1.1\r\nContent-Type: application/json"),
            over(3 << 20),
            too_large,
        ),
        (
            post("application/json"),
            over((3 << 20) - 200),
            "ConfigMap \\\"big\\\" is invalid: []: Too long: may not be more than 1048576 bytes",
        ),
    ]);
}

#[test]
fn a_field_of_a_megabyte() {
    let fill = "x".repeat(1 << 20);
    let with = |metadata: &str, data: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{{metadata}}},\"data\":{{{data}}}}}"
        )
        .into_bytes()
    };
    check(&[
        (
            post("application/json"),
            with(&format!("\"name\":\"{fill}\""), ""),
            "must be no more than 253 bytes",
        ),
        (
            post("application/json"),
            with(&format!("\"name\":\"a\",\"labels\":{{\"a\":\"{fill}\"}}"), ""),
            "must be no more than 63 bytes",
        ),
        (
            post("application/json"),
            with("\"name\":\"a\"", &format!("\"{fill}\":\"\"")),
            "must be no more than 253 bytes",
        ),
    ]);
}

#[test]
fn a_huge_selector() {
    let get = |query: String| (format!("GET {MAPS}?{query} HTTP/1.1"), vec![]);
    let names: Vec<String> = (0..5000).map(|number| format!("a{number}")).collect();
    let (head, body) = get(format!("labelSelector=a%20in%20({})", names.join(",")));
    let (bangs, _) = get(format!("labelSelector={}", "!".repeat(20_000)));
    let (parentheses, _) = get(format!("labelSelector=a%20in%20{}", "(".repeat(20_000)));
    let (fields, _) = get(format!("fieldSelector={}", "metadata.name%3Da,".repeat(2000)));
    let (longer, _) = get(format!("labelSelector={}", "a,".repeat(100_000)));
    check(&[
        (head, body.clone(), "\"items\":[]"),
        (bangs, body.clone(), "unable to parse requirement: found '!', expected: identifier"),
        (
            parentheses,
            body.clone(),
            "unable to parse requirement: found '(', expected: ',', ')' or identifier",
        ),
        (fields, body.clone(), "\"items\":[]"),
        (longer, body, "HTTP/1.1 414 "),
    ]);
}
