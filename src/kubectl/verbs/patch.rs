//! `kubectl patch`.
// Models kubectl/pkg/cmd/patch.

use async_trait::async_trait;
use serde_json::Value;

use super::overrides::json_patch;
use super::patching::{JSON_PATCH, MERGE_PATCH, Patch, STRATEGIC_PATCH, send};
use super::targets::{check_local, local_flag};
use super::writing::{DryRun, WriteOptions, dry_run, dry_run_flag, field_manager_flag, go_json, tell};
use crate::api::patch::PatchError;
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{Builder, FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record_flag, record_patch};
use crate::yaml;

/// `kubectl patch`.
pub struct PatchVerb;

#[async_trait]
impl Verb for PatchVerb {
    fn name(&self) -> &'static str {
        "patch"
    }
    fn short(&self) -> &'static str {
        "Update fields of a resource"
    }
    fn long(&self) -> &'static str {
        "Change fields of an object with a strategic merge patch, a JSON merge patch, or a JSON patch. Patches may be written in \
         JSON or YAML."
    }
    fn examples(&self) -> &'static str {
        "# Make a node unschedulable\nkubectl patch node minikube -p '{\"spec\":{\"unschedulable\":true}}'\n\n# Change an image \
         with a JSON patch\nkubectl patch pod web --type='json' -p='[{\"op\": \"replace\", \"path\": \
         \"/spec/containers/0/image\", \"value\":\"new image\"}]'"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("identifying the resource to update"));
        flags.extend([
            dry_run_flag(),
            record_flag(),
            field_manager_flag("kubectl-patch"),
            local_flag(),
            Flag::string("patch", "", "The patch.").short('p'),
            Flag::string("patch-file", "", "A file with the patch."),
            Flag::string("subresource", "", "The sub-resource to patch, like status or scale."),
            Flag::string("type", "strategic", "What the patch is: json, merge or strategic."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let media_type = validate(flags, args, dry_run)?;
        let text = text(session, flags).await?;
        // What is no JSON is the server's to refuse.
        let patch = serde_json::from_str(&text).ok().map(|body| Patch { media_type, body });
        let (namespace, enforce) = session.namespace()?;
        let builder =
            Builder::new(session).continue_on_error().local(flags.bool("local")).namespace(&namespace);
        let builder = builder.default_namespace().filenames(enforce, &FilenameOptions::new(flags));
        let builder =
            builder.subresource(flags.string("subresource")).resource_type_or_name_args(false, args);
        let found = builder.flatten().visit().await?;
        if found.errors.is_empty() && found.infos.is_empty() {
            return Err(KubectlError::message("no objects passed to patch"));
        }
        let mut errors = found.errors;
        for info in &found.infos {
            let patched = if flags.bool("local") || dry_run == DryRun::Client {
                here(info, patch.as_ref()).map(|object| (object == info.object, object))
            } else {
                let options =
                    WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation: "" };
                let request = options.on(Request::patch(info.path()?)).body(media_type, text.clone());
                match session.client().await?.json(request).await {
                    Ok(object) => {
                        Ok((object == info.object, keep_cause(session, info, object, &options).await))
                    }
                    Err(error) => Err(error),
                }
            };
            match patched {
                Ok((same, object)) => {
                    let operation = if same { "patched (no change)" } else { "patched" };
                    tell(session, flags, &object, operation, dry_run).await?;
                }
                Err(error) => errors.push(error),
            }
        }
        KubectlError::aggregate(errors)
    }
}

/// Keeps the command line in the object, if that was asked for. kubectl goes on without a word where it cannot.
async fn keep_cause(session: &Session, info: &Info, patched: Value, options: &WriteOptions<'_>) -> Value {
    let Some(body) = record_patch(session, &patched) else { return patched };
    send(session, info, &Patch { media_type: MERGE_PATCH, body }, options).await.unwrap_or(patched)
}

fn validate(flags: &Flags, args: &[String], dry_run: DryRun) -> Result<&'static str> {
    let (patch, file) = (flags.string("patch"), flags.string("patch-file"));
    if !patch.is_empty() && !file.is_empty() {
        return Err(KubectlError::message("cannot specify --patch and --patch-file together"));
    }
    if patch.is_empty() && file.is_empty() {
        return Err(KubectlError::message(
            "must specify --patch or --patch-file containing the contents of the patch",
        ));
    }
    if flags.bool("local") && !args.is_empty() {
        return Err(KubectlError::message("cannot specify --local and server resources"));
    }
    check_local(flags, dry_run == DryRun::Server)?;
    match flags.string("type").to_lowercase().as_str() {
        "json" => Ok(JSON_PATCH),
        "merge" => Ok(MERGE_PATCH),
        "strategic" | "" => Ok(STRATEGIC_PATCH),
        _ => {
            let text =
                format!("--type must be one of [json merge strategic], not {:?}", flags.string("type"));
            Err(KubectlError::message(text))
        }
    }
}

/// The patch as JSON. What begins like JSON is taken for it.
// Models apimachinery/pkg/util/yaml (ToJSON).
async fn text(session: &Session, flags: &Flags) -> Result<String> {
    let (patch, file) = (flags.string("patch"), flags.string("patch-file"));
    let text = if file.is_empty() {
        patch.to_owned()
    } else {
        let unable =
            |error: KubectlError| KubectlError::message(format!("unable to read patch file: {error}"));
        String::from_utf8_lossy(&session.read_file(file).await.map_err(unable)?).into_owned()
    };
    if text.trim_start().starts_with('{') {
        return Ok(text);
    }
    let unparsable = |error| KubectlError::message(format!("unable to parse {patch:?}: {error}"));
    Ok(go_json(&yaml::to_json(&text).map_err(unparsable)?))
}

fn here(info: &Info, patch: Option<&Patch>) -> Result<Value> {
    let patch = patch.ok_or(PatchError::BadJsonDoc)?;
    if patch.media_type == JSON_PATCH {
        return json_patch(info.object.clone(), &patch.body);
    }
    patch.apply_locally(info.mapping()?, &info.object)
}
