//! Following one object until something is true of it: what `wait`, `delete`, `rollout status`, `drain` and `run` do.
// Models client-go/tools/watch (UntilWithSync).

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use crate::kubectl::client::Request;
use crate::kubectl::error::Result;
use crate::kubectl::mapper::Mapping;
use crate::kubectl::resources::list_items;
use crate::kubectl::session::Session;

/// As long as kubectl waits when it is to wait for ever.
pub const WEEK: Duration = Duration::from_secs(168 * 60 * 60);

/// How long to rest when a watch cannot be had.
const RETRY: Duration = Duration::from_secs(1);

/// One object of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its resource.
    pub mapping: &'a Mapping,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// What is seen of an object.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// It is there.
    Present(&'a Value),
    /// It went while one watched.
    Deleted,
    /// It is not there when one starts to look.
    Absent,
}

/// Looks at the object as it is and at each change until `check` says yes. Waits for ever: bound it with the clock.
pub async fn until<F>(session: &Session, target: Target<'_>, mut check: F) -> Result<()>
where
    F: FnMut(Seen<'_>) -> Result<bool> + Send,
{
    let client = session.client().await?;
    let path = target.mapping.path(target.namespace, "", "");
    let selector = format!("metadata.name={}", target.name);
    loop {
        let list = client.json(Request::get(path.as_str()).query("fieldSelector", selector.as_str())).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let items = list_items(list);
        if check(items.first().map_or(Seen::Absent, Seen::Present))? {
            return Ok(());
        }
        let request = Request::get(path.as_str())
            .query("allowWatchBookmarks", "true")
            .query("fieldSelector", selector.as_str())
            .query("resourceVersion", version)
            .query("watch", "true");
        match client.watch(request).await {
            Ok(mut events) => {
                while let Some(event) = events.next().await {
                    let Ok(event) = event else { break };
                    let done = match event.kind.as_str() {
                        "ADDED" | "MODIFIED" => check(Seen::Present(&event.object))?,
                        "DELETED" => check(Seen::Deleted)?,
                        _ => false,
                    };
                    if done {
                        return Ok(());
                    }
                }
            }
            Err(error) if matches!(error.reason(), "Forbidden" | "MethodNotAllowed" | "NotFound") => {
                return Err(error);
            }
            Err(_) => session.clock.sleep(RETRY).await,
        }
    }
}
