//! `kubectl logs`: what containers wrote.
// Models k8s.io/kubectl/pkg/cmd/logs and .../polymorphichelpers (logsForObject).

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::exec::{pod_timeout, pod_timeout_flag};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::pods::{self, DEFAULT_CONTAINER_ANNOTATION, Place, Preference};
use crate::kubectl::resources::{Builder, is_list, list_items};
use crate::kubectl::session::{Output, Session};

/// The verb.
pub struct Logs;

const USAGE: &str = "logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]";
/// How many lines a selector shows unless it is told otherwise.
const SELECTOR_TAIL: i64 = 10;

/// The log of one container, and how its lines begin.
struct Source {
    path: String,
    prefix: String,
}

/// What is asked for, besides which containers.
struct Options {
    query: Vec<(&'static str, String)>,
    follow: bool,
    ignore_errors: bool,
    all_containers: bool,
    all_pods: bool,
    prefix: bool,
    container: String,
    retry_for: Duration,
}

#[async_trait]
impl Verb for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }
    fn short(&self) -> &'static str {
        "Print the logs for a container in a pod"
    }
    fn examples(&self) -> &'static str {
        "# What pod web wrote\nkubectl logs web\n\n\
         # Go on as it writes\nkubectl logs -f web\n\n\
         # What the container wrote before it was restarted\nkubectl logs -p web\n\n\
         # The last lines of every pod with a label\nkubectl logs -l app=web --prefix"
    }
    fn usage(&self) -> &'static str {
        "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool("all-pods", false, "Of all pods of the object; lines get a prefix"),
            Flag::bool("all-containers", false, "Of all containers of the pods"),
            Flag::bool("follow", false, "Go on as lines are written").short('f'),
            Flag::bool("timestamps", false, "Put the time in front of each line"),
            Flag::int("limit-bytes", 0, "At most so many bytes; 0 for all"),
            Flag::bool("previous", false, "Of the container before it was restarted").short('p'),
            Flag::int("tail", -1, "Only the last so many lines; -1 for all, or 10 with a selector"),
            Flag::bool("ignore-errors", false, "Go on with other containers when one's log cannot be read"),
            Flag::string("since-time", "", "Only what was written after this time (RFC 3339)"),
            Flag::duration("since", "0s", "Only what is newer than this, like 5s, 2m or 3h"),
            Flag::string("container", "", "Of this container").short('c'),
            Flag::bool("insecure-skip-tls-verify-backend", false, "Do not check the kubelet's certificate"),
            pod_timeout_flag("20s"),
            Flag::string("selector", "", "Of the pods with these labels").short('l'),
            Flag::int("max-log-requests", 5, "How many logs may be followed at the same time"),
            Flag::bool("prefix", false, "Put the pod's and container's name in front of each line"),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let options = options(session, flags, args)?;
        let (namespace, _) = session.namespace()?;
        let selector = flags.string("selector");
        let mut builder =
            Builder::new(session).namespace(&namespace).default_namespace().single_resource_type();
        if let Some(resource) = args.first() {
            builder = builder.resource_names("pods", std::slice::from_ref(resource));
        }
        if !selector.is_empty() {
            builder = builder.resource_types(&["pods"]).label_selector(selector);
        }
        let infos = builder.visit().await?.into_infos().map_err(|error| missing(error, &namespace))?;
        if selector.is_empty() && infos.len() != 1 {
            return Err(KubectlError::message("expected a resource"));
        }
        let objects: Vec<Value> = infos
            .into_iter()
            .flat_map(|info| if is_list(&info.object) { list_items(info.object) } else { vec![info.object] })
            .collect();
        if objects.is_empty() {
            session.err.line(format!("No resources found in {namespace} namespace.")).await?;
        }
        let mut sources = vec![];
        for object in &objects {
            sources.extend(sources_of(session, object, &options).await?);
        }
        let most = usize::try_from(flags.int("max-log-requests")).unwrap_or(0);
        if options.follow && sources.len() > 1 && sources.len() > most {
            return Err(KubectlError::message(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use --max-log-requests \
                 to increase the limit",
                sources.len()
            )));
        }
        if options.follow && sources.len() > 1 {
            let copies = sources.iter().map(|source| consume(session, source, &options));
            return futures::future::try_join_all(copies).await.map(drop);
        }
        for source in &sources {
            consume(session, source, &options).await?;
        }
        Ok(())
    }
}

