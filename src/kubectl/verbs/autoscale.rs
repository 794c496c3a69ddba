//! `kubectl autoscale`.
// Models kubectl/pkg/cmd/autoscale.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::targets::{Finding, find};
use super::writing::{
    DryRun, WriteOptions, create_request, dry_run, dry_run_flag, field_manager_flag, require,
    save_config_flag, save_configuration, tell,
};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::mapper::Mapping;
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{FilenameOptions, Info};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record, record_flag};
use crate::meta::quantity::Quantity;

/// `kubectl autoscale`.
pub struct Autoscale;

#[async_trait]
impl Verb for Autoscale {
    fn name(&self) -> &'static str {
        "autoscale"
    }
    fn short(&self) -> &'static str {
        "Auto-scale a deployment, replica set, stateful set, or replication controller"
    }
    fn long(&self) -> &'static str {
        "Make an autoscaler that keeps the number of pods between two bounds by how busy they are."
    }
    fn examples(&self) -> &'static str {
        "# Between 2 and 10 pods, by 80% of the CPU that they ask for\nkubectl autoscale deployment web --min=2 --max=10 --cpu=80%"
    }
    fn usage(&self) -> &'static str {
        "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu=CPU] [--memory=MEMORY]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("identifying the resource to autoscale."));
        let instead = "Use --cpu with percentage or resource quantity format (e.g., '70%' for utilization or '500m' for milliCPU).";
        flags.extend([
            dry_run_flag(),
            field_manager_flag("kubectl-autoscale"),
            save_config_flag(),
            Flag::string(
                "cpu",
                "",
                "The CPU that pods are to use on average: a share like 70%, or an amount like 500m.",
            ),
            Flag::int32("cpu-percent", -1, "The share of CPU that pods are to use on average.")
                .deprecated(instead),
            Flag::int32("max", -1, "The most pods."),
            Flag::string(
                "memory",
                "",
                "The memory that pods are to use on average: a share like 60%, or an amount like 200Mi.",
            ),
            Flag::int32("min", -1, "The fewest pods."),
            record_flag(),
            Flag::string("name", "", "The autoscaler's name; the object's if not given."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        require(flags, &["max"])?;
        let dry_run = dry_run(session, flags).await?;
        validate(flags).map_err(KubectlError::message)?;
        let found = find(session, flags, args, Finding::default()).await?;
        let mut errors = found.errors;
        if errors.is_empty() && found.infos.is_empty() {
            return Err(KubectlError::message("no objects passed to autoscale"));
        }
        for info in &found.infos {
            errors.extend(autoscale(session, flags, info, dry_run).await.err());
        }
        KubectlError::aggregate(errors)
    }
}

fn validate(flags: &Flags) -> std::result::Result<(), String> {
    let (min, max) = (flags.int("min"), flags.int("max"));
    if max < 1 {
        return Err(format!("--max=MAXPODS is required and must be at least 1, max: {max}"));
    }
    if max < min {
        return Err(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"
        ));
    }
    let (cpu, memory) = (flags.string("cpu"), flags.string("memory"));
    if flags.int("cpu-percent") > 0 && !cpu.is_empty() {
        return Err("--cpu-percent and --cpu are mutually exclusive".to_owned());
    }
    for (resource, text) in [("cpu", cpu), ("memory", memory)] {
        if !text.is_empty() {
            target(resource, text)?;
        }
    }
    Ok(())
}

/// What pods are to use, as the target of a metric.
fn target(resource: &str, text: &str) -> std::result::Result<Value, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("empty input".to_owned());
    }
    if let Some(percent) = text.strip_suffix('%') {
        let number = percent.parse::<i32>().ok().filter(|number| *number >= 0);
        let number = number.ok_or_else(|| format!("invalid percentage value: {percent}"))?;
        return Ok(json!({"type": "Utilization", "averageUtilization": number}));
    }
    let unit = if resource == "cpu" { "m" } else { "Mi" };
    let bare = text.parse::<f64>().ok().map(|number| format!("{number}{unit}"));
    let quantity = bare.as_deref().unwrap_or(text).parse::<Quantity>();
    let quantity = quantity.map_err(|_| format!("invalid resource {resource} value: {text}"))?;
    Ok(json!({"type": "AverageValue", "averageValue": quantity.to_string()}))
}

