//! The frame of `create`'s sub-commands: a [`Generator`] makes an object from arguments, [`Sub`] sends and prints it.
// Models kubectl/pkg/cmd/create (create.go, CreateSubcommandOptions).

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::group_version_path;
use crate::kubectl::resources::Builder;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::writing::{
    DryRun, WriteOptions, create_request, creating_flags, dry_run, require, save_configuration, tell,
    validation,
};

/// A call of a sub-command.
pub struct Call<'a> {
    /// What it runs in.
    pub session: &'a Session,
    /// Its flags.
    pub flags: &'a Flags,
    /// The name of the object.
    pub name: String,
    /// What stands behind the name, usually behind `--`.
    pub command: &'a [String],
    /// The namespace to create in.
    pub namespace: String,
    /// Whether `--namespace` was given.
    pub enforce_namespace: bool,
}

impl Call<'_> {
    /// The metadata of the object: its name, and its namespace if that was asked for.
    pub fn metadata(&self) -> Value {
        let mut metadata = json!({"name": self.name});
        if self.enforce_namespace {
            metadata["namespace"] = json!(self.namespace);
        }
        metadata
    }

    /// An object of the cluster by `TYPE/NAME`.
    pub async fn find(&self, reference: &str) -> Result<Value> {
        let builder = Builder::new(self.session).namespace(&self.namespace).default_namespace();
        let found = builder
            .resource_type_or_name_args(false, &[reference.to_owned()])
            .flatten()
            .latest()
            .visit()
            .await?;
        let infos = found.into_infos()?;
        match &infos[..] {
            [one] => Ok(one.object.clone()),
            _ => Err(KubectlError::message("from must be an existing cronjob")),
        }
    }
}

/// Makes an object from the arguments of a sub-command.
#[async_trait]
pub trait Generator: Send + Sync + 'static {
    /// The word behind `create`.
    fn name(&self) -> &'static str;
    /// Other words for it.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    /// One line about it.
    fn short(&self) -> &'static str;
    /// What follows the word in the usage line.
    fn usage(&self) -> &'static str;
    /// The resource that it is sent to.
    fn plural(&self) -> &'static str;
    /// Whether its objects are in namespaces.
    fn namespaced(&self) -> bool {
        true
    }
    /// Flags of its own.
    fn flags(&self) -> Vec<Flag> {
        vec![]
    }
    /// Flags that must be given.
    fn required(&self) -> &'static [&'static str] {
        &[]
    }
    /// What stands in front of the server's refusal.
    fn failed(&self) -> &'static str {
        ""
    }
    /// The object.
    async fn generate(&self, call: &Call<'_>) -> Result<Value>;
}

/// A sub-command of `create`.
pub struct Sub<G>(pub G);

#[async_trait]
impl<G: Generator> Verb for Sub<G> {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn aliases(&self) -> &'static [&'static str] {
        self.0.aliases()
    }
    fn short(&self) -> &'static str {
        self.0.short()
    }
    fn usage(&self) -> &'static str {
        self.0.usage()
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = creating_flags("kubectl-create");
        flags.extend(self.0.flags());
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        require(flags, self.0.required())?;
        let (namespace, enforce_namespace) = session.namespace()?;
        let enforce_namespace = enforce_namespace && self.0.namespaced();
        let name = single_name(session, flags, args)?;
        let command = args.get(1..).unwrap_or_default();
        let dry_run = dry_run(session, flags).await?;
        let validation = validation(flags)?;
        let call = Call { session, flags, name, command, namespace, enforce_namespace };
        let mut object = self.0.generate(&call).await?;
        save_configuration(&mut object, flags.bool("save-config"));
        if dry_run != DryRun::Client {
            let options = WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation };
            let request = create_request(self.path(&call, &object), &object, &options);
            object = session.client().await?.json(request).await.map_err(|error| self.failure(error))?;
        }
        tell(session, flags, &object, "created", dry_run).await
    }
}

impl<G: Generator> Sub<G> {
    fn path(&self, call: &Call<'_>, object: &Value) -> String {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let namespace =
            if self.0.namespaced() { format!("/namespaces/{}", call.namespace) } else { String::new() };
        format!("{}{namespace}/{}", group_version_path(group, version), self.0.plural())
    }

    fn failure(&self, error: KubectlError) -> KubectlError {
        match self.0.failed() {
            "" => error,
            failed => KubectlError::message(format!("{failed}{error}")),
        }
    }
}

/// The one name that a sub-command wants in front of `--`.
// Models create.NameFromCommandArgs.
pub fn single_name(session: &Session, flags: &Flags, args: &[String]) -> Result<String> {
    let count = flags.dash.unwrap_or(args.len());
    match args.first() {
        Some(name) if count == 1 => Ok(name.clone()),
        _ => {
            let text = format!("exactly one NAME is required, got {count}");
            Err(KubectlError::usage(&session.command_path, text))
        }
    }
}
