//! `kubectl config view`.

use async_trait::async_trait;
use base64::Engine;

use super::write;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::kubeconfig::Kubeconfig;
use crate::kubectl::output::json;
use crate::kubectl::output::print_flags::{FORMATS, no_printer, print_flags, printer_for};
use crate::kubectl::session::Session;

/// The verb.
pub struct View;

#[async_trait]
impl Verb for View {
    fn name(&self) -> &'static str {
        "view"
    }

    fn short(&self) -> &'static str {
        "Display merged kubeconfig settings or a specified kubeconfig file"
    }

    fn long(&self) -> &'static str {
        "Display the merged kubeconfig, or one file of it.\n\nWith --output jsonpath={...} single values can be taken out."
    }

    fn examples(&self) -> &'static str {
        "# Show the merged kubeconfig\nkubectl config view\n\n# Show it with secrets and certificates\nkubectl config view --raw\n\n# Print the \
         password of the user \"e2e\"\nkubectl config view -o jsonpath='{.users[?(@.name == \"e2e\")].user.password}'"
    }

    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        for flag in &mut flags {
            if flag.name == "output" {
                "yaml".clone_into(&mut flag.default);
            }
        }
        flags.extend([
            Flag::bool(
                "flatten",
                false,
                "Put the content of files into the output, so that it can stand alone.",
            ),
            Flag::bool("merge", true, "Merge the files."),
            Flag::bool("minify", false, "Leave out what the current context does not use."),
            Flag::bool("raw", false, "Show secrets and certificates."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, _: &[String]) -> Result<()> {
        let flat = flags.bool("flatten");
        let mut config =
            if flat { session.factory.kubeconfig()?.clone() } else { write::start(session).await? };
        let context = &session.factory.overrides.context;
        if !context.is_empty() {
            config.current_context.clone_from(context);
        }
        if flags.bool("minify") {
            minify(&mut config)?;
        }
        if flat {
            flatten(session, &mut config).await?;
        } else if !flags.bool("raw") {
            shorten(&mut config);
        }
        let output = flags.string("output");
        let text = if output == "json" {
            json::pretty_ordered(&config.document(), "    ") + "\n"
        } else {
            let printer = printer_for(session, flags, &FORMATS).await?;
            let mut printer = printer.ok_or_else(|| no_printer(output, &FORMATS))?;
            let mut text = String::new();
            let value = serde_json::to_value(config.document()).unwrap_or_default();
            let printed = printer.print(&value, &mut text);
            session.out.write(&text).await?;
            return printed;
        };
        session.out.write(text).await
    }
}

/// Keeps the current context, its cluster and its user.
fn minify(config: &mut Kubeconfig) -> Result<()> {
    let current = config.current_context.clone();
    if current.is_empty() {
        return Err(KubectlError::message("current-context must exist in order to minify"));
    }
    let cannot = |what: &str, name: &str| KubectlError::message(format!("cannot locate {what} {name}"));
    let context = config.contexts.get(&current).cloned().ok_or_else(|| cannot("context", &current))?;
    config.contexts.retain(|name, _| *name == current);
    if !context.user.is_empty() && !config.users.contains_key(&context.user) {
        return Err(cannot("user", &context.user));
    }
    if !context.cluster.is_empty() && !config.clusters.contains_key(&context.cluster) {
        return Err(cannot("cluster", &context.cluster));
    }
    config.users.retain(|name, _| *name == context.user);
    config.clusters.retain(|name, _| *name == context.cluster);
    Ok(())
}

/// Puts the content of files in place of their paths.
async fn flatten(session: &Session, config: &mut Kubeconfig) -> Result<()> {
    let mut pairs: Vec<(&mut String, &mut String)> = vec![];
    for cluster in config.clusters.values_mut() {
        pairs.push((&mut cluster.certificate_authority, &mut cluster.certificate_authority_data));
    }
    for user in config.users.values_mut() {
        pairs.push((&mut user.client_certificate, &mut user.client_certificate_data));
        pairs.push((&mut user.client_key, &mut user.client_key_data));
    }
    for (path, data) in pairs {
        if !path.is_empty() && data.is_empty() {
            let content = session.read_file(path).await?;
            *data = base64::engine::general_purpose::STANDARD.encode(content);
        }
        path.clear();
    }
    Ok(())
}

/// Hides secrets and certificates.
// Models clientcmdapi.ShortenConfig and RedactSecrets.
fn shorten(config: &mut Kubeconfig) {
    let omit = |data: &mut String| {
        if !data.is_empty() {
            "DATA+OMITTED".clone_into(data);
        }
    };
    let redact = |secret: &mut String| {
        if !secret.is_empty() {
            "REDACTED".clone_into(secret);
        }
    };
    config.clusters.values_mut().for_each(|cluster| omit(&mut cluster.certificate_authority_data));
    for user in config.users.values_mut() {
        omit(&mut user.client_certificate_data);
        omit(&mut user.client_key_data);
        redact(&mut user.token);
        redact(&mut user.password);
    }
}
