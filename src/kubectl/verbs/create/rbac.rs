//! `create role`, `clusterrole`, `rolebinding`, `clusterrolebinding`.
// Models kubectl/pkg/cmd/create (create_role.go, create_clusterrole.go, create_rolebinding.go, create_clusterrolebinding.go).

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::generator::{Call, Generator};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;

const RESOURCE_VERBS: [&str; 14] = [
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
];
const NON_RESOURCE_VERBS: [&str; 8] = ["*", "get", "post", "put", "delete", "patch", "head", "options"];
const GROUP: &str = "rbac.authorization.k8s.io";

/// Verbs that go with some resources only, as (verb, group, resource).
const SPECIAL_VERBS: [(&str, &str, &str); 10] = [
    ("use", "policy", "podsecuritypolicies"),
    ("use", "extensions", "podsecuritypolicies"),
    ("bind", GROUP, "roles"),
    ("bind", GROUP, "clusterroles"),
    ("escalate", GROUP, "roles"),
    ("escalate", GROUP, "clusterroles"),
    ("impersonate", "", "users"),
    ("impersonate", "", "serviceaccounts"),
    ("impersonate", "", "groups"),
    ("impersonate", "authentication.k8s.io", "userextras"),
];

/// `pods`, `deployments.apps`, `pods/log` as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TypedResource {
    group: String,
    resource: String,
    subresource: String,
}

fn typed_resources(call: &Call<'_>) -> Vec<TypedResource> {
    let mut resources = vec![];
    for text in call.flags.strings("resource") {
        let (path, subresource) = text.split_once('/').unwrap_or((text, ""));
        let (resource, group) = path.split_once('.').unwrap_or((path, ""));
        let typed = TypedResource {
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
        };
        if text == "*" {
            return vec![typed];
        }
        resources.push(typed);
    }
    resources
}

fn verbs(call: &Call<'_>) -> Vec<String> {
    let given = call.flags.strings("verb");
    if given.iter().any(|verb| verb == "*") { vec!["*".to_owned()] } else { unique(given) }
}

fn unique(values: &[String]) -> Vec<String> {
    let mut once: Vec<String> = vec![];
    for value in values {
        if !once.contains(value) {
            once.push(value.clone());
        }
    }
    once
}

async fn warn_of_odd_verbs(call: &Call<'_>, verbs: &[String]) -> Result<()> {
    for verb in verbs.iter().filter(|verb| !RESOURCE_VERBS.contains(&verb.as_str())) {
        call.session.err.line(format!("Warning: '{verb}' is not a standard resource verb")).await?;
    }
    Ok(())
}

/// The group and plural that the server has for a resource as typed.
async fn resolve(call: &Call<'_>, typed: &TypedResource) -> Result<(String, String)> {
    let word = if typed.group.is_empty() {
        typed.resource.clone()
    } else {
        format!("{}.{}", typed.resource, typed.group)
    };
    let mapping = call.session.mapper().await?.find(&word)?;
    Ok((mapping.group.clone(), mapping.resource.clone()))
}

/// Resources by group, in the order of the groups; each is one that the server has, or a special one.
async fn grouped(
    call: &Call<'_>,
    resources: &[TypedResource],
    verbs: &[String],
) -> Result<BTreeMap<String, Vec<String>>> {
    check(call, resources, verbs).await?;
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for typed in resources {
        let unresolved = (typed.group.clone(), typed.resource.clone());
        let (group, mut resource) = resolve(call, typed).await.unwrap_or(unresolved);
        if !typed.subresource.is_empty() {
            resource = format!("{resource}/{}", typed.subresource);
        }
        let members = groups.entry(group).or_default();
        if !members.contains(&resource) {
            members.push(resource);
        }
    }
    Ok(groups)
}

