//! Putting changes into the files that they belong to.
// Models k8s.io/client-go/tools/clientcmd (ModifyConfig, RelativizePathWithNoBacksteps).

use std::collections::BTreeMap;

use crate::kubectl::error::Result;
use crate::kubectl::kubeconfig::{Kubeconfig, LoadedFile};
use crate::kubectl::session::{Session, absolute};

/// What is in the files now, merged. Paths in them are as written.
pub(super) async fn start(session: &Session) -> Result<Kubeconfig> {
    let rules = &session.factory.rules;
    let mut merged = Kubeconfig::default();
    for file in rules.read(session.files.as_ref()).await? {
        if let Some(config) = file.config {
            merged.merge(config);
        }
    }
    Ok(merged)
}

/// The path of the file that new entries go into, as typed.
pub(super) async fn default_path(session: &Session) -> Result<String> {
    let rules = &session.factory.rules;
    Ok(rules.default_path(&rules.read(session.files.as_ref()).await?))
}

/// Writes what differs between `old` and `new`, each change into the file that has the entry.
pub(super) async fn modify(session: &Session, old: &Kubeconfig, new: &Kubeconfig) -> Result<()> {
    let rules = &session.factory.rules;
    let mut files = rules.read(session.files.as_ref()).await?;
    let default = rules.default_path(&files);
    let before = files.clone();
    change(&mut files, &default, &old.clusters, &new.clusters, |config| &mut config.clusters);
    change(&mut files, &default, &old.users, &new.users, |config| &mut config.users);
    change(&mut files, &default, &old.contexts, &new.contexts, |config| &mut config.contexts);
    if old.current_context != new.current_context {
        let holder = files
            .iter()
            .position(|file| file.config.as_ref().is_some_and(|config| !config.current_context.is_empty()));
        let target = if new.current_context.is_empty() {
            holder
        } else {
            files.iter().position(|file| file.path == default)
        };
        if let Some(file) = target.and_then(|index| files.get_mut(index)) {
            file.config.get_or_insert_default().current_context.clone_from(&new.current_context);
        }
    }
    for (file, before) in files.iter_mut().zip(before) {
        let Some(config) = &mut file.config else { continue };
        if before.config.as_ref() != Some(config) {
            relativize(config, directory(&absolute(&rules.cwd, &file.path)));
            rules.write(session.files.as_ref(), &file.path, config).await?;
        }
    }
    Ok(())
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(directory, _)| directory)
}

fn change<T: Clone + PartialEq>(
    files: &mut [LoadedFile],
    default: &str,
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    entries: impl Fn(&mut Kubeconfig) -> &mut BTreeMap<String, T>,
) {
    for (name, entry) in new.iter().filter(|(name, entry)| old.get(*name) != Some(*entry)) {
        let has = |file: &mut LoadedFile| {
            file.config.as_mut().is_some_and(|config| entries(config).contains_key(name))
        };
        let index =
            files.iter_mut().position(has).or_else(|| files.iter().position(|file| file.path == default));
        if let Some(file) = index.and_then(|index| files.get_mut(index)) {
            entries(file.config.get_or_insert_default()).insert(name.clone(), entry.clone());
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        for config in files.iter_mut().filter_map(|file| file.config.as_mut()) {
            entries(config).remove(name);
        }
    }
}

/// Makes paths below the kubeconfig's directory relative to it.
fn relativize(config: &mut Kubeconfig, base: &str) {
    let prefix = format!("{}/", base.trim_end_matches('/'));
    let shorten = |path: &mut String| {
        if let Some(rest) = path.strip_prefix(&prefix) {
            *path = rest.to_owned();
        }
    };
    config.clusters.values_mut().for_each(|cluster| shorten(&mut cluster.certificate_authority));
    for user in config.users.values_mut() {
        [&mut user.client_certificate, &mut user.client_key, &mut user.token_file]
            .into_iter()
            .for_each(shorten);
    }
}