fn missing(error: KubectlError, namespace: &str) -> KubectlError {
    if error.is_not_found() {
        return KubectlError::message(format!(
            "error from server (NotFound): {error} in namespace {namespace:?}"
        ));
    }
    error
}

fn options(session: &Session, flags: &Flags, args: &[String]) -> Result<Options> {
    let usage = |text: &str| KubectlError::usage(&session.command_path, text);
    let selector = flags.string("selector");
    let arguments =
        format!("expected '{USAGE}'.\nPOD or TYPE/NAME is a required argument for the logs command");
    match args.len() {
        0 if selector.is_empty() => return Err(usage(&arguments)),
        1 if !selector.is_empty() => return Err(usage("only a selector (-l) or a POD name is allowed")),
        0..=2 => {}
        _ => return Err(usage(&arguments)),
    }
    let container = args.get(1).map_or_else(|| flags.string("container").to_owned(), Clone::clone);
    let retry_for = pod_timeout(session, flags)?;
    let since = flags.duration("since");
    let since_time = flags.string("since-time");
    let invalid = |text: String| Err(KubectlError::Message(text));
    if !since_time.is_empty() && since_time.parse::<jiff::Timestamp>().is_err() {
        return invalid(format!(
            "parsing time {since_time:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {since_time:?} as \"2006\""
        ));
    }
    if !since_time.is_empty() && since.is_some_and(|since| !since.is_zero()) {
        return invalid("at most one of `sinceTime` or `sinceSeconds` may be specified".to_owned());
    }
    let all_containers = flags.bool("all-containers");
    if all_containers && !container.is_empty() {
        return invalid(format!(
            "--all-containers=true should not be specified with container name {container}"
        ));
    }
    if flags.changed("container") && args.len() == 2 {
        return invalid("only one of -c or an inline [CONTAINER] arg is allowed".to_owned());
    }
    let limit = flags.int("limit-bytes");
    if limit < 0 {
        return invalid("--limit-bytes must be greater than 0".to_owned());
    }
    if since.is_none() {
        return invalid("--since must be greater than 0".to_owned());
    }
    let tail = flags.int("tail");
    if tail < -1 {
        return invalid("--tail must be greater than or equal to -1".to_owned());
    }
    let mut query = vec![];
    let mut ask = |name: &'static str, wanted: bool, value: String| {
        if wanted {
            query.push((name, value));
        }
    };
    ask("follow", flags.bool("follow"), "true".to_owned());
    ask("insecureSkipTLSVerifyBackend", flags.bool("insecure-skip-tls-verify-backend"), "true".to_owned());
    ask("limitBytes", limit > 0, limit.to_string());
    ask("previous", flags.bool("previous"), "true".to_owned());
    let seconds = since.map_or(0, |since| (since.as_secs_f64()).round() as i64);
    ask("sinceSeconds", since.is_some_and(|since| !since.is_zero()), seconds.to_string());
    ask("sinceTime", !since_time.is_empty(), since_time.to_owned());
    match tail {
        -1 if !selector.is_empty() && !flags.changed("tail") => {
            ask("tailLines", true, SELECTOR_TAIL.to_string())
        }
        tail => ask("tailLines", tail != -1, tail.to_string()),
    }
    ask("timestamps", flags.bool("timestamps"), "true".to_owned());
    let all_pods = flags.bool("all-pods");
    Ok(Options {
        query,
        follow: flags.bool("follow"),
        ignore_errors: flags.bool("ignore-errors"),
        all_containers,
        all_pods,
        prefix: all_pods || flags.bool("prefix"),
        container,
        retry_for,
    })
}

