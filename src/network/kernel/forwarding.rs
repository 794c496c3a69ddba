//! Whether this machine passes packets on: it must while pods run on it, and afterwards it is as it was.

use std::io::{self, ErrorKind};
use std::path::Path;

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";
/// Says how the switch was, for as long as it is ours. It goes with the machine's next start, as the switch does.
const BEFORE: &str = "/run/k8s-learn.ip_forward";

/// The machine's switch.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding;

impl Forwarding {
    /// Lets packets pass between pods; CNI's plugins do so anyway.
    pub(super) async fn allow() -> Result<(), String> {
        allow(Path::new(SWITCH), Path::new(BEFORE)).await
    }

    /// Puts the switch back as it was, whichever process changed it.
    pub async fn put_back() -> Result<(), String> {
        put_back(Path::new(SWITCH), Path::new(BEFORE)).await
    }
}

async fn allow(switch: &Path, before: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let was = tokio::fs::read_to_string(switch).await.map_err(|error| failed(switch, error))?;
    if was.trim() == "0" {
        // First the note: who is killed between the two has changed nothing.
        tokio::fs::write(before, &was).await.map_err(|error| failed(before, error))?;
        tokio::fs::write(switch, "1\n").await.map_err(|error| failed(switch, error))?;
    }
    Ok(())
}

async fn put_back(switch: &Path, before: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let was = match tokio::fs::read_to_string(before).await {
        Ok(was) => was,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(before, error)),
    };
    tokio::fs::write(switch, &was).await.map_err(|error| failed(switch, error))?;
    tokio::fs::remove_file(before).await.map_err(|error| failed(before, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_switch_is_put_back_as_it_was_whoever_changed_it() {
        let directory = tempfile::tempdir().unwrap();
        let (switch, before) = (directory.path().join("switch"), directory.path().join("before"));
        for was in ["0\n", "1\n"] {
            std::fs::write(&switch, was).unwrap();
            put_back(&switch, &before).await.unwrap();
            assert_eq!(std::fs::read_to_string(&switch).unwrap(), was, "nobody has changed it");
            allow(&switch, &before).await.unwrap();
            // As by the next cluster, when the first was killed.
            allow(&switch, &before).await.unwrap();
            assert_eq!(std::fs::read_to_string(&switch).unwrap(), "1\n");
            put_back(&switch, &before).await.unwrap();
            assert_eq!(std::fs::read_to_string(&switch).unwrap(), was);
            assert!(!before.exists());
        }
    }
}
