//! NetworkPolicy: which connections pods may take and make.
//!
//! [`plan()`] turns policies, pods and namespaces into [`PolicyRules`], and knows no network. [`PolicyKeeper`] does so with each
//! change and gives the rules to the fabric; on real containers `kernel` writes them as packet rules.

mod keeper;
mod plan;
mod rules;

pub use keeper::{Enforcer, PolicyKeeper};
pub use plan::{NamedPort, PolicyPod, plan};
pub use rules::{Allowance, Block, End, Peers, PodRules, PolicyRules, PortRange, Ports};
