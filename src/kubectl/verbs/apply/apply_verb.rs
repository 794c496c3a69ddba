//! `kubectl apply` itself: each object is created, patched, left alone, or sent to the server to apply.
// Models kubectl/pkg/cmd/apply (apply.go).

use async_trait::async_trait;
use serde_json::Value;

use super::edit_last_applied::EditLastApplied;
use super::last_applied::{SetLastApplied, ViewLastApplied};
use super::patcher::Patcher;
use super::server_side;
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{Builder, FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::delete::{deletion, deletion_flags};
use crate::kubectl::verbs::recording::{record, record_flag};
use crate::kubectl::verbs::targets::{check_all, selector_flag};
use crate::kubectl::verbs::writing::{
    DryRun, LAST_APPLIED, WriteOptions, annotate_configuration, create_request, dry_run, dry_run_flag,
    field_manager_flag, tell, validate_flag, validation,
};

/// `kubectl apply`.
pub struct Apply;

static VERBS: &[&dyn Verb] = &[&EditLastApplied, &SetLastApplied, &ViewLastApplied];

/// The manager of client-side apply.
pub const CLIENT_SIDE: &str = "kubectl-client-side-apply";

#[async_trait]
impl Verb for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }
    fn short(&self) -> &'static str {
        "Apply a configuration to a resource by file name or stdin"
    }
    fn long(&self) -> &'static str {
        "Make objects what files say: create those that are missing, and change of the others what the files changed since they \
         were applied last. What others have set is left alone.\n\nFiles may be JSON or YAML."
    }
    fn examples(&self) -> &'static str {
        "# Apply what a file describes\nkubectl apply -f ./web.yaml\n\n# Apply what comes on standard input\ncat web.yaml | kubectl \
         apply -f -\n\n# Let the server reckon\nkubectl apply --server-side -f ./web.yaml"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | -k DIRECTORY)"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("The files that contain the configurations to apply."));
        flags.extend(deletion_flags(false));
        flags.extend([
            dry_run_flag(),
            record_flag(),
            field_manager_flag(CLIENT_SIDE),
            selector_flag(),
            validate_flag(),
            Flag::bool("all", false, "With --prune: look at all objects of the namespace."),
            Flag::string("applyset", "", "With --prune: the set that the objects belong to."),
            Flag::bool("force-conflicts", false, "With --server-side: take fields over from other managers."),
            Flag::bool(
                "openapi-patch",
                true,
                "Reckon patches by the schemas of the kinds; this kubectl always does.",
            ),
            Flag::bool("overwrite", true, "Take the file's values where others changed the same fields."),
            Flag::bool(
                "prune",
                false,
                "Delete objects that were applied before and are no longer in the files.",
            ),
            Flag::string_array("prune-allowlist", "With --prune: a kind to delete, as group/version/kind."),
            Flag::bool("server-side", false, "Let the server apply."),
            Flag::string("subresource", "", "With --server-side: the sub-resource to apply to."),
        ]);
        flags
    }
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        VERBS
    }
    fn runnable(&self) -> bool {
        true
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        if !args.is_empty() {
            let text = format!("Unexpected args: [{}]", args.join(" "));
            return Err(KubectlError::usage(&session.command_path, text));
        }
        let dry_run = dry_run(session, flags).await?;
        let files = FilenameOptions::new(flags);
        files.require()?;
        let validation = validation(flags)?;
        validate(flags, dry_run)?;
        let (namespace, enforce) = session.namespace()?;
        let builder =
            Builder::new(session).validate(validation == "Strict").continue_on_error().namespace(&namespace);
        let builder = builder.default_namespace().filenames(enforce, &files);
        let found = builder.label_selector(flags.string("selector")).flatten().visit().await?;
        let mut errors: Vec<KubectlError> = KubectlError::aggregate(found.errors).err().into_iter().collect();
        if found.infos.is_empty() && errors.is_empty() {
            return Err(KubectlError::message("no objects passed to apply"));
        }
        let run = Run { session, flags, dry_run, validation };
        for info in found.infos {
            errors.extend(run.one(info).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

fn validate(flags: &Flags, dry_run: DryRun) -> Result<()> {
    let (server_side, force) = (flags.bool("server-side"), flags.bool("force"));
    let problem = if flags.bool("force-conflicts") && !server_side {
        "--force-conflicts only works with --server-side"
    } else if dry_run == DryRun::Client && server_side {
        "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)"
    } else if server_side && force {
        "--force cannot be used with --server-side"
    } else if dry_run == DryRun::Server && force {
        "--dry-run=server cannot be used with --force"
    } else if !flags.string("subresource").is_empty() && !server_side {
        "--subresource can only be specified for --server-side"
    } else if !flags.string("applyset").is_empty() && !flags.bool("prune") {
        "--applyset requires --prune"
    } else if flags.bool("prune") {
        "--prune is not supported by this kubectl: delete what is no longer in the files with kubectl delete"
    } else {
        return check_all(flags);
    };
    Err(KubectlError::message(problem))
}

/// One call of apply.
pub(super) struct Run<'a> {
    pub session: &'a Session,
    pub flags: &'a Flags,
    pub dry_run: DryRun,
    pub validation: &'static str,
}

impl Run<'_> {
    async fn one(&self, mut info: Info) -> Result<()> {
        record(self.session, &mut info.object);
        if info.name.is_empty()
            && let Some(prefix) =
                info.object["metadata"]["generateName"].as_str().filter(|prefix| !prefix.is_empty())
        {
            return Err(KubectlError::message(format!("from {prefix}: cannot use generate name with apply")));
        }
        if self.flags.bool("server-side") {
            return server_side::apply(self, info).await;
        }
        let mut modified = info.object.clone();
        annotate_configuration(&mut modified);
        let client = self.session.client().await?;
        let current = match info.name.as_str() {
            "" => Err(KubectlError::message("resource name may not be empty")),
            _ => client.json(Request::get(info.path()?)).await,
        };
        match current {
            Ok(current) => self.change(info, current, &modified).await,
            Err(error) if error.is_not_found() => {
                info.object = modified;
                prune_nulls(&mut info.object);
                self.create(info).await
            }
            Err(error) => {
                let what =
                    format!("retrieving current configuration of:\n{}\nfrom server for:", describe(&info));
                Err(while_doing(error, &what, &info.source))
            }
        }
    }

    async fn create(&self, mut info: Info) -> Result<()> {
        if self.dry_run != DryRun::Client {
            let path = info.mapping()?.path(&info.namespace, "", "");
            let request = create_request(path, &info.object, &self.options());
            let created = self.session.client().await?.json(request).await;
            info.refresh(created.map_err(|error| error.while_doing("creating", &info.source))?);
        }
        tell(self.session, self.flags, &info.object, "created", self.dry_run).await
    }

    async fn change(&self, mut info: Info, current: Value, modified: &Value) -> Result<()> {
        if !current["metadata"]["annotations"][LAST_APPLIED].is_string() {
            let resource = &info.mapping()?.resource;
            let text = format!(
                "Warning: resource {resource}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. \
                 kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or \
                 kubectl apply. The missing annotation will be patched automatically.",
                info.name
            );
            self.session.err.line(text).await?;
        }
        let patcher =
            Patcher { run: self, info: &info, modified, deletion: deletion(self.session, self.flags).await? };
        let (patch, object) = patcher.patch(current).await.map_err(|(patch, error)| {
            let what = format!("applying patch:\n{patch}\nto:\n{}\nfor:", describe(&info));
            while_doing(error, &what, &info.source)
        })?;
        info.refresh(object);
        warn_if_deleting(self.session, &info).await?;
        let operation = if patch == "{}" { "unchanged" } else { "configured" };
        tell(self.session, self.flags, &info.object, operation, self.dry_run).await
    }

    /// The parameters of writes.
    pub fn options(&self) -> WriteOptions<'_> {
        WriteOptions {
            dry_run: self.dry_run,
            field_manager: self.flags.string("field-manager"),
            validation: self.validation,
        }
    }
}

