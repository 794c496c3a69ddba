//! `create ingress`.
// Models kubectl/pkg/cmd/create (create_ingress.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::generator::{Call, Generator};
use super::plain::int_or_text;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;

/// `create ingress`.
pub struct Ingress;

#[async_trait]
impl Generator for Ingress {
    fn name(&self) -> &'static str {
        "ingress"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["ing"]
    }
    fn short(&self) -> &'static str {
        "Create an ingress"
    }
    fn usage(&self) -> &'static str {
        "NAME --rule=host/path=service:port[,tls[=secret]]"
    }
    fn plural(&self) -> &'static str {
        "ingresses"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("class", "", "The ingress class."),
            Flag::string_array(
                "rule",
                "A rule as HOST/PATH=SERVICE:PORT[,tls[=SECRET]]; a path that ends in * is a prefix.",
            ),
            Flag::string("default-backend", "", "The service for what no rule is about, as SERVICE:PORT."),
            Flag::string_array("annotation", "An annotation of the ingress, as KEY=VALUE."),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create ingress: "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (rules, default) = (call.flags.strings("rule"), call.flags.string("default-backend"));
        let annotations = call.flags.strings("annotation");
        validate(rules, default, annotations).map_err(KubectlError::message)?;
        let mut spec = json!({});
        if !call.flags.string("class").is_empty() {
            spec["ingressClassName"] = json!(call.flags.string("class"));
        }
        if !default.is_empty() {
            spec["defaultBackend"] = backend(default);
        }
        for (field, value) in [("tls", tls(rules)), ("rules", host_rules(rules))] {
            if !value.is_empty() {
                spec[field] = json!(value);
            }
        }
        let mut metadata = call.metadata();
        for (key, value) in annotations.iter().filter_map(|annotation| annotation.split_once('=')) {
            metadata["annotations"][key] = json!(value);
        }
        Ok(
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec,
            "status": {"loadBalancer": {}}}),
        )
    }
}

fn validate(rules: &[String], default: &str, annotations: &[String]) -> std::result::Result<(), String> {
    if default.is_empty() && rules.is_empty() {
        return Err("not enough information provided: every ingress has to either specify a default-backend (which catches all \
                    traffic) or a list of rules (which catch specific paths)"
            .to_owned());
    }
    if let Some(rule) = rules.iter().find(|rule| !is_rule(rule)) {
        return Err(format!(
            "rule {rule} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
        ));
    }
    if let Some(annotation) = annotations.iter().find(|annotation| !annotation.contains('=')) {
        return Err(format!("annotation {annotation} is invalid and should be in format key=[value]"));
    }
    if !default.is_empty() && default.split(':').count() != 2 {
        return Err("default-backend should be in format servicename:serviceport".to_owned());
    }
    Ok(())
}

/// Whether a rule reads `[host]/[path]=service:port[,tls[=secret]]`.
fn is_rule(rule: &str) -> bool {
    let word =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    let (main, tls) = rule.split_once(',').map_or((rule, None), |(main, tls)| (main, Some(tls)));
    let tls_ok = tls.is_none_or(|tls| {
        tls == "tls" || tls.strip_prefix("tls=").is_some_and(|secret| secret.is_empty() || word(secret))
    });
    let Some((host, rest)) = main.split_once('/') else { return false };
    let host_ok = host.chars().all(|c| c.is_ascii_alphanumeric() || "*_.-".contains(c));
    let Some((_, service)) = rest.split_once('=') else { return false };
    host_ok && tls_ok && service.split_once(':').is_some_and(|(name, port)| word(name) && word(port))
}

fn backend(service: &str) -> Value {
    let (name, port) = service.split_once(':').unwrap_or((service, ""));
    let port = match int_or_text(port) {
        Value::Number(number) => json!({"number": number}),
        text => json!({"name": text}),
    };
    json!({"service": {"name": name, "port": port}})
}

fn host_rules(rules: &[String]) -> Vec<Value> {
    let mut hosts: Vec<(String, Vec<Value>)> = vec![];
    for rule in rules {
        let main = rule.split(',').next().unwrap_or_default();
        let (host, rest) = main.split_once('/').unwrap_or((main, ""));
        let (path, service) = rest.split_once('=').unwrap_or((rest, ""));
        let path = format!("/{path}");
        let (path, kind) = path.strip_suffix('*').map_or((path.as_str(), "Exact"), |path| (path, "Prefix"));
        let path = json!({"backend": backend(service), "path": path, "pathType": kind});
        match hosts.iter_mut().find(|(known, _)| known == host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((host.to_owned(), vec![path])),
        }
    }
    let rule = |(host, paths): (String, Vec<Value>)| {
        let mut rule = json!({"http": {"paths": paths}});
        if !host.is_empty() {
            rule["host"] = json!(host);
        }
        rule
    };
    hosts.into_iter().map(rule).collect()
}

/// Hosts by secret; a host takes part once.
fn tls(rules: &[String]) -> Vec<Value> {
    let (mut entries, mut seen): (Vec<(String, Vec<String>)>, Vec<&str>) = (vec![], vec![]);
    for rule in rules {
        let Some((main, tls)) = rule.split_once(',') else { continue };
        let host = main.split('/').next().unwrap_or_default();
        let secret = tls.split_once('=').map_or("", |(_, secret)| secret);
        if seen.contains(&host) {
            continue;
        }
        seen.push(host);
        match entries.iter_mut().find(|(known, _)| known == secret) {
            Some((_, hosts)) => hosts.push(host.to_owned()),
            None if host.is_empty() && secret.is_empty() => {}
            None => {
                let hosts = if host.is_empty() { vec![] } else { vec![host.to_owned()] };
                entries.push((secret.to_owned(), hosts));
            }
        }
    }
    let entry = |(secret, hosts): (String, Vec<String>)| {
        let mut entry = json!({});
        if !hosts.is_empty() {
            entry["hosts"] = json!(hosts);
        }
        if !secret.is_empty() {
            entry["secretName"] = json!(secret);
        }
        entry
    };
    entries.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked() {
        for good in
            ["foo.com/bar*=svc1:8080,tls=my-cert", "/path=svc:port", "foo.com/=svc:https,tls", "*.a/x=s:1"]
        {
            assert!(is_rule(good), "{good}");
        }
        for bad in ["a.test/x", "foo=svc:1", "a/b=svc", "a/b=svc:1,nope"] {
            assert!(!is_rule(bad), "{bad}");
        }
    }

    #[test]
    fn hosts_share_secrets() {
        let rules = ["a/x=s:1,tls=t".to_owned(), "b/=s:http,tls=t".to_owned(), "a/y*=s:1".to_owned()];
        assert_eq!(json!(tls(&rules)), json!([{"hosts": ["a", "b"], "secretName": "t"}]));
        let hosts = host_rules(&rules);
        assert_eq!(hosts[0]["http"]["paths"][1]["pathType"], "Prefix");
        assert_eq!(hosts[1]["http"]["paths"][0]["backend"]["service"]["port"], json!({"name": "http"}));
    }
}
