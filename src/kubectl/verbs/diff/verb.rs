//! The verb: each object as it is and as it would be, in two directories that a program compares.
// Models k8s.io/kubectl/pkg/cmd/diff (diff.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{masker, unified};
use crate::bash::FilesError;
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{Builder, FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::apply::{CLIENT_SIDE, SERVER_SIDE, three_way, warn_if_deleting};
use crate::kubectl::verbs::patching::{APPLY_PATCH, send};
use crate::kubectl::verbs::targets::selector_flag;
use crate::kubectl::verbs::writing::{
    DryRun, WriteOptions, configuration, create_request, field_manager_flag, go_json,
};
use crate::yaml;

/// `kubectl diff`.
pub struct Diff;

/// How often an object is read again that keeps changing; the last time its version does not matter.
const MAX_TRIES: usize = 4;

#[async_trait]
impl Verb for Diff {
    fn name(&self) -> &'static str {
        "diff"
    }
    fn short(&self) -> &'static str {
        "Diff the live version against a would-be applied version"
    }
    fn long(&self) -> &'static str {
        "Show how objects would change if files were applied: the objects as they are against the objects as they would be, in \
         YAML.\n\nThe machine's diff compares them, with -u and -N, or the program that KUBECTL_EXTERNAL_DIFF names.\n\nThe exit \
         code is 0 if nothing would change, 1 if something would, and more if something went wrong."
    }
    fn examples(&self) -> &'static str {
        "# What would change by applying a file\nkubectl diff -f web.yaml\n\n# The same of what comes on standard input\ncat \
         web.yaml | kubectl diff -f -"
    }
    fn usage(&self) -> &'static str {
        "-f FILENAME"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = FilenameOptions::flags("contains the configuration to diff");
        flags.extend([
            Flag::int(
                "concurrency",
                1,
                "How many objects are asked for at once; this kubectl asks one by one.",
            ),
            field_manager_flag(CLIENT_SIDE),
            Flag::bool("force-conflicts", false, "With --server-side: take fields over from other managers."),
            Flag::bool("prune", false, "Show what apply --prune would delete."),
            Flag::string_array("prune-allowlist", "With --prune: a kind to delete, as group/version/kind."),
            selector_flag(),
            Flag::bool("server-side", false, "Let the server apply."),
            Flag::bool("show-managed-fields", false, "Show managed fields, too."),
            Flag::bool("show-secrets", false, "Show what secrets hold."),
        ]);
        flags
    }

    fn flag_error(&self, path: &str, text: String) -> KubectlError {
        worse(KubectlError::usage(path, text))
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        match differences(session, flags, args).await {
            Ok(0) => Ok(()),
            Ok(code) => Err(KubectlError::Exit(code)),
            Err(error) => Err(worse(error)),
        }
    }
}

/// A failure with a code above 1, which means that there are differences.
// Models cmdutil.CheckDiffErr.
fn worse(error: KubectlError) -> KubectlError {
    let (text, code) = error.report();
    KubectlError::PlainExit(text, code + 1)
}

/// Compares, and gives the code of the program that did: 0 or 1.
async fn differences(session: &Session, flags: &Flags, args: &[String]) -> Result<i32> {
    if !args.is_empty() {
        let text = format!("Unexpected args: [{}]", args.join(" "));
        return Err(KubectlError::usage(&session.command_path, text));
    }
    let files = FilenameOptions::new(flags);
    files.require()?;
    if flags.bool("force-conflicts") && !flags.bool("server-side") {
        return Err(KubectlError::message("--force-conflicts only works with --server-side"));
    }
    if flags.bool("prune") {
        return Err(KubectlError::message(
            "--prune is not supported by this kubectl: see with kubectl get what is no longer in the files",
        ));
    }
    let (namespace, enforce) = session.namespace()?;
    let builder = Builder::new(session).namespace(&namespace).default_namespace().filenames(enforce, &files);
    let found = builder.label_selector(flags.string("selector")).flatten().visit().await?;
    let (live, merged) = (directory(session, "LIVE").await?, directory(session, "MERGED").await?);
    let compared = async {
        for info in found.into_infos()? {
            one(session, flags, info, [&live, &merged]).await?;
        }
        compare(session, &live, &merged).await
    };
    let code = compared.await;
    for path in [&live, &merged] {
        // What is left of a temporary directory harms nobody.
        let _ = session.files.remove(path).await;
    }
    code
}

