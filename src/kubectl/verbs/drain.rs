//! `kubectl cordon`, `uncordon` and `drain`.
// Models kubectl/pkg/cmd/drain and kubectl/pkg/drain.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::drain_filters::{Verdict, judge};
use super::patching::{Patch, STRATEGIC_PATCH, send};
use super::targets::selector_flag;
use super::watching::{Seen, Target, WEEK, until};
use super::writing::{DryRun, WriteOptions, dry_run, dry_run_flag, tell};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::describe::fields::{flag, text};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{Builder, Info};
use crate::kubectl::session::Session;
use crate::meta::age;

/// How long to wait before an eviction is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// One of the verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeVerb {
    Cordon,
    Uncordon,
    Drain,
}

#[async_trait]
impl Verb for NodeVerb {
    fn name(&self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Uncordon => "uncordon",
            Self::Drain => "drain",
        }
    }
    fn short(&self) -> &'static str {
        match self {
            Self::Cordon => "Mark node as unschedulable",
            Self::Uncordon => "Mark node as schedulable",
            Self::Drain => "Drain node in preparation for maintenance",
        }
    }
    fn long(&self) -> &'static str {
        match self {
            Self::Cordon => "Let no new pods come to a node.",
            Self::Uncordon => "Let pods come to a node again.",
            Self::Drain => {
                "Cordon a node and evict its pods, which respects disruption budgets.\n\nPods of daemon sets stay, if \
                            --ignore-daemonsets allows that. Pods without a controller and pods with emptyDir data go only with \
                            --force and --delete-emptydir-data."
            }
        }
    }
    fn examples(&self) -> &'static str {
        match self {
            Self::Cordon => "# Let no new pods come to a node\nkubectl cordon minikube",
            Self::Uncordon => "# Let pods come to a node again\nkubectl uncordon minikube",
            Self::Drain => {
                "# Empty a node, with a grace period of 15 minutes\nkubectl drain minikube --ignore-daemonsets \
                            --grace-period=900"
            }
        }
    }
    fn usage(&self) -> &'static str {
        "NODE"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = vec![dry_run_flag(), selector_flag()];
        if *self == Self::Drain {
            flags.extend([
                Flag::int("chunk-size", 500, "How many objects to ask for at once; 0 for all."),
                Flag::bool(
                    "delete-emptydir-data",
                    false,
                    "Evict pods that use emptyDir, whose data is lost.",
                ),
                Flag::bool(
                    "disable-eviction",
                    false,
                    "Delete pods rather than evict them, past disruption budgets.",
                ),
                Flag::bool("force", false, "Evict pods that have no controller."),
                Flag::int(
                    "grace-period",
                    -1,
                    "How many seconds pods get to end; negative leaves it to the pod.",
                ),
                Flag::bool("ignore-daemonsets", false, "Leave pods of daemon sets alone."),
                Flag::string("pod-selector", "", "Only pods with these labels."),
                Flag::int(
                    "skip-wait-for-delete-timeout",
                    0,
                    "Do not wait for pods that have been ending for so many seconds.",
                ),
                Flag::duration("timeout", "0s", "How long to try; zero for as long as it takes."),
            ]);
        }
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let selector = flags.string("selector");
        if args.is_empty() && !flags.changed("selector") {
            let text = format!("USAGE: {} NODE [flags]", self.name());
            return Err(KubectlError::usage(&session.command_path, text));
        }
        if !args.is_empty() && !selector.is_empty() {
            let text = "error: cannot specify both a node name and a --selector option";
            return Err(KubectlError::usage(&session.command_path, text));
        }
        let dry_run = dry_run(session, flags).await?;
        let nodes = nodes(session, flags, args).await?;
        let work = Work { session, flags, dry_run };
        let mut marked = vec![];
        for info in nodes {
            marked.push(work.cordon(info, *self != Self::Uncordon).await?);
        }
        if *self == Self::Drain { work.drain_all(&marked).await } else { Ok(()) }
    }
}

async fn nodes(session: &Session, flags: &Flags, args: &[String]) -> Result<Vec<Info>> {
    let (namespace, _) = session.namespace()?;
    let mut builder =
        Builder::new(session).namespace(&namespace).default_namespace().resource_names("nodes", args);
    builder = builder.single_resource_type().flatten();
    if !flags.string("selector").is_empty() {
        builder = builder.label_selector(flags.string("selector")).resource_types(&["nodes"]);
    }
    let infos = builder.visit().await?.into_infos()?;
    for info in &infos {
        let mapping = info.mapping()?;
        if mapping.group_resource() != "nodes" {
            let text = format!("error: expected resource of type node, got {:?}", mapping.group_resource());
            return Err(KubectlError::message(text));
        }
    }
    Ok(infos)
}

struct Work<'a> {
    session: &'a Session,
    flags: &'a Flags,
    dry_run: DryRun,
}

