//! `kubectl delete`.
// Models kubectl/pkg/cmd/delete.

use async_trait::async_trait;

use super::deletion::Deletion;
use super::targets::{all_flag, all_namespaces_flag, field_selector_flag, selector_flag};
use super::writing::{dry_run, dry_run_flag};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{Builder, FilenameOptions, Info, Visited};
use crate::kubectl::session::Session;

/// `kubectl delete`.
pub struct Delete;

#[async_trait]
impl Verb for Delete {
    fn name(&self) -> &'static str {
        "delete"
    }
    fn suggest_for(&self) -> &'static [&'static str] {
        &["rm", "remove"]
    }
    fn short(&self) -> &'static str {
        "Delete resources by file names, stdin, resources and names, or by resources and label selector"
    }
    fn long(&self) -> &'static str {
        "Delete objects by files, standard input, names, labels, or all of a type.\n\nPods get time to end. --now gives them a \
         second; --grace-period=0 --force takes them out of the API at once, whether or not they have ended.\n\nNothing checks \
         whether somebody changed the object in the meantime."
    }
    fn examples(&self) -> &'static str {
        "# Delete what a file describes\nkubectl delete -f ./pod.yaml\n\n# Delete pods and services of the same names\nkubectl \
         delete pod,service baz foo\n\n# Delete by label\nkubectl delete pods,services -l name=myLabel\n\n# Delete a pod with \
         minimal delay\nkubectl delete pod foo --now\n\n# Delete all pods\nkubectl delete pods --all"
    }
    fn usage(&self) -> &'static str {
        "([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)])"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = FilenameOptions::flags("containing the resource to delete.");
        flags.extend(deletion_flags(true));
        flags.extend([
            all_flag(),
            all_namespaces_flag(),
            dry_run_flag(),
            field_selector_flag(),
            selector_flag(),
            Flag::bool(
                "ignore-not-found",
                false,
                "Missing objects are no error. On with --all and selectors.",
            ),
            Flag::bool("interactive", false, "Ask before deleting.").short('i'),
            Flag::bool("now", false, "Give objects one second to end."),
            Flag::string("output", "", "-o name prints names alone.").short('o'),
            Flag::string("raw", "", "A path of the server to DELETE."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let mut deletion = deletion(session, flags).await?;
        let (namespace, enforce) = session.namespace()?;
        deletion.warn_cluster_scope = enforce && !flags.bool("all-namespaces");
        let selected = ["selector", "field-selector"].iter().any(|flag| !flags.string(flag).is_empty());
        deletion.ignore_not_found = flags.bool("ignore-not-found")
            || (!flags.changed("ignore-not-found") && (flags.bool("all") || selected));
        if flags.bool("now") {
            if flags.int("grace-period") != -1 {
                return Err(KubectlError::message("--now and --grace-period cannot be specified together"));
            }
            deletion.grace_seconds = Some(1);
        }
        deletion.dry_run = dry_run(session, flags).await?;
        let found = if flags.string("raw").is_empty() {
            Some(find(session, flags, args, (&namespace, enforce)).await?)
        } else {
            None
        };
        validate(session, flags, &deletion).await?;
        deletion.names_only = flags.string("output") == "name";
        let Some(found) = found else { return raw(session, flags).await };
        if flags.bool("interactive") && !confirmed(session, &found, deletion.ignore_not_found).await? {
            return Ok(());
        }
        deletion.run(session, found).await
    }
}

/// The flags of verbs that delete. `wait` is the default of `--wait`.
pub fn deletion_flags(wait: bool) -> Vec<Flag> {
    vec![
        Flag::string(
            "cascade",
            "background",
            "What becomes of the object's dependents: background, orphan or foreground.",
        )
        .no_value("background"),
        Flag::bool("force", false, "Take objects out of the API at once."),
        Flag::int("grace-period", -1, "How many seconds objects get to end; 0 with --force only."),
        Flag::duration("timeout", "0s", "How long to wait for objects to go; zero for as long as it takes."),
        Flag::bool("wait", wait, "Wait until objects are gone."),
    ]
}

/// The deletion that the flags ask for.
pub async fn deletion(session: &Session, flags: &Flags) -> Result<Deletion> {
    let grace = match flags.int("grace-period") {
        // Zero is taken for one, so that nothing is lost by a slip; --force means it.
        0 if !flags.bool("force") => Some(1),
        seconds if seconds < 0 => flags.bool("force").then_some(0),
        seconds => Some(seconds),
    };
    Ok(Deletion {
        grace_seconds: grace,
        propagation: propagation(session, flags.string("cascade")).await?,
        wait: flags.bool("wait"),
        timeout: flags.duration("timeout").unwrap_or_default(),
        ignore_not_found: false,
        dry_run: super::writing::DryRun::None,
        names_only: false,
        quiet: false,
        warn_cluster_scope: false,
    })
}

async fn propagation(session: &Session, cascade: &str) -> Result<&'static str> {
    let (policy, word) = match cascade {
        "orphan" => return Ok("Orphan"),
        "foreground" => return Ok("Foreground"),
        "background" | "" => return Ok("Background"),
        "true" | "1" | "t" | "T" | "TRUE" | "True" => ("Background", "background"),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => ("Orphan", "orphan"),
        other => {
            let text = format!(
                "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
            );
            return Err(KubectlError::message(text));
        }
    };
    let text = format!(
        "warning: --cascade={cascade} is deprecated (boolean value) and can be replaced with --cascade={word}."
    );
    session.err.line(text).await?;
    Ok(policy)
}

