//! `kubectl events`: what happened, oldest first.
// Models k8s.io/kubectl/pkg/cmd/events.

use async_trait::async_trait;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kubectl::client::Request;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::columns::escape_terminal;
use crate::kubectl::output::print_flags::{FORMATS, no_printer, print_flags, printer_for};
use crate::kubectl::output::{ResourcePrinter, TabWriter};
use crate::kubectl::resources::list_items;
use crate::kubectl::session::Session;
use crate::meta::age;

/// The verb.
pub struct Events;

#[async_trait]
impl Verb for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn short(&self) -> &'static str {
        "List events"
    }

    fn long(&self) -> &'static str {
        "Display events.\n\nA table shows when, what and why. Events can be of the whole cluster, of a namespace, or of one object."
    }

    fn examples(&self) -> &'static str {
        "# List recent events of the namespace\nkubectl events\n\n# List recent events of all namespaces\nkubectl events --all-namespaces\n\n# \
         List the events of a pod, and those to come\nkubectl events --for pod/web-pod --watch\n\n# List them as YAML\nkubectl events \
         -oyaml\n\n# List warnings only\nkubectl events --types=Warning"
    }

    fn usage(&self) -> &'static str {
        "[(-o|--output=)json|yaml|kyaml|name|go-template|go-template-file|template|templatefile|jsonpath|jsonpath-as-json|jsonpath-file] \
         [--for TYPE/NAME] [--watch] [--types=Normal,Warning]"
    }

    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend([
            Flag::bool(
                "all-namespaces",
                false,
                "List events of all namespaces. A namespace given with --namespace does not count.",
            )
            .short('A'),
            Flag::int("chunk-size", 500, "How many events a request lists. 0 lists all at once."),
            Flag::string("for", "", "Only events of this object, as TYPE/NAME."),
            Flag::bool("no-headers", false, "Print no headers."),
            Flag::strings("types", "Only events of these types: Normal, Warning."),
            Flag::bool("watch", false, "Go on printing events as they come.").short('w'),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, _: &[String]) -> Result<()> {
        let (namespace, _) = session.namespace()?;
        let all = flags.bool("all-namespaces");
        let selector = match flags.string("for") {
            "" => String::new(),
            object => selector_for(session, object).await?,
        };
        let mut printer = match flags.string("output") {
            "" => None,
            output => Some(
                printer_for(session, flags, &FORMATS).await?.ok_or_else(|| no_printer(output, &FORMATS))?,
            ),
        };
        let known =
            |kind: &String| kind.eq_ignore_ascii_case("Normal") || kind.eq_ignore_ascii_case("Warning");
        if !flags.strings("types").iter().all(known) {
            return Err(KubectlError::message("valid --types are Normal or Warning"));
        }
        let path =
            if all { "/api/v1/events".to_owned() } else { format!("/api/v1/namespaces/{namespace}/events") };
        let request = Request::get(path).query("fieldSelector", selector);
        let mut table =
            Table { namespaces: all, headers: !flags.bool("no-headers"), writer: TabWriter::for_tables() };
        if flags.bool("watch") {
            return watch(session, flags, request, printer.as_mut(), &mut table).await;
        }
        let mut events = list(session, request).await?;
        events.retain(|event| wanted(flags, event));
        if events.is_empty() {
            let place = if all { ".".to_owned() } else { format!(" in {namespace} namespace.") };
            return session.err.line(format!("No events found{place}")).await;
        }
        events.sort_by_key(event_time);
        let mut text = String::new();
        match &mut printer {
            Some(printer) => {
                let list = json!({"apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": events});
                printer.print(&list, &mut text)?;
            }
            None => text = table.rows(&events, session.clock.now()),
        }
        session.out.write(text).await
    }
}

/// The fields that events of `TYPE/NAME` have.
async fn selector_for(session: &Session, object: &str) -> Result<String> {
    let parts: Vec<&str> = object.split('/').collect();
    let [word, name] = parts[..] else {
        return Err(KubectlError::message(if parts.len() < 2 {
            "--for must be in resource/name form"
        } else {
            "arguments in resource/name form may not have more than one slash"
        }));
    };
    let mapper = session.mapper().await?;
    let unknown = |_| KubectlError::Plain(format!("the server doesn't have a resource type {word:?}"));
    let mapping = mapper.find(word).map_err(unknown)?;
    let (kind, version) = (&mapping.kind, mapping.api_version());
    Ok(format!("involvedObject.kind={kind},involvedObject.apiVersion={version},involvedObject.name={name}"))
}

