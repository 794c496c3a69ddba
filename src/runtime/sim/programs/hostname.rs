//! `hostname`: the pod's name, or with `-i` its address.

use async_trait::async_trait;

use crate::bash::{Program, ProgramContext};
use crate::network::NetHost;

/// `hostname [-i|-I|-f|-s|-d]`.
pub struct Hostname {
    host: NetHost,
}

impl Hostname {
    /// `hostname` of that place.
    pub fn new(host: NetHost) -> Self {
        Self { host }
    }
}

#[async_trait]
impl Program for Hostname {
    async fn run(&self, mut context: ProgramContext) -> i32 {
        let name = context.system.hostname.clone();
        let text = match context.args.get(1).map(String::as_str) {
            None | Some("-f" | "--fqdn") => name,
            Some("-i" | "--ip-address") => self.host.ip().to_string(),
            Some("-I" | "--all-ip-addresses") => format!("{} ", self.host.ip()),
            Some("-s" | "--short") => name.split('.').next().unwrap_or_default().to_owned(),
            Some("-d" | "--domain") => {
                name.split_once('.').map_or(String::new(), |(_, domain)| domain.to_owned())
            }
            Some(option) if option.starts_with('-') => {
                context.stdio.err(format!("hostname: unrecognized option '{option}'\n")).await;
                return 1;
            }
            Some(_) => {
                context.stdio.err("hostname: sethostname: Operation not permitted\n").await;
                return 1;
            }
        };
        context.stdio.out(format!("{text}\n")).await;
        0
    }
}
