//! Verbs that kubectl has and this one does not offer: they are listed, and say so when they are called.

use async_trait::async_trait;

use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flags;
use crate::kubectl::session::Session;

/// A verb that is not offered.
pub struct Absent {
    /// Its name.
    pub name: &'static str,
    /// What kubectl's does, in one line.
    pub short: &'static str,
    /// What to do instead.
    pub instead: &'static str,
}

/// `kubectl kustomize`.
pub const KUSTOMIZE: Absent = Absent {
    name: "kustomize",
    short: "Build a kustomization target from a directory or URL",
    instead: "write the objects into files and use kubectl apply -f",
};

/// `kubectl kuberc`.
pub const KUBERC: Absent = Absent {
    name: "kuberc",
    short: "Manage kuberc configuration files",
    instead: "use aliases of the shell",
};

/// `kubectl plugin`.
pub const PLUGIN: Absent = Absent {
    name: "plugin",
    short: "Provides utilities for interacting with plugins",
    instead: "use functions of the shell",
};

#[async_trait]
impl Verb for Absent {
    fn name(&self) -> &'static str {
        self.name
    }

    fn short(&self) -> &'static str {
        self.short
    }

    async fn run(&self, _: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(KubectlError::message(format!(
            "{} is not supported by this kubectl; {}",
            self.name, self.instead
        )))
    }
}