async fn list(session: &Session, request: Request) -> Result<Vec<Value>> {
    let client = session.client().await?;
    let mut events = vec![];
    let mut token = String::new();
    loop {
        let list = client.json(request.clone().query("limit", "500").query("continue", token)).await?;
        token = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        events.extend(list_items(list));
        if token.is_empty() {
            return Ok(events);
        }
    }
}

async fn watch(
    session: &Session,
    flags: &Flags,
    request: Request,
    mut printer: Option<&mut Box<dyn ResourcePrinter>>,
    table: &mut Table,
) -> Result<()> {
    let mut events = session.client().await?.watch(request.query("watch", "true")).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        // Events are forgotten after an hour; that is no news.
        if event.kind == "DELETED" || !wanted(flags, &event.object) {
            continue;
        }
        let mut text = String::new();
        match &mut printer {
            Some(printer) => printer.print(&event.object, &mut text)?,
            None => text = table.rows(std::slice::from_ref(&event.object), session.clock.now()),
        }
        session.out.write(text).await?;
    }
    Ok(())
}

fn wanted(flags: &Flags, event: &Value) -> bool {
    let types = flags.strings("types");
    let kind = event["type"].as_str().unwrap_or_default();
    types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind))
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// When an event was last seen.
fn event_time(event: &Value) -> Option<Timestamp> {
    if event["series"].is_object() {
        return time(&event["series"]["lastObservedTime"]);
    }
    time(&event["lastTimestamp"]).or_else(|| time(&event["eventTime"]))
}

struct Table {
    namespaces: bool,
    headers: bool,
    writer: TabWriter,
}

impl Table {
    fn rows(&mut self, events: &[Value], now: Timestamp) -> String {
        if std::mem::take(&mut self.headers) {
            let namespace = if self.namespaces { "NAMESPACE\t" } else { "" };
            self.writer.line(&format!("{namespace}LAST SEEN\tTYPE\tREASON\tOBJECT\tMESSAGE"));
        }
        for event in events {
            let text = |value: &Value| escape_terminal(value.as_str().unwrap_or_default());
            let namespace = if self.namespaces {
                format!("{}\t", text(&event["metadata"]["namespace"]))
            } else {
                String::new()
            };
            let object = format!(
                "{}/{}",
                text(&event["involvedObject"]["kind"]),
                text(&event["involvedObject"]["name"])
            );
            let (kind, reason, message) =
                (text(&event["type"]), text(&event["reason"]), text(&event["message"]));
            self.writer.line(&format!(
                "{namespace}{}\t{kind}\t{reason}\t{object}\t{}",
                interval(event, now),
                message.trim()
            ));
        }
        self.writer.flush()
    }
}

/// `5s`, or `90s (x2 over 102s)`.
fn interval(event: &Value, now: Timestamp) -> String {
    let first = age::since(time(&event["eventTime"]).or_else(|| time(&event["firstTimestamp"])), now);
    let series = &event["series"];
    if series.is_object() {
        return format!(
            "{} (x{} over {first})",
            age::since(time(&series["lastObservedTime"]), now),
            series["count"]
        );
    }
    match event["count"].as_i64() {
        Some(count) if count > 1 => {
            format!("{} (x{count} over {first})", age::since(time(&event["lastTimestamp"]), now))
        }
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_tell_how_often_they_were_seen() {
        let now: Timestamp = "2026-01-01T00:01:42Z".parse().unwrap();
        let event = |count: i64| {
            json!({"type": "Warning", "reason": "Failed", "message": " no\n", "count": count, "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:00:12Z", "involvedObject": {"kind": "Pod", "name": "a"}})
        };
        let mut table = Table { namespaces: false, headers: true, writer: TabWriter::for_tables() };
        let expected = "LAST SEEN            TYPE      REASON   OBJECT   MESSAGE\n102s                 Warning   Failed   Pod/a    no\n90s (x2 over \
                        102s)   Warning   Failed   Pod/a    no\n";
        assert_eq!(table.rows(&[event(1), event(2)], now), expected);
    }
}
