//! What the scheduler decided and why, pod by pod: for views that explain it. The newest few are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::informer::ObjectKey;

/// How many decisions are kept.
const KEPT: usize = 256;

/// One attempt to place one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Namespace and name of the pod.
    pub pod: ObjectKey,
    /// Its UID.
    pub uid: String,
    /// When it was decided.
    pub time: Timestamp,
    /// The nodes that would do.
    pub feasible: Vec<String>,
    /// The nodes that would not: node, plugin, reason.
    pub rejected: Vec<(String, String, String)>,
    /// The scores of those that would: node, plugin, score in 0..=100, the same by the plugin's weight. Empty when there
    /// was nothing to choose.
    pub scores: Vec<(String, String, i64, i64)>,
    /// The node, if there was one.
    pub chosen: Option<String>,
    /// What a pod without a node was told.
    pub message: Option<String>,
}

/// The newest decisions. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    kept: Arc<Mutex<VecDeque<Decision>>>,
}

impl Decisions {
    /// All that are kept, oldest first.
    pub fn list(&self) -> Vec<Decision> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The newest about a pod.
    pub fn of(&self, namespace: &str, name: &str) -> Option<Decision> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().find(|decision| decision.pod.0 == namespace && decision.pod.1 == name).cloned()
    }

    pub(crate) fn push(&self, decision: Decision) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(decision);
    }
}
