//! Follows the logs of several containers, as `kubectl logs -f` does, for the view of logs.

use std::collections::BTreeMap;

use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::views::{Feed, LogTarget};

/// How many older lines of each container are shown.
const TAIL: i64 = 20;

/// A task a container. Dropping it ends them all.
pub struct LogTasks {
    client: kube::Client,
    lines: mpsc::Sender<Feed>,
    running: BTreeMap<LogTarget, AbortHandle>,
}

impl LogTasks {
    /// None yet. Lines go to `lines`; who prints faster than they are read waits.
    pub fn new(client: kube::Client, lines: mpsc::Sender<Feed>) -> Self {
        Self { client, lines, running: BTreeMap::new() }
    }

    /// Follows exactly these from now on.
    pub fn follow(&mut self, wanted: Vec<LogTarget>) {
        self.running.retain(|target, task| {
            let kept = wanted.contains(target);
            if !kept {
                task.abort();
            }
            kept
        });
        for target in wanted {
            let (client, lines) = (self.client.clone(), self.lines.clone());
            let start = || tokio::spawn(follow(client, target.clone(), lines)).abort_handle();
            self.running.entry(target.clone()).or_insert_with(start);
        }
    }
}

impl Drop for LogTasks {
    fn drop(&mut self) {
        self.running.values().for_each(AbortHandle::abort);
    }
}

async fn follow(client: kube::Client, target: LogTarget, lines: mpsc::Sender<Feed>) {
    let pods = Api::<Pod>::namespaced(client, &target.namespace);
    let params = LogParams {
        container: Some(target.container.clone()),
        follow: true,
        tail_lines: Some(TAIL),
        ..LogParams::default()
    };
    let Ok(stream) = pods.log_stream(&target.pod, &params).await else { return };
    let mut stream = std::pin::pin!(stream.lines());
    while let Ok(Some(line)) = stream.try_next().await {
        if lines.send(Feed::Log(target.clone(), line)).await.is_err() {
            return;
        }
    }
}
