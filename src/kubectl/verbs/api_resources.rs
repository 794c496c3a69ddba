//! `kubectl api-resources` and `kubectl api-versions`: what the API has.
// Models k8s.io/kubectl/pkg/cmd/apiresources.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::{Mapper, Mapping};
use crate::kubectl::output::{ResourcePrinter, TabWriter, json::JsonPrinter};
use crate::kubectl::session::Session;
use crate::yaml;

/// `kubectl api-resources`.
pub struct ApiResources;

/// `kubectl api-versions`.
pub struct ApiVersions;

#[async_trait]
impl Verb for ApiResources {
    fn name(&self) -> &'static str {
        "api-resources"
    }

    fn short(&self) -> &'static str {
        "Print the supported API resources on the server"
    }

    fn long(&self) -> &'static str {
        "Print the resources that the server's API has."
    }

    fn examples(&self) -> &'static str {
        "# List the resources\nkubectl api-resources\n\n# List them with their verbs and categories\nkubectl api-resources -o wide\n\n# List them by \
         name\nkubectl api-resources --sort-by=name\n\n# List those in namespaces\nkubectl api-resources --namespaced=true\n\n# List those of an API \
         group\nkubectl api-resources --api-group=apps"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("api-group", "", "Only resources of this API group."),
            Flag::bool("cached", false, "Use a cached list if there is one; this kubectl keeps none."),
            Flag::strings("categories", "Only resources in all of these categories."),
            Flag::bool(
                "namespaced",
                true,
                "Only resources in namespaces if true, only cluster-wide ones if false; both if not given.",
            ),
            Flag::bool("no-headers", false, "Print no headers."),
            Flag::string("output", "", "Output format. One of: (json, yaml, kyaml, name, wide).").short('o'),
            Flag::string("sort-by", "", "Sort by 'name' or 'kind'."),
            Flag::strings("verbs", "Only resources with all of these verbs."),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        if !args.is_empty() {
            return Err(KubectlError::usage(
                &session.command_path,
                format!("unexpected arguments: [{}]", args.join(" ")),
            ));
        }
        let (output, sort_by) = (flags.string("output"), flags.string("sort-by"));
        if !matches!(output, "" | "wide" | "name" | "json" | "yaml" | "kyaml") {
            return Err(crate::kubectl::output::print_flags::no_printer(
                output,
                &["json", "yaml", "kyaml", "name", "wide"],
            ));
        }
        if !matches!(sort_by, "" | "name" | "kind") {
            return Err(KubectlError::message("--sort-by accepts only name or kind"));
        }
        let mapper = session.mapper().await?;
        let mut resources: Vec<Arc<Mapping>> =
            mapper.preferred().into_iter().filter(|m| wanted(m, flags)).collect();
        resources.sort_by(|a, b| match sort_by {
            "name" => a.resource.cmp(&b.resource),
            "kind" => a.kind.cmp(&b.kind),
            _ => (&a.group, &a.resource).cmp(&(&b.group, &b.resource)),
        });
        let text = match output {
            "json" | "yaml" | "kyaml" => as_objects(&mapper, &resources, output)?,
            "name" => resources.iter().map(|m| m.group_resource() + "\n").collect(),
            _ => table(&resources, output == "wide", flags.bool("no-headers")),
        };
        session.out.write(text).await
    }
}

fn wanted(mapping: &Mapping, flags: &Flags) -> bool {
    let group = !flags.changed("api-group") || mapping.group == flags.string("api-group");
    let scope = !flags.changed("namespaced") || mapping.namespaced == flags.bool("namespaced");
    let verbs = flags.strings("verbs").iter().all(|verb| mapping.has_verb(verb));
    let categories = flags.strings("categories").iter().all(|category| mapping.categories.contains(category));
    group && scope && verbs && categories && !mapping.verbs.is_empty()
}

fn table(resources: &[Arc<Mapping>], wide: bool, no_headers: bool) -> String {
    let mut writer = TabWriter::for_tables();
    if !no_headers {
        let headers = "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND";
        writer.line(&if wide { format!("{headers}\tVERBS\tCATEGORIES") } else { headers.to_owned() });
    }
    for m in resources {
        let mut line = format!(
            "{}\t{}\t{}\t{}\t{}",
            m.resource,
            m.short_names.join(","),
            m.api_version(),
            m.namespaced,
            m.kind
        );
        if wide {
            let mut verbs = m.verbs.clone();
            verbs.sort();
            line += &format!("\t{}\t{}", verbs.join(","), m.categories.join(","));
        }
        writer.line(&line);
    }
    writer.flush()
}

fn as_objects(_: &Mapper, resources: &[Arc<Mapping>], output: &str) -> Result<String> {
    let list = |m: &Arc<Mapping>| {
        let mut entry = json!({
            "name": m.resource, "singularName": m.singular, "namespaced": m.namespaced, "group": m.group, "version": m.version,
            "kind": m.kind, "verbs": m.verbs, "shortNames": m.short_names, "categories": m.categories,
        });
        if let Some(map) = entry.as_object_mut() {
            map.retain(|key, value| {
                !matches!(key.as_str(), "shortNames" | "categories" | "group")
                    || !(value == &json!([]) || value == &json!(""))
            });
        }
        entry
    };
    let resources: Vec<Value> = resources.iter().map(list).collect();
    let object =
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "", "resources": resources});
    let mut text = String::new();
    match output {
        "json" => JsonPrinter.print(&object, &mut text)?,
        "kyaml" => crate::kubectl::output::kyaml::KyamlPrinter.print(&object, &mut text)?,
        _ => text = yaml::to_string(&object),
    }
    Ok(text)
}

#[async_trait]
impl Verb for ApiVersions {
    fn name(&self) -> &'static str {
        "api-versions"
    }

    fn short(&self) -> &'static str {
        "Print the supported API versions on the server, in the form of \"group/version\""
    }

    fn examples(&self) -> &'static str {
        "# Print the API versions\nkubectl api-versions"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        if !args.is_empty() {
            return Err(KubectlError::usage(
                &session.command_path,
                format!("unexpected arguments: [{}]", args.join(" ")),
            ));
        }
        let mapper = session.mapper().await?;
        let of_group = |group: &crate::kubectl::mapper::Group| {
            let name = |version: &String| {
                if group.name.is_empty() { version.clone() } else { format!("{}/{version}", group.name) }
            };
            group.versions.iter().map(name).collect::<Vec<_>>()
        };
        let mut versions: Vec<String> = mapper.groups.iter().flat_map(of_group).collect();
        versions.sort();
        session.out.write(versions.iter().map(|version| format!("{version}\n")).collect::<String>()).await
    }
}
