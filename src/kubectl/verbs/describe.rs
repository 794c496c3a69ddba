//! `kubectl describe`.
// Models kubectl/pkg/cmd/describe.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::targets::{all_namespaces_flag, selector_flag};
use crate::kubectl::client::{Client, Request};
use crate::kubectl::command::Verb;
use crate::kubectl::describe::{Failure, Related, Resource, Settings, TypeName, Wanted, describe};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::{Mapping, group_version_path};
use crate::kubectl::resources::{Builder, FilenameOptions, Info};
use crate::kubectl::session::Session;

/// `kubectl describe`.
pub struct Describe;

#[async_trait]
impl Verb for Describe {
    fn name(&self) -> &'static str {
        "describe"
    }
    fn suggest_for(&self) -> &'static [&'static str] {
        &["inspect"]
    }
    fn short(&self) -> &'static str {
        "Show details of a specific resource or group of resources"
    }
    fn long(&self) -> &'static str {
        "Show what an object is and what happened to it: its fields in words, the objects that belong to it, its events.\n\n\
         A name that no object has is taken as the beginning of names.\n\nUse \"kubectl api-resources\" for a complete list of \
         supported resources."
    }
    fn examples(&self) -> &'static str {
        "# Describe a node\nkubectl describe nodes minikube\n\n# Describe a pod\nkubectl describe pods/web\n\n# Describe the pods \
         with a label\nkubectl describe pods -l app=web\n\n# Describe the pods whose names begin with web\nkubectl describe pods web"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = FilenameOptions::flags("containing the resource to describe");
        flags.extend([
            selector_flag(),
            all_namespaces_flag(),
            Flag::bool(
                "show-events",
                true,
                "Show events. They are shown for a single object if not told otherwise.",
            ),
            Flag::int("chunk-size", 500, "How many objects to ask for at once; 0 for all."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let files = FilenameOptions::new(flags);
        if args.is_empty() && files.is_empty() {
            let text = "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of \
                        supported resources.\n";
            return Err(KubectlError::message(text));
        }
        let (namespace, enforce) = session.namespace()?;
        let everywhere = flags.bool("all-namespaces");
        let mut builder = Builder::new(session).continue_on_error().namespace(&namespace).default_namespace();
        builder = builder.all_namespaces(everywhere).filenames(enforce && !everywhere, &files);
        builder = builder.label_selector(flags.string("selector")).resource_type_or_name_args(true, args);
        let found = builder.chunks(flags.int("chunk-size")).flatten().visit().await?;
        let cluster = Cluster { client: session.client().await?, now: session.clock.now() };
        let several = !found.errors.is_empty() || found.infos.len() > 1;
        let show_events = flags.bool("show-events") && (flags.changed("show-events") || !several);
        let settings = Settings { show_events };
        if let ([error], [], [kind, prefix]) = (&found.errors[..], &found.infos[..], args)
            && error.is_not_found()
        {
            return matching(session, &cluster, (kind, prefix), settings, error.clone()).await;
        }
        let silent = found.errors.is_empty() && found.infos.is_empty();
        let mut errors = found.errors;
        let mut first = true;
        for info in &found.infos {
            match one(&cluster, info, settings).await {
                Ok(text) => {
                    let separator = if first { "" } else { "\n\n" };
                    session.out.write(format!("{separator}{text}")).await?;
                    first = false;
                }
                Err(error) if errors.iter().any(|known| known.to_string() == error.to_string()) => {}
                Err(error) => errors.push(error),
            }
        }
        if silent && everywhere {
            session.err.line("No resources found").await?;
        } else if silent {
            session.err.line(format!("No resources found in {namespace} namespace.")).await?;
        }
        KubectlError::aggregate(errors)
    }
}

async fn one(cluster: &Cluster, info: &Info, settings: Settings) -> Result<String> {
    let mapping: &Mapping = info.mapping()?;
    let api_version = mapping.api_version();
    let of = TypeName {
        group: &mapping.group,
        kind: &mapping.kind,
        api_version: &api_version,
        plural: &mapping.resource,
    };
    let described = describe(cluster, of, (&info.namespace, &info.name), settings).await;
    described.map_err(|failure| cluster.original(failure))
}

/// Describes the objects whose names begin with the name that no object has.
async fn matching(
    session: &Session,
    cluster: &Cluster,
    (kind, prefix): (&String, &String),
    settings: Settings,
    original: KubectlError,
) -> Result<()> {
    let (namespace, _) = session.namespace()?;
    let builder = Builder::new(session).namespace(&namespace).default_namespace().single_resource_type();
    let found =
        builder.resource_type_or_name_args(true, std::slice::from_ref(kind)).flatten().visit().await?;
    let mut described = false;
    for info in found.into_infos()?.iter().filter(|info| info.name.starts_with(prefix.as_str())) {
        described = true;
        session.out.line(one(cluster, info, settings).await?).await?;
    }
    if described { Ok(()) } else { Err(original) }
}

/// The cluster as describers ask it.
struct Cluster {
    client: Client,
    now: Timestamp,
}

impl Cluster {
    /// The error that a failure was made of.
    fn original(&self, failure: Failure) -> KubectlError {
        if !failure.from_server {
            return KubectlError::message(failure.message);
        }
        let code = if failure.reason == "NotFound" { 404 } else { 500 };
        KubectlError::Status(crate::api::status::ApiError::new(code, &failure.reason, failure.message).0)
    }
}

fn failure(error: KubectlError) -> Failure {
    let from_server = matches!(error, KubectlError::Status(_));
    Failure { reason: error.reason().to_owned(), message: error.to_string(), from_server }
}

fn path(resource: Resource<'_>, namespace: &str) -> String {
    let (group, version) = resource.api_version.split_once('/').unwrap_or(("", resource.api_version));
    let namespace = if namespace.is_empty() { String::new() } else { format!("/namespaces/{namespace}") };
    format!("{}{namespace}/{}", group_version_path(group, version), resource.plural)
}

#[async_trait]
impl Related for Cluster {
    async fn get(
        &self,
        resource: Resource<'_>,
        namespace: &str,
        name: &str,
    ) -> std::result::Result<Value, Failure> {
        let path = format!("{}/{name}", path(resource, namespace));
        self.client.json(Request::get(path)).await.map_err(failure)
    }

    async fn list(
        &self,
        resource: Resource<'_>,
        wanted: &Wanted,
    ) -> std::result::Result<Vec<Value>, Failure> {
        let (mut items, mut next) = (vec![], String::new());
        loop {
            let request = Request::get(path(resource, &wanted.namespace))
                .query("continue", next.as_str())
                .query("fieldSelector", wanted.fields.as_str())
                .query("labelSelector", wanted.labels.as_str())
                .query("limit", "500");
            let mut list = self.client.json(request).await.map_err(failure)?;
            if let Some(more) = list["items"].as_array_mut() {
                items.append(more);
            }
            next = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if next.is_empty() {
                return Ok(items);
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}
