//! Images from a registry: what the kubelet says of pulls that succeed, fail, and need a password.

use super::machine::Machine;
use super::registry::Registry;

/// Waits until a pod's description has these words, and shows it.
fn until(pod: &str, words: &str) -> String {
    format!(
        "for i in $(seq 100); do kubectl describe pod {pod} | grep -qE '{words}' && break; sleep 0.2; done; kubectl describe pod {pod}"
    )
}

/// Waits until a pod's image is refused for want of a password: each version of containerd has its words for that.
fn refused(pod: &str) -> String {
    let words = "Failed to pull image .*(401 Unauthorized|authorization failed)";
    format!("{} | grep -qE '{words}' && echo refused", until(pod, words))
}

#[test]
fn images_come_from_a_registry_with_and_without_a_password() {
    let Some(machine) = Machine::start() else { return };
    let registry = Registry::start(&machine.path(""));
    registry.announce(&machine.path("hosts"));
    let at = registry.address.clone();
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let pod = |name: &str, image: &str, secret: &str| {
        let secrets = if secret.is_empty() {
            String::new()
        } else {
            format!(",\"imagePullSecrets\":[{{\"name\":\"{secret}\"}}]")
        };
        format!(
            "kubectl run {name} --image={image} --restart=Never --overrides='{{\"spec\":{{\"containers\":[{{\"name\":\"{name}\",\"image\":\"{image}\",\"command\":[\"sleep\",\"1000\"]}}]{secrets}}}}}'"
        )
    };
    let secret = |name: &str, password: &str| {
        format!(
            "kubectl create secret docker-registry {name} --docker-server={at} --docker-username=me --docker-password={password}"
        )
    };
    let (open, closed) = (format!("{at}/open/box:1"), format!("{at}/closed/box:1"));
    let missing = format!("{at}/open/box:2");
    let pulled = format!("Successfully pulled image \"{open}\" in ");
    let not_found = format!(
        "rpc error: code = NotFound desc = failed to pull and unpack image \"{missing}\": failed to resolve"
    );
    machine.shows(
        "1",
        &[
            (&pod("open", &open, ""), "created"),
            ("kubectl wait --for=condition=Ready pod/open --timeout=60s", "condition met"),
            ("kubectl describe pod open", &format!("Pulling image \"{open}\"")),
            ("kubectl describe pod open", &pulled),
            ("kubectl describe pod open | grep -cE 'pulled image .* in [0-9.]+m?s \\([0-9.]+m?s including waiting\\). Image size: [0-9]{6,} bytes\\.'", "1\n"),
            ("kubectl describe pod open", &format!("Image ID:      {at}/open/box@sha256:")),
            ("kubectl exec open -- echo it runs", "it runs"),
            (&pod("no-tag", &missing, ""), "created"),
            (&until("no-tag", "Failed to pull image"), &format!("Failed to pull image \"{missing}\": {not_found}")),
            (&until("no-tag", "Back-off pulling"), "Error: ImagePullBackOff"),
            (&pod("nobody", &closed, ""), "created"),
            (&refused("nobody"), "refused\n"),
            (&secret("wrong", "guess"), "created"),
            (&pod("wrong", &closed, "wrong"), "created"),
            (&refused("wrong"), "refused\n"),
            (&secret("right", "open-sesame"), "created"),
            (&pod("right", &closed, "right"), "created"),
            ("kubectl wait --for=condition=Ready pod/right --timeout=60s", "condition met"),
            ("kubectl describe pod right", &format!("Successfully pulled image \"{closed}\"")),
            (&pod("gone", &format!("{gone}/open/box:1"), ""), "created"),
            (&until("gone", "Failed to pull image"), "connection refused"),
            ("kubectl get pod gone", "0/1     "),
        ],
    );
}