/// The logs that an object stands for.
async fn sources_of(session: &Session, object: &Value, options: &Options) -> Result<Vec<Source>> {
    if object["kind"] == "Pod" {
        return pod_sources(session, &pods::pod_of(object)?, options, options.all_pods).await;
    }
    let (pod, count) = pods::pod_for(session, object, options.retry_for, Preference::Logging).await?;
    if count <= 1 {
        return pod_sources(session, &pod, options, options.all_pods).await;
    }
    if !options.all_pods {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        session.err.line(format!("Found {count} pods, using pod/{name}")).await?;
        return pod_sources(session, &pod, options, false).await;
    }
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let selector = pods::selector_of(object).map_err(KubectlError::Message)?;
    let mut sources = vec![];
    for pod in pods::pods_of(session, &namespace, &selector, options.retry_for, Preference::Logging).await? {
        sources.extend(pod_sources(session, &pod, options, true).await?);
    }
    Ok(sources)
}

/// The logs of one pod: of all containers, or of the one that is meant.
async fn pod_sources(session: &Session, pod: &Pod, options: &Options, quiet: bool) -> Result<Vec<Source>> {
    if options.all_containers {
        let all = pods::containers(pod);
        let order = [Place::Init, Place::Container, Place::Ephemeral];
        let names =
            order.iter().flat_map(|place| all.iter().filter(move |container| container.place == *place));
        return Ok(names.map(|container| source(pod, &container.name, options)).collect());
    }
    if !options.container.is_empty() {
        let container = pods::named(pod, &options.container)?;
        return Ok(vec![source(pod, &container.name, options)]);
    }
    let annotated = pod.metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_CONTAINER_ANNOTATION));
    if let Some(name) = annotated.filter(|name| !name.is_empty()) {
        if pods::named(pod, name).is_ok() {
            return Ok(vec![source(pod, name, options)]);
        }
        let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
        session.err.line(format!("Default container name {name:?} not found in pod {pod_name}")).await?;
    }
    let all = pods::containers(pod);
    let Some(first) = all.first() else { return Ok(vec![]) };
    if all.len() > 1 && !quiet {
        session
            .err
            .line(format!("Defaulted container {:?} out of: {}", first.name, pods::all_names(pod)))
            .await?;
    }
    Ok(vec![source(pod, &first.name, options)])
}

fn source(pod: &Pod, container: &str, options: &Options) -> Source {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut request =
        Request::get(format!("/api/v1/namespaces/{namespace}/pods/{name}/log")).query("container", container);
    for (name, value) in &options.query {
        request = request.query(name, value.clone());
    }
    let prefix = if options.prefix { format!("[pod/{name}/{container}] ") } else { String::new() };
    Source { path: request.uri(), prefix }
}

/// Copies a log. One that is followed is asked for again, once a second, while the server refuses it for now.
async fn consume(session: &Session, source: &Source, options: &Options) -> Result<()> {
    let deadline = session.clock.after(options.retry_for);
    loop {
        let error = match copy(session, source).await {
            Ok(()) => return Ok(()),
            Err(KubectlError::Exit(code)) => return Err(KubectlError::Exit(code)),
            Err(error) => error,
        };
        if options.ignore_errors {
            return session.out.line(format!("error: {error}")).await;
        }
        if !options.follow {
            return Err(error);
        }
        session.err.line(error.to_string()).await?;
        if !matches!(error, KubectlError::Status(_)) {
            return Err(error);
        }
        if session.clock.now() >= deadline {
            return Err(KubectlError::message("context deadline exceeded"));
        }
        session.clock.sleep(Duration::from_secs(1)).await;
    }
}

async fn copy(session: &Session, source: &Source) -> Result<()> {
    let client = session.client().await?;
    let bytes = client.stream(Request::get(&source.path)).await?;
    if source.prefix.is_empty() {
        return bytes.try_for_each(|chunk| session.out.write(chunk)).await;
    }
    prefixed(&session.out, &source.prefix, bytes).await
}

/// Writes whole lines with a prefix, so that several logs do not mix within a line.
async fn prefixed(
    out: &Output,
    prefix: &str,
    mut bytes: futures::stream::BoxStream<'static, Result<Bytes>>,
) -> Result<()> {
    let mut rest = BytesMut::new();
    while let Some(chunk) = bytes.next().await {
        rest.extend_from_slice(&chunk?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(end + 1);
            out.write([prefix.as_bytes(), &line].concat()).await?;
        }
    }
    if rest.is_empty() { Ok(()) } else { out.write([prefix.as_bytes(), &rest].concat()).await }
}
