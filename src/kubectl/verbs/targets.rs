//! Which objects a changing verb works on, by the flags that most of them share.

use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{Builder, FilenameOptions, Visited};
use crate::kubectl::session::Session;

/// `-l`.
pub fn selector_flag() -> Flag {
    Flag::string("selector", "", "Only objects with these labels, like -l key1=value1,key2=value2.")
        .short('l')
}

/// `--all`.
pub fn all_flag() -> Flag {
    Flag::bool("all", false, "All objects of the given types in the namespace.")
}

/// `--field-selector`.
pub fn field_selector_flag() -> Flag {
    Flag::string(
        "field-selector",
        "",
        "Only objects with these fields, like --field-selector key1=value1,key2=value2.",
    )
}

/// `-A`.
pub fn all_namespaces_flag() -> Flag {
    Flag::bool("all-namespaces", false, "Work in all namespaces.").short('A')
}

/// `--local`.
pub fn local_flag() -> Flag {
    Flag::bool("local", false, "Work on files alone and ask the server nothing.")
}

/// How a verb finds objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finding {
    /// A type alone means all its objects.
    pub allow_empty_selector: bool,
    /// Objects of files are taken from the server.
    pub latest: bool,
    /// Nothing is asked of the server.
    pub local: bool,
}

/// Finds what arguments and flags mean: files, `-l`, `--field-selector`, `--all` as far as the verb has them.
pub async fn find(session: &Session, flags: &Flags, args: &[String], finding: Finding) -> Result<Visited> {
    let (namespace, enforce) = session.namespace()?;
    let files = FilenameOptions::new(flags);
    let mut builder = Builder::new(session).local(finding.local).continue_on_error().namespace(&namespace);
    builder = builder.default_namespace().filenames(enforce, &files).flatten();
    if !finding.local {
        builder = builder
            .label_selector(flags.string("selector"))
            .field_selector(flags.string("field-selector"))
            .all_namespaces(flags.bool("all-namespaces"));
        let allow = finding.allow_empty_selector || flags.bool("all");
        builder = builder.resource_type_or_name_args(allow, args);
        if finding.latest {
            builder = builder.latest();
        }
    }
    builder.visit().await
}

/// Fails if neither arguments nor files name anything.
pub fn require_resources(flags: &Flags, args: &[String]) -> Result<()> {
    if args.is_empty() && FilenameOptions::new(flags).is_empty() {
        return Err(KubectlError::message("required resource not specified"));
    }
    Ok(())
}

/// Fails if `--local` is asked for together with the server.
pub fn check_local(flags: &Flags, dry_run_server: bool) -> Result<()> {
    if flags.bool("local") && dry_run_server {
        let text = "cannot specify --local and --dry-run=server - did you mean --dry-run=client?";
        return Err(KubectlError::message(text));
    }
    Ok(())
}

/// Fails if both `--all` and a selector are given.
pub fn check_all(flags: &Flags) -> Result<()> {
    for flag in ["selector", "field-selector"] {
        if flags.bool("all") && !flags.string(flag).is_empty() {
            return Err(KubectlError::message(format!("cannot set --all and --{flag} at the same time")));
        }
    }
    Ok(())
}
