//! `containerLogs`: what a container wrote, as `kubectl logs` asks for it.
// Models pkg/kubelet (validateContainerLogStatus) and k8s.io/cri-client/pkg/logs.

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use super::super::kubelet::Shared;
use super::super::spec;
use super::super::status::RUNTIME_PREFIX;
use super::router::{Answer, Refusal};
use crate::runtime::api::{LogLine, LogRequest};
use crate::streams::protocol::query_values;

/// What of a log is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
struct Options {
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail: Option<usize>,
    since: Option<Timestamp>,
    limit: Option<usize>,
    /// `Some(true)`: only standard error; `Some(false)`: only standard output.
    stderr: Option<bool>,
}

fn parse(query: &str, now: Timestamp) -> Option<Options> {
    let text = |name: &str| query_values(query, name).next().filter(|value| !value.is_empty());
    let flag = |name: &str| text(name).is_some_and(|value| value == "true" || value == "1");
    let number = |name: &str| match text(name) {
        None => Some(None),
        Some(value) => value.parse::<usize>().ok().map(Some),
    };
    let since_seconds = match text("sinceSeconds") {
        None => None,
        Some(value) => Some(value.parse::<i64>().ok().filter(|seconds| *seconds > 0)?),
    };
    let since = match (text("sinceTime"), since_seconds) {
        (Some(_), Some(_)) => return None,
        (Some(time), None) => Some(time.parse::<Timestamp>().ok()?),
        (None, Some(seconds)) => now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
        (None, None) => None,
    };
    let stderr = match text("stream").as_deref() {
        None | Some("All") => None,
        Some("Stdout") => Some(false),
        Some("Stderr") => Some(true),
        Some(_) => return None,
    };
    Some(Options {
        follow: flag("follow"),
        previous: flag("previous"),
        timestamps: flag("timestamps"),
        tail: number("tailLines")?,
        since,
        limit: number("limitBytes")?,
        stderr,
    })
}

