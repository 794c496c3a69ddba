//! The group of verbs.

use async_trait::async_trait;

use super::{can_i, whoami};
use crate::kubectl::command::{Verb, not_runnable};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::FilenameOptions;
use crate::kubectl::session::Session;

/// The group.
pub struct Auth;

/// `kubectl auth reconcile`, which this kubectl does not offer.
struct Reconcile;

#[async_trait]
impl Verb for Auth {
    fn name(&self) -> &'static str {
        "auth"
    }

    fn short(&self) -> &'static str {
        "Inspect authorization"
    }

    fn long(&self) -> &'static str {
        "Inspect authorization."
    }

    fn usage(&self) -> &'static str {
        "[flags]"
    }

    fn verbs(&self) -> &'static [&'static dyn Verb] {
        &[&can_i::CanI, &Reconcile, &whoami::WhoAmI]
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}

#[async_trait]
impl Verb for Reconcile {
    fn name(&self) -> &'static str {
        "reconcile"
    }

    fn short(&self) -> &'static str {
        "Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects"
    }

    fn usage(&self) -> &'static str {
        "-f FILENAME"
    }

    fn flags(&self) -> Vec<Flag> {
        FilenameOptions::flags("with roles and bindings to reconcile.")
    }

    async fn run(&self, _: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(KubectlError::message("auth reconcile is not supported by this kubectl; use kubectl apply"))
    }
}
