//! The group of verbs.

use async_trait::async_trait;

use super::{contexts, credentials, entries, property, view};
use crate::kubectl::command::{Verb, not_runnable};
use crate::kubectl::error::Result;
use crate::kubectl::flags::Flags;
use crate::kubectl::session::Session;

/// The group.
pub struct Config;

#[async_trait]
impl Verb for Config {
    fn name(&self) -> &'static str {
        "config"
    }

    fn short(&self) -> &'static str {
        "Modify kubeconfig files"
    }

    fn long(&self) -> &'static str {
        "Show and change kubeconfig files with subcommands like \"kubectl config use-context my-context\".\n\nWhich files:\n\n 1.  With \
         --kubeconfig, that file only.\n 2.  Else the files that $KUBECONFIG lists, merged. A value is changed in the file that has it; a new \
         one goes into the first file that exists, or the last if none does.\n 3.  Else ${HOME}/.kube/config."
    }

    fn usage(&self) -> &'static str {
        "SUBCOMMAND"
    }

    fn verbs(&self) -> &'static [&'static dyn Verb] {
        &[
            &contexts::CurrentContext,
            &entries::DeleteCluster,
            &contexts::DeleteContext,
            &entries::DeleteUser,
            &entries::GetClusters,
            &contexts::GetContexts,
            &entries::GetUsers,
            &contexts::RenameContext,
            &property::Set,
            &entries::SetCluster,
            &contexts::SetContext,
            &credentials::SetCredentials,
            &property::Unset,
            &contexts::UseContext,
            &view::View,
        ]
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}
