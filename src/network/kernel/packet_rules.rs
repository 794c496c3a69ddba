//! The kernel's packet rules: what kube-proxy made of Services, the pods' ports on nodes, and what policies allow. One nftables
//! table of our own, in which each change touches what differs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::command::run;
use super::policies;
use super::services::{self, NodeRules};
use super::table::{TABLE, Table};
use crate::clock::Clock;
use crate::network::fabric::{Fabric, Policies};
use crate::watch;

/// How soon rules are set again that could not be set.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the kernel's rules as the fabric's are. Dropping it leaves the last rules in force.
#[derive(Debug)]
pub struct PacketRules {
    task: AbortOnDropHandle<()>,
}

impl PacketRules {
    /// Sets the rules of these nodes, and sets them again with each change. The error is the tool's.
    pub async fn start(clock: &Clock, fabric: &Fabric, nodes: &[(String, IpAddr)]) -> Result<Self, String> {
        let mut keeper = Keeper {
            clock: clock.clone(),
            fabric: fabric.clone(),
            nodes: nodes.to_vec(),
            rules: fabric.rule_changes(),
            places: fabric.places().changes(),
            policies: fabric.policy_changes(),
            set: None,
        };
        keeper.bring_up_to_date().await?;
        Ok(Self { task: AbortOnDropHandle::new(tokio::spawn(keeper.follow())) })
    }

    /// Ends it, and returns when nothing is set any more. The last rules stay in force.
    pub async fn stop(&mut self) {
        self.task.abort();
        // Being aborted is how it ends.
        let _ = (&mut self.task).await;
    }

    /// Takes the table away, if it is there.
    pub async fn remove(clock: &Clock) -> Result<(), String> {
        let gone = format!("add table {TABLE}\ndelete table {TABLE}\n");
        run(clock, &["nft", "-f", "-"], &gone).await.map(drop)
    }
}

struct Keeper {
    clock: Clock,
    fabric: Fabric,
    nodes: Vec<(String, IpAddr)>,
    rules: watch::Receiver<u64>,
    places: watch::Receiver<u64>,
    policies: watch::Receiver<Policies>,
    /// What the kernel has; `None`: it is not known.
    set: Option<Table>,
}

impl Keeper {
    async fn follow(mut self) {
        let mut failed = false;
        loop {
            let clock = self.clock.clone();
            let again =
                async move { if failed { clock.sleep(RETRY).await } else { std::future::pending().await } };
            let open = tokio::select! { biased;
                changed = self.rules.changed() => changed.is_ok(),
                changed = self.places.changed() => changed.is_ok(),
                changed = self.policies.changed() => changed.is_ok(),
                () = again => true,
            };
            if !open {
                return;
            }
            let done = self.bring_up_to_date().await;
            failed = done.is_err();
            if let Err(why) = done {
                tracing::error!(%why, "the packet rules cannot be set");
            }
        }
    }

    /// Gives the kernel the rules as they are now.
    async fn bring_up_to_date(&mut self) -> Result<(), String> {
        self.rules.borrow_and_update();
        self.places.borrow_and_update();
        let policies = self.policies.borrow_and_update().clone();
        let wanted = self.table(&policies);
        let changes = self.set.as_ref().map(|set| wanted.changes(set));
        if changes.as_ref().is_none_or(|changes| !changes.is_empty()) {
            self.set(changes.as_deref(), &wanted).await?;
        }
        self.set = Some(wanted);
        self.fabric.places().settle(policies.places);
        Ok(())
    }

    fn table(&self, policies: &Policies) -> Table {
        let nodes = self.nodes.iter().map(|(name, ip)| NodeRules {
            name: name.clone(),
            ip: *ip,
            rules: self.fabric.rules(name),
        });
        let mut table = Table::default();
        services::write(&mut table, &nodes.collect::<Vec<_>>(), &self.fabric.places().list());
        let nodes: BTreeMap<String, IpAddr> = self.nodes.iter().cloned().collect();
        policies::write(&mut table, &policies.rules, &nodes);
        table
    }

    async fn set(&mut self, changes: Option<&str>, wanted: &Table) -> Result<(), String> {
        if let Some(changes) = changes {
            match run(&self.clock, &["nft", "-f", "-"], changes).await {
                Ok(_) => return Ok(()),
                // Somebody may have changed our table, or taken it away: it is made anew.
                Err(why) => tracing::warn!(%why, "the packet rules are set as a whole"),
            }
        }
        self.set = None;
        run(&self.clock, &["nft", "-f", "-"], &wanted.whole()).await.map(drop)
    }
}
