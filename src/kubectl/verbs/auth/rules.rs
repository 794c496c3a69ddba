//! The rules that one has, put together for a table.
// Models k8s.io/kubectl/pkg/util/rbac and describe.CombineResourceGroup.

use serde_json::Value;

use crate::kubectl::output::TabWriter;

/// A rule about one resource, or about URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    urls: Vec<String>,
}

impl Rule {
    /// What rules are sorted by: Go's text of a PolicyRule.
    fn key(&self) -> String {
        format!(
            "&PolicyRule{{Verbs:[{}],APIGroups:[{}],Resources:[{}],ResourceNames:[{}],NonResourceURLs:[{}],}}",
            self.verbs.join(" "),
            self.groups.join(" "),
            self.resources.join(" "),
            self.names.join(" "),
            self.urls.join(" ")
        )
    }

    /// `deployments.apps/scale`.
    fn resource(&self) -> String {
        let Some(resource) = self.resources.first() else { return String::new() };
        let (resource, sub) =
            resource.split_once('/').map_or((resource.as_str(), None), |(r, sub)| (r, Some(sub)));
        let group = self
            .groups
            .first()
            .filter(|group| !group.is_empty())
            .map(|group| format!(".{group}"))
            .unwrap_or_default();
        format!("{resource}{group}{}", sub.map(|sub| format!("/{sub}")).unwrap_or_default())
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// The table of a SelfSubjectRulesReview's status.
pub(super) fn table(status: &Value, headers: bool) -> String {
    let mut rules: Vec<Rule> = vec![];
    let mut kept: Vec<Rule> = vec![];
    for rule in status["resourceRules"].as_array().into_iter().flatten() {
        for simple in break_down(rule) {
            let same = |known: &&mut Rule| {
                known.groups == simple.groups
                    && known.resources == simple.resources
                    && known.names == simple.names
            };
            match rules.iter_mut().find(same) {
                Some(known) => known.verbs.extend(
                    simple.verbs.into_iter().filter(|verb| !known.verbs.contains(verb)).collect::<Vec<_>>(),
                ),
                None => rules.push(simple),
            }
        }
    }
    for rule in status["nonResourceRules"].as_array().into_iter().flatten() {
        for url in texts(&rule["nonResourceURLs"]) {
            let verbs = texts(&rule["verbs"]).into_iter();
            kept.extend(verbs.map(|verb| Rule {
                verbs: vec![verb],
                urls: vec![url.clone()],
                ..Rule::default()
            }));
        }
    }
    kept.extend(rules);
    kept.sort_by_key(Rule::key);
    let mut writer = TabWriter::for_tables();
    if headers {
        writer.line("Resources\tNon-Resource URLs\tResource Names\tVerbs");
    }
    for rule in kept {
        let list = |texts: &[String]| format!("[{}]", texts.join(" "));
        writer.line(&format!(
            "{}\t{}\t{}\t{}",
            rule.resource(),
            list(&rule.urls),
            list(&rule.names),
            list(&rule.verbs)
        ));
    }
    writer.flush()
}

/// A rule as rules about one group, resource, name and verb each.
fn break_down(rule: &Value) -> Vec<Rule> {
    let mut simple = vec![];
    let names = texts(&rule["resourceNames"]);
    let names: Vec<Vec<String>> =
        if names.is_empty() { vec![vec![]] } else { names.into_iter().map(|name| vec![name]).collect() };
    for group in texts(&rule["apiGroups"]) {
        for resource in texts(&rule["resources"]) {
            for verb in texts(&rule["verbs"]) {
                for names in &names {
                    let (groups, resources, verbs) =
                        (vec![group.clone()], vec![resource.clone()], vec![verb.clone()]);
                    simple.push(Rule { verbs, groups, resources, names: names.clone(), urls: vec![] });
                }
            }
        }
    }
    simple
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_are_put_together() {
        let status = json!({
            "resourceRules": [
                {"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
                {"verbs": ["list", "get"], "apiGroups": [""], "resources": ["pods"]},
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["a"]},
            ],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
        });
        let expected = concat!(
            "Resources                Non-Resource URLs   Resource Names   Verbs\n",
            "*.*                      []                  []               [*]\n",
            "pods                     []                  []               [get list]\n",
            "                         [/healthz]          []               [get]\n",
            "pods/log                 []                  []               [get]\n",
            "deployments.apps/scale   []                  [a]              [get]\n",
        );
        assert_eq!(table(&status, true), expected);
    }
}
