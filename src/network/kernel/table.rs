//! An nftables table as a value, and the script that makes one of another: only what differs is touched, all at once.
//!
//! What the kernel itself puts into a set (who came lately) stays as long as the set does.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The family and the name of our table.
pub(super) const TABLE: &str = "ip k8s-learn";

/// A table. Writing to it in any order gives the same script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    chains: BTreeMap<String, Chain>,
    sets: BTreeMap<String, Set>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chain {
    /// `type nat hook output priority -100; policy accept;`, if packets come here by themselves.
    hook: String,
    rules: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    is_map: bool,
    /// `type ipv4_addr; flags dynamic,timeout;`
    declaration: String,
    /// Keys, and in maps their values.
    elements: BTreeMap<String, String>,
}

impl Set {
    fn word(&self) -> &'static str {
        if self.is_map { "map" } else { "set" }
    }
}

impl Table {
    /// A chain without rules; nothing happens if it is there.
    pub(super) fn chain(&mut self, name: &str) {
        self.chains.entry(name.to_owned()).or_default();
    }

    /// A chain that packets come to by themselves.
    pub(super) fn base_chain(&mut self, name: &str, hook: &str) {
        self.chains.entry(name.to_owned()).or_default().hook = hook.to_owned();
    }

    /// Adds a rule at the end of a chain.
    pub(super) fn rule(&mut self, chain: &str, rule: impl Into<String>) {
        self.chains.entry(chain.to_owned()).or_default().rules.push(rule.into());
    }

    /// Whether there is such a chain.
    pub(super) fn has_chain(&self, name: &str) -> bool {
        self.chains.contains_key(name)
    }

    /// A set without elements; nothing happens if it is there.
    pub(super) fn set(&mut self, name: &str, declaration: &str) {
        let set = self.sets.entry(name.to_owned()).or_default();
        declaration.clone_into(&mut set.declaration);
    }

    /// A map without elements; nothing happens if it is there.
    pub(super) fn map(&mut self, name: &str, declaration: &str) {
        self.set(name, declaration);
        self.sets.entry(name.to_owned()).or_default().is_map = true;
    }

    /// An element of a set.
    pub(super) fn member(&mut self, set: &str, key: impl Into<String>) {
        self.element(set, key, "");
    }

    /// An element of a map.
    pub(super) fn element(&mut self, map: &str, key: impl Into<String>, value: impl Into<String>) {
        self.sets.entry(map.to_owned()).or_default().elements.insert(key.into(), value.into());
    }

    /// The script that makes this table, whatever there was of it.
    pub(super) fn whole(&self) -> String {
        format!(
            "add table {TABLE}\ndelete table {TABLE}\nadd table {TABLE}\n{}",
            self.changes(&Self::default())
        )
    }

    /// The script that makes this table of `before`; empty if nothing differs.
    // Models pkg/proxy/nftables (syncProxyRules): what is referred to comes first and goes last.
    pub(super) fn changes(&self, before: &Self) -> String {
        let mut script = Script(String::new());
        for (name, set) in self.sets.iter().filter(|(name, _)| !before.sets.contains_key(*name)) {
            script.line(&format!("add {} {TABLE} {name} {{ {} }}", set.word(), set.declaration));
        }
        for (name, chain) in self.chains.iter().filter(|(name, _)| !before.chains.contains_key(*name)) {
            let hook = if chain.hook.is_empty() { String::new() } else { format!(" {{ {} }}", chain.hook) };
            script.line(&format!("add chain {TABLE} {name}{hook}"));
        }
        for (name, chain) in &before.chains {
            if self.chains.get(name) != Some(chain) && !chain.rules.is_empty() {
                script.line(&format!("flush chain {TABLE} {name}"));
            }
        }
        let nothing = BTreeMap::new();
        for (name, set) in &before.sets {
            let now = self.sets.get(name).map_or(&nothing, |set| &set.elements);
            let gone = set.elements.iter().filter(|(key, value)| now.get(*key) != Some(value));
            script.elements("delete", name, gone);
        }
        for (name, set) in &self.sets {
            let then = before.sets.get(name).map_or(&nothing, |set| &set.elements);
            let new = set.elements.iter().filter(|(key, value)| then.get(*key) != Some(value));
            script.elements("add", name, new);
        }
        for (name, chain) in &self.chains {
            if before.chains.get(name).map(|chain| &chain.rules) != Some(&chain.rules) {
                for rule in &chain.rules {
                    script.line(&format!("add rule {TABLE} {name} {rule}"));
                }
            }
        }
        for name in before.chains.keys().filter(|name| !self.chains.contains_key(*name)) {
            script.line(&format!("delete chain {TABLE} {name}"));
        }
        for (name, set) in before.sets.iter().filter(|(name, _)| !self.sets.contains_key(*name)) {
            script.line(&format!("delete {} {TABLE} {name}", set.word()));
        }
        script.0
    }
}

