//! Whether this machine's nftables can do what our rules need: asked of the kernel, where nothing of it stays.
//!
//! Before a cluster changes anything, and by `k8s-learn doctor`.

use super::command::run;
use crate::clock::Clock;

const PROBE: &str = "ip k8s-learn-probe";

/// Something that rules need.
struct Need {
    what: &'static str,
    /// The kernel's module that has it.
    module: &'static str,
    /// The kind of chain that it is for; nothing for the table itself.
    hook: &'static str,
    rule: &'static str,
}

const fn need(what: &'static str, module: &'static str, hook: &'static str, rule: &'static str) -> Need {
    Need { what, module, hook, rule }
}

const TRANSLATION: &str = "type nat hook prerouting priority -100;";
const LEAVING: &str = "type nat hook postrouting priority 100;";
const FORWARD: &str = "type filter hook forward priority 0;";

const NEEDS: &[Need] = &[
    need("tables of IPv4", "nf_tables", "", ""),
    need("address translation", "nft_chain_nat", TRANSLATION, "meta l4proto tcp dnat to 10.0.0.1:80"),
    need("masquerading", "nft_masq", LEAVING, "masquerade"),
    need("connection tracking", "nft_ct", FORWARD, "ct state established,related accept"),
    need("refusals", "nft_reject_ipv4", FORWARD, "reject with tcp reset"),
    need("kinds of addresses", "nft_fib_ipv4", FORWARD, "fib daddr type local accept"),
    need("chance", "nft_numgen", FORWARD, "numgen random mod 2 vmap { 0 : accept, 1 : accept }"),
    need("sets with time limits", "nf_tables", FORWARD, "update @clients { ip saddr }"),
];

impl Need {
    /// A chain with that rule.
    fn script(&self, number: usize) -> String {
        if self.hook.is_empty() {
            return String::new();
        }
        let Self { hook, rule, .. } = self;
        format!("add chain {PROBE} c{number} {{ {hook} }}\nadd rule {PROBE} c{number} {rule}\n")
    }
}

/// Sets rules and takes them away in one: the kernel sees that it can, and no packet comes by.
async fn try_out(clock: &Clock, rules: &str) -> Result<(), String> {
    let clients =
        format!("add set {PROBE} clients {{ type ipv4_addr; flags dynamic,timeout; timeout 1s; }}\n");
    let clients = if rules.contains("@clients") { clients } else { String::new() };
    let script = format!("add table {PROBE}\n{clients}{rules}delete table {PROBE}\n");
    run(clock, &["nft", "-f", "-"], &script).await.map(drop)
}

/// What is missing and what mends it; `None` if nothing is.
pub async fn missing(clock: &Clock) -> Option<(String, String)> {
    let all: String = NEEDS.iter().enumerate().map(|(number, need)| need.script(number)).collect();
    let why = try_out(clock, &all).await.err()?;
    for need in NEEDS {
        if let Err(why) = try_out(clock, &need.script(0)).await {
            let mend = format!("modprobe {}", need.module);
            return Some((format!("the kernel's nftables lacks {}: {why}", need.what), mend));
        }
    }
    Some((format!("the kernel's nftables does not take our rules: {why}"), "nft -f FILE by hand".to_owned()))
}

/// Whether everything is there. The error names what is missing and what mends it.
pub async fn check(clock: &Clock) -> Result<(), String> {
    missing(clock).await.map_or(Ok(()), |(what, mend)| Err(format!("{what}: {mend}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_is_tried_out_by_a_rule_of_its_own() {
        for need in NEEDS.iter().skip(1) {
            let text = need.script(3);
            assert_eq!(text.lines().count(), 2, "{}: {text}", need.what);
            assert!(text.starts_with("add chain ip k8s-learn-probe c3 { type "), "{}: {text}", need.what);
        }
        assert_eq!(NEEDS[0].script(0), "");
    }

    #[tokio::test]
    async fn what_the_kernel_does_not_take_is_named() {
        let wrong = try_out(&Clock::real(), "add rule ip k8s-learn-probe none accept\n").await.unwrap_err();
        assert!(wrong.starts_with("nft -f -:"), "{wrong}");
    }
}
