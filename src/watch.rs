//! A value that changes, and those who wait for its changes, woken in the order in which they began to wait.
//!
//! The names and meanings are those of `tokio::sync::watch`. That one wakes its waiters in an order that is drawn anew in each
//! run, and with one seed and a paused clock two runs are to be the same; so clippy bans it here.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;

/// A sender of `value` and its first receiver, which has seen it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

#[derive(Debug)]
struct Shared<T> {
    state: RwLock<State<T>>,
    changed: Notify,
    receivers: AtomicUsize,
    no_receivers: Notify,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    version: u64,
    closed: bool,
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look at the value. Nobody can change it while it is looked at, so it is not to be held across a wait.
#[derive(Debug)]
pub struct Ref<'a, T>(RwLockReadGuard<'a, State<T>>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// The sender is gone, and its last value has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender is gone")]
pub struct Closed;

/// Changes the value.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// A value that nobody waits for yet.
    pub fn new(value: T) -> Self {
        let state = RwLock::new(State { value, version: 0, closed: false });
        let shared = Shared {
            state,
            changed: Notify::new(),
            receivers: AtomicUsize::new(0),
            no_receivers: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A receiver that has seen the value as it is now.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        let seen = self.shared.read().version;
        Receiver { shared: self.shared.clone(), seen }
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read())
    }

    /// Puts another value in its place and gives the old one.
    pub fn send_replace(&self, value: T) -> T {
        let mut old = value;
        self.send_modify(|current| std::mem::swap(current, &mut old));
        old
    }

    /// Changes the value.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Changes the value and tells the receivers if `change` says that it did.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let modified = {
            let mut state = self.shared.write();
            let modified = change(&mut state.value);
            state.version += u64::from(modified);
            modified
        };
        if modified {
            self.shared.changed.notify_waiters();
        }
        modified
    }

    /// Waits until there is no receiver.
    pub async fn closed(&self) {
        loop {
            // Made before the look, so that the last leave is not missed.
            let left = self.shared.no_receivers.notified();
            if self.shared.receivers.load(Ordering::Acquire) == 0 {
                return;
            }
            left.await;
        }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.write().closed = true;
        self.shared.changed.notify_waiters();
    }
}

/// Sees the value and waits for its changes.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.no_receivers.notify_waiters();
        }
    }
}

impl<T> Receiver<T> {
    /// The value, which stays unseen if it was.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read())
    }

    /// The value, seen with this.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.read();
        self.seen = state.version;
        Ref(state)
    }

    /// Waits until the value is one that was not seen, and sees it.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        changed(&self.shared, &mut self.seen).await
    }

    /// Waits until the value is one that is wanted, which it may be already.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        let Self { shared, seen } = self;
        loop {
            {
                let state = shared.read();
                *seen = state.version;
                if wanted(&state.value) {
                    return Ok(Ref(state));
                }
            }
            changed(shared, seen).await?;
        }
    }
}

async fn changed<T>(shared: &Shared<T>, seen: &mut u64) -> Result<(), Closed> {
    loop {
        // Made before the look, so that no change is missed.
        let change = shared.changed.notified();
        {
            let state = shared.read();
            if std::mem::replace(seen, state.version) != state.version {
                return Ok(());
            }
            if state.closed {
                return Err(Closed);
            }
        }
        change.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn waiters_wake_in_the_order_in_which_they_came() {
        // In an order that is drawn, one run in 8! would be like this.
        let (sender, receiver) = channel(false);
        let order = Arc::new(Mutex::new(vec![]));
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let (mut receiver, order) = (receiver.clone(), order.clone());
                tokio::spawn(async move {
                    receiver.wait_for(|open| *open).await.unwrap();
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send_replace(true);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[tokio::test]
    async fn a_change_is_seen_once() {
        let (sender, mut receiver) = channel(1);
        assert_eq!(sender.send_replace(2), 1);
        receiver.changed().await.unwrap();
        assert_eq!(*receiver.borrow(), 2);
        assert!(!sender.send_if_modified(|_| false));
        sender.send_modify(|value| *value = 3);
        assert_eq!(*receiver.borrow_and_update(), 3);
        assert!(futures::poll!(std::pin::pin!(receiver.changed())).is_pending());
    }

    #[tokio::test]
    async fn the_last_value_outlives_the_sender() {
        let (sender, mut receiver) = channel(1);
        sender.send_replace(2);
        drop(sender);
        assert_eq!(receiver.changed().await, Ok(()));
        assert_eq!(receiver.changed().await, Err(Closed));
        assert_eq!(*receiver.wait_for(|value| *value == 2).await.unwrap(), 2);
        assert_eq!(receiver.wait_for(|value| *value == 3).await.err(), Some(Closed));
    }

    #[tokio::test]
    async fn a_sender_learns_when_nobody_listens() {
        let (sender, receiver) = channel(());
        let other = receiver.clone();
        drop(receiver);
        assert!(futures::poll!(std::pin::pin!(sender.closed())).is_pending());
        drop(other);
        sender.closed().await;
    }
}
