//! Termination messages: what a container left in its file, or the end of its log.
// Models pkg/kubelet/kuberuntime (getTerminationMessage, readLastStringFromContainerLogs).

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;

use super::config::Dependencies;
use super::runtime_pod::RuntimePod;
use super::spec;
use super::worker::Words;
use crate::runtime::api::{ContainerState, ContainerStatus, LogRequest};

/// The most of a file that is read.
const MAX_FILE_BYTES: usize = 4096;
/// The most of a log that is read.
const MAX_LOG_BYTES: usize = 2048;
const MAX_LOG_LINES: usize = 80;

/// The messages of the containers that have ended.
pub(super) async fn collect(deps: &Dependencies, pod: &Pod, runtime: &RuntimePod) -> Words {
    let mut words = Words::new();
    for status in runtime.containers.iter().filter(|status| status.state == ContainerState::Exited) {
        let Some((_, container)) = spec::find(pod, &status.name) else { continue };
        let falls_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let mut message = status.termination_message.clone();
        truncate_front(&mut message, MAX_FILE_BYTES);
        if message.is_empty() && falls_back && status.exit_code != 0 {
            message = end_of_log(deps, status).await;
        }
        if !message.is_empty() {
            let message =
                if status.message.is_empty() { message } else { format!("{}: {message}", status.message) };
            words.insert(status.id.clone(), message);
        }
    }
    words
}

async fn end_of_log(deps: &Dependencies, status: &ContainerStatus) -> String {
    let request = LogRequest { follow: false, tail: Some(MAX_LOG_LINES), since: None };
    let Ok(lines) = deps.runtime.logs(&status.id, request).await else { return String::new() };
    let bytes: Vec<u8> = lines.flat_map(|line| futures::stream::iter(line.bytes.to_vec())).collect().await;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    truncate_front(&mut text, MAX_LOG_BYTES);
    text
}

/// Keeps the last so many bytes.
fn truncate_front(text: &mut String, most: usize) {
    if text.len() > most {
        let start =
            (text.len() - most..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        text.drain(..start);
    }
}
