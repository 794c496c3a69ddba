//! The tree behind `memory_files`: nodes that clones share, and the way to one of them through links.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::{FilesError, Metadata};

/// How many links a path may lead through, as on Linux.
const MAX_LINKS: usize = 40;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) mode: u32,
    pub(super) modified_seconds: i64,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    File(Arc<Vec<u8>>),
    Directory(BTreeMap<String, Arc<Node>>),
    Link(String),
}

pub(super) fn directory(now: i64, mode: u32) -> Node {
    Node { content: Content::Directory(BTreeMap::new()), mode, modified_seconds: now, uid: 0, gid: 0 }
}

/// The node at a path without links in it.
pub(super) fn walk(root: &Arc<Node>, path: &str) -> Result<Arc<Node>, FilesError> {
    let mut node = root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let Content::Directory(entries) = &node.content else { return Err(FilesError::NotDirectory) };
        node = entries.get(part).ok_or(FilesError::NotFound)?;
    }
    Ok(node.clone())
}

/// The path without links but in its last part. Parts that do not exist stay as they are.
pub(super) fn follow(root: &Arc<Node>, path: &str, keep_last: bool) -> Result<String, FilesError> {
    let mut links = 0;
    let mut todo: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).rev().map(str::to_owned).collect();
    let mut done = String::new();
    while let Some(part) = todo.pop() {
        if part == ".." {
            done.truncate(done.rfind('/').unwrap_or(0));
            continue;
        }
        let next = format!("{done}/{part}");
        let target = walk(root, &next).ok().and_then(|node| match &node.content {
            Content::Link(target) => Some(target.clone()),
            _ => None,
        });
        match target {
            Some(target) if !(keep_last && todo.is_empty()) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(FilesError::TooManyLinks);
                }
                if target.starts_with('/') {
                    done.clear();
                }
                let parts = target.split('/').filter(|part| !part.is_empty() && *part != ".");
                todo.extend(parts.rev().map(str::to_owned));
            }
            _ => done = next,
        }
    }
    Ok(if done.is_empty() { "/".to_owned() } else { done })
}

pub(super) fn follow_last(root: &Arc<Node>, path: &str) -> Result<String, FilesError> {
    follow(root, path, true)
}

pub(super) fn metadata(node: &Node) -> Metadata {
    let (directory, size, link) = match &node.content {
        Content::File(bytes) => (false, bytes.len() as u64, None),
        Content::Directory(_) => (true, 4096, None),
        Content::Link(target) => (false, target.len() as u64, Some(target.clone())),
    };
    let Node { mode, modified_seconds, uid, gid, .. } = *node;
    Metadata { directory, size, mode, modified_seconds, link, uid, gid }
}

/// The bytes of the files in a tree.
pub(super) fn weight(node: &Node) -> u64 {
    match &node.content {
        Content::File(bytes) => bytes.len() as u64,
        Content::Directory(entries) => entries.values().map(|node| weight(node)).sum(),
        Content::Link(_) => 0,
    }
}
