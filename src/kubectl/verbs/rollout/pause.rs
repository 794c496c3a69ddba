//! `kubectl rollout pause`, `resume` and `restart`: a small patch each.
// Models kubectl/pkg/cmd/rollout (rollout_pause.go, rollout_resume.go, rollout_restart.go) and
// kubectl/pkg/polymorphichelpers (objectpauser.go, objectresumer.go, objectrestarter.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::group::{finding_flags, found};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::Info;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::patching::{Patch, send};
use crate::kubectl::verbs::writing::{DryRun, WriteOptions, field_manager_flag, tell};
use crate::meta::age;

/// What a verb does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Pause,
    Resume,
    Restart,
}

/// One of the verbs.
pub struct Touch {
    change: Change,
    name: &'static str,
    short: &'static str,
    done: &'static str,
}

/// `kubectl rollout pause`.
pub static PAUSE: Touch = Touch {
    change: Change::Pause,
    name: "pause",
    short: "Mark the provided resource as paused",
    done: "paused",
};
/// `kubectl rollout resume`.
pub static RESUME: Touch =
    Touch { change: Change::Resume, name: "resume", short: "Resume a paused resource", done: "resumed" };
/// `kubectl rollout restart`.
pub static RESTART: Touch =
    Touch { change: Change::Restart, name: "restart", short: "Restart a resource", done: "restarted" };

const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

#[async_trait]
impl Verb for Touch {
    fn name(&self) -> &'static str {
        self.name
    }
    fn short(&self) -> &'static str {
        self.short
    }
    fn usage(&self) -> &'static str {
        "RESOURCE"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(finding_flags());
        flags.push(field_manager_flag("kubectl-rollout"));
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let found = found(session, flags, args).await?;
        if found.infos.is_empty() && found.errors.is_empty() {
            let (namespace, _) = session.namespace()?;
            return session.err.line(format!("No resources found in {namespace} namespace.")).await;
        }
        let mut errors = found.errors;
        for info in found.infos {
            errors.extend(self.one(session, flags, info).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

impl Touch {
    async fn one(&self, session: &Session, flags: &Flags, mut info: Info) -> Result<()> {
        let mapping = info.mapping()?.clone();
        let now = age::rfc3339(session.clock.now());
        let named = |why: &str| {
            KubectlError::message(format!("error: {} {:?} {why}", mapping.group_resource(), info.name))
        };
        let after = self.changed(&info.object, &now).map_err(named)?;
        let patch = Patch::between(&mapping, &info.object, &after)?;
        if patch.is_empty() {
            let why = "if restart has already been triggered within the past second, please wait before attempting to trigger \
                       another";
            return Err(KubectlError::message(format!("failed to create patch for {}: {why}", info.name)));
        }
        let options = WriteOptions {
            dry_run: DryRun::None,
            field_manager: flags.string("field-manager"),
            validation: "",
        };
        let failed = |error: KubectlError| KubectlError::message(format!("failed to patch: {error}"));
        let patched = send(session, &info, &patch, &options).await.map_err(failed)?;
        info.refresh(patched);
        tell(session, flags, &info.object, self.done, DryRun::None).await
    }

    /// The object after the change, or why it cannot be made.
    fn changed(&self, object: &Value, now: &str) -> std::result::Result<Value, &'static str> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let (deployment, paused) = (kind == "Deployment", object["spec"]["paused"] == json!(true));
        let mut after = object.clone();
        match self.change {
            Change::Pause if !deployment => return Err("pausing is not supported"),
            Change::Resume if !deployment => return Err("resuming is not supported"),
            Change::Pause if paused => return Err("is already paused"),
            Change::Resume if !paused => return Err("is not paused"),
            Change::Pause => after["spec"]["paused"] = json!(true),
            Change::Resume => {
                if let Some(spec) = after["spec"].as_object_mut() {
                    spec.remove("paused");
                }
            }
            Change::Restart if !["Deployment", "DaemonSet", "StatefulSet"].contains(&kind) => {
                return Err("restarting is not supported");
            }
            Change::Restart if deployment && paused => {
                return Err("can't restart paused deployment (run rollout resume first)");
            }
            Change::Restart => {
                let metadata = &mut after["spec"]["template"]["metadata"];
                if !metadata["annotations"].is_object() {
                    metadata["annotations"] = json!({});
                }
                metadata["annotations"][RESTARTED_AT] = json!(now);
            }
        }
        Ok(after)
    }
}
