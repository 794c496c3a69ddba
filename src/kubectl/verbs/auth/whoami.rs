//! `kubectl auth whoami`.
// Models k8s.io/kubectl/pkg/cmd/auth/whoami.go.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::{Operation, TabWriter, print_flags, printer};
use crate::kubectl::session::Session;

/// The verb.
pub struct WhoAmI;

#[async_trait]
impl Verb for WhoAmI {
    fn name(&self) -> &'static str {
        "whoami"
    }

    fn short(&self) -> &'static str {
        "Experimental: Check self subject attributes"
    }

    fn long(&self) -> &'static str {
        "Experimental: show who the server takes you for: name, groups, and what else it knows."
    }

    fn examples(&self) -> &'static str {
        "# Show who you are\nkubectl auth whoami\n\n# Show it as JSON\nkubectl auth whoami -o json"
    }

    fn flags(&self) -> Vec<Flag> {
        print_flags()
    }

    async fn run(&self, session: &Session, flags: &Flags, _: &[String]) -> Result<()> {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}, "status": {"userInfo": {}}});
        let request = Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews").json(&body);
        let review = session.client().await?.json(request).await.map_err(|error| match error.reason() {
            "Forbidden" => KubectlError::message(
                "the selfsubjectreviews API is not enabled in the cluster or you do not have permission to call it",
            ),
            "NotFound" => KubectlError::message("the selfsubjectreviews API is not enabled in the cluster"),
            _ => error,
        })?;
        let mut text = String::new();
        if flags.changed("output") {
            printer(session, flags, &Operation::default()).await?.print(&review, &mut text)?;
        } else {
            text = table(&review["status"]["userInfo"]);
        }
        session.out.write(text).await
    }
}

fn list(value: &Value) -> String {
    let items: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!("[{}]", items.join(" "))
}

fn table(user: &Value) -> String {
    let mut writer = TabWriter::for_tables();
    writer.line("ATTRIBUTE\tVALUE");
    for (label, field) in [("Username", "username"), ("UID", "uid")] {
        if let Some(text) = user[field].as_str().filter(|text| !text.is_empty()) {
            writer.line(&format!("{label}\t{text}"));
        }
    }
    if user["groups"].as_array().is_some_and(|groups| !groups.is_empty()) {
        writer.line(&format!("Groups\t{}", list(&user["groups"])));
    }
    for (key, values) in user["extra"].as_object().into_iter().flatten() {
        writer.line(&format!("Extra: {key}\t{}", list(values)));
    }
    writer.flush()
}