/// An object in the words of apply's errors.
// Models resource.Info.String.
fn describe(info: &Info) -> String {
    let mapping = info.mapping.as_deref();
    let (group_version, resource, kind) = mapping.map_or_else(Default::default, |mapping| {
        let version = format!("{}/{}", mapping.group, mapping.version);
        (version, mapping.resource.clone(), mapping.kind.clone())
    });
    format!(
        "Resource: \"{group_version}, Resource={resource}\", GroupVersionKind: \"{group_version}, Kind={kind}\"\nName: {:?}, \
         Namespace: {:?}",
        info.name, info.namespace
    )
}

/// What was being done stands in front of the error, as apply words it.
fn while_doing(error: KubectlError, what: &str, source: &str) -> KubectlError {
    error.while_doing(what, source)
}

/// Warns of changes to what is going away.
pub async fn warn_if_deleting(session: &Session, info: &Info) -> Result<()> {
    if !info.object["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let text =
        format!("Warning: Detected changes to resource {} which is currently being deleted.", info.name);
    session.err.line(text).await
}

/// Takes nulls out: a patch would, so a creation does.
fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nulls_are_taken_out() {
        let mut value = json!({"a": null, "b": [{"c": null, "d": 1}, null]});
        prune_nulls(&mut value);
        assert_eq!(value, json!({"b": [{"d": 1}, null]}));
    }
}
