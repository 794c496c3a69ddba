//! `kubectl run`: a pod from an image.
// Models kubectl/pkg/cmd/run and kubectl/pkg/generate/versioned (run.go).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::delete::deletion_flags;
use super::expose::parse_labels;
use super::overrides;
use super::run_attached;
use super::writing::{
    DryRun, WriteOptions, create_request, dry_run, dry_run_flag, field_manager_flag, require,
    save_config_flag, save_configuration, tell,
};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::FilenameOptions;
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{record, record_flag};
use crate::meta::names;

/// `kubectl run`.
pub struct Run;

#[async_trait]
impl Verb for Run {
    fn name(&self) -> &'static str {
        "run"
    }
    fn short(&self) -> &'static str {
        "Run a particular image on the cluster"
    }
    fn long(&self) -> &'static str {
        "Make a pod that runs an image. What stands behind -- is its arguments, or its command with --command."
    }
    fn examples(&self) -> &'static str {
        "# Run nginx\nkubectl run nginx --image=nginx\n\n# Only show what would be made\nkubectl run nginx --image=nginx \
         --dry-run=client -o yaml\n\n# A shell in a pod that goes with it\nkubectl run -i -t busybox --image=busybox \
         --restart=Never --rm"
    }
    fn usage(&self) -> &'static str {
        "NAME --image=image [--env=\"key=value\"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- \
         [COMMAND] [args...]"
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("to use to replace the resource."));
        flags.extend(deletion_flags(false));
        flags.extend(overrides::flags("merge"));
        flags.extend([
            dry_run_flag(),
            field_manager_flag("kubectl-run"),
            save_config_flag(),
            Flag::string_array(
                "annotations",
                "An annotation of the pod, as KEY=VALUE; repeat the flag for several.",
            ),
            Flag::bool("attach", false, "Attach to the pod when it runs; on with -i."),
            Flag::bool("command", false, "Take the arguments as the container's command."),
            Flag::string("detach-keys", "ctrl-p,ctrl-q", "The keys that end the attachment."),
            Flag::string_array(
                "env",
                "A variable of the container, as KEY=VALUE; repeat the flag for several.",
            ),
            Flag::bool("expose", false, "Make a ClusterIP service for the pod, too."),
            Flag::string("image", "", "The image to run."),
            Flag::string("image-pull-policy", "", "When the image is pulled."),
            Flag::string("labels", "", "The pod's labels, as KEY=VALUE with commas between them.").short('l'),
            Flag::bool(
                "leave-stdin-open",
                false,
                "Leave standard input open when the first attachment ends.",
            ),
            Flag::duration("pod-running-timeout", "1m0s", "How long to wait until the pod runs."),
            Flag::string("port", "", "The port that the container exposes."),
            Flag::bool("privileged", false, "Run the container privileged."),
            Flag::bool("quiet", false, "Say nothing but what the container says.").short('q'),
            record_flag(),
            Flag::string("restart", "Always", "The restart policy: Always, OnFailure or Never."),
            Flag::bool("rm", false, "Delete the pod when it ends."),
            Flag::bool("stdin", false, "Keep standard input open.").short('i'),
            Flag::bool("tty", false, "Give the container a terminal.").short('t'),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        require(flags, &["image"])?;
        let dry_run = dry_run(session, flags).await?;
        let attach = flags.bool("attach") || (flags.bool("stdin") && !flags.changed("attach"));
        validate(session, flags, args, (attach, dry_run))?;
        let command = &args[1..];
        let pod = pod(flags, &args[0], command)?;
        let pod = make(session, flags, pod, dry_run, true).await?;
        if flags.bool("expose") {
            let service = service(flags, &args[0])?;
            let service = make(session, flags, service, dry_run, false).await?;
            tell(session, flags, &service, "created", dry_run).await?;
            if flags.string("output") == "yaml" {
                session.out.line("---").await?;
            }
        }
        if attach {
            return run_attached::until_end(session, flags, &pod).await;
        }
        tell(session, flags, &pod, "created", dry_run).await
    }
}

fn validate(
    session: &Session,
    flags: &Flags,
    args: &[String],
    (attach, dry_run): (bool, DryRun),
) -> Result<()> {
    let usage = |text: &str| Err(KubectlError::usage(&session.command_path, text));
    if args.is_empty() || flags.dash == Some(0) {
        return usage("NAME is required for run");
    }
    if flags.duration("pod-running-timeout").is_none_or(|timeout| timeout.is_zero()) {
        return usage("--pod-running-timeout must be higher than zero");
    }
    let image = flags.string("image");
    if image.is_empty() {
        return Err(KubectlError::message("--image is required"));
    }
    if !is_image(image) {
        return Err(KubectlError::message(format!("Invalid image name {image:?}: invalid reference format")));
    }
    if flags.bool("tty") && !flags.bool("stdin") {
        return usage("-i/--stdin is required for containers with -t/--tty=true");
    }
    if flags.bool("expose") && flags.string("port").is_empty() {
        return usage("--port must be set when exposing a service");
    }
    let restart = flags.string("restart");
    if !["", "Always", "OnFailure", "Never"].contains(&restart) {
        return usage(&format!("invalid restart policy: {restart}"));
    }
    if !attach && flags.bool("rm") {
        return usage("--rm should only be used for attached containers");
    }
    if attach && dry_run != DryRun::None {
        return usage(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        );
    }
    let policy = flags.string("image-pull-policy");
    if !["", "Always", "IfNotPresent", "Never"].contains(&policy) {
        return usage(&format!("invalid image pull policy: {policy}"));
    }
    Ok(())
}

