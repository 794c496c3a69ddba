//! Which names are allowed, in the words in which Kubernetes refuses the others.
// Models k8s.io/apimachinery/pkg/util/validation and .../pkg/api/validation (NameIsDNSSubdomain and friends).

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

/// What is wrong with a DNS-1123 subdomain, the name of most objects. A `prefix` may end in a dash.
pub fn dns1123_subdomain(name: &str, prefix: bool) -> Vec<String> {
    let name = masked(name, prefix);
    let mut errors = too_long(&name, 253);
    let ok = !name.is_empty() && name.split('.').all(is_dns1123_label);
    if !ok {
        errors.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
             and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
        ));
    }
    errors
}

/// What is wrong with a DNS-1123 label, the name of a namespace or a container.
pub fn dns1123_label(name: &str, prefix: bool) -> Vec<String> {
    let name = masked(name, prefix);
    let mut errors = too_long(&name, 63);
    if !is_dns1123_label(&name) {
        let subdomain = dns1123_subdomain(&name, false).is_empty();
        errors.push(if subdomain {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                 end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
            )
        });
    }
    errors
}

/// What is wrong with a DNS-1035 label, the name of a Service.
pub fn dns1035_label(name: &str, prefix: bool) -> Vec<String> {
    let name = masked(name, prefix);
    let mut errors = too_long(&name, 63);
    if !is_dns1123_label(&name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        errors.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, \
             and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
             '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

/// What is wrong with a name that is used as one segment of a URL path (RBAC's names).
pub fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|bad| name.contains(**bad))
        .map(|bad| format!("may not contain '{bad}'"))
        .collect()
}

/// What is wrong with a qualified name: the key of a label, annotation, taint or resource.
pub fn qualified_name(value: &str) -> Vec<String> {
    let (prefix, name) = match value.split('/').collect::<Vec<_>>()[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                qualified_words()
            )];
        }
    };
    let mut errors = vec![];
    match prefix {
        Some("") => errors.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            errors.extend(dns1123_subdomain(prefix, false).into_iter().map(|e| format!("prefix part {e}")))
        }
        None => {}
    }
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_qualified_part(name) {
        errors.push(format!("name part {}", qualified_words()));
    }
    errors
}

fn qualified_words() -> String {
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
     'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        .to_owned()
}

/// What is wrong with the value of a label.
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = vec![];
    if value.len() > 63 {
        errors.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_qualified_part(value) {
        errors.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and \
             end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

/// What is wrong with the key of a ConfigMap or Secret.
pub fn config_map_key(key: &str) -> Vec<String> {
    let mut errors = vec![];
    if key.len() > 253 {
        errors.push("must be no more than 253 bytes".to_owned());
    }
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        errors.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
             'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    match key {
        "." => errors.push("must not be '.'".to_owned()),
        ".." => errors.push("must not be '..'".to_owned()),
        key if key.starts_with("..") => errors.push("must not start with '..'".to_owned()),
        _ => {}
    }
    errors
}

/// What is wrong with the name of an environment variable.
pub fn env_var_name(name: &str) -> Vec<String> {
    if name.is_empty() || name.chars().any(|c| !(' '..='~').contains(&c) || c == '=') {
        return vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()];
    }
    vec![]
}

/// What is wrong with the name of a port.
pub fn port_name(name: &str) -> Vec<String> {
    let mut errors = vec![];
    if name.len() > 15 {
        errors.push("must be no more than 15 characters".to_owned());
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if name.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if name.starts_with('-') || name.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// What is wrong with the number of a port.
pub fn port_number(port: i64) -> Vec<String> {
    if (1..=65_535).contains(&port) {
        vec![]
    } else {
        vec!["must be between 1 and 65535, inclusive".to_owned()]
    }
}

fn is_dns1123_label(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_qualified_part(text: &str) -> bool {
    let alphanumeric_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    alphanumeric_end(text.chars().next())
        && alphanumeric_end(text.chars().last())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A prefix is judged as if its last dash were a letter, since more follows.
fn masked(name: &str, prefix: bool) -> String {
    match name.strip_suffix('-') {
        Some(rest) if prefix && !rest.is_empty() => format!("{rest}a"),
        _ => name.to_owned(),
    }
}

fn too_long(name: &str, max: usize) -> Vec<String> {
    if name.len() > max { vec![format!("must be no more than {max} bytes")] } else { vec![] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass_and_bad_ones_say_why() {
        assert!(dns1123_subdomain("web-1.example", false).is_empty());
        assert!(dns1123_subdomain("web-", true).is_empty());
        assert!(dns1123_subdomain("web-", false)[0].starts_with("a lowercase RFC 1123 subdomain"));
        assert!(!dns1123_subdomain("", false).is_empty() && !dns1123_subdomain("Web", false).is_empty());
        assert_eq!(dns1123_label("a.b", false), ["must not contain dots"]);
        assert!(dns1035_label("1web", false)[0].starts_with("a DNS-1035 label"));
        assert!(qualified_name("app.kubernetes.io/name").is_empty());
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert!(label_value("").is_empty() && !label_value("a b").is_empty());
    }
}