async fn check(call: &Call<'_>, resources: &[TypedResource], verbs: &[String]) -> Result<()> {
    for typed in resources {
        if typed.resource.is_empty() {
            return Err(KubectlError::message(
                "resource must be specified if apiGroup/subresource specified",
            ));
        }
        if typed.resource == "*" {
            return Ok(());
        }
        let mut resolved = resolve(call, typed).await;
        let (group, resource) = resolved.clone().unwrap_or((typed.group.clone(), typed.resource.clone()));
        for verb in verbs {
            let mut special = SPECIAL_VERBS.iter().filter(|(special, ..)| special == verb).peekable();
            if special.peek().is_none() {
                continue;
            }
            if !special.any(|(_, of, plural)| *of == group && *plural == resource) {
                let text = format!("can not perform '{verb}' on '{resource}' in group '{group}'");
                return Err(KubectlError::message(text));
            }
            resolved = Ok((group.clone(), resource.clone()));
        }
        resolved?;
    }
    Ok(())
}

fn rules(groups: BTreeMap<String, Vec<String>>, verbs: &[String], names: &[String]) -> Vec<Value> {
    let rule = |(group, resources): (String, Vec<String>)| {
        let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rule
    };
    groups.into_iter().map(rule).collect()
}

fn rule_flags() -> Vec<Flag> {
    vec![
        Flag::strings("verb", "A verb that the rule allows."),
        Flag::strings("resource", "A resource that the rule is about, as resource.group/subresource."),
        Flag::string_array(
            "resource-name",
            "The name of an object that the rule is about; repeat the flag for several.",
        ),
    ]
}

/// `create role`.
pub struct Role;

#[async_trait]
impl Generator for Role {
    fn name(&self) -> &'static str {
        "role"
    }
    fn short(&self) -> &'static str {
        "Create a role with one rule"
    }
    fn usage(&self) -> &'static str {
        "NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename] [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "roles"
    }
    fn flags(&self) -> Vec<Flag> {
        rule_flags()
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (verbs, resources) = (verbs(call), typed_resources(call));
        if verbs.is_empty() {
            return Err(KubectlError::message("at least one verb must be specified"));
        }
        warn_of_odd_verbs(call, &verbs).await?;
        if resources.is_empty() {
            return Err(KubectlError::message("at least one resource must be specified"));
        }
        let groups = grouped(call, &resources, &verbs).await?;
        let rules = rules(groups, &verbs, &unique(call.flags.strings("resource-name")));
        Ok(
            json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Role", "metadata": call.metadata(), "rules": rules}),
        )
    }
}

/// `create clusterrole`.
pub struct ClusterRole;

#[async_trait]
impl Generator for ClusterRole {
    fn name(&self) -> &'static str {
        "clusterrole"
    }
    fn short(&self) -> &'static str {
        "Create a cluster role"
    }
    fn usage(&self) -> &'static str {
        "NAME --verb=verb --resource=resource.group [--resource-name=resourcename] [--dry-run=server|client|none]"
    }
    fn plural(&self) -> &'static str {
        "clusterroles"
    }
    fn namespaced(&self) -> bool {
        false
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = rule_flags();
        flags.push(Flag::strings("non-resource-url", "A path that the rule is about."));
        flags.push(Flag::strings(
            "aggregation-rule",
            "Labels of cluster roles whose rules are put together, as KEY=VALUE.",
        ));
        flags
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (verbs, resources) = (verbs(call), typed_resources(call));
        let (urls, aggregation) =
            (unique(call.flags.strings("non-resource-url")), call.flags.strings("aggregation-rule"));
        let names = unique(call.flags.strings("resource-name"));
        let mut object =
            json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": call.metadata()});
        if !aggregation.is_empty() {
            if !(urls.is_empty() && verbs.is_empty() && resources.is_empty() && names.is_empty()) {
                let text = "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames";
                return Err(KubectlError::message(text));
            }
            object["aggregationRule"] =
                json!({"clusterRoleSelectors": [{"matchLabels": string_map(aggregation)?}]});
            object["rules"] = Value::Null;
            return Ok(object);
        }
        if verbs.is_empty() {
            return Err(KubectlError::message("at least one verb must be specified"));
        }
        if resources.is_empty() && urls.is_empty() {
            return Err(KubectlError::message("one of resource or nonResourceURL must be specified"));
        }
        let mut all = vec![];
        if !resources.is_empty() {
            warn_of_odd_verbs(call, &verbs).await?;
            all = rules(grouped(call, &resources, &verbs).await?, &verbs, &names);
        }
        if !urls.is_empty() {
            check_urls(&urls, &verbs).map_err(KubectlError::message)?;
            all.push(json!({"nonResourceURLs": urls, "verbs": verbs}));
        }
        object["rules"] = json!(all);
        Ok(object)
    }
}