/// Makes a directory of its own below the place for temporary files.
async fn directory(session: &Session, prefix: &str) -> Result<String> {
    let above = session.variable("TMPDIR").unwrap_or("/tmp").trim_end_matches('/');
    let path = session.absolute(&format!("{above}/{prefix}-{}", session.seed.below(4_000_000_000)));
    let made = session.files.make_directory(&path).await;
    made.map_err(|error| KubectlError::message(format!("mkdir {path}: {error}")))?;
    // Secrets may be in it.
    let _ = session.files.set_mode(&path, 0o700).await;
    Ok(path)
}

/// Writes one object as it is and as it would be.
async fn one(session: &Session, flags: &Flags, mut info: Info, [live, merged]: [&str; 2]) -> Result<()> {
    let local = info.object.clone();
    let client = session.client().await?;
    let mut tries = 0;
    let (mut from, mut to) = loop {
        tries += 1;
        let from = match client.json(Request::get(info.path()?)).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => Value::Null,
            Err(error) => return Err(error),
        };
        let merging = Merging { session, flags, info: &info, local: &local, locked: tries < MAX_TRIES };
        match merging.merged(&from).await {
            Ok(to) => break (from, to),
            Err(error) if error.is_conflict() && tries < MAX_TRIES => {}
            Err(error) => return Err(error),
        }
    };
    info.object = from.clone();
    let name = file_name(&info)?;
    if !flags.bool("show-managed-fields") {
        for object in [&mut from, &mut to] {
            object.pointer_mut("/metadata").and_then(Value::as_object_mut).map(|m| m.remove("managedFields"));
        }
    }
    if !flags.bool("show-secrets") && to["apiVersion"] == "v1" && to["kind"] == "Secret" {
        masker::mask(&mut from, &mut to);
    }
    write(session, &format!("{live}/{name}"), &from).await?;
    write(session, &format!("{merged}/{name}"), &to).await?;
    warn_if_deleting(session, &info).await
}

/// The name of an object's file, like `apps.v1.Deployment.default.web`.
fn file_name(info: &Info) -> Result<String> {
    let mapping = info.mapping()?;
    let group = if mapping.group.is_empty() { String::new() } else { format!("{}.", mapping.group) };
    Ok(format!("{group}{}.{}.{}.{}", mapping.version, mapping.kind, info.namespace, info.name))
}

async fn write(session: &Session, path: &str, object: &Value) -> Result<()> {
    let text = if object.is_null() { String::new() } else { yaml::to_string(object) };
    let written = session.files.write(path, text.as_bytes()).await;
    written.map_err(|error| KubectlError::message(format!("open {path}: {error}")))
}

/// What makes of an object what it would be.
// Models InfoObject.Merged.
struct Merging<'a> {
    session: &'a Session,
    flags: &'a Flags,
    info: &'a Info,
    /// What the file says.
    local: &'a Value,
    /// Whether the object must not change in between.
    locked: bool,
}

impl Merging<'_> {
    async fn merged(&self, live: &Value) -> Result<Value> {
        let client = self.session.client().await?;
        if self.flags.bool("server-side") {
            let options = self.options(SERVER_SIDE);
            let force = self.flags.bool("force-conflicts").to_string();
            let request = options.on(Request::patch(self.info.path()?)).query("force", force);
            return client.json(request.body(APPLY_PATCH, go_json(self.local))).await;
        }
        let options = self.options(CLIENT_SIDE);
        if live.is_null() {
            let path = self.info.mapping()?.path(&self.info.namespace, "", "");
            return client.json(create_request(path, self.local, &options)).await;
        }
        let modified: Value = serde_json::from_str(&configuration(self.local))
            .map_err(|error| KubectlError::message(error.to_string()))?;
        let mut patch = three_way(self.info.mapping()?, &modified, live, true)?;
        if patch.is_empty() {
            return Ok(live.clone());
        }
        if self.locked {
            if !patch.body["metadata"].is_object() {
                patch.body["metadata"] = json!({});
            }
            patch.body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        }
        let sent = send(self.session, self.info, &patch, &options).await;
        sent.map_err(|error| error.while_doing("patching", &self.info.source))
    }

    fn options(&self, default_manager: &'static str) -> WriteOptions<'_> {
        let named = self.flags.changed("field-manager");
        let field_manager = if named { self.flags.string("field-manager") } else { default_manager };
        WriteOptions { dry_run: DryRun::Server, field_manager, validation: "" }
    }
}

/// The command line of the program that compares.
// Models DiffProgram.getCommand.
fn program(session: &Session, from: &str, to: &str) -> Vec<String> {
    let paths = [from.to_owned(), to.to_owned()];
    let Some(named) = session.variable("KUBECTL_EXTERNAL_DIFF") else {
        return ["diff", "-u", "-N"].map(str::to_owned).into_iter().chain(paths).collect();
    };
    let mut words = named.split(' ').map(str::to_owned);
    let plain = |word: &String| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '=')
    };
    let first = words.next().into_iter();
    first.chain(paths).chain(words.filter(plain)).collect()
}

