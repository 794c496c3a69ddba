//! Hooks: what runs in a container just after its start and just before its end.
// Models pkg/kubelet/lifecycle (handlerRunner) and executePreStopHook.

use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;

use super::prober::{Target, http_get};
use super::spec;

/// How long a hook may take that has no bound of its own.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long an HTTP hook waits for its answer.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a hook. The error is its full description.
pub(super) async fn run(target: &Target<'_>, handler: &LifecycleHandler) -> Result<(), String> {
    let whose =
        format!("for Container {:?} in Pod {:?} failed", target.container.name, spec::format(target.pod));
    if let Some(exec) = &handler.exec {
        let command = exec.command.clone().unwrap_or_default();
        let shown = command.join(" ");
        return match target.deps.runtime.exec_sync(target.container_id, &command, LONGEST).await {
            Ok(result) if result.exit_code == 0 => Ok(()),
            Ok(result) => {
                let output = [&result.stdout[..], &result.stderr[..]].concat();
                Err(format!(
                    "Exec lifecycle hook ([{shown}]) {whose} - error: command '{shown}' exited with {}: {}, message: {:?}",
                    result.exit_code,
                    String::from_utf8_lossy(&result.stderr),
                    String::from_utf8_lossy(&output)
                ))
            }
            Err(error) => {
                Err(format!("Exec lifecycle hook ([{shown}]) {whose} - error: {error}, message: \"\""))
            }
        };
    }
    if let Some(get) = &handler.http_get {
        let path = get.path.clone().unwrap_or_default();
        return match http_get(target, get, "lifecycle", HTTP_TIMEOUT).await {
            Ok(_) => Ok(()),
            Err(super::prober::HttpError::Made(text) | super::prober::HttpError::NotMade(text)) => {
                Err(format!("HTTP lifecycle hook ({path}) {whose} - error: {text}"))
            }
        };
    }
    if let Some(sleep) = &handler.sleep {
        target.deps.clock.sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    Err("Cannot run handler: invalid handler".to_owned())
}
