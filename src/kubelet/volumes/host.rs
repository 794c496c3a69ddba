//! Volumes that are paths of the node: what must be there before a container may have them.
// Models pkg/volume/hostpath (checkTypeInternal).

use crate::runtime::ContainerRuntime;
use crate::runtime::api::HostFile;

/// Checks that what is at the path is what the volume says, and makes what it may make. Without a type anything will do.
pub(super) async fn check(runtime: &dyn ContainerRuntime, path: &str, kind: &str) -> Result<(), String> {
    let (wanted, words, make) = match kind {
        "" => return Ok(()),
        "Directory" => (HostFile::Directory, "a directory", false),
        "DirectoryOrCreate" => (HostFile::Directory, "a directory", true),
        "File" => (HostFile::File, "a file", false),
        "FileOrCreate" => (HostFile::File, "a file", true),
        "Socket" => (HostFile::Socket, "a socket file", false),
        "CharDevice" => (HostFile::CharDevice, "a character device", false),
        "BlockDevice" => (HostFile::BlockDevice, "a block device", false),
        other => return Err(format!("{other} is an invalid volume type")),
    };
    let found = runtime.host_file(path).await.map_err(|error| error.to_string())?;
    match found {
        None if make => runtime.make_host_file(path, wanted).await.map_err(|error| error.to_string()),
        Some(found) if found == wanted => Ok(()),
        _ => Err(format!("hostPath type check failed: {path} is not {words}")),
    }
}
