//! `kubectl edit`: objects in an editor, and back.
// Models kubectl/pkg/cmd/edit and kubectl/pkg/cmd/util/editor (editoptions.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::patching::{MERGE_PATCH, Patch, send};
use super::writing::{
    DryRun, LAST_APPLIED, WriteOptions, annotate_configuration, field_manager_flag, go_json,
    save_config_flag, tell, validate_flag, validation,
};
use crate::kubectl::command::Verb;
use crate::kubectl::editor::{EditRequest, EditTerminal};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::{json::pretty, print_flags};
use crate::kubectl::resources::{Builder, FilenameOptions, Info, decode_documents, is_list, list_items};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record, record_flag};
use crate::yaml;

/// `kubectl edit`.
pub struct Edit;

/// What is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Objects as they are.
    Objects,
    /// What was applied last.
    LastApplied,
}

const HEADER: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will \
                      abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant \
                      failures.\n#\n";
const LAST_APPLIED_HEADER: &str = "# Please edit the 'last-applied-configuration' annotations below.\n# Lines beginning with a \
                                   '#' will be ignored, and an empty file will abort the edit.\n#\n";

#[async_trait]
impl Verb for Edit {
    fn name(&self) -> &'static str {
        "edit"
    }
    fn short(&self) -> &'static str {
        "Edit a resource on the server"
    }
    fn long(&self) -> &'static str {
        "Open objects in the editor that KUBE_EDITOR or EDITOR names, vi if neither does, and send what was changed.\n\nIf the \
         server refuses, the file is opened again with the reasons at its head."
    }
    fn examples(&self) -> &'static str {
        "# Edit a service\nkubectl edit svc/web\n\n# With another editor\nKUBE_EDITOR=\"nano\" kubectl edit svc/web"
    }
    fn usage(&self) -> &'static str {
        "(RESOURCE/NAME | -f FILENAME)"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = flags("kubectl-edit");
        flags.extend([
            save_config_flag(),
            Flag::bool("output-patch", false, "Show the patch that was sent."),
            Flag::string("subresource", "", "The sub-resource to edit, like status."),
        ]);
        flags
    }
    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        run(session, flags, args, Mode::Objects).await
    }
}

/// The flags of verbs that open an editor.
pub fn flags(manager: &str) -> Vec<Flag> {
    let mut flags = print_flags();
    flags.extend(FilenameOptions::flags("to use to edit the resource"));
    flags.extend([
        field_manager_flag(manager),
        record_flag(),
        validate_flag(),
        Flag::bool("windows-line-endings", false, "End lines as Windows does."),
    ]);
    flags
}

/// Edits what arguments and flags mean.
pub async fn run(session: &Session, flags: &Flags, args: &[String], mode: Mode) -> Result<()> {
    let (namespace, enforce) = session.namespace()?;
    let builder = Builder::new(session).continue_on_error().resource_type_or_name_args(true, args).latest();
    let builder =
        builder.namespace(&namespace).default_namespace().filenames(enforce, &FilenameOptions::new(flags));
    let mut infos = builder.subresource(flags.string("subresource")).flatten().visit().await?.into_infos()?;
    if mode == Mode::LastApplied {
        infos.retain_mut(|info| {
            let text = info.object["metadata"]["annotations"][LAST_APPLIED].as_str();
            let kept = text.and_then(|text| serde_json::from_str(text).ok());
            kept.map(|object| info.object = object).is_some()
        });
        if infos.is_empty() {
            let text = "no last-applied-configuration annotation found on resources, to create the annotation, use command \
                        `kubectl apply set-last-applied --create-annotation`";
            return Err(KubectlError::message(text));
        }
    }
    if infos.is_empty() {
        return Err(KubectlError::message("edit cancelled, no objects found"));
    }
    let editing = Editing { session, flags, mode, infos, namespace };
    editing.run().await
}

struct Editing<'a> {
    session: &'a Session,
    flags: &'a Flags,
    mode: Mode,
    infos: Vec<Info>,
    namespace: String,
}

