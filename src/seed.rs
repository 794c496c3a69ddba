//! One seed, one run: everything that is drawn by chance in a cluster is drawn here.
//!
//! Name suffixes, UIDs, IPs out of a range and scheduling ties all come from one generator a cluster, so that a script on
//! a virtual clock prints the same bytes on every machine.

use std::sync::{Arc, Mutex};

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The letters of generated names: no vowels, so no words, and nothing that looks like another letter.
// Models k8s.io/apimachinery/pkg/util/rand (alphanums).
const ALPHANUMS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A cluster's source of chance. Cheap to clone; clones draw from one stream.
#[derive(Clone, Debug)]
pub struct Seed {
    generator: Arc<Mutex<ChaCha8Rng>>,
}

impl Seed {
    /// The generator that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        Self { generator: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))) }
    }

    /// A generator that nobody can foretell.
    pub fn from_entropy() -> Self {
        Self::new(rand::rng().next_u64())
    }

    /// A generator of its own, so that how often it is used does not show in what this one draws.
    pub fn fork(&self) -> Self {
        Self::new(self.lock().next_u64())
    }

    /// `LENGTH` random bytes.
    pub fn bytes<const LENGTH: usize>(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.lock().fill_bytes(&mut bytes);
        bytes
    }

    /// `length` characters as Kubernetes puts them behind a `generateName`.
    pub fn suffix(&self, length: usize) -> String {
        let mut generator = self.lock();
        (0..length).map(|_| char::from(ALPHANUMS[generator.random_range(0..ALPHANUMS.len())])).collect()
    }

    /// A version 4 UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A number in `0..bound`; 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.lock().random_range(0..bound) }
    }

    /// `length` random bytes in lower-case hexadecimal, two digits a byte.
    pub fn hex(&self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.lock().fill_bytes(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ChaCha8Rng> {
        self.generator.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Encodes a hash with the letters of generated names, so that it never spells a word.
// Models k8s.io/apimachinery/pkg/util/rand (SafeEncodeString).
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(ALPHANUMS[usize::from(byte) % ALPHANUMS.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same() {
        let (a, b) = (Seed::new(7), Seed::new(7));
        assert_eq!((a.suffix(5), a.uuid(), a.below(100)), (b.suffix(5), b.uuid(), b.below(100)));
        assert_ne!(a.suffix(10), Seed::new(8).suffix(10));
    }

    #[test]
    fn uuids_are_of_version_4() {
        assert_eq!(Seed::new(1).uuid().get_version_num(), 4);
    }
}