async fn find(
    session: &Session,
    flags: &Flags,
    args: &[String],
    (namespace, enforce): (&str, bool),
) -> Result<Visited> {
    let files = FilenameOptions::new(flags);
    let builder = Builder::new(session).continue_on_error().namespace(namespace).default_namespace();
    let builder = builder.filenames(enforce, &files).label_selector(flags.string("selector"));
    let builder = builder.field_selector(flags.string("field-selector")).select_all(flags.bool("all"));
    let builder =
        builder.all_namespaces(flags.bool("all-namespaces")).resource_type_or_name_args(false, args);
    builder.require_object(false).flatten().visit().await
}

async fn validate(session: &Session, flags: &Flags, deletion: &Deletion) -> Result<()> {
    let output = flags.string("output");
    if !output.is_empty() && output != "name" {
        let text = format!("unexpected -o output mode: {output}. We only support '-o name'");
        return Err(KubectlError::message(text));
    }
    super::targets::check_all(flags)?;
    if !flags.bool("force") {
        return Ok(());
    }
    match deletion.grace_seconds {
        Some(0) => {
            let text = "Warning: Immediate deletion does not wait for confirmation that the running resource has been \
                        terminated. The resource may continue to run on the cluster indefinitely.";
            session.err.line(text).await
        }
        Some(_) => {
            let text = "--force and --grace-period greater than 0 cannot be specified together";
            Err(KubectlError::message(text))
        }
        None => Ok(()),
    }
}

async fn raw(session: &Session, flags: &Flags) -> Result<()> {
    if flags.bool("interactive") {
        return Err(KubectlError::message("--interactive can not be used with --raw"));
    }
    let files = FilenameOptions::new(flags).filenames;
    let mut request = Request::delete(flags.string("raw"));
    match &files[..] {
        [] => {}
        [file] => {
            let content =
                if file == "-" { session.read_stdin().await? } else { session.read_file(file).await? };
            request = request.body("application/json", content);
        }
        _ => return Err(KubectlError::message("--raw can only use a single local file or stdin")),
    }
    let answer = session.client().await?.bytes(request).await?;
    session.out.write(answer).await
}

/// Shows what will be deleted and asks. Nothing found is said here.
async fn confirmed(session: &Session, found: &Visited, ignore_not_found: bool) -> Result<bool> {
    let error = found.errors.iter().find(|error| !(ignore_not_found && error.is_not_found()));
    if let Some(error) = error {
        return Err(error.clone());
    }
    if found.infos.is_empty() {
        session.out.line("No resources found").await?;
        return Ok(false);
    }
    let mut text = format!("You are about to delete the following {} resource(s):\n", found.infos.len());
    text.extend(found.infos.iter().map(|info: &Info| format!("{}\n", info.object_name())));
    session.out.write(format!("{text}Do you want to continue? (y/N): ")).await?;
    let answer = read_line(session).await?;
    if answer.trim().eq_ignore_ascii_case("y") {
        return Ok(true);
    }
    session.out.line("deletion is cancelled").await?;
    Ok(false)
}

async fn read_line(session: &Session) -> Result<String> {
    use tokio::io::AsyncReadExt;
    let mut stdin = session.take_stdin().await;
    let (mut line, mut byte) = (vec![], [0]);
    while line.len() < 4096 {
        let read = stdin.read(&mut byte).await.map_err(|error| KubectlError::message(error.to_string()))?;
        if read == 0 || byte[0] == b'\n' {
            break;
        }
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
