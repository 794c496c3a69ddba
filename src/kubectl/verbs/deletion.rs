//! Deleting objects and waiting until they are gone: the work of `delete`, and of `replace --force` and `run --rm`.
// Models kubectl/pkg/cmd/delete (DeleteOptions.DeleteResult).

use std::time::Duration;

use serde_json::{Value, json};

use super::watching::{Seen, Target, WEEK, until};
use super::writing::DryRun;
use crate::kubectl::client::Request;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::resources::{Info, Visited};
use crate::kubectl::session::Session;

/// How objects are deleted.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// How long they may take to end, in seconds; `None` leaves it to the object.
    pub grace_seconds: Option<i64>,
    /// `Background`, `Foreground` or `Orphan`.
    pub propagation: &'static str,
    /// Whether to wait until they are gone.
    pub wait: bool,
    /// How long to wait; zero means as long as it takes.
    pub timeout: Duration,
    /// Whether a missing object is no error.
    pub ignore_not_found: bool,
    /// Whether it is said only.
    pub dry_run: DryRun,
    /// Whether names alone are printed.
    pub names_only: bool,
    /// Whether nothing is printed.
    pub quiet: bool,
    /// Whether to warn of objects that are in no namespace.
    pub warn_cluster_scope: bool,
}

impl Deletion {
    /// Deletes what was found.
    pub async fn run(&self, session: &Session, mut found: Visited) -> Result<()> {
        if self.ignore_not_found {
            found.ignore_errors(KubectlError::is_not_found);
        }
        let (mut errors, mut deleted, mut warned) = (found.errors, vec![], false);
        let count = found.infos.len();
        for info in found.infos {
            let mapping = info.mapping()?.clone();
            if self.warn_cluster_scope && !mapping.namespaced && !warned {
                let text = "Warning: deleting cluster-scoped resources, not scoped to the provided namespace";
                session.err.line(text).await?;
                warned = true;
            }
            match self.one(session, &info, &mapping).await {
                Ok(uid) => deleted.push((info, mapping, uid)),
                Err(error) if self.ignore_not_found && error.is_not_found() => {}
                Err(error) => errors.push(error),
            }
        }
        KubectlError::aggregate(errors)?;
        if count == 0 {
            return session.out.line("No resources found").await;
        }
        if !self.wait || self.dry_run != DryRun::None {
            return Ok(());
        }
        let timeout = if self.timeout.is_zero() { WEEK } else { self.timeout };
        let deadline = session.clock.after(timeout);
        for (info, mapping, uid) in &deleted {
            let left = Duration::try_from(deadline.duration_since(session.clock.now())).unwrap_or_default();
            match gone(session, info, mapping, uid, left).await {
                Err(error) if matches!(error.reason(), "Forbidden" | "MethodNotAllowed") => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }

    /// Deletes one object, says so, and gives its UID if the server told it.
    async fn one(&self, session: &Session, info: &Info, mapping: &Mapping) -> Result<String> {
        if self.dry_run == DryRun::Client {
            self.tell(session, info, mapping).await?;
            return Ok(String::new());
        }
        let mut options = json!({"propagationPolicy": self.propagation});
        if let Some(seconds) = self.grace_seconds {
            options["gracePeriodSeconds"] = json!(seconds);
        }
        if self.dry_run == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        let request = Request::delete(info.path()?).json(&options);
        let answer = session.client().await?.json(request).await;
        let answer = answer.map_err(|error| error.while_doing("deleting", &info.source))?;
        self.tell(session, info, mapping).await?;
        let uid =
            if answer["kind"] == "Status" { &answer["details"]["uid"] } else { &answer["metadata"]["uid"] };
        Ok(uid.as_str().unwrap_or_default().to_owned())
    }

    async fn tell(&self, session: &Session, info: &Info, mapping: &Mapping) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        let kind = mapping.singular_name();
        if self.names_only {
            return session.out.line(format!("{kind}/{}", info.name)).await;
        }
        let operation = if self.grace_seconds == Some(0) { "force deleted" } else { "deleted" };
        let place =
            if mapping.namespaced { format!(" from {} namespace", info.namespace) } else { String::new() };
        let suffix = self.dry_run.suffix();
        session.out.line(format!("{kind} {:?} {operation}{place}{suffix}", info.name)).await
    }
}

/// Waits until the object with that UID is gone.
// Models kubectl/pkg/cmd/wait (IsDeleted).
pub async fn gone(
    session: &Session,
    info: &Info,
    mapping: &Mapping,
    uid: &str,
    timeout: Duration,
) -> Result<()> {
    let target = Target { mapping, namespace: &info.namespace, name: &info.name };
    let other = |object: &Value| !uid.is_empty() && object["metadata"]["uid"] != uid;
    let waiting = until(session, target, |seen| {
        Ok(match seen {
            Seen::Absent | Seen::Deleted => true,
            Seen::Present(object) => other(object),
        })
    });
    let late = || {
        KubectlError::message(format!(
            "timed out waiting for the condition on {}/{}",
            mapping.resource, info.name
        ))
    };
    session.clock.timeout(timeout, waiting).await.unwrap_or_else(|_| Err(late()))
}