/// Whether a text is an image reference.
// Models github.com/distribution/reference (ReferenceRegexp).
fn is_image(text: &str) -> bool {
    let component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
    let domain_part = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!("(?:{domain_part}(?:\\.{domain_part})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?");
    let digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9a-fA-F]{32,}";
    let pattern = format!(
        "^(?:{domain}/)?{component}(?:/{component})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@{digest})?$"
    );
    regex::Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(text))
}

fn pod(flags: &Flags, name: &str, command: &[String]) -> Result<Value> {
    let text = |flag: &str| flags.string(flag);
    let mut container = json!({"image": text("image"), "name": name, "resources": {}});
    if !command.is_empty() {
        let field = if flags.bool("command") { "command" } else { "args" };
        container[field] = json!(command);
    }
    let env = env(flags.strings("env"))?;
    if !env.is_empty() {
        container["env"] = json!(env);
    }
    if !text("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = json!(text("image-pull-policy"));
    }
    if let Some(port) = port(flags)? {
        container["ports"] = json!([{"containerPort": port}]);
    }
    if flags.bool("stdin") {
        container["stdin"] = json!(true);
        if !flags.bool("leave-stdin-open") {
            container["stdinOnce"] = json!(true);
        }
    }
    if flags.bool("tty") {
        container["tty"] = json!(true);
    }
    if flags.bool("privileged") {
        container["securityContext"] = json!({"privileged": true});
    }
    let restart = if text("restart").is_empty() { "Always" } else { text("restart") };
    let labels = if text("labels").is_empty() { json!({"run": name}) } else { parse_labels(text("labels"))? };
    let mut metadata = json!({"name": name, "labels": labels});
    let annotations = annotations(flags.strings("annotations"))?;
    if !annotations.as_object().is_some_and(serde_json::Map::is_empty) {
        metadata["annotations"] = annotations;
    }
    let spec = json!({"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": restart});
    Ok(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}}))
}

fn port(flags: &Flags) -> Result<Option<i64>> {
    let text = flags.string("port");
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| KubectlError::message(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
    text.parse().map(|port: i64| (port >= 0).then_some(port)).map_err(wrong)
}

fn env(pairs: &[String]) -> Result<Vec<Value>> {
    let mut variables = vec![];
    for pair in pairs {
        let invalid = || KubectlError::message(format!("invalid env: {pair}"));
        let (name, value) = pair.split_once('=').ok_or_else(invalid)?;
        if name.is_empty() || !names::env_var_name(name).is_empty() {
            return Err(invalid());
        }
        variables.push(if value.is_empty() {
            json!({"name": name})
        } else {
            json!({"name": name, "value": value})
        });
    }
    Ok(variables)
}

fn annotations(pairs: &[String]) -> Result<Value> {
    let (mut annotations, mut invalid) = (json!({}), vec![]);
    for pair in pairs {
        match pair.split_once('=').filter(|(key, _)| !key.is_empty()) {
            Some((key, value)) => annotations[key] = json!(value),
            None => invalid.push(pair.as_str()),
        }
    }
    if invalid.is_empty() {
        return Ok(annotations);
    }
    Err(KubectlError::message(format!("invalid annotations format: {}", invalid.join(", "))))
}

/// The service that `--expose` makes.
fn service(flags: &Flags, name: &str) -> Result<Value> {
    let labels = flags.string("labels");
    let selector = if labels.is_empty() { json!({"run": name}) } else { parse_labels(labels)? };
    let port = port(flags)?.unwrap_or_default();
    let mut metadata = json!({"name": name});
    if !labels.is_empty() {
        metadata["labels"] = parse_labels(labels)?;
    }
    let spec =
        json!({"ports": [{"port": port, "protocol": "TCP", "targetPort": port}], "selector": selector});
    Ok(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}),
    )
}

/// Puts overrides into an object and creates it, unless it is only to be shown.
async fn make(
    session: &Session,
    flags: &Flags,
    object: Value,
    dry_run: DryRun,
    overridden: bool,
) -> Result<Value> {
    let (namespace, enforce) = session.namespace()?;
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let mapper = session.mapper().await?;
    let missing = || KubectlError::message(format!("no matches for kind {kind:?} in version \"v1\""));
    let mapping = mapper.for_kind("", Some("v1"), &kind).ok_or_else(missing)?;
    let mut object = if overridden { overrides::apply(flags, &mapping, object)? } else { object };
    record(session, &mut object);
    if dry_run == DryRun::Client {
        if enforce {
            object["metadata"]["namespace"] = json!(namespace);
        }
        return Ok(object);
    }
    save_configuration(&mut object, flags.bool("save-config"));
    let options = WriteOptions { dry_run, field_manager: flags.string("field-manager"), validation: "" };
    session.client().await?.json(create_request(mapping.path(&namespace, "", ""), &object, &options)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_told_from_what_is_none() {
        for good in [
            "nginx",
            "nginx:1.25",
            "gcr.io/google-samples/kubernetes-bootcamp:v1",
            "localhost:5000/a/b",
            "a_b/c.d",
        ] {
            assert!(is_image(good), "{good}");
        }
        for bad in ["nginx:", "Nginx:1.25", "", "a//b", "-x", "a:b:c"] {
            assert!(!is_image(bad), "{bad}");
        }
    }
}
