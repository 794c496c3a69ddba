//! `kubectl replace`.
// Models kubectl/pkg/cmd/replace.

use std::time::Duration;

use async_trait::async_trait;

use super::delete::{deletion, deletion_flags};
use super::deletion::gone;
use super::writing::{
    DryRun, WriteOptions, create_request, dry_run, dry_run_flag, field_manager_flag, save_config_flag,
    save_configuration, tell, validate_flag, validation,
};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{Builder, FilenameOptions, Info, Visited};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record, record_flag};

/// `kubectl replace`.
pub struct Replace;

/// How long a forced replacement waits for the old object to go, if not told.
const FORCE_TIMEOUT: Duration = Duration::from_secs(300);

#[async_trait]
impl Verb for Replace {
    fn name(&self) -> &'static str {
        "replace"
    }
    fn short(&self) -> &'static str {
        "Replace a resource by file name or stdin"
    }
    fn long(&self) -> &'static str {
        "Put an object in the place of the one that is there. The file must hold the whole object: what it leaves out is taken \
         away.\n\n--force deletes the old object and creates the new one."
    }
    fn examples(&self) -> &'static str {
        "# Replace what a file describes\nkubectl replace -f ./pod.yaml\n\n# Delete it and create it again\nkubectl replace \
         --force -f ./pod.yaml"
    }
    fn usage(&self) -> &'static str {
        "-f FILENAME"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("The files that contain the configurations to replace."));
        flags.extend(deletion_flags(false));
        flags.extend([
            dry_run_flag(),
            field_manager_flag("kubectl-replace"),
            save_config_flag(),
            record_flag(),
            validate_flag(),
            Flag::string("raw", "", "A path of the server to PUT the file to as it is."),
            Flag::string("subresource", "", "The sub-resource to replace, like status or scale."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let validation = validation(flags)?;
        let files = FilenameOptions::new(flags);
        files.require()?;
        validate(flags, dry_run)?;
        if !flags.string("raw").is_empty() {
            return raw(session, flags, &files).await;
        }
        let options = WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation };
        if flags.bool("force") {
            return force(session, flags, args, &options).await;
        }
        let found = find(session, flags, &[], true).await?;
        let mut errors = found.errors;
        for mut info in found.infos {
            save_configuration(&mut info.object, flags.bool("save-config"));
            record(session, &mut info.object);
            if dry_run != DryRun::Client {
                match put(session, &info, &options).await {
                    Ok(object) => info.refresh(object),
                    Err(error) => {
                        errors.push(error.while_doing("replacing", &info.source));
                        continue;
                    }
                }
            }
            tell(session, flags, &info.object, "replaced", dry_run).await?;
        }
        KubectlError::aggregate(errors)
    }
}

fn validate(flags: &Flags, dry_run: DryRun) -> Result<()> {
    let problem = if flags.int("grace-period") >= 0 && !flags.bool("force") {
        "--grace-period must have --force specified"
    } else if flags.duration("timeout").is_some_and(|timeout| !timeout.is_zero()) && !flags.bool("force") {
        "--timeout must have --force specified"
    } else if flags.bool("force") && dry_run != DryRun::None {
        "--dry-run can not be used when --force is set"
    } else {
        return Ok(());
    };
    Err(KubectlError::message(problem))
}

async fn find(session: &Session, flags: &Flags, args: &[String], require_object: bool) -> Result<Visited> {
    let (namespace, enforce) = session.namespace()?;
    let strict = flags.string("validate") != "false" && flags.string("validate") != "ignore";
    let builder =
        Builder::new(session).validate(strict).continue_on_error().namespace(&namespace).default_namespace();
    let builder =
        builder.filenames(enforce, &FilenameOptions::new(flags)).subresource(flags.string("subresource"));
    builder.resource_type_or_name_args(false, args).require_object(require_object).flatten().visit().await
}

/// Without a resourceVersion of its own, the object takes the one that is there.
// Models resource.Helper.Replace with overwrite.
async fn put(session: &Session, info: &Info, options: &WriteOptions<'_>) -> Result<serde_json::Value> {
    let client = session.client().await?;
    let path = info.path()?;
    let mut object = info.object.clone();
    if info.resource_version().is_empty()
        && let Ok(current) = client.json(Request::get(path.as_str())).await
    {
        object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
    }
    client.json(options.on(Request::put(path)).json(&object)).await
}

async fn force(session: &Session, flags: &Flags, args: &[String], options: &WriteOptions<'_>) -> Result<()> {
    let mut deletion = deletion(session, flags).await?;
    deletion.ignore_not_found = true;
    if deletion.grace_seconds == Some(0) {
        // --force is about replacing here: the old object goes as it always does, or within the second that was asked for.
        let at_once = flags.int("grace-period") == 0;
        deletion.grace_seconds = at_once.then_some(1);
        deletion.wait |= at_once;
    }
    deletion.names_only = flags.string("output") == "name";
    let found = find(session, flags, args, false).await?;
    KubectlError::aggregate(found.errors)?;
    let infos = found.infos;
    let again = Visited { infos: infos.clone(), ..Visited::default() };
    deletion.run(session, again).await?;
    let timeout = if deletion.timeout.is_zero() { FORCE_TIMEOUT } else { deletion.timeout };
    for info in &infos {
        gone(session, info, info.mapping()?, "", timeout).await?;
    }
    if infos.is_empty() {
        return Err(KubectlError::message("no objects passed to replace"));
    }
    for mut info in infos {
        save_configuration(&mut info.object, flags.bool("save-config"));
        record(session, &mut info.object);
        let path = info.mapping()?.path(&info.namespace, "", "");
        let request = create_request(path, &info.object, options);
        info.refresh(session.client().await?.json(request).await?);
        tell(session, flags, &info.object, "replaced", DryRun::None).await?;
    }
    Ok(())
}

async fn raw(session: &Session, flags: &Flags, files: &FilenameOptions) -> Result<()> {
    let [file] = &files.filenames[..] else {
        return Err(KubectlError::message("--raw can only use a single local file or stdin"));
    };
    let content = if file == "-" { session.read_stdin().await? } else { session.read_file(file).await? };
    let request = Request::put(flags.string("raw")).body("application/json", content);
    let answer = session.client().await?.bytes(request).await?;
    session.out.write(answer).await
}
