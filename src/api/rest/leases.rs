//! The leases that short-lived objects (Events) are stored on, and the keeper that ends them.
// Models k8s.io/apiserver/pkg/storage/etcd3 (leaseManager): one lease serves the objects of a minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::call::Rest;
use crate::api::status::ApiError;
use crate::store::Author;

/// For how long a lease takes new objects in.
const REUSE_SECONDS: u64 = 60;

#[derive(Debug, Default)]
pub(super) struct EventLeases {
    current: Mutex<Option<Lease>>,
    granted: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: i64,
    ttl_seconds: u64,
    reusable_until: Timestamp,
}

impl Rest {
    /// A lease that lasts at least `ttl_seconds` from now.
    pub(super) fn lease(&self, ttl_seconds: u64) -> Result<i64, ApiError> {
        let now = self.clock().now();
        let mut current = self.shared.leases.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = *current
            && lease.ttl_seconds == ttl_seconds
            && now < lease.reusable_until
        {
            return Ok(lease.id);
        }
        let id = self.store().grant_lease(0, ttl_seconds + REUSE_SECONDS).map_err(ApiError::internal)?;
        let reusable_until = self.clock().after(Duration::from_secs(REUSE_SECONDS));
        *current = Some(Lease { id, ttl_seconds, reusable_until });
        self.shared.leases.granted.notify_one();
        Ok(id)
    }

    /// Deletes what lives on a lease when its time is over. Runs until it is dropped, and sleeps until there is something
    /// to do.
    pub async fn keep_leases(self) {
        let author = Author { component: "etcd".into(), request: "lease expired".into(), cause: None };
        loop {
            let granted = self.shared.leases.granted.notified();
            match self.store().expire_leases(&author) {
                Some(next) => tokio::select! { biased;
                    () = self.clock().sleep_until(next) => {}
                    () = granted => {}
                },
                None => granted.await,
            }
        }
    }
}
