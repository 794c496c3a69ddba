//! The group of the `set` verbs.
// Models kubectl/pkg/cmd/set (set.go).

use async_trait::async_trait;

use super::env::Env;
use super::image::Image;
use super::resources::{Resources, ServiceAccount};
use super::selector::Selector;
use super::subject::Subject;
use crate::kubectl::command::{Verb, not_runnable};
use crate::kubectl::error::Result;
use crate::kubectl::flags::Flags;
use crate::kubectl::session::Session;

/// `kubectl set`.
pub struct Set;

static VERBS: &[&dyn Verb] = &[&Env, &Image, &Resources, &Selector, &ServiceAccount, &Subject];

#[async_trait]
impl Verb for Set {
    fn name(&self) -> &'static str {
        "set"
    }
    fn short(&self) -> &'static str {
        "Set specific features on objects"
    }
    fn long(&self) -> &'static str {
        "Change a feature of objects that are there: images, environments, resources, selectors, accounts, subjects."
    }
    fn usage(&self) -> &'static str {
        "SUBCOMMAND"
    }
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        VERBS
    }
    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}