/// How sending went.
#[derive(Default)]
struct Outcome {
    /// What goes to the head of the file when it is opened again.
    reasons: Vec<String>,
    /// Objects that are gone.
    missing: usize,
    /// Objects that could not be changed for a reason that may pass.
    retryable: usize,
}

impl Editing<'_> {
    async fn run(&self) -> Result<()> {
        let original = self.print();
        let (mut content, mut reasons) = (original.clone(), vec![]);
        let mut last: Option<(String, String)> = None;
        loop {
            let opened = format!("{}{content}", self.header(&reasons));
            let path = self.temporary();
            let edited = match self.launch(&path, &opened).await {
                Ok(edited) => edited,
                Err(error) => {
                    return self.preserved(last.as_ref().map(|(path, _)| path.as_str()), error).await;
                }
            };
            if let Some((old, before)) = &last {
                if strip(before) == strip(&edited) {
                    let error = KubectlError::message("Edit cancelled, no valid changes were saved.");
                    return self.preserved(Some(&path), error).await;
                }
                self.remove(old).await;
            }
            if let Some(text) = self.invalid(&edited)? {
                reasons = vec![self.invalid_file(&text).await?];
                content = without_comments(&edited);
                last = Some((path, edited));
                continue;
            }
            if strip(&original) == strip(&edited) {
                self.remove(&path).await;
                return self.session.err.line("Edit cancelled, no changes made.").await;
            }
            if strip(&edited).trim().is_empty() {
                self.remove(&path).await;
                return self.session.err.line("Edit cancelled, saved file was empty.").await;
            }
            match self.parse(&edited) {
                Err(text) => {
                    let text =
                        format!("The edited file had a syntax error: error parsing edited-file: {text}");
                    reasons = vec![format!("# {}\n#\n", hashed(&text))];
                }
                Ok(objects) => {
                    let outcome = match self.send(objects).await {
                        Ok(outcome) => outcome,
                        Err(error) => return self.preserved(Some(&path), error).await,
                    };
                    if outcome.retryable > 0 {
                        let text =
                            format!("You can run `kubectl replace -f {path}` to try this update again.");
                        self.session.err.line(text).await?;
                        return Err(KubectlError::Exit(1));
                    }
                    if outcome.missing > 0 {
                        let text =
                            format!("The edits you made on deleted resources have been saved to {path:?}");
                        self.session.err.line(text).await?;
                        return Err(KubectlError::Exit(1));
                    }
                    if outcome.reasons.is_empty() {
                        self.remove(&path).await;
                        return Ok(());
                    }
                    reasons = outcome.reasons;
                }
            }
            content = without_comments(&edited);
            last = Some((path, edited));
        }
    }

    /// What stands at the head of the file. JSON has no comments.
    fn header(&self, reasons: &[String]) -> String {
        if self.flags.string("output") == "json" {
            return String::new();
        }
        let head = if self.mode == Mode::LastApplied { LAST_APPLIED_HEADER } else { HEADER };
        format!("{head}{}", reasons.concat())
    }

    fn print(&self) -> String {
        let mut objects: Vec<Value> = self.infos.iter().map(|info| info.object.clone()).collect();
        for object in &mut objects {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
        }
        let printed = match objects.len() {
            1 => objects.remove(0),
            _ => json!({"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {}}),
        };
        match self.flags.string("output") {
            "json" => format!("{}\n", pretty(&printed, "    ")),
            _ => yaml::to_string(&printed),
        }
    }

    fn temporary(&self) -> String {
        let extension = if self.flags.string("output") == "json" { "json" } else { "yaml" };
        let number = self.session.seed.below(4_000_000_000);
        format!("/tmp/kubectl-edit-{number}.{extension}")
    }

    async fn launch(&self, path: &str, content: &str) -> Result<String> {
        let session = self.session;
        let wrong = |error: crate::bash::FilesError| KubectlError::message(format!("open {path}: {error}"));
        // A file system without /tmp gets one; with one, nothing happens.
        let _ = session.files.make_directory("/tmp").await;
        session.files.write(path, content.as_bytes()).await.map_err(wrong)?;
        let command = session.variable("KUBE_EDITOR").or_else(|| session.variable("EDITOR")).unwrap_or("vi");
        let mut stdin = session.lend_stdin().await;
        let terminal = session.terminal.clone().filter(|_| session.stdin_is_terminal);
        let terminal = terminal.zip(stdin.as_deref_mut()).map(|(terminal, stdin)| EditTerminal {
            stdin,
            stdout: session.out.writer(),
            terminal,
        });
        let (files, env, cwd) = (session.files.clone(), &session.env, session.cwd.as_str());
        let request = EditRequest { command, path, files, env, cwd, terminal };
        session.editor.edit(request).await.map_err(KubectlError::message)?;
        let edited = session.files.read(path).await.map_err(wrong)?;
        Ok(String::from_utf8_lossy(&edited).into_owned())
    }

    async fn remove(&self, path: &str) {
        // What is left of a temporary file harms nobody.
        let _ = self.session.files.remove(path).await;
    }

    /// Tells where the changes are kept, and fails.
    async fn preserved(&self, path: Option<&str>, error: KubectlError) -> Result<()> {
        if let Some(path) = path
            && self.session.files.metadata(path).await.is_ok()
        {
            self.session.err.line(format!("A copy of your changes has been stored to {path:?}")).await?;
        }
        Err(error)
    }

    /// Why the edited file is no object, if it is none and --validate asks.
    // Models paramVerifyingSchema.ValidateBytes.
    fn invalid(&self, edited: &str) -> Result<Option<String>> {
        if validation(self.flags)? == "Ignore" {
            return Ok(None);
        }
        Ok(match yaml::to_json(&without_comments(edited)) {
            Err(text) => Some(text),
            Ok(Value::Null) => Some("invalid object to validate".to_owned()),
            Ok(object) => ["apiVersion", "kind"]
                .iter()
                .find(|field| object[**field].as_str().unwrap_or_default().is_empty())
                .map(|field| format!("{field} not set")),
        })
    }

    /// The objects in the edited file.
    fn parse(&self, edited: &str) -> std::result::Result<Vec<Value>, String> {
        let (documents, error) = decode_documents(edited);
        if let Some(error) = error {
            return Err(error);
        }
        let flatten =
            |document: Value| if is_list(&document) { list_items(document) } else { vec![document] };
        Ok(documents.into_iter().flat_map(flatten).collect())
    }

    /// Tells of a file that is no object, and gives the reason for the file's head.
    async fn invalid_file(&self, text: &str) -> Result<String> {
        let (resource, name) = self.first();
        self.session.err.line(format!("error: {resource} {name:?} is invalid")).await?;
        let cause = format!("<nil>: Invalid value: \"The edited file failed validation\": {text}");
        Ok(format!("# {resource} {name:?} was not valid:\n# * {}\n#\n", hashed(&cause)))
    }

    fn first(&self) -> (String, String) {
        let info = self.infos.first();
        let resource = info.and_then(|info| info.mapping.as_ref()).map(|mapping| mapping.group_resource());
        (resource.unwrap_or_default(), info.map(|info| info.name.clone()).unwrap_or_default())
    }

    async fn send(&self, objects: Vec<Value>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        for mut object in objects {
            let uid = object["metadata"]["uid"].clone();
            let original = self.infos.iter().find(|info| info.object["metadata"]["uid"] == uid);
            let Some(info) = original else {
                return Err(KubectlError::message(format!(
                    "no original object found for {}",
                    go_json(&object)
                )));
            };
            if let Some(namespace) =
                object["metadata"]["namespace"].as_str().filter(|namespace| *namespace != info.namespace)
            {
                let text = format!(
                    "the namespace from the provided object {namespace:?} does not match the namespace {:?}. You must pass \
                     '--namespace={namespace}' to perform this operation.",
                    self.namespace
                );
                return Err(KubectlError::message(text));
            }
            let before = without_managed_fields(&info.object);
            if self.flags.knows("save-config") && self.flags.bool("save-config") {
                annotate_configuration(&mut object);
            }
            record(self.session, &mut object);
            if before == object {
                tell(self.session, self.flags, &object, "skipped", DryRun::None).await?;
                continue;
            }
            let patch = self.patch(info, &before, &object)?;
            if self.flags.knows("output-patch") && self.flags.bool("output-patch") {
                self.session.out.line(format!("Patch: {}", go_json(&patch.body))).await?;
            }
            let options = WriteOptions {
                dry_run: DryRun::None,
                field_manager: self.flags.string("field-manager"),
                validation: validation(self.flags)?,
            };
            match send(self.session, info, &patch, &options).await {
                Ok(patched) => {
                    let shown = if self.mode == Mode::LastApplied { &object } else { &patched };
                    tell(self.session, self.flags, shown, "edited", DryRun::None).await?;
                }
                Err(error) if self.mode == Mode::LastApplied => return Err(error),
                Err(error) => self.refused(&mut outcome, info, &error).await?,
            }
        }
        Ok(outcome)
    }

    fn patch(&self, info: &Info, before: &Value, after: &Value) -> Result<Patch> {
        if self.mode == Mode::LastApplied {
            let text = format!("{}\n", go_json(after));
            let body = json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
            return Ok(Patch { media_type: MERGE_PATCH, body });
        }
        let patch = Patch::between(info.mapping()?, before, after)?;
        let renamed = patch.body["metadata"].get("name").is_some();
        if renamed || ["apiVersion", "kind"].iter().any(|field| patch.body.get(field).is_some()) {
            return Err(KubectlError::message("At least one of apiVersion, kind and name was changed"));
        }
        Ok(patch)
    }

    /// Sorts a refusal: what is invalid is edited again, what is gone or may pass is kept in the file.
    // Models editResults.addError.
    async fn refused(&self, outcome: &mut Outcome, info: &Info, error: &KubectlError) -> Result<()> {
        let resource = info.mapping()?.group_resource();
        let name = &info.name;
        let line = match error.reason() {
            "Invalid" => {
                outcome.reasons.push(reason(&format!("{resource} {name:?} was not valid"), error));
                format!("error: {resource} {name:?} is invalid")
            }
            "NotFound" => {
                outcome.missing += 1;
                format!("error: {resource} {name:?} could not be found on the server")
            }
            _ => {
                outcome.retryable += 1;
                format!("error: {resource} {name:?} could not be patched: {error}")
            }
        };
        self.session.err.line(line).await
    }
}

fn without_managed_fields(object: &Value) -> Value {
    let mut bare = object.clone();
    if let Some(metadata) = bare["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    bare
}

/// A reason as comment lines, with the server's causes.
fn reason(head: &str, error: &KubectlError) -> String {
    let KubectlError::Status(status) = error else { return format!("# {}\n#\n", hashed(head)) };
    let causes = status.details.as_ref().and_then(|details| details.causes.as_deref()).unwrap_or_default();
    if causes.is_empty() {
        return format!("# {}\n#\n", hashed(head));
    }
    let cause = |cause: &k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause| {
        let text = format!(
            "{}: {}",
            cause.field.as_deref().unwrap_or_default(),
            cause.message.as_deref().unwrap_or_default()
        );
        format!("# * {}\n", hashed(&text))
    };
    format!("# {}:\n{}#\n", hashed(head), causes.iter().map(cause).collect::<String>())
}

/// Later lines of a comment get their mark, too.
fn hashed(text: &str) -> String {
    text.replace('\n', "\n# ")
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect()
}

/// What counts of a file when it is compared: no comments, no blank lines at its end.
fn strip(text: &str) -> String {
    without_comments(text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_do_not_count() {
        assert_eq!(strip("# a\nkind: X\n  # b\n\n"), "kind: X");
        assert_eq!(hashed("a\nb"), "a\n# b");
    }
}
