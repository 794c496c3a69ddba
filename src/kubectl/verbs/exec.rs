//! `kubectl exec`: a command in a container.
// Models k8s.io/kubectl/pkg/cmd/exec.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;

use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::pods::{self, Preference};
use crate::kubectl::remote::{self, Ends, Target};
use crate::kubectl::resources::{Builder, FilenameOptions, is_list};
use crate::kubectl::session::{Output, Session};

/// The verb.
pub struct Exec;

/// The flag that says how long a pod may take to appear.
pub(super) fn pod_timeout_flag(default: &str) -> Flag {
    Flag::duration(
        "pod-running-timeout",
        default,
        "How long to wait for a pod to run (like 5s, 2m or 3h); more than zero",
    )
}

/// How long a pod may take to appear.
pub(super) fn pod_timeout(session: &Session, flags: &Flags) -> Result<Duration> {
    let timeout = flags.duration("pod-running-timeout").filter(|timeout| !timeout.is_zero());
    timeout.ok_or_else(|| {
        KubectlError::usage(&session.command_path, "--pod-running-timeout must be higher than zero")
    })
}

/// The flags that say which streams a remote command has.
pub(super) fn stream_flags() -> Vec<Flag> {
    vec![
        Flag::string("container", "", "The container; by default the pod's default container or its first")
            .short('c'),
        Flag::bool("stdin", false, "Pass standard input to the container").short('i'),
        Flag::bool("tty", false, "Standard input is a terminal").short('t'),
        Flag::bool("quiet", false, "Print only what the remote session prints").short('q'),
    ]
}

#[async_trait]
impl Verb for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }
    fn short(&self) -> &'static str {
        "Execute a command in a container"
    }
    fn examples(&self) -> &'static str {
        "# Run date in the first container of pod web\nkubectl exec web -- date\n\n\
         # Open a shell with a terminal in container app of pod web\nkubectl exec -it web -c app -- sh\n\n\
         # Run date in a pod of a deployment\nkubectl exec deploy/web -- date"
    }
    fn usage(&self) -> &'static str {
        "(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = stream_flags();
        flags.push(pod_timeout_flag("1m0s"));
        flags.push(Flag::strings("filename", "Find the object in this file").short('f'));
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let filenames =
            FilenameOptions { filenames: flags.strings("filename").to_vec(), ..FilenameOptions::default() };
        let files = !filenames.filenames.is_empty();
        let resource = args.first().filter(|_| flags.dash != Some(0));
        let command = match flags.dash {
            Some(dash) => args.get(dash..).unwrap_or_default().to_vec(),
            None if args.len() > 1 || (!args.is_empty() && files) => {
                let text =
                    "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead";
                return Err(KubectlError::usage(&session.command_path, text));
            }
            None => vec![],
        };
        let timeout = pod_timeout(session, flags)?;
        if resource.is_none() && !files {
            return Err(KubectlError::message("pod, type/name or --filename must be specified"));
        }
        if command.is_empty() {
            return Err(KubectlError::message("you must specify at least one command for the container"));
        }
        let (namespace, enforce) = session.namespace()?;
        let mut builder =
            Builder::new(session).namespace(&namespace).default_namespace().filenames(enforce, &filenames);
        if let Some(resource) = resource {
            builder = builder.resource_names("pods", std::slice::from_ref(resource));
        }
        let infos = builder.visit().await?.into_infos()?;
        let [info] = &infos[..] else {
            return Err(KubectlError::message("cannot exec into multiple objects at a time"));
        };
        if is_list(&info.object) {
            return Err(KubectlError::message("cannot exec into multiple objects at a time"));
        }
        let (pod, _) = pods::pod_for(session, &info.object, timeout, Preference::Active).await?;
        let quiet = flags.bool("quiet");
        let told = Some(&session.err).filter(|_| !quiet);
        let target = target(&pod, flags.string("container"), command, told).await?;
        let stdin = flags.bool("stdin");
        let terminal = remote::take_terminal(session, stdin, flags.bool("tty"), quiet).await?;
        let ends = Ends {
            stdin: if stdin { Some(session.take_stdin().await) } else { None },
            stdout: Some(session.out.writer()),
            // With a terminal everything comes on one stream.
            stderr: terminal.is_none().then(|| session.err.writer()),
            resize: terminal.as_ref().map(|terminal| terminal.resize.clone()),
            tty: terminal.is_some(),
        };
        remote::run(session, &target, ends).await
    }
}

/// The place in a pod where a command is run. Who is not told a container is told which was taken.
// Models ExecOptions.Run.
async fn target(pod: &Pod, container: &str, command: Vec<String>, told: Option<&Output>) -> Result<Target> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        let text = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(KubectlError::message(text));
    }
    let container = match container {
        "" => pods::named_or_default(pod, "", told).await?,
        name => pods::named(pod, name)?,
    };
    Ok(Target {
        subresource: "exec",
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        pod: pod.metadata.name.clone().unwrap_or_default(),
        container: container.name,
        command,
    })
}

/// A command in a pod that is known by name, as `cp` runs it.
pub(super) struct PodCommand<'a> {
    /// The pod's namespace; empty for the current one.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The container; empty for the pod's default.
    pub container: &'a str,
    /// The command.
    pub command: Vec<String>,
    /// Who is told of the container that was taken.
    pub told: Option<&'a Output>,
}

impl PodCommand<'_> {
    /// Runs it to its end.
    pub(super) async fn run(self, session: &Session, ends: Ends) -> Result<()> {
        let namespace = match self.namespace {
            "" => session.namespace()?.0,
            named => named.to_owned(),
        };
        let path = format!("/api/v1/namespaces/{namespace}/pods/{}", self.pod);
        let pod = session.client().await?.json(Request::get(path)).await?;
        let target = target(&pods::pod_of(&pod)?, self.container, self.command, self.told).await?;
        remote::run(session, &target, ends).await
    }
}
