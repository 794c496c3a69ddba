//! What is handed out once only: the Services' cluster IPs and node ports.
//!
//! Kept beside the store because two Services created at the same moment must not get the same one. Rebuilt from the
//! Services when a snapshot is restored.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::seed::Seed;

/// The Services' network, as minikube has it: 10.96.0.0/12.
pub const SERVICE_CIDR: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 96, 0, 0), 12);
/// The node ports.
pub const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// Why nothing was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    /// Somebody has it.
    #[error("provided IP is already allocated")]
    Taken,
    /// It is not in the range.
    #[error("the provided value is not in the valid range")]
    OutOfRange,
    /// Nothing is left.
    #[error("range is full")]
    Full,
}

/// The cluster IPs and node ports that are taken.
#[derive(Debug, Default)]
pub struct Allocations {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    ips: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<u16>,
}

impl Allocations {
    /// Takes the IP that was asked for.
    pub fn take_ip(&self, ip: Ipv4Addr) -> Result<(), AllocationError> {
        let (network, bits) = SERVICE_CIDR;
        let mask = u32::MAX << (32 - bits);
        let (number, first) = (u32::from(ip), u32::from(network));
        if number & mask != first || number == first || number == first | !mask {
            return Err(AllocationError::OutOfRange);
        }
        if self.lock().ips.insert(ip) { Ok(()) } else { Err(AllocationError::Taken) }
    }

    /// Takes any free IP.
    pub fn any_ip(&self, seed: &Seed) -> Result<Ipv4Addr, AllocationError> {
        let (network, bits) = SERVICE_CIDR;
        let size = 1_u64 << (32 - bits);
        let mut taken = self.lock();
        // The lower 256 are kept for those who ask for one, as in Kubernetes.
        let start = 256 + seed.below(size - 256 - 1);
        let candidates = (start..size - 1).chain(1..start);
        let free = candidates
            .map(|n| Ipv4Addr::from(u32::from(network) + n as u32))
            .find(|ip| !taken.ips.contains(ip));
        let ip = free.ok_or(AllocationError::Full)?;
        taken.ips.insert(ip);
        Ok(ip)
    }

    /// Gives an IP back.
    pub fn release_ip(&self, ip: Ipv4Addr) {
        self.lock().ips.remove(&ip);
    }

    /// Takes the node port that was asked for.
    pub fn take_port(&self, port: u16) -> Result<(), AllocationError> {
        if !NODE_PORTS.contains(&port) {
            return Err(AllocationError::OutOfRange);
        }
        if self.lock().ports.insert(port) { Ok(()) } else { Err(AllocationError::Taken) }
    }

    /// Takes any free node port.
    pub fn any_port(&self, seed: &Seed) -> Result<u16, AllocationError> {
        let mut taken = self.lock();
        let start = NODE_PORTS.start() + seed.below(NODE_PORTS.len() as u64) as u16;
        let mut candidates = (start..=*NODE_PORTS.end()).chain(*NODE_PORTS.start()..start);
        let port = candidates.find(|port| !taken.ports.contains(port)).ok_or(AllocationError::Full)?;
        taken.ports.insert(port);
        Ok(port)
    }

    /// Gives a node port back.
    pub fn release_port(&self, port: u16) {
        self.lock().ports.remove(&port);
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
