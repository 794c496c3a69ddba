//! Gives a volume to a group, so that a pod's processes can use it whoever they run as; and says how much it holds.
// Models pkg/volume/volume_linux.go (SetVolumeOwnership).

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use tokio::fs;

use crate::runtime::api::VolumeGroup;

const SETGID: u32 = 0o2000;
const MODE: u32 = 0o7777;

/// Gives everything in a directory to the group.
pub(super) async fn give(directory: &Path, group: VolumeGroup, read_only: bool) -> std::io::Result<()> {
    let gid = u32::try_from(group.id).unwrap_or(0);
    if group.on_root_mismatch && is_right(&fs::metadata(directory).await?, gid, read_only) {
        return Ok(());
    }
    // The top comes last: if this is broken off, the next look sees that it is not done.
    for path in everything(directory).await?.iter().rev() {
        give_one(path, gid, read_only).await?;
    }
    Ok(())
}

/// Whether the top of a volume is as it would be made.
fn is_right(top: &Metadata, gid: u32, read_only: bool) -> bool {
    let wanted = mask(read_only) | 0o110 | SETGID;
    top.is_dir() && top.gid() == gid && top.mode() & wanted == wanted
}

fn mask(read_only: bool) -> u32 {
    if read_only { 0o440 } else { 0o660 }
}

async fn give_one(path: &Path, gid: u32, read_only: bool) -> std::io::Result<()> {
    let found = fs::symlink_metadata(path).await?;
    lchown(path, None, Some(gid))?;
    if found.is_symlink() {
        return Ok(());
    }
    let of_directory = if found.is_dir() { SETGID | 0o110 } else { 0 };
    let mode = (found.mode() & MODE) | mask(read_only) | of_directory;
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).await
}

/// A directory and all that is in it, what is above before what is below.
async fn everything(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all = vec![directory.to_owned()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        if fs::symlink_metadata(&path).await.is_ok_and(|found| found.is_dir()) {
            let mut entries = fs::read_dir(&path).await?;
            while let Some(entry) = entries.next_entry().await? {
                all.push(entry.path());
            }
        }
    }
    Ok(all)
}

/// How much a directory holds on its disk, in bytes.
pub(super) async fn usage(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for path in everything(directory).await? {
        // What went meanwhile holds nothing.
        if let Ok(found) = fs::symlink_metadata(&path).await
            && !found.is_dir()
        {
            bytes += found.blocks() * 512;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_group_gets_its_rights_and_a_volume_that_is_right_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let (directory, file) = (root.path().join("a"), root.path().join("a/b"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(&file, b"x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        // The group that the test itself has, for only root may give to others.
        let gid = std::fs::metadata(&file).unwrap().gid();
        let group = VolumeGroup { id: gid.into(), on_root_mismatch: true };
        give(root.path(), group, false).await.unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & MODE;
        assert_eq!(mode(&file), 0o660);
        assert_eq!(mode(&directory) & 0o2770, 0o2770);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        give(root.path(), group, false).await.unwrap();
        assert_eq!(mode(&file), 0o600, "the top is right");
        give(root.path(), VolumeGroup { on_root_mismatch: false, ..group }, true).await.unwrap();
        assert_eq!(mode(&file), 0o640);
        assert!(usage(root.path()).await.unwrap() >= 512);
    }
}