/// Answers a request for a log.
pub(super) async fn serve(
    shared: &Shared,
    namespace: &str,
    name: &str,
    container: &str,
    query: &str,
) -> Answer {
    let now = shared.deps.clock.now();
    let invalid = || Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "{\"message\": \"Invalid request.\"}");
    let options = parse(query, now).ok_or_else(invalid)?;
    let missing = |text: String| Refusal::new(StatusCode::NOT_FOUND, text);
    let entry = shared.pod(namespace, name).ok_or_else(|| missing(format!("pod {name:?} does not exist")))?;
    if spec::find(&entry.pod(), container).is_none() {
        return Err(missing(format!("container {container:?} not found in pod {name:?}")));
    }
    let id = container_id(name, &entry.known_status(), container, options.previous)
        .map_err(|text| Refusal::new(StatusCode::BAD_REQUEST, text))?;
    let request = LogRequest { follow: options.follow, tail: options.tail, since: options.since };
    let body = match shared.deps.runtime.logs(&id, request).await {
        Ok(lines) => Body::from_stream(bytes_of(lines, options).map(Ok::<_, std::convert::Infallible>)),
        // By then a kubelet has sent its headers: the error is in the text.
        Err(_) => Body::from(format!("unable to retrieve container logs for {RUNTIME_PREFIX}{id}")),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// The container whose log it is, or why there is none.
fn container_id(pod: &str, status: &PodStatus, name: &str, previous: bool) -> Result<String, String> {
    let lists =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let found = lists.into_iter().flat_map(|list| list.iter().flatten()).find(|status| status.name == name);
    let Some(status) = found else {
        return Err(format!("container {name:?} in pod {pod:?} is not available"));
    };
    let id = chosen(pod, status, previous)?;
    Ok(id.trim_start_matches(RUNTIME_PREFIX).to_owned())
}

fn chosen(pod: &str, status: &ContainerStatus, previous: bool) -> Result<String, String> {
    let name = &status.name;
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.clone().unwrap_or_default().terminated;
    let last_id = last.as_ref().and_then(|ended| ended.container_id.clone()).filter(|id| !id.is_empty());
    let is_terminated = || format!("container {name:?} in pod {pod:?} is terminated");
    if previous {
        return last_id
            .ok_or_else(|| format!("previous terminated container {name:?} in pod {pod:?} not found"));
    }
    if state.running.is_some() {
        return Ok(status.container_id.clone().unwrap_or_default());
    }
    if let Some(ended) = state.terminated {
        return ended.container_id.filter(|id| !id.is_empty()).or(last_id).ok_or_else(is_terminated);
    }
    if last.is_some() {
        return last_id.ok_or_else(is_terminated);
    }
    let Some(waiting) = state.waiting else {
        return Err(format!("container {name:?} in pod {pod:?} is waiting to start - no logs yet"));
    };
    let why = match waiting.reason.as_deref().unwrap_or_default() {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        other => return Err(format!("container {name:?} in pod {pod:?} is waiting to start: {other}")),
    };
    Err(format!("container {name:?} in pod {pod:?} is waiting to start: {why}"))
}

/// The bytes of lines: those of the stream asked for, with their times if asked for, up to the limit.
fn bytes_of(
    lines: impl Stream<Item = LogLine> + Send + 'static,
    options: Options,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let wanted = lines
        .filter(move |line| std::future::ready(options.stderr.is_none_or(|stderr| line.stderr == stderr)));
    let pieces = wanted.map(move |line| {
        if !options.timestamps {
            return line.bytes;
        }
        let mut out = format!("{} ", line.time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ")).into_bytes();
        out.extend_from_slice(&line.bytes);
        out.into()
    });
    pieces.scan(options.limit, |left, piece: Bytes| {
        let Some(bytes) = left else { return std::future::ready(Some(piece)) };
        if *bytes == 0 {
            return std::future::ready(None);
        }
        let piece = piece.slice(..piece.len().min(*bytes));
        *bytes -= piece.len();
        std::future::ready(Some(piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(value: Value) -> PodStatus {
        let mut container =
            json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0});
        container.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        serde_json::from_value(json!({"containerStatuses": [container]})).unwrap()
    }

    #[test]
    fn a_log_is_chosen_or_refused_in_the_kubelets_words() {
        let waiting = |reason: &str| json!({"state": {"waiting": {"reason": reason}}});
        let running = json!({"containerID": "containerd://1", "state": {"running": {}}});
        let crashed = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}},
                             "lastState": {"terminated": {"exitCode": 1, "containerID": "containerd://0"}}});
        let cases: &[(Value, bool, Result<&str, &str>)] = &[
            (running.clone(), false, Ok("1")),
            (running, true, Err("previous terminated container \"c\" in pod \"p\" not found")),
            (crashed.clone(), true, Ok("0")),
            (crashed, false, Ok("0")),
            (
                waiting("ContainerCreating"),
                false,
                Err("container \"c\" in pod \"p\" is waiting to start: ContainerCreating"),
            ),
            (
                waiting("ImagePullBackOff"),
                false,
                Err("container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image"),
            ),
            (
                waiting("ErrImagePull"),
                false,
                Err("container \"c\" in pod \"p\" is waiting to start: image can't be pulled"),
            ),
        ];
        for (container, previous, expected) in cases {
            let found = container_id("p", &status(container.clone()), "c", *previous);
            assert_eq!(found.as_deref().map_err(String::as_str), *expected, "{container} {previous}");
        }
        assert_eq!(
            container_id("p", &PodStatus::default(), "c", false),
            Err("container \"c\" in pod \"p\" is not available".to_owned())
        );
    }

    #[tokio::test]
    async fn lines_get_their_times_and_a_limit() {
        let time = crate::clock::VIRTUAL_START;
        let line = |stderr, text: &'static str| LogLine { time, stderr, bytes: Bytes::from(text) };
        let lines = vec![line(false, "one\n"), line(true, "two\n"), line(false, "three\n")];
        let read = async |options: Options| {
            let pieces: Vec<Bytes> = bytes_of(futures::stream::iter(lines.clone()), options).collect().await;
            String::from_utf8(pieces.concat()).unwrap()
        };
        assert_eq!(read(Options::default()).await, "one\ntwo\nthree\n");
        assert_eq!(read(Options { stderr: Some(true), ..Options::default() }).await, "two\n");
        assert_eq!(read(Options { limit: Some(6), ..Options::default() }).await, "one\ntw");
        let stamped = read(Options { timestamps: true, limit: Some(34), ..Options::default() }).await;
        assert_eq!(stamped, "2026-01-01T00:00:00.000000000Z one");
    }

    #[test]
    fn queries_are_read_and_bad_ones_refused() {
        let now = crate::clock::VIRTUAL_START;
        let options = parse("follow=true&tailLines=5&timestamps=true&sinceSeconds=60", now).unwrap();
        assert!(options.follow && options.timestamps && options.tail == Some(5));
        assert_eq!(now.duration_since(options.since.unwrap()).as_secs(), 60);
        for query in ["tailLines=x", "sinceSeconds=0", "sinceTime=yesterday", "stream=both", "limitBytes=-1"]
        {
            assert_eq!(parse(query, now), None, "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_read_or_refused(
            query in "((follow|tailLines|sinceSeconds|sinceTime|limitBytes|stream)=[0-9a-zA-Z:%-]{0,25}&?){0,5}|\\PC{0,40}",
        ) {
            let _ = parse(&query, Timestamp::UNIX_EPOCH);
            let _ = parse(&query, Timestamp::MIN);
        }
    }
}
