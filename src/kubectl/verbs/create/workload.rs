//! `create deployment`, `create job`, `create cronjob`: what runs an image.
// Models kubectl/pkg/cmd/create (create_deployment.go, create_job.go, create_cronjob.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::generator::{Call, Generator};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::Flag;

/// `create deployment`.
pub struct Deployment;

#[async_trait]
impl Generator for Deployment {
    fn name(&self) -> &'static str {
        "deployment"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["deploy"]
    }
    fn short(&self) -> &'static str {
        "Create a deployment that runs an image"
    }
    fn usage(&self) -> &'static str {
        "NAME --image=image -- [COMMAND] [args...]"
    }
    fn plural(&self) -> &'static str {
        "deployments"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::strings("image", "The images to run, one container each."),
            Flag::int32("port", -1, "The port that the first container exposes."),
            Flag::int32("replicas", 1, "How many replicas to create.").short('r'),
        ]
    }
    fn required(&self) -> &'static [&'static str] {
        &["image"]
    }
    fn failed(&self) -> &'static str {
        "failed to create deployment: "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let images = call.flags.strings("image");
        if images.len() > 1 && !call.command.is_empty() {
            return Err(KubectlError::message("cannot specify multiple --image options and command"));
        }
        let mut containers: Vec<Value> = vec![];
        for image in images {
            let mut container = json!({"image": image, "name": container_name(call, image), "resources": {}});
            if !call.command.is_empty() {
                container["command"] = json!(call.command);
            }
            containers.push(container);
        }
        let port = call.flags.int("port");
        if let Some(first) = containers.first_mut().filter(|_| port >= 0) {
            first["ports"] = json!([{"containerPort": port}]);
        }
        let labels = json!({"app": call.name});
        let mut metadata = call.metadata();
        metadata["labels"] = labels.clone();
        Ok(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": call.flags.int("replicas"),
                "selector": {"matchLabels": labels},
                "strategy": {},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
            "status": {},
        }))
    }
}

/// The last part of the image's name; one that is no label gets a random suffix.
fn container_name(call: &Call<'_>, image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or_default();
    let name = name.split([':', '@']).next().unwrap_or_default();
    if name.contains(['_', '.']) {
        return format!("{}-{}", name.replace(['_', '.'], "-"), call.session.seed.suffix(5));
    }
    name.to_owned()
}

/// `create job`.
pub struct Job;

#[async_trait]
impl Generator for Job {
    fn name(&self) -> &'static str {
        "job"
    }
    fn short(&self) -> &'static str {
        "Create a job from an image or a cron job"
    }
    fn usage(&self) -> &'static str {
        "NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]"
    }
    fn plural(&self) -> &'static str {
        "jobs"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("image", "", "The image to run."),
            Flag::string("from", "", "The cron job to take the job from, as cronjob/name."),
        ]
    }
    fn failed(&self) -> &'static str {
        "failed to create job: "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let (image, from) = (call.flags.string("image"), call.flags.string("from"));
        if image.is_empty() == from.is_empty() {
            return Err(KubectlError::message("either --image or --from must be specified"));
        }
        if !from.is_empty() && !call.command.is_empty() {
            return Err(KubectlError::message("cannot specify --from and command"));
        }
        if from.is_empty() {
            let spec = pod_spec(call, image, "Never");
            return Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": call.metadata(),
                "spec": {"template": {"metadata": {}, "spec": spec}}, "status": {}}));
        }
        job_from(call, from).await
    }
}

/// The job that a cron job would make now.
async fn job_from(call: &Call<'_>, from: &str) -> Result<Value> {
    let found = call.find(from).await?;
    if found["kind"] != "CronJob" {
        let kind = found["kind"].as_str().unwrap_or_default();
        return Err(KubectlError::message(format!("unknown object type *v1.{kind}")));
    }
    let template = &found["spec"]["jobTemplate"];
    let mut metadata = call.metadata();
    let mut annotations = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    for (key, value) in template["metadata"]["annotations"].as_object().into_iter().flatten() {
        annotations[key.as_str()] = value.clone();
    }
    metadata["annotations"] = annotations;
    if template["metadata"]["labels"].is_object() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    metadata["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": found["metadata"]["name"],
        "uid": found["metadata"]["uid"], "controller": true}]);
    Ok(
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"], "status": {}}),
    )
}

fn pod_spec(call: &Call<'_>, image: &str, restart: &str) -> Value {
    let mut container = json!({"image": image, "name": call.name, "resources": {}});
    if !call.command.is_empty() {
        container["command"] = json!(call.command);
    }
    json!({"containers": [container], "restartPolicy": restart})
}

/// `create cronjob`.
pub struct CronJob;

#[async_trait]
impl Generator for CronJob {
    fn name(&self) -> &'static str {
        "cronjob"
    }
    fn aliases(&self) -> &'static [&'static str] {
        &["cj"]
    }
    fn short(&self) -> &'static str {
        "Create a cron job that runs an image on a schedule"
    }
    fn usage(&self) -> &'static str {
        "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]"
    }
    fn plural(&self) -> &'static str {
        "cronjobs"
    }
    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("image", "", "The image to run."),
            Flag::string("schedule", "", "When to run it, in cron's notation."),
            Flag::string("restart", "", "The restart policy of the pods: OnFailure or Never."),
        ]
    }
    fn required(&self) -> &'static [&'static str] {
        &["image", "schedule"]
    }
    fn failed(&self) -> &'static str {
        "failed to create cronjob: "
    }

    async fn generate(&self, call: &Call<'_>) -> Result<Value> {
        let restart =
            Some(call.flags.string("restart")).filter(|policy| !policy.is_empty()).unwrap_or("OnFailure");
        let spec = pod_spec(call, call.flags.string("image"), restart);
        Ok(json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": call.metadata(),
            "spec": {
                "jobTemplate": {
                    "metadata": {"name": call.name},
                    "spec": {"template": {"metadata": {}, "spec": spec}},
                },
                "schedule": call.flags.string("schedule"),
            },
            "status": {}}))
    }
}
