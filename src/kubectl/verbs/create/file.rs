//! `kubectl create`: objects from files, and the sub-commands that make one from arguments.
// Models kubectl/pkg/cmd/create (create.go).

use async_trait::async_trait;

use super::data::{ConfigMap, DockerRegistrySecret, GenericSecret, TlsSecret};
use super::generator::Sub;
use super::ingress::Ingress;
use super::plain::{DisruptionBudget, Namespace, PriorityClass, Quota, ServiceAccount};
use super::rbac::{Binding, ClusterRole, Role};
use super::service::{CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT, Service};
use super::token::Token;
use super::workload::{CronJob, Deployment, Job};
use crate::kubectl::client::Request;
use crate::kubectl::command::{Verb, not_runnable};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{Builder, FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record, record_flag};
use crate::kubectl::verbs::writing::{
    DryRun, WriteOptions, create_request, creating_flags, dry_run, save_configuration, tell, validation,
};

/// `kubectl create`.
pub struct Create;

static CLUSTER_IP_SUB: Sub<&Service> = Sub(&CLUSTER_IP);
static NODE_PORT_SUB: Sub<&Service> = Sub(&NODE_PORT);
static LOAD_BALANCER_SUB: Sub<&Service> = Sub(&LOAD_BALANCER);
static EXTERNAL_NAME_SUB: Sub<&Service> = Sub(&EXTERNAL_NAME);

static VERBS: &[&dyn Verb] = &[
    &Sub(ClusterRole),
    &Sub(Binding { cluster: true }),
    &Sub(ConfigMap),
    &Sub(CronJob),
    &Sub(Deployment),
    &Sub(Ingress),
    &Sub(Job),
    &Sub(Namespace),
    &Sub(DisruptionBudget),
    &Sub(PriorityClass),
    &Sub(Quota),
    &Sub(Role),
    &Sub(Binding { cluster: false }),
    &Secrets,
    &Services,
    &Sub(ServiceAccount),
    &Token,
];

static SECRETS: &[&dyn Verb] = &[&Sub(DockerRegistrySecret), &Sub(GenericSecret), &Sub(TlsSecret)];
static SERVICES: &[&dyn Verb] = &[&CLUSTER_IP_SUB, &EXTERNAL_NAME_SUB, &LOAD_BALANCER_SUB, &NODE_PORT_SUB];

#[async_trait]
impl Verb for Create {
    fn name(&self) -> &'static str {
        "create"
    }
    fn short(&self) -> &'static str {
        "Create a resource from a file or from stdin"
    }
    fn long(&self) -> &'static str {
        "Create objects from files or standard input.\n\nFiles may be JSON or YAML."
    }
    fn examples(&self) -> &'static str {
        "# Create what a file describes\nkubectl create -f ./pod.yaml\n\n# Create what comes on standard input\ncat pod.json | \
         kubectl create -f -"
    }
    fn usage(&self) -> &'static str {
        "-f FILENAME"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = creating_flags("kubectl-create");
        flags.extend(FilenameOptions::flags("to use to create the resource"));
        flags.extend([
            record_flag(),
            Flag::bool("edit", false, "Edit the objects before they are created."),
            Flag::string("raw", "", "A path of the server to POST the file to as it is."),
            Flag::string("selector", "", "Only objects with these labels.").short('l'),
            Flag::bool("windows-line-endings", false, "Line ends for --edit."),
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
        let options = WriteOptions {
            dry_run,
            field_manager: flags.string("field-manager"),
            validation: validation(flags)?,
        };
        let files = FilenameOptions::new(flags);
        files.require()?;
        if !flags.string("raw").is_empty() {
            return raw(session, flags, &files).await;
        }
        if flags.bool("edit") {
            return Err(KubectlError::message(
                "--edit is not supported by this kubectl: edit the file, then create it",
            ));
        }
        let (namespace, enforce) = session.namespace()?;
        let builder = Builder::new(session)
            .validate(options.validation == "Strict")
            .continue_on_error()
            .namespace(&namespace);
        let builder = builder.default_namespace().filenames(enforce, &files);
        let found = builder.label_selector(flags.string("selector")).flatten().visit().await?;
        let (mut errors, mut count) = (found.errors, 0);
        for info in found.infos {
            match create(session, flags, info, &options).await {
                Ok(()) => count += 1,
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() && count == 0 {
            return Err(KubectlError::message("no objects passed to create"));
        }
        KubectlError::aggregate(errors)
    }
}

async fn create(session: &Session, flags: &Flags, mut info: Info, options: &WriteOptions<'_>) -> Result<()> {
    save_configuration(&mut info.object, flags.bool("save-config"));
    record(session, &mut info.object);
    if options.dry_run != DryRun::Client {
        let path = info.mapping()?.path(&info.namespace, "", "");
        let request = create_request(path, &info.object, options);
        let created = session.client().await?.json(request).await;
        info.refresh(created.map_err(|error| error.while_doing("creating", &info.source))?);
    }
    tell(session, flags, &info.object, "created", options.dry_run).await
}

/// Sends a file to a path of the server as it is.
async fn raw(session: &Session, flags: &Flags, files: &FilenameOptions) -> Result<()> {
    let [file] = &files.filenames[..] else {
        return Err(KubectlError::message("--raw can only use a single local file or stdin"));
    };
    let exclusive = [
        ("recursive", "--raw and --recursive"),
        ("selector", "--raw and --selector (-l)"),
        ("output", "--raw and --output"),
    ];
    if let Some((_, words)) = exclusive.iter().find(|(flag, _)| flags.changed(flag)) {
        return Err(KubectlError::message(format!("{words} are mutually exclusive")));
    }
    let content = if file == "-" { session.read_stdin().await? } else { session.read_file(file).await? };
    let request = Request::post(flags.string("raw")).body("application/json", content);
    let answer = session.client().await?.bytes(request).await?;
    session.out.write(answer).await
}

/// `kubectl create secret`.
struct Secrets;

#[async_trait]
impl Verb for Secrets {
    fn name(&self) -> &'static str {
        "secret"
    }
    fn short(&self) -> &'static str {
        "Create a secret with one of its sub-commands"
    }
    fn usage(&self) -> &'static str {
        "(docker-registry | generic | tls)"
    }
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        SECRETS
    }
    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}

/// `kubectl create service`.
struct Services;

#[async_trait]
impl Verb for Services {
    fn name(&self) -> &'static str {
        "service"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["svc"]
    }
    fn short(&self) -> &'static str {
        "Create a service with one of its sub-commands"
    }
    fn verbs(&self) -> &'static [&'static dyn Verb] {
        SERVICES
    }
    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        Err(not_runnable(session))
    }
}
