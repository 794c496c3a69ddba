//! The verb and what it was told.
// Models k8s.io/kubectl/pkg/cmd/get (get.go, get_flags.go, humanreadable_flags.go).

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::Value;

use super::{list, watch};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::output::ResourcePrinter;
use crate::kubectl::output::print_flags::{FORMATS, no_printer, print_flags, printer_for};
use crate::kubectl::output::table::{TableOptions, TablePrinter};
use crate::kubectl::resources::{Builder, FilenameOptions};
use crate::kubectl::session::Session;

/// The verb.
pub struct Get;

/// The types of answer that tables come in.
const TABLES: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

/// The formats that get knows.
fn formats() -> Vec<&'static str> {
    FORMATS.into_iter().chain(["custom-columns", "custom-columns-file", "wide"]).collect()
}

/// What get was told.
pub(super) struct Options<'a> {
    pub session: &'a Session,
    pub flags: &'a Flags,
    pub namespace: String,
    pub explicit_namespace: bool,
    pub all_namespaces: bool,
    /// Whether a table is printed, rather than objects.
    pub human: bool,
    pub sort_by: String,
}

impl Options<'_> {
    /// The builder for the arguments.
    pub fn builder(&self, args: &[String]) -> Builder<'_> {
        let flags = self.flags;
        let chunk = if self.sort_by.is_empty() { flags.int("chunk-size") } else { 0 };
        let builder = Builder::new(self.session)
            .all_namespaces(self.all_namespaces)
            .namespace(&self.namespace)
            .default_namespace()
            .filenames(self.explicit_namespace, &FilenameOptions::new(flags))
            .label_selector(flags.string("selector"))
            .field_selector(flags.string("field-selector"))
            .subresource(flags.string("subresource"))
            .chunks(chunk)
            .resource_type_or_name_args(true, args)
            .latest();
        if self.tables() { builder.accept(TABLES, self.include_object()) } else { builder }
    }

    /// Whether the server is asked for tables.
    pub fn tables(&self) -> bool {
        self.human && self.flags.bool("server-print")
    }

    fn include_object(&self) -> &'static str {
        if self.sort_by.is_empty() { "" } else { "Object" }
    }

    /// Adds to a request what tables need.
    pub fn ask_for_tables(&self, request: Request) -> Request {
        if self.tables() {
            request.accept(TABLES).query("includeObject", self.include_object())
        } else {
            request
        }
    }

    /// A printer of tables for objects of a resource.
    pub fn table_printer(&self, mapping: Option<&Mapping>, with_kind: bool) -> TablePrinter {
        let kind = mapping.filter(|_| with_kind || self.flags.bool("show-kind")).map(Mapping::singular_name);
        TablePrinter::new(TableOptions {
            no_headers: self.flags.bool("no-headers"),
            wide: self.flags.string("output") == "wide",
            with_namespace: self.all_namespaces && mapping.is_none_or(|mapping| mapping.namespaced),
            kind: kind.unwrap_or_default(),
            show_labels: self.flags.bool("show-labels"),
            label_columns: self.flags.strings("label-columns").to_vec(),
        })
    }

    /// The printer that `-o` asks for.
    pub async fn object_printer(&self) -> Result<Box<dyn ResourcePrinter>> {
        let formats = formats();
        let printer = printer_for(self.session, self.flags, &formats).await?;
        printer.ok_or_else(|| no_printer(self.flags.string("output"), &formats))
    }
}