struct Script(String);

impl Script {
    fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn elements<'a>(
        &mut self,
        verb: &str,
        set: &str,
        elements: impl Iterator<Item = (&'a String, &'a String)>,
    ) {
        let one = |(key, value): (&String, &String)| {
            if value.is_empty() { key.clone() } else { format!("{key} : {value}") }
        };
        let all: Vec<String> = elements.map(one).collect();
        if !all.is_empty() {
            self.line(&format!("{verb} element {TABLE} {set} {{ {} }}", all.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rules: &[(&str, &str)], elements: &[(&str, &str)]) -> Table {
        let mut table = Table::default();
        table.base_chain("in", "type filter hook input priority 0; policy accept;");
        table.map("m", "type ipv4_addr : verdict;");
        for (chain, rule) in rules {
            table.rule(chain, *rule);
        }
        for (key, value) in elements {
            table.element("m", *key, *value);
        }
        table
    }

    #[test]
    fn only_what_differs_is_touched_and_what_is_referred_to_is_there() {
        let one = table(
            &[("in", "ip saddr vmap @m"), ("a", "drop"), ("b", "accept")],
            &[("1.1.1.1", "goto a"), ("2.2.2.2", "goto b")],
        );
        assert_eq!(one.changes(&one), "");
        let two = table(
            &[("in", "ip saddr vmap @m"), ("a", "accept"), ("c", "drop")],
            &[("1.1.1.1", "goto a"), ("2.2.2.2", "goto c")],
        );
        assert_eq!(
            two.changes(&one),
            "add chain ip k8s-learn c\n\
             flush chain ip k8s-learn a\n\
             flush chain ip k8s-learn b\n\
             delete element ip k8s-learn m { 2.2.2.2 : goto b }\n\
             add element ip k8s-learn m { 2.2.2.2 : goto c }\n\
             add rule ip k8s-learn a accept\n\
             add rule ip k8s-learn c drop\n\
             delete chain ip k8s-learn b\n"
        );
        let whole = one.whole();
        assert!(
            whole.starts_with(
                "add table ip k8s-learn\ndelete table ip k8s-learn\nadd table ip k8s-learn\nadd map"
            ),
            "{whole}"
        );
        assert!(
            whole.contains("add chain ip k8s-learn in { type filter hook input priority 0; policy accept; }")
        );
        let gone = Table::default().changes(&one);
        assert!(gone.ends_with("delete chain ip k8s-learn in\ndelete map ip k8s-learn m\n"), "{gone}");
    }

    #[test]
    fn sets_that_the_kernel_fills_are_left_alone() {
        let mut one = Table::default();
        one.set("came-lately", "type ipv4_addr; flags dynamic,timeout; timeout 10s;");
        one.member("known", "1.1.1.1");
        let mut two = one.clone();
        two.rule("c", "update @came-lately { ip saddr }");
        assert_eq!(
            two.changes(&one),
            "add chain ip k8s-learn c\nadd rule ip k8s-learn c update @came-lately { ip saddr }\n"
        );
        assert!(one.changes(&Table::default()).contains("add element ip k8s-learn known { 1.1.1.1 }"));
    }
}
