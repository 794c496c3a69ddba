//! `kubectl version`: of this kubectl, and of the server.
// Models k8s.io/kubectl/pkg/cmd/version.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::json;
use crate::kubectl::session::Session;
use crate::kubectl::version;
use crate::yaml;

/// The verb.
pub struct Version;

/// A version as it is printed; the fields are in Go's order.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    major: String,
    minor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    emulation_major: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emulation_minor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_compatibility_major: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_compatibility_minor: Option<String>,
    git_version: String,
    git_commit: String,
    git_tree_state: String,
    build_date: String,
    go_version: String,
    compiler: String,
    platform: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: Info,
    kustomize_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_version: Option<Info>,
}

impl Info {
    fn client() -> Self {
        let text = str::to_owned;
        Self {
            major: text("1"),
            minor: text("36"),
            git_version: text(version::GIT_VERSION),
            git_commit: text(version::GIT_COMMIT),
            git_tree_state: text("clean"),
            build_date: text(version::BUILD_DATE),
            go_version: text(version::GO_VERSION),
            compiler: text("gc"),
            platform: text("linux/amd64"),
            ..Self::default()
        }
    }

    fn server(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let some = |name: &str| value[name].as_str().map(str::to_owned);
        Self {
            major: text("major"),
            minor: text("minor"),
            emulation_major: some("emulationMajor"),
            emulation_minor: some("emulationMinor"),
            min_compatibility_major: some("minCompatibilityMajor"),
            min_compatibility_minor: some("minCompatibilityMinor"),
            git_version: text("gitVersion"),
            git_commit: text("gitCommit"),
            git_tree_state: text("gitTreeState"),
            build_date: text("buildDate"),
            go_version: text("goVersion"),
            compiler: text("compiler"),
            platform: text("platform"),
        }
    }
}

#[async_trait]
impl Verb for Version {
    fn name(&self) -> &'static str {
        "version"
    }

    fn short(&self) -> &'static str {
        "Print the client and server version information"
    }

    fn long(&self) -> &'static str {
        "Print the versions of this kubectl and of the API server of the current context."
    }

    fn examples(&self) -> &'static str {
        "# Print the versions of kubectl and of the server\nkubectl version"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool("client", false, "Print the client's version only; ask no server."),
            Flag::string("output", "", "One of 'yaml' or 'json'.").short('o'),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        if !args.is_empty() {
            return Err(KubectlError::message(format!("extra arguments: [{}]", args.join(" "))));
        }
        let output = flags.string("output");
        if !matches!(output, "" | "yaml" | "json") {
            return Err(KubectlError::message("--output must be 'yaml' or 'json'"));
        }
        let mut versions = Versions {
            client_version: Info::client(),
            kustomize_version: version::KUSTOMIZE_VERSION,
            server_version: None,
        };
        let mut failed = None;
        if !flags.bool("client") {
            let asked = async { session.client().await?.json(Request::get("/version")).await };
            match asked.await {
                Ok(answer) => versions.server_version = Some(Info::server(&answer)),
                Err(error) => failed = Some(error),
            }
        }
        let text = match output {
            "yaml" => yaml::to_string(&serde_json::to_value(&versions).unwrap_or_default()) + "\n",
            "json" => json::pretty_ordered(&versions, "  ") + "\n",
            _ => {
                let server = versions
                    .server_version
                    .as_ref()
                    .map(|server| format!("Server Version: {}\n", server.git_version));
                format!(
                    "Client Version: {}\nKustomize Version: {}\n{}",
                    versions.client_version.git_version,
                    versions.kustomize_version,
                    server.unwrap_or_default()
                )
            }
        };
        session.out.write(text).await?;
        failed.map_or(Ok(()), Err)
    }
}
