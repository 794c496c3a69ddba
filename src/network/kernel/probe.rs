//! Whether this machine's nftables can do what our rules need: asked of the kernel, where nothing of it stays.
//!
//! Before rules are set, and by `k8s-learn doctor`.

use super::command::run;
use crate::clock::Clock;

/// What rules need: what it is called, the kernel's module that has it, a rule that needs it.
const NEEDS: &[(&str, &str, &str)] = &[
    ("tables of IPv4", "nf_tables", ""),
    ("address translation", "nft_chain_nat", "type nat hook prerouting priority -100; } dnat to 10.0.0.1"),
    ("masquerading", "nft_masq", "type nat hook postrouting priority 100; } masquerade"),
    ("connection tracking", "nft_ct", "type filter hook forward priority 0; } ct state established accept"),
    ("refusals", "nft_reject_ipv4", "type filter hook forward priority 0; } reject with tcp reset"),
    ("address lookups", "nft_fib_ipv4", "type filter hook input priority 0; } fib daddr type local accept"),
    (
        "chance",
        "nft_numgen",
        "type filter hook input priority 0; } numgen random mod 2 vmap { 0 : accept, 1 : accept }",
    ),
];
/// A set that packets are written into.
const DYNAMIC: &str = "add set ip k8s-learn-probe s { type ipv4_addr; flags dynamic,timeout; timeout 1s; }\nadd rule ip k8s-learn-probe c update @s { ip saddr }\n";
const PROBE: &str = "ip k8s-learn-probe";

fn script(rule: &str) -> String {
    let mut text = format!("add table {PROBE}\n");
    if let Some((hook, rule)) = rule.split_once('}') {
        text += &format!("add chain {PROBE} c {{ {hook}}}\nadd rule {PROBE} c {rule}\n");
    }
    text
}

/// Sets the rules and takes them away in one: the kernel sees that it can, and no packet comes by.
async fn try_out(clock: &Clock, script: &str) -> Result<(), String> {
    run(clock, &["nft", "-f", "-"], &format!("{script}delete table {PROBE}\n")).await.map(drop)
}

/// What is missing, and what mends it; `None` if nothing is. The error is that of a machine without nftables at all.
pub async fn missing(clock: &Clock) -> Result<Option<(String, String)>, String> {
    for (what, module, rule) in NEEDS {
        if let Err(why) = try_out(clock, &script(rule)).await {
            return match rule.is_empty() {
                true => Err(why),
                false => Ok(Some((format!("{what} ({why})"), format!("modprobe {module}")))),
            };
        }
    }
    let dynamic = format!("{}{DYNAMIC}", script("type filter hook input priority 0; } accept"));
    let tried = try_out(clock, &dynamic).await;
    Ok(tried.err().map(|why| (format!("sets with time limits ({why})"), "modprobe nf_tables".to_owned())))
}

/// Whether everything is there. The error names what is missing and what mends it.
pub(super) async fn check(clock: &Clock) -> Result<(), String> {
    match missing(clock).await {
        Ok(None) => Ok(()),
        Ok(Some((what, mend))) => Err(format!("this kernel's nftables lacks {what}: {mend}")),
        Err(why) => Err(format!("this kernel has no nftables for packet rules: {why}: modprobe nf_tables")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_is_tried_out_by_a_rule_of_its_own() {
        for (what, _, rule) in NEEDS.iter().skip(1) {
            let text = script(rule);
            assert_eq!(text.lines().count(), 3, "{what}: {text}");
            assert!(text.contains("add chain ip k8s-learn-probe c { type "), "{what}: {text}");
        }
        assert_eq!(script(NEEDS[0].2), "add table ip k8s-learn-probe\n");
    }
}