/// Has the directories compared.
async fn compare(session: &Session, from: &str, to: &str) -> Result<i32> {
    let words = program(session, from, to);
    let name = &words[0];
    let failed = |why: String| KubectlError::message(format!("failed to run {name:?}: {why}"));
    match session.diff_program.run(&words, &session.env, &session.cwd).await {
        Ok(Some(code @ (0 | 1))) => Ok(code),
        Ok(Some(code)) => Err(failed(format!("exit status {code}"))),
        Ok(None) if name == "diff" => {
            let unreadable = |error: FilesError| failed(error.to_string());
            let text = unified::directories(&*session.files, from, to).await.map_err(unreadable)?;
            let different = !text.is_empty();
            session.out.write(text).await?;
            Ok(i32::from(different))
        }
        Ok(None) => Err(failed("executable file not found in $PATH".to_owned())),
        Err(why) => Err(failed(why)),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use crate::kubectl::verbs::testing::Harness;

    fn plain(text: &str) -> String {
        let numbers = Regex::new(r"/(LIVE|MERGED)-\d+").unwrap().replace_all(text, "/$1");
        Regex::new(r"\t\S+ \S+ \+0000").unwrap().replace_all(&numbers, "").into_owned()
    }

    const CM: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: '1'}\n";

    #[tokio::test(start_paused = true)]
    async fn changes_are_shown_and_not_made() {
        let cluster = Harness::new().await;
        cluster.file("cm.yaml", CM);
        let said = plain(&cluster.run("diff -f cm.yaml").await);
        assert!(
            said.starts_with(
                "diff -u -N /tmp/LIVE/v1.ConfigMap.default.cm /tmp/MERGED/v1.ConfigMap.default.cm\n--- \
                 /tmp/LIVE/v1.ConfigMap.default.cm\n+++ /tmp/MERGED/v1.ConfigMap.default.cm\n@@ -0,0 +1,"
            ) && said.contains("\n+data:\n+  a: \"1\"\n")
                && said.ends_with("[exit 1]\n"),
            "{said}"
        );
        assert!(cluster.run("get cm cm").await.contains("NotFound"), "diff makes nothing");
        cluster.run("apply -f cm.yaml").await;
        assert_eq!(cluster.run("diff -f cm.yaml").await, "");
        cluster.file("cm.yaml", &CM.replace("'1'", "'2'"));
        let said = plain(&cluster.run("diff -f cm.yaml").await);
        assert!(said.contains("\n data:\n-  a: \"1\"\n+  a: \"2\"\n kind: ConfigMap\n"), "{said}");
        assert!(!said.contains("managedFields") && !said.contains("last-applied-configuration: {"), "{said}");
        let said = plain(&cluster.run("diff -f cm.yaml --server-side --force-conflicts").await);
        assert!(said.contains("\n-  a: \"1\"\n+  a: \"2\"\n"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_stay_secret() {
        let cluster = Harness::new().await;
        cluster.run("create secret generic s --from-literal=a=b --from-literal=c=d").await;
        cluster.file("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: x}\n");
        let said = cluster.run("diff -f s.yaml").await;
        assert!(said.contains("\n-  a: '*** (before)'\n+  a: '*** (after)'\n   c: '***'\n"), "{said}");
        let said = cluster.run("diff -f s.yaml --show-secrets").await;
        assert!(said.contains("\n-  a: Yg==\n+  a: eA==\n"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn mistakes_have_a_code_above_one() {
        let cluster = Harness::new().await;
        cluster.file("cm.yaml", CM);
        for (line, expected) in [
            ("diff", "error: must specify one of -f and -k"),
            ("diff x", "error: Unexpected args: [x]\nSee 'kubectl diff -h' for help and examples"),
            ("diff --nope", "error: unknown flag: --nope\nSee 'kubectl diff -h' for help and examples"),
            ("diff -f nope.yaml", "error: the path \"nope.yaml\" does not exist"),
            ("diff -f cm.yaml --force-conflicts", "error: --force-conflicts only works with --server-side"),
        ] {
            assert_eq!(cluster.run(line).await, format!("{expected}\n[exit 2]\n"), "{line}");
        }
        let said = cluster.run_with("diff -f cm.yaml", &[("KUBECTL_EXTERNAL_DIFF", "colordiff -u")]).await;
        assert_eq!(
            said,
            "error: failed to run \"colordiff\": executable file not found in $PATH\n[exit 2]\n"
        );
    }
}
