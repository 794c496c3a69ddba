//! `create token`: a token for a service account, from the server.
// Models kubectl/pkg/cmd/create (create_token.go).

use async_trait::async_trait;
use serde_json::json;

use super::generator::single_name;
use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::writing::{DryRun, tell};

/// `create token`.
pub struct Token;

/// Kinds of objects that a token can end with, all of `v1`.
const BOUND_KINDS: [&str; 3] = ["Node", "Pod", "Secret"];

#[async_trait]
impl Verb for Token {
    fn name(&self) -> &'static str {
        "token"
    }
    fn short(&self) -> &'static str {
        "Ask for a token of a service account"
    }
    fn usage(&self) -> &'static str {
        "SERVICE_ACCOUNT_NAME"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend([
            Flag::string_array(
                "audience",
                "Whom the token is for; the API server if not given. Repeat the flag for several.",
            ),
            Flag::duration(
                "duration",
                "0s",
                "How long the token is good for; the server decides if not given.",
            ),
            Flag::string(
                "bound-object-kind",
                "",
                "The kind of the object that the token ends with: Node, Pod or Secret.",
            ),
            Flag::string("bound-object-name", "", "The name of the object that the token ends with."),
            Flag::string("bound-object-uid", "", "The UID of the object that the token ends with."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let name = single_name(session, flags, args)?;
        let (namespace, _) = session.namespace()?;
        validate(flags).map_err(KubectlError::message)?;
        let mut spec = json!({"audiences": flags.strings("audience")});
        if let Some(duration) = flags.duration("duration").filter(|duration| !duration.is_zero()) {
            spec["expirationSeconds"] = json!(duration.as_secs());
        }
        if !flags.string("bound-object-kind").is_empty() {
            spec["boundObjectRef"] = json!({"kind": flags.string("bound-object-kind"), "apiVersion": "v1",
                "name": flags.string("bound-object-name"), "uid": flags.string("bound-object-uid")});
        }
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": spec,
            "status": {"token": "", "expirationTimestamp": null}});
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let failed = |error: KubectlError| KubectlError::message(format!("failed to create token: {error}"));
        let answer = session.client().await?.json(Request::post(path).json(&body)).await.map_err(failed)?;
        let token = answer["status"]["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(KubectlError::message("failed to create token: no token in server response"));
        }
        if flags.changed("output") {
            return tell(session, flags, &answer, "created", DryRun::None).await;
        }
        let end = if session.terminal.is_some() { "\n" } else { "" };
        session.out.write(format!("{token}{end}")).await
    }
}

fn validate(flags: &Flags) -> std::result::Result<(), String> {
    let Some(duration) = flags.duration("duration") else {
        return Err("--duration must be greater than or equal to 0".to_owned());
    };
    if duration.subsec_nanos() != 0 {
        return Err("--duration cannot be expressed in units less than seconds".to_owned());
    }
    if flags.strings("audience").iter().any(String::is_empty) {
        return Err("--audience must not be an empty string".to_owned());
    }
    let kind = flags.string("bound-object-kind");
    let (name, uid) = (flags.string("bound-object-name"), flags.string("bound-object-uid"));
    if kind.is_empty() {
        for (flag, value) in [("name", name), ("uid", uid)] {
            if !value.is_empty() {
                return Err(format!(
                    "--bound-object-{flag} can only be set if --bound-object-kind is provided"
                ));
            }
        }
        return Ok(());
    }
    if !BOUND_KINDS.contains(&kind) {
        return Err(format!("supported --bound-object-kind values are {}", BOUND_KINDS.join(", ")));
    }
    if name.is_empty() {
        return Err("--bound-object-name is required if --bound-object-kind is provided".to_owned());
    }
    Ok(())
}
