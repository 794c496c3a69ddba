//! Leases: keys that go when nobody keeps them alive. Bookkeeping only; `history` deletes the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::types::StoreError;

#[derive(Debug, Default)]
pub(super) struct Leases {
    leases: BTreeMap<i64, Lease>,
    by_expiry: BTreeSet<(Timestamp, i64)>,
    last_id: i64,
}

#[derive(Debug)]
struct Lease {
    ttl: SignedDuration,
    expires: Timestamp,
    keys: BTreeSet<Arc<str>>,
}

impl Leases {
    pub(super) fn exists(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    pub(super) fn grant(&mut self, id: i64, ttl_seconds: u64, now: Timestamp) -> Result<i64, StoreError> {
        let id = if id == 0 { self.free_id() } else { id };
        if self.exists(id) {
            return Err(StoreError::LeaseExists);
        }
        let ttl = SignedDuration::from_secs(i64::try_from(ttl_seconds).unwrap_or(i64::MAX));
        let expires = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        self.by_expiry.insert((expires, id));
        self.leases.insert(id, Lease { ttl, expires, keys: BTreeSet::new() });
        Ok(id)
    }

    pub(super) fn keep_alive(&mut self, id: i64, now: Timestamp) -> Result<(), StoreError> {
        let lease = self.leases.get_mut(&id).ok_or(StoreError::LeaseNotFound)?;
        self.by_expiry.remove(&(lease.expires, id));
        lease.expires = now.saturating_add(lease.ttl).unwrap_or(Timestamp::MAX);
        self.by_expiry.insert((lease.expires, id));
        Ok(())
    }

    /// Forgets a lease and tells which keys lived on it.
    pub(super) fn revoke(&mut self, id: i64) -> Result<Vec<Arc<str>>, StoreError> {
        let lease = self.leases.remove(&id).ok_or(StoreError::LeaseNotFound)?;
        self.by_expiry.remove(&(lease.expires, id));
        Ok(lease.keys.into_iter().collect())
    }

    /// Moves a key from one lease to another; 0 stands for none.
    pub(super) fn attach(&mut self, key: &Arc<str>, from: i64, to: i64) {
        if from != to
            && let Some(lease) = self.leases.get_mut(&from)
        {
            lease.keys.remove(key);
        }
        if let Some(lease) = self.leases.get_mut(&to) {
            lease.keys.insert(key.clone());
        }
    }

    pub(super) fn expired(&self, now: Timestamp) -> Vec<i64> {
        self.by_expiry.iter().take_while(|(expires, _)| *expires <= now).map(|(_, id)| *id).collect()
    }

    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.by_expiry.first().map(|(expires, _)| *expires)
    }

    fn free_id(&mut self) -> i64 {
        loop {
            self.last_id += 1;
            if !self.exists(self.last_id) {
                return self.last_id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use crate::clock::Clock;
    use crate::store::{Author, Op, Payload, Store, Txn};

    #[tokio::test(start_paused = true)]
    async fn keys_go_with_their_lease_unless_it_is_kept_alive() {
        let clock = Clock::virtual_time();
        let store = Store::new(clock.clone());
        let lease = store.grant_lease(0, 10).unwrap();
        let put = Op::Put { key: "/a".into(), value: Payload::Plain(Bytes::from("1")), lease };
        store.txn(Txn { success: vec![put], ..Txn::default() }, Author::default()).unwrap();
        clock.sleep(Duration::from_secs(6)).await;
        store.keep_lease_alive(lease).unwrap();
        clock.sleep(Duration::from_secs(6)).await;
        assert!(store.expire_leases(&Author::default()).is_some());
        assert!(store.get("/a").is_some());
        clock.sleep(Duration::from_secs(6)).await;
        assert!(store.expire_leases(&Author::default()).is_none());
        assert!(store.get("/a").is_none());
        assert!(store.keep_lease_alive(lease).is_err());
    }
}
