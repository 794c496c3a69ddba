//! `kubectl set image`.
// Models kubectl/pkg/cmd/set (set_image.go).

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::json;

use super::change::{self, Sending, object_error, picked, pod_spec_path};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::resources::{FilenameOptions, resources_and_pairs};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::targets::{check_all, check_local};
use crate::kubectl::verbs::writing::{DryRun, dry_run};

/// `kubectl set image`.
pub struct Image;

#[async_trait]
impl Verb for Image {
    fn name(&self) -> &'static str {
        "image"
    }
    fn short(&self) -> &'static str {
        "Update the image of a pod template"
    }
    fn long(&self) -> &'static str {
        "Give containers other images, as CONTAINER=IMAGE; * is every container.\n\nWorks on pods, deployments, daemon sets, \
         stateful sets, replica sets, replication controllers and cron jobs."
    }
    fn examples(&self) -> &'static str {
        "# Another nginx for a deployment\nkubectl set image deployment/web nginx=nginx:1.25\n\n# One image for all containers\n\
         kubectl set image deployment/web '*=nginx:1.25'"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N"
    }
    fn flags(&self) -> Vec<Flag> {
        change::recorded_flags()
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let (resources, pairs) = resources_and_pairs(args, "image")?;
        let images = images(&pairs)?;
        // kubectl looks for the objects first, but says that nothing was named before it says that nothing was found.
        let infos = if resources.is_empty() && FilenameOptions::new(flags).is_empty() {
            validate(flags, &resources, &images, dry_run)?;
            vec![]
        } else {
            let infos = change::objects(session, flags, &resources).await?;
            validate(flags, &resources, &images, dry_run)?;
            infos
        };
        let sending = Sending {
            session,
            flags,
            dry_run,
            done: "image updated",
            failed: "failed to patch image update to pod template: ",
        };
        let mut errors = vec![];
        for info in &infos {
            let mut after = info.object.clone();
            let path = match pod_spec_path(&info.object) {
                Ok(path) => path,
                Err(why) => {
                    errors.push(object_error(info, &why));
                    continue;
                }
            };
            if let Some(spec) = after.pointer_mut(path) {
                for (name, image) in &images {
                    let containers: Vec<_> = picked(spec, "*")
                        .into_iter()
                        .filter(|container| name == "*" || container["name"] == json!(name))
                        .collect();
                    if containers.is_empty() {
                        errors.push(KubectlError::message(format!(
                            "error: unable to find container named {name:?}"
                        )));
                    }
                    containers.into_iter().for_each(|container| container["image"] = json!(image));
                }
            }
            errors.extend(sending.send(info, &after).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

fn images(pairs: &[String]) -> Result<BTreeMap<String, String>> {
    let (mut images, mut invalid) = (BTreeMap::new(), vec![]);
    for pair in pairs {
        match pair.split_once('=').filter(|(name, _)| !name.is_empty()) {
            Some((name, image)) => {
                images.insert(name.to_owned(), image.to_owned());
            }
            None => invalid.push(pair.as_str()),
        }
    }
    if invalid.is_empty() {
        Ok(images)
    } else {
        Err(KubectlError::message(format!("invalid image format: {}", invalid.join(", "))))
    }
}

fn validate(
    flags: &Flags,
    resources: &[String],
    images: &BTreeMap<String, String>,
    dry_run: DryRun,
) -> Result<()> {
    let mut errors = vec![];
    errors.extend(check_all(flags).err());
    if resources.is_empty() && FilenameOptions::new(flags).is_empty() {
        let text = "one or more resources must be specified as <resource> <name> or <resource>/<name>";
        errors.push(KubectlError::message(text));
    }
    if images.is_empty() {
        errors.push(KubectlError::message("at least one image update is required"));
    } else if images.len() > 1 && images.contains_key("*") {
        let text = "all containers are already specified by *, but saw more than one container_name=container_image pairs";
        errors.push(KubectlError::message(text));
    }
    errors.extend(check_local(flags, dry_run == DryRun::Server).err());
    KubectlError::aggregate(errors)
}
