//! The verb.
// Models k8s.io/kubectl/pkg/cmd/explain and pkg/explain (SplitAndParseResourceRequestWithMatchingPrefix).

use std::sync::Arc;

use async_trait::async_trait;

use super::schema::Document;
use super::{plaintext, plaintext_v2};
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::{Mapper, Mapping};
use crate::kubectl::session::Session;

/// The verb.
pub struct Explain;

#[async_trait]
impl Verb for Explain {
    fn name(&self) -> &'static str {
        "explain"
    }

    fn short(&self) -> &'static str {
        "Get documentation for a resource"
    }

    fn long(&self) -> &'static str {
        "Describe the fields of a resource.\n\nA field is named by its path:\n\n<type>.<fieldName>[.<fieldName>]\n\nWhat is known of the fields \
         comes from the server.\n\nUse \"kubectl api-resources\" for a complete list of supported resources."
    }

    fn examples(&self) -> &'static str {
        "# Explain a resource and its fields\nkubectl explain pods\n\n# List all fields below, without descriptions\nkubectl explain pods \
         --recursive\n\n# Explain deployments of an API version\nkubectl explain deployments --api-version=apps/v1\n\n# Explain one \
         field\nkubectl explain pods.spec.containers\n\n# Explain in another layout\nkubectl explain deployment \
         --output=plaintext-openapiv2"
    }

    fn usage(&self) -> &'static str {
        "TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2]"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string(
                "api-version",
                "",
                "Explain the resource as it is in this API version (group/version).",
            ),
            Flag::string("output", "plaintext", "The layout: plaintext or plaintext-openapiv2.").short('o'),
            Flag::bool("recursive", false, "List the fields of fields.").short('R'),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let [word] = args else {
            return Err(KubectlError::message(if args.is_empty() {
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n"
            } else {
                "We accept only this format: explain RESOURCE\n"
            }));
        };
        let output = flags.string("output");
        let mapper = session.mapper().await?;
        let (mapping, path) = find(&mapper, word, flags.string("api-version"))?;
        let document = document(session, &mapping).await?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let recursive = flags.bool("recursive");
        let schema = document.of_kind(&mapping.group, &mapping.version, &mapping.kind);
        let schema = schema.ok_or_else(|| {
            let text = format!(
                "error: GVR ({}, Resource={}) not found in OpenAPI schema",
                mapping.api_version(),
                mapping.resource
            );
            KubectlError::message(text)
        })?;
        let missing = |field: &str| KubectlError::message(format!("field \"{field}\" does not exist"));
        match output {
            "plaintext" => {
                let group = if mapping.group.is_empty() {
                    String::new()
                } else {
                    format!("GROUP:      {}\n", mapping.group)
                };
                session
                    .out
                    .write(format!(
                        "{group}KIND:       {}\nVERSION:    {}\n\n",
                        mapping.kind, mapping.version
                    ))
                    .await?;
                let text = plaintext::output(&document, schema, &path, recursive);
                if text.is_empty() {
                    return Err(missing(path.last().unwrap_or(&"")));
                }
                session.out.line(text).await
            }
            "plaintext-openapiv2" => {
                let text = plaintext_v2::output(&document, schema, &path, recursive).map_err(missing)?;
                session
                    .out
                    .write(format!(
                        "KIND:     {}\nVERSION:  {}\n\n{text}",
                        mapping.kind,
                        mapping.api_version()
                    ))
                    .await
            }
            other => Err(KubectlError::message(format!("unrecognized format: {other}"))),
        }
    }
}

/// The resource and the path of fields that `pods.spec`, `deployments.apps.spec` mean.
fn find(mapper: &Mapper, word: &str, api_version: &str) -> Result<(Arc<Mapping>, Vec<String>)> {
    let parts: Vec<&str> = word.trim_end_matches('.').split('.').collect();
    let (resource, path) = (parts[0], &parts[1..]);
    let unknown = |_| KubectlError::Plain(format!("the server doesn't have a resource type {resource:?}"));
    let mut found = mapper.find(resource).map_err(unknown)?;
    let mut skipped = 0;
    for length in (1..=path.len()).rev() {
        let group = path[..length].join(".");
        if let Ok(exact) = mapper.find(&format!("{resource}.{group}"))
            && exact.group == group
        {
            (found, skipped) = (exact, length);
            break;
        }
    }
    if !api_version.is_empty() {
        let of_version =
            mapper.resources.iter().find(|m| m.api_version() == api_version && m.resource == found.resource);
        let missing = || {
            KubectlError::message(format!(
                "couldn't find resource for \"{api_version}, Resource={}\"",
                found.resource
            ))
        };
        found = of_version.cloned().ok_or_else(missing)?;
    }
    Ok((found, path[skipped..].iter().map(|&part| part.to_owned()).collect()))
}

/// The OpenAPI document of a resource's group and version.
async fn document(session: &Session, mapping: &Mapping) -> Result<Document> {
    let client = session.client().await?;
    let paths = client.json(Request::get("/openapi/v3")).await;
    let paths = paths
        .map_err(|error| KubectlError::message(format!("failed to fetch list of groupVersions: {error}")))?;
    let path = if mapping.group.is_empty() {
        format!("api/{}", mapping.version)
    } else {
        format!("apis/{}", mapping.api_version())
    };
    let url = paths["paths"][&path]["serverRelativeURL"].as_str().map(str::to_owned);
    let missing = || {
        KubectlError::message(format!(
            "couldn't find resource for \"{}, Resource={}\"",
            mapping.api_version(),
            mapping.resource
        ))
    };
    let document = client.json(Request::get(url.ok_or_else(missing)?)).await;
    document
        .map(Document)
        .map_err(|error| KubectlError::message(format!("failed to fetch openapi schema for {path}: {error}")))
}

#[cfg(test)]
mod tests {
    use crate::kubectl::verbs::testing::Harness;

    #[tokio::test(start_paused = true)]
    async fn fields_are_explained_from_the_servers_schemas() {
        let harness = Harness::new().await;
        let cases = [
            (
                "explain deploy.spec.replicas",
                "GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n\nFIELD: replicas <integer>\n",
            ),
            (
                "explain deployments.apps.spec.strategy",
                "GROUP:      apps\nKIND:       Deployment\nVERSION:    v1\n\nFIELD: strategy <DeploymentStrategy>\n",
            ),
            (
                "explain pod.spec.nosuch",
                "KIND:       Pod\nVERSION:    v1\n\nerror: field \"nosuch\" does not exist\n[exit 1]\n",
            ),
            ("explain podz", "the server doesn't have a resource type \"podz\"\n[exit 1]\n"),
        ];
        for (line, expected) in cases {
            let printed = harness.run(line).await;
            assert!(printed.starts_with(expected), "kubectl {line}: {printed}");
        }
    }
}