#[async_trait]
impl Verb for Get {
    fn name(&self) -> &'static str {
        "get"
    }

    fn suggest_for(&self) -> &'static [&'static str] {
        &["list", "ls"]
    }

    fn short(&self) -> &'static str {
        "Display one or many resources"
    }

    fn long(&self) -> &'static str {
        "Display one or many resources.\n\nWithout -o, a table shows what matters most of each object. A label selector (-l) picks \
         objects. Objects in namespaces are shown of the current namespace, or of all with -A.\n\nWith -o and a template, any field \
         can be printed.\n\nUse \"kubectl api-resources\" for a complete list of supported resources."
    }

    fn examples(&self) -> &'static str {
        "# List the pods of the namespace\nkubectl get pods\n\n# List them with their IPs and nodes\nkubectl get pods -o wide\n\n# Show one \
         deployment\nkubectl get deployment web\n\n# Show deployments of the API version \"v1\" of the group \"apps\" as JSON\nkubectl get \
         deployments.v1.apps -o json\n\n# Show what a file describes as it is on the server\nkubectl get -f pod.yaml -o yaml\n\n# Print one \
         field of a pod\nkubectl get pod web-pod -o jsonpath='{.status.phase}'\n\n# Choose the columns\nkubectl get pods -o \
         custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[0].image\n\n# List several kinds together\nkubectl get \
         deploy,services\n\n# Show objects of several kinds by name\nkubectl get deploy/web service/web\n\n# Show the 'status' subresource \
         of a pod\nkubectl get pod web-pod --subresource status\n\n# Follow what happens to pods\nkubectl get pods --watch\n\n# List the \
         pods of all namespaces\nkubectl get pods --all-namespaces"
    }

    fn usage(&self) -> &'static str {
        "[(-o|--output=)json|yaml|kyaml|name|go-template|go-template-file|template|templatefile|jsonpath|jsonpath-as-json|jsonpath-file|\
         custom-columns|custom-columns-file|wide] (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]"
    }

    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.retain(|flag| flag.name != "output");
        flags.extend(FilenameOptions::flags("identifying the resource to get from a server."));
        flags.extend([
            Flag::string("output", "", format!("Output format. One of: ({}).", formats().join(", "))).short('o'),
            Flag::bool("all-namespaces", false, "List objects of all namespaces. A namespace given with --namespace does not count.").short('A'),
            Flag::int("chunk-size", 500, "How many objects a request lists. 0 lists all at once."),
            Flag::string("field-selector", "", "Only objects with these fields, like status.phase=Running,metadata.name!=x. The server knows few fields of a type."),
            Flag::bool("ignore-not-found", false, "Do not fail for named objects that are not there."),
            Flag::strings("label-columns", "Labels to show as columns, separated by commas. The flag can be repeated.").short('L'),
            Flag::bool("no-headers", false, "Print no headers above tables and custom columns."),
            Flag::bool("output-watch-events", false, "Print the type of each change with --watch or --watch-only. What is there already counts as ADDED."),
            Flag::string("raw", "", "A path of the API to get as it is."),
            Flag::string("selector", "", "Only objects with these labels, like key1=value1,key2!=value2,key3 in (a,b).").short('l'),
            Flag::bool("server-print", true, "Let the server make the table."),
            Flag::bool("show-kind", false, "Show the kind with each name."),
            Flag::bool("show-labels", false, "Show all labels in the last column."),
            Flag::string("sort-by", "", "A field to sort by, as a JSONPath expression like '{.metadata.name}'. It must be a text or a number."),
            Flag::string("subresource", "", "The subresource to get instead of the object."),
            Flag::bool("watch", false, "Go on printing objects as they change.").short('w'),
            Flag::bool("watch-only", false, "Print objects as they change, but not as they are."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let raw = flags.string("raw");
        if !raw.is_empty() {
            return get_raw(session, flags, args, raw).await;
        }
        let (namespace, explicit) = session.namespace()?;
        let output = flags.string("output");
        let all_namespaces = flags.bool("all-namespaces");
        let options = Options {
            session,
            flags,
            namespace,
            explicit_namespace: explicit && !all_namespaces,
            all_namespaces,
            human: (output.is_empty() && flags.string("template").is_empty()) || output == "wide",
            sort_by: flags.string("sort-by").to_owned(),
        };
        let (watch, watch_only) = (flags.bool("watch"), flags.bool("watch-only"));
        if !options.sort_by.is_empty() && watch {
            session
                .err
                .line("warning: --watch requested, --sort-by will be ignored for watch events received")
                .await?;
        } else if !options.sort_by.is_empty() && watch_only {
            session.err.line("warning: --watch-only requested, --sort-by will be ignored").await?;
        }
        if !watch && !watch_only && args.is_empty() && FilenameOptions::new(flags).is_empty() {
            let which = "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n";
            session.err.line(which).await?;
            let text = "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource \
                        (e.g. kubectl explain pods).";
            return Err(KubectlError::usage(&session.command_path, text));
        }
        if flags.bool("show-labels") && !output.is_empty() && output != "wide" {
            return Err(KubectlError::message(format!(
                "--show-labels option cannot be used with {output} printer"
            )));
        }
        if flags.bool("output-watch-events") && !watch && !watch_only {
            return Err(KubectlError::message(
                "--output-watch-events option can only be used with --watch or --watch-only",
            ));
        }
        if watch || watch_only {
            return watch::run(&options, args, watch_only).await;
        }
        list::run(&options, args).await
    }
}

async fn get_raw(session: &Session, flags: &Flags, args: &[String], raw: &str) -> Result<()> {
    if !args.is_empty() {
        return Err(KubectlError::message("arguments may not be passed when --raw is specified"));
    }
    if flags.bool("watch") || flags.bool("watch-only") || !flags.string("selector").is_empty() {
        let text =
            "--raw may not be specified with other flags that filter the server request or alter the output";
        return Err(KubectlError::message(text));
    }
    if !flags.string("output").is_empty() {
        return Err(KubectlError::message("--raw and --output are mutually exclusive"));
    }
    if !raw.starts_with('/') {
        return Err(KubectlError::message(format!(
            "--raw must be a valid URL path: parse {raw:?}: invalid URI for request"
        )));
    }
    let mut chunks = session.client().await?.stream(Request::get_raw(raw)).await?;
    while let Some(chunk) = chunks.next().await {
        session.out.write(chunk?).await?;
    }
    Ok(())
}

/// Whether an object is a Table.
pub(super) fn is_table(object: &Value) -> bool {
    object["kind"] == "Table"
        && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("meta.k8s.io/"))
}
