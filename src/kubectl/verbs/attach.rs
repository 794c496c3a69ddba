//! `kubectl attach`: joins the process of a container.
// Models k8s.io/kubectl/pkg/cmd/attach.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;

use super::exec::{pod_timeout, pod_timeout_flag, stream_flags};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::pods::{self, Place, Preference};
use crate::kubectl::remote::{self, Ends, Target};
use crate::kubectl::resources::Builder;
use crate::kubectl::session::Session;

/// The verb.
pub struct Attach;

/// How to join a process.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// The container; empty for the default one.
    pub container: String,
    /// Whether standard input is passed on.
    pub stdin: bool,
    /// Whether a terminal is wanted.
    pub tty: bool,
    /// Whether to say nothing of one's own.
    pub quiet: bool,
    /// The words that would join again, like `kubectl attach`.
    pub command_name: String,
}

#[async_trait]
impl Verb for Attach {
    fn name(&self) -> &'static str {
        "attach"
    }
    fn short(&self) -> &'static str {
        "Attach to a running container"
    }
    fn examples(&self) -> &'static str {
        "# See what the first container of pod web prints\nkubectl attach web\n\n\
         # Type into a container that was started with a terminal\nkubectl attach web -c app -i -t"
    }
    fn usage(&self) -> &'static str {
        "(POD | TYPE/NAME) -c CONTAINER"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = stream_flags();
        flags.push(pod_timeout_flag("1m0s"));
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let timeout = pod_timeout(session, flags)?;
        let (namespace, _) = session.namespace()?;
        let builder = Builder::new(session).namespace(&namespace).default_namespace();
        let builder = match args {
            [] => return Err(KubectlError::message("at least 1 argument is required for attach")),
            [name] => builder.resource_names("pods", std::slice::from_ref(name)),
            [kind, name] => builder.resource_names(kind, std::slice::from_ref(name)),
            many => {
                let text = format!(
                    "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]",
                    many.len(),
                    many.join(" ")
                );
                return Err(KubectlError::message(text));
            }
        };
        let infos = builder.visit().await?.into_infos()?;
        let info = infos
            .first()
            .ok_or_else(|| KubectlError::message("at least 1 argument is required for attach"))?;
        let (pod, _) = pods::pod_for(session, &info.object, timeout, Preference::Active).await?;
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        if matches!(phase, "Succeeded" | "Failed") {
            let text = format!("cannot attach a container in a completed pod; current phase is {phase}");
            return Err(KubectlError::message(text));
        }
        let options = AttachOptions {
            container: flags.string("container").to_owned(),
            stdin: flags.bool("stdin"),
            tty: flags.bool("tty"),
            quiet: flags.bool("quiet"),
            command_name: session.command_path.clone(),
        };
        attach(session, &pod, &options).await
    }
}

/// Joins the process of a pod's container until it ends.
pub async fn attach(session: &Session, pod: &Pod, options: &AttachOptions) -> Result<()> {
    let told = Some(&session.err).filter(|_| !options.quiet);
    let container = pods::named_or_default(pod, &options.container, told)
        .await
        .map_err(|error| KubectlError::message(format!("cannot attach to the container: {error}")))?;
    if options.tty && !container.tty && !options.quiet {
        let text = format!("error: Unable to use a TTY - container {} did not allocate one", container.name);
        session.err.line(text).await?;
    }
    // A process that has a terminal speaks to one, whether it was asked for or not.
    let terminal = remote::take_terminal(session, options.stdin, container.tty, options.quiet).await?;
    if !options.quiet {
        let recorded = "All commands and output from this session will be recorded in container logs, including credentials and \
                        sensitive information passed through the command prompt.";
        session.err.line(recorded).await?;
        session.err.line("If you don't see a command prompt, try pressing enter.").await?;
    }
    let target = Target {
        subresource: "attach",
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        pod: pod.metadata.name.clone().unwrap_or_default(),
        container: container.name.clone(),
        command: vec![],
    };
    let raw = terminal.is_some();
    let ends = Ends {
        stdin: if options.stdin { Some(session.take_stdin().await) } else { None },
        stdout: Some(session.out.writer()),
        stderr: (!raw).then(|| session.err.writer()),
        resize: terminal.as_ref().map(|terminal| terminal.resize.clone()),
        tty: raw,
    };
    let result = remote::run(session, &target, ends).await;
    drop(terminal);
    result?;
    if options.quiet || !options.stdin || !raw {
        return Ok(());
    }
    let again = format!(
        "{} {} -c {} -n {} -i -t",
        options.command_name, target.pod, container.name, target.namespace
    );
    let text = if container.place == Place::Ephemeral {
        format!(
            "Session ended, the ephemeral container will not be restarted but may be reattached using '{again}' if it is still running"
        )
    } else {
        format!("Session ended, resume using '{again}' command")
    };
    session.out.line(text).await
}
