//! The cluster's own addresses on this machine: those of its nodes and of its name server, on a device of our own.

use std::net::IpAddr;
use std::path::Path;

use super::command::run;
use super::forwarding::Forwarding;
use super::{NODE_NETWORK, SERVICE_NETWORK};
use crate::clock::Clock;

/// The device. A bridge without ports: every kernel that has containers has bridges.
const DEVICE: &str = "k8s-learn0";

/// The device with its addresses. It stays until [`Links::remove`].
#[derive(Clone, Debug)]
pub struct Links {
    clock: Clock,
}

impl Links {
    /// Makes the device with these addresses, anew if it is there. The error is the tool's.
    pub async fn make(clock: &Clock, addresses: &[IpAddr]) -> Result<Self, String> {
        let links = Self { clock: clock.clone() };
        links.remove().await?;
        links.ip(&["link", "add", DEVICE, "type", "bridge"]).await?;
        let made = async {
            for address in addresses {
                links.ip(&["address", "add", &format!("{address}/32"), "dev", DEVICE]).await?;
            }
            links.ip(&["link", "set", DEVICE, "up"]).await?;
            for network in [SERVICE_NETWORK, NODE_NETWORK] {
                // So that there is a way there, from this machine too, before the rules say whereto.
                links.ip(&["route", "replace", network, "dev", DEVICE]).await?;
            }
            Forwarding::allow().await
        };
        match made.await {
            Ok(()) => Ok(links),
            Err(why) => {
                links.remove().await?;
                Err(why)
            }
        }
    }

    /// Takes the device away, with its addresses and routes, if it is there.
    pub async fn remove(&self) -> Result<(), String> {
        if Path::new("/sys/class/net").join(DEVICE).exists() {
            self.ip(&["link", "delete", DEVICE]).await?;
        }
        Ok(())
    }

    /// Takes the device away that another process left there.
    pub async fn remove_leftovers(clock: &Clock) -> Result<(), String> {
        Self { clock: clock.clone() }.remove().await
    }

    async fn ip(&self, words: &[&str]) -> Result<String, String> {
        run(&self.clock, &[&["ip"], words].concat(), "").await
    }
}