fn check_urls(urls: &[String], verbs: &[String]) -> std::result::Result<(), String> {
    if let Some(verb) = verbs.iter().find(|verb| !NON_RESOURCE_VERBS.contains(&verb.as_str())) {
        return Err(format!("invalid verb: '{verb}' for nonResourceURL"));
    }
    for url in urls.iter().filter(|url| *url != "*") {
        if !url.starts_with('/') {
            return Err("nonResourceURL should start with /".to_owned());
        }
        if url.find('*').is_some_and(|index| index + 1 < url.len()) {
            return Err("nonResourceURL only supports wildcard matches when '*' is at the end".to_owned());
        }
    }
    Ok(())
}

fn string_map(pairs: &[String]) -> Result<Value> {
    let mut map = json!({});
    for pair in pairs {
        let malformed = || KubectlError::message(format!("malformed pair, expect string=string: {pair}"));
        let (key, value) = pair.split_once('=').ok_or_else(malformed)?;
        map[key.trim()] = json!(value.trim());
    }
    Ok(map)
}

/// `create rolebinding` and `create clusterrolebinding`.
pub struct Binding {
    /// Whether it binds in the whole cluster.
    pub cluster: bool,
}

#[async_trait]
impl Generator for Binding {
    fn name(&self) -> &'static str {
        if self.cluster { "clusterrolebinding" } else { "rolebinding" }
    }
    fn short(&self) -> &'static str {
        if self.cluster {
            "Give a cluster role to somebody everywhere"
        } else {
            "Give a role to somebody in a namespace"
        }
    }
    fn usage(&self) -> &'static str {
        if self.cluster {
            "NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] \
             [--dry-run=server|client|none]"
        } else {
            "NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] \
             [--serviceaccount=namespace:serviceaccountname] [--dry-run=server|client|none]"
        }
    }
    fn plural(&self) -> &'static str {
        if self.cluster { "clusterrolebindings" } else { "rolebindings" }
    }
    fn namespaced(&self) -> bool {
        !self.cluster
    }
    fn required(&self) -> &'static [&'static str] {
        if self.cluster { &["clusterrole"] } else { &[] }
    }
    fn failed(&self) -> &'static str {
        if self.cluster { "failed to create clusterrolebinding: " } else { "failed to create rolebinding: " }
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = vec![
            Flag::string("clusterrole", "", "The cluster role to give."),
            Flag::string_array("user", "A user who gets it; repeat the flag for several."),
            Flag::string_array("group", "A group that gets it; repeat the flag for several."),
            Flag::string_array(
                "serviceaccount",
                "A service account that gets it, as NAMESPACE:NAME; repeat the flag for several.",
            ),
        ];
        if !self.cluster {
            flags.push(Flag::string("role", "", "The role to give."));
        }
        flags
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (role, cluster_role) = (call.flags.string("role"), call.flags.string("clusterrole"));
        if !self.cluster && role.is_empty() == cluster_role.is_empty() {
            return Err(KubectlError::message("exactly one of clusterrole or role must be specified"));
        }
        let (kind, name) = if role.is_empty() { ("ClusterRole", cluster_role) } else { ("Role", role) };
        let mut subjects = vec![];
        for (flag, kind) in [("user", "User"), ("group", "Group")] {
            subjects.extend(
                call.flags
                    .strings(flag)
                    .iter()
                    .map(|name| json!({"apiGroup": GROUP, "kind": kind, "name": name})),
            );
        }
        for account in call.flags.strings("serviceaccount") {
            let parts: Vec<&str> = account.split(':').collect();
            let [namespace, name] = parts[..] else { return Err(bad_account()) };
            if namespace.is_empty() || name.is_empty() {
                return Err(bad_account());
            }
            subjects.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
        }
        let own_kind = if self.cluster { "ClusterRoleBinding" } else { "RoleBinding" };
        let mut object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": own_kind, "metadata": call.metadata(),
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": name}});
        if !subjects.is_empty() {
            object["subjects"] = json!(subjects);
        }
        Ok(object)
    }
}

fn bad_account() -> KubectlError {
    KubectlError::message("serviceaccount must be <namespace>:<name>")
}