impl Work<'_> {
    /// Marks a node and tells of it. Failures are told, too, and do not end the verb.
    async fn cordon(&self, mut info: Info, desired: bool) -> Result<Info> {
        let word = if desired { "cordon" } else { "uncordon" };
        if flag(&info.object, "/spec/unschedulable") == desired {
            self.tell(&info.object, &format!("already {word}ed")).await?;
            return Ok(info);
        }
        if self.dry_run != DryRun::Client {
            let value = if desired { json!(true) } else { Value::Null };
            let patch =
                Patch { media_type: STRATEGIC_PATCH, body: json!({"spec": {"unschedulable": value}}) };
            let options = WriteOptions { dry_run: self.dry_run, field_manager: "", validation: "" };
            match send(self.session, &info, &patch, &options).await {
                Ok(node) => info.object = node,
                Err(error) => {
                    let line = format!("error: unable to {word} node {:?}: {error}", info.name);
                    self.session.err.line(line).await?;
                    return Ok(info);
                }
            }
        }
        self.tell(&info.object, &format!("{word}ed")).await?;
        Ok(info)
    }

    async fn tell(&self, object: &Value, operation: &str) -> Result<()> {
        tell(self.session, self.flags, object, operation, self.dry_run).await
    }

    async fn drain_all(&self, nodes: &[Info]) -> Result<()> {
        let (mut fatal, mut pending) = (vec![], String::new());
        for info in nodes {
            match self.drain(info).await {
                Ok(()) => self.tell(&info.object, "drained").await?,
                Err(error) => {
                    let line = format!(
                        "error: unable to drain node {:?} due to error: {error}, continuing command...",
                        info.name
                    );
                    self.session.err.line(line).await?;
                    pending.push_str(&format!(" {}\n", info.name));
                    fatal.push(error);
                }
            }
        }
        if !pending.is_empty() {
            self.session.err.write(format!("There are pending nodes to be drained:\n{pending}")).await?;
        }
        // kubectl keeps a list of errors a node, and a list is printed without `error: ` in front of its members.
        let lines: Vec<String> = match fatal.len() {
            0 => return Ok(()),
            1 => fatal.into_iter().flat_map(members).map(|error| error.standard()).collect(),
            _ => fatal.iter().map(ToString::to_string).collect(),
        };
        Err(KubectlError::Plain(lines.join("\n")))
    }

    async fn drain(&self, node: &Info) -> Result<()> {
        let pods = self.pods(node).await?;
        if let Some(warning) = pods.warnings() {
            self.session.err.line(format!("Warning: {warning}")).await?;
        }
        if self.dry_run == DryRun::Client {
            for pod in &pods.going {
                self.session.out.line(format!("evicting pod {} (dry run)", full_name(pod))).await?;
            }
            return Ok(());
        }
        let Err(error) = self.remove(&pods.going).await else { return Ok(()) };
        match self.pods(node).await {
            Ok(left) if !left.going.is_empty() => {
                let head =
                    format!("There are pending pods in node {:?} when an error occurred: {error}", node.name);
                self.session.err.line(head).await?;
                for pod in &left.going {
                    self.session.err.line(format!("pod/{}", text(pod, "/metadata/name"))).await?;
                }
            }
            Ok(_) => {}
            Err(errors) => {
                let head =
                    format!("Following errors occurred while getting the list of pods to delete:\n{errors}");
                self.session.err.write(head).await?;
            }
        }
        Err(error)
    }

    /// The pods of a node that are to go; an error names those that must not.
    async fn pods(&self, node: &Info) -> Result<Pods> {
        let client = self.session.client().await?;
        let request = Request::get("/api/v1/pods")
            .query("fieldSelector", format!("spec.nodeName={}", node.name))
            .query("labelSelector", self.flags.string("pod-selector"));
        let mut list = client.json(request).await?;
        let mut pods = Pods::default();
        for mut pod in list["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            let name = full_name(&pod);
            let verdict = judge(self.session, self.flags, &pod).await;
            match &verdict {
                Verdict::Go | Verdict::Stay => {}
                Verdict::Warn { message, .. } => pods.warned.entry(message.clone()).or_default().push(name),
                Verdict::Refuse(message) => pods.refused.entry(message.clone()).or_default().push(name),
            }
            if matches!(verdict, Verdict::Go | Verdict::Warn { goes: true, .. }) {
                pods.going.push(pod);
            }
        }
        let refusal = |(message, names): (&String, &Vec<String>)| {
            KubectlError::message(format!("cannot delete {message}: {}", names.join(", ")))
        };
        KubectlError::aggregate(pods.refused.iter().map(refusal).collect())?;
        Ok(pods)
    }

    /// Evicts or deletes pods, all at once, and waits until they are gone.
    async fn remove(&self, pods: &[Value]) -> Result<()> {
        let timeout = self.flags.duration("timeout").filter(|timeout| !timeout.is_zero());
        let deadline = self.session.clock.after(timeout.unwrap_or(WEEK));
        let mut going: FuturesUnordered<_> =
            pods.iter().map(|pod| self.remove_one(pod, deadline, timeout)).collect();
        let mut errors = vec![];
        while let Some(ended) = going.next().await {
            errors.extend(ended.err());
        }
        KubectlError::aggregate(errors)
    }

    async fn remove_one(
        &self,
        pod: &Value,
        deadline: jiff::Timestamp,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let left = Duration::try_from(deadline.duration_since(self.session.clock.now())).unwrap_or_default();
        let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
        let evicting = !self.flags.bool("disable-eviction");
        let removing = async {
            if evicting {
                self.evict(pod).await?;
            } else {
                self.delete(pod).await?;
            }
            if self.dry_run == DryRun::Server {
                return Ok(());
            }
            self.wait(pod).await?;
            self.tell(pod, if evicting { "evicted" } else { "deleted" }).await
        };
        let late = || {
            let all = age::go_string(timeout.unwrap_or(WEEK));
            KubectlError::message(format!(
                "error when evicting pods/{name:?} -n {namespace:?}: global timeout reached: {all}"
            ))
        };
        self.session.clock.timeout(left, removing).await.unwrap_or_else(|_| Err(late()))
    }

    /// Asks for an eviction until it is granted.
    async fn evict(&self, pod: &Value) -> Result<()> {
        let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace}, "deleteOptions": self.delete_options()});
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
        loop {
            let suffix = if self.dry_run == DryRun::Server { " (server dry run)" } else { "" };
            self.session.out.line(format!("evicting pod {namespace}/{name}{suffix}")).await?;
            let error =
                match self.session.client().await?.json(Request::post(path.as_str()).json(&body)).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                };
            let ending = !text(pod, "/metadata/deletionTimestamp").is_empty();
            let line = match error.reason() {
                "NotFound" => return Ok(()),
                "TooManyRequests" => format!(
                    "error when evicting pods/{name:?} -n {namespace:?} (will retry after 5s): {error}"
                ),
                "Forbidden" if ending && namespace_terminating(&error) => return Ok(()),
                "Forbidden" if namespace_terminating(&error) => format!(
                    "error when evicting pod {name:?} from terminating namespace {namespace:?} (will retry after 5s): {error}"
                ),
                _ => {
                    let text = format!("error when evicting pods/{name:?} -n {namespace:?}: {error}");
                    return Err(KubectlError::message(text));
                }
            };
            self.session.err.line(line).await?;
            self.session.clock.sleep(RETRY).await;
        }
    }

    async fn delete(&self, pod: &Value) -> Result<()> {
        let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        match self.session.client().await?.json(Request::delete(path).json(&self.delete_options())).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    fn delete_options(&self) -> Value {
        let mut options = json!({});
        if self.flags.int("grace-period") >= 0 {
            options["gracePeriodSeconds"] = json!(self.flags.int("grace-period"));
        }
        if self.dry_run == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    /// Waits until the pod is gone, or another has its name.
    async fn wait(&self, pod: &Value) -> Result<()> {
        let mapper = self.session.mapper().await?;
        let mapping = mapper
            .for_kind("", Some("v1"), "Pod")
            .ok_or_else(|| KubectlError::message("the server has no pods"))?;
        let (name, namespace) = (text(pod, "/metadata/name"), text(pod, "/metadata/namespace"));
        let uid = text(pod, "/metadata/uid");
        until(self.session, Target { mapping: &mapping, namespace, name }, |seen| {
            Ok(match seen {
                Seen::Absent | Seen::Deleted => true,
                Seen::Present(object) => text(object, "/metadata/uid") != uid,
            })
        })
        .await
    }
}

/// The errors of which one is made.
fn members(error: KubectlError) -> Vec<KubectlError> {
    match error {
        KubectlError::Many(errors) => errors,
        other => vec![other],
    }
}

fn namespace_terminating(error: &KubectlError) -> bool {
    let KubectlError::Status(status) = error else { return false };
    let causes = status.details.as_ref().and_then(|details| details.causes.as_deref()).unwrap_or_default();
    causes.iter().any(|cause| cause.reason.as_deref() == Some("NamespaceTerminating"))
}

fn full_name(pod: &Value) -> String {
    format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name"))
}

/// The pods of a node, judged.
#[derive(Default)]
struct Pods {
    going: Vec<Value>,
    warned: BTreeMap<String, Vec<String>>,
    refused: BTreeMap<String, Vec<String>>,
}

impl Pods {
    fn warnings(&self) -> Option<String> {
        let texts: Vec<String> =
            self.warned.iter().rev().map(|(text, names)| format!("{text}: {}", names.join(", "))).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}
