//! What probes found out last, by container.
// Models pkg/kubelet/prober/results.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kubelet) enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

impl ProbeKind {
    /// The word in events.
    pub(in crate::kubelet) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Readiness => "Readiness",
            Self::Liveness => "Liveness",
        }
    }
}

/// Results by kind and container id.
#[derive(Debug, Default)]
pub(in crate::kubelet) struct Results(Mutex<BTreeMap<(ProbeKind, String), bool>>);

impl Results {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ProbeKind, String), bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last result; `None` before the first.
    pub(in crate::kubelet) fn get(&self, kind: ProbeKind, id: &str) -> Option<bool> {
        self.lock().get(&(kind, id.to_owned())).copied()
    }

    /// Sets a result; says whether it is news.
    pub(super) fn set(&self, kind: ProbeKind, id: &str, result: bool) -> bool {
        self.lock().insert((kind, id.to_owned()), result) != Some(result)
    }

    /// Forgets a container.
    pub(super) fn remove(&self, kind: ProbeKind, id: &str) {
        self.lock().remove(&(kind, id.to_owned()));
    }
}