async fn autoscale(session: &Session, flags: &Flags, info: &Info, dry_run: DryRun) -> Result<()> {
    let mapping = info.mapping()?;
    if !mapping.subresources.iter().any(|name| name == "scale") {
        let resource = format!("{}, Resource={}", mapping.api_version(), mapping.resource);
        let text = format!(
            "cannot autoscale a {}: could not find scale subresource for {resource} in discovery information",
            mapping.kind
        );
        return Err(KubectlError::message(text));
    }
    let newest = autoscaler(session, flags, info, mapping)?;
    let Err(error) = send(session, flags, newest, dry_run).await else { return Ok(()) };
    // A share of CPU alone can be said in the first version, too.
    let share = flags.string("cpu").trim().ends_with('%');
    if flags.string("cpu").trim().is_empty() {
        let text = "failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1: empty input";
        return Err(KubectlError::message(text));
    }
    if !flags.string("memory").is_empty() || !(share || flags.int("cpu-percent") >= 0) {
        let text = format!(
            "failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1: {error}"
        );
        return Err(KubectlError::message(text));
    }
    send(session, flags, first_version(session, flags, info, mapping)?, dry_run).await
}

fn frame(session: &Session, flags: &Flags, info: &Info, mapping: &Mapping) -> Result<(Value, Value)> {
    let (namespace, enforce) = session.namespace()?;
    let name = Some(flags.string("name")).filter(|name| !name.is_empty()).unwrap_or(&info.name);
    let mut metadata = json!({"name": name});
    if enforce {
        metadata["namespace"] = json!(namespace);
    }
    let mut spec = json!({"maxReplicas": flags.int("max"),
        "scaleTargetRef": {"apiVersion": mapping.api_version(), "kind": mapping.kind, "name": info.name}});
    if flags.int("min") > 0 {
        spec["minReplicas"] = json!(flags.int("min"));
    }
    Ok((metadata, spec))
}

fn autoscaler(session: &Session, flags: &Flags, info: &Info, mapping: &Mapping) -> Result<Value> {
    let (metadata, mut spec) = frame(session, flags, info, mapping)?;
    let mut metrics = vec![];
    let metric =
        |name: &str, target: Value| json!({"type": "Resource", "resource": {"name": name, "target": target}});
    if flags.int("cpu-percent") > 0 {
        let share = json!({"type": "Utilization", "averageUtilization": flags.int("cpu-percent")});
        metrics.push(metric("cpu", share));
    }
    for resource in ["cpu", "memory"] {
        if !flags.string(resource).is_empty() {
            metrics.push(metric(
                resource,
                target(resource, flags.string(resource)).map_err(KubectlError::message)?,
            ));
        }
    }
    if !metrics.is_empty() {
        spec["metrics"] = json!(metrics);
    }
    Ok(
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec,
        "status": {"currentMetrics": null, "desiredReplicas": 0}}),
    )
}

fn first_version(session: &Session, flags: &Flags, info: &Info, mapping: &Mapping) -> Result<Value> {
    let (metadata, mut spec) = frame(session, flags, info, mapping)?;
    if flags.int("cpu-percent") >= 0 {
        spec["targetCPUUtilizationPercentage"] = json!(flags.int("cpu-percent"));
    }
    Ok(
        json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec,
        "status": {"currentReplicas": 0, "desiredReplicas": 0}}),
    )
}

async fn send(session: &Session, flags: &Flags, mut object: Value, dry_run: DryRun) -> Result<()> {
    record(session, &mut object);
    if dry_run == DryRun::Client {
        return tell(session, flags, &object, "created", dry_run).await;
    }
    save_configuration(&mut object, flags.bool("save-config"));
    let (namespace, _) = session.namespace()?;
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let path = format!("/apis/{version}/namespaces/{namespace}/horizontalpodautoscalers");
    let options = WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation: "" };
    let created = session.client().await?.json(create_request(path, &object, &options)).await?;
    tell(session, flags, &created, "autoscaled", dry_run).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_shares_or_amounts() {
        assert_eq!(target("cpu", "70%").unwrap(), json!({"type": "Utilization", "averageUtilization": 70}));
        assert_eq!(target("cpu", "500").unwrap(), json!({"type": "AverageValue", "averageValue": "500m"}));
        assert_eq!(
            target("memory", "200").unwrap(),
            json!({"type": "AverageValue", "averageValue": "200Mi"})
        );
        assert_eq!(target("cpu", "x%").unwrap_err(), "invalid percentage value: x");
        assert_eq!(target("memory", "much").unwrap_err(), "invalid resource memory value: much");
    }
}
