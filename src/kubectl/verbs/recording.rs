//! `--record`: the command line as an annotation of what it changed, which `rollout history` shows as the cause.
//!
//! Verbs that have the flag call [`record`] on what they send. The flag is deprecated; it is here because notes and
//! tutorials still use it.
// Models k8s.io/cli-runtime/pkg/genericclioptions/record_flags.go.

use serde_json::{Value, json};

use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::session::Session;

/// The annotation that says why an object was changed.
pub const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// `--record`.
pub fn record_flag() -> Flag {
    let usage = "Keep the command line in an annotation of the object.";
    Flag::bool("record", false, usage).deprecated("--record will be removed in the future")
}

/// Puts the command line into an object's annotations, if `--record` asks for it.
pub fn record(session: &Session, object: &mut Value) {
    let Some(cause) = &session.change_cause else { return };
    let annotations = &mut object["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    annotations[CHANGE_CAUSE] = json!(cause);
}

/// The JSON merge patch that records the command line in an object; `None` if it need not be.
pub fn record_patch(session: &Session, object: &Value) -> Option<Value> {
    let cause = session.change_cause.as_ref()?;
    if object["metadata"]["annotations"][CHANGE_CAUSE] == json!(cause) {
        return None;
    }
    Some(json!({"metadata": {"annotations": {CHANGE_CAUSE: cause}}}))
}

/// A command line as it is recorded: the words first, then the flags that were given, with their values.
// Models parseCommandArguments.
pub fn change_cause(flags: &Flags, words: &[String]) -> String {
    let words: String = words.iter().map(|word| format!(" {word}")).collect();
    let flags: String = flags.given().iter().map(|(name, value)| format!(" --{name}={value}")).collect();
    format!("kubectl{words}{flags}")
}

#[cfg(test)]
mod tests {
    use crate::kubectl::verbs::testing::Harness;

    const CAUSE: &str = "-o jsonpath='{.metadata.annotations.kubernetes\\.io/change-cause}'";
    const WARNING: &str = "Flag --record has been deprecated, --record will be removed in the future\n";

    #[tokio::test(start_paused = true)]
    async fn the_command_line_is_kept() {
        let cluster = Harness::new().await;
        let cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\ndata: {a: milk}\n";
        cluster.file("cm.yaml", cm);
        cluster.file("new.yaml", &cm.replace("name: cm", "name: new"));
        cluster.run("create deployment web --image=nginx:1.25").await;
        for (line, object, expected) in [
            (
                "set image deployment/web nginx=nginx:1.26 --record",
                "deploy web",
                "kubectl set image deployment/web nginx=nginx:1.26 --record=true",
            ),
            (
                "--record=true set resources deployment web -c=nginx --limits cpu=1",
                "deploy web",
                "kubectl set resources deployment web --record=true --containers=nginx --limits=cpu=1",
            ),
            (
                "scale deployment/web --replicas=3 --record",
                "deploy web",
                "kubectl scale deployment/web --replicas=3 --record=true",
            ),
            ("label deploy web a=b --record", "deploy web", "kubectl label deploy web a=b --record=true"),
            (
                "annotate deploy web a=b --record",
                "deploy web",
                "kubectl annotate deploy web a=b --record=true",
            ),
            (
                "patch deploy web --record -p '{\"spec\":{\"replicas\":1}}'",
                "deploy web",
                "kubectl patch deploy web --record=true --patch={\"spec\":{\"replicas\":1}}",
            ),
            ("apply -f cm.yaml --record", "cm cm", "kubectl apply --filename=cm.yaml --record=true"),
            ("replace -f cm.yaml --record", "cm cm", "kubectl replace --filename=cm.yaml --record=true"),
            ("create -f new.yaml --record", "cm new", "kubectl create --filename=new.yaml --record=true"),
            (
                "expose deploy web --port=80 --record",
                "svc web",
                "kubectl expose deploy web --port=80 --record=true",
            ),
            (
                "run box --image=busybox --record -- sleep 5",
                "pod box",
                "kubectl run box sleep 5 --image=busybox --record=true",
            ),
        ] {
            let said = cluster.run(line).await;
            assert!(said.contains(WARNING) && !said.contains("[exit"), "{line}: {said}");
            assert_eq!(cluster.run(&format!("get {object} {CAUSE}")).await, expected, "{line}");
        }
        let said = cluster.run_with("edit cm cm --record", &[("KUBE_EDITOR", "sed -i s/milk/tea/")]).await;
        assert!(said.contains("configmap/cm edited"), "{said}");
        assert_eq!(cluster.run(&format!("get cm cm {CAUSE}")).await, "kubectl edit cm cm --record=true");
    }

    #[tokio::test(start_paused = true)]
    async fn without_it_nothing_is_kept() {
        let cluster = Harness::new().await;
        cluster.run("create deployment web --image=nginx:1.25").await;
        let said = cluster.run("scale deployment web --replicas=2 --record=false").await;
        assert!(said.contains(WARNING), "{said}");
        assert_eq!(cluster.run(&format!("get deploy web {CAUSE}")).await, "");
    }
}
