//! Whether this machine can run real containers: each thing that they need is tried, not only looked for.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The directories that tools may be in beside the path.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The containerd that the tests run; `containerd` unless this says otherwise.
const BINARY: &str = "K8S_LEARN_CONTAINERD";

/// The containerd that the tests run.
pub(super) fn binary() -> String {
    std::env::var(BINARY).unwrap_or_else(|_| "containerd".to_owned())
}

/// The path with which it runs: what came with it stands beside it.
pub(super) fn path() -> String {
    match Path::new(&binary()).parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(beside) => format!("{}:{PATH}", beside.display()),
        None => PATH.to_owned(),
    }
}

/// Where the CNI plugins are.
pub(super) fn plugins() -> Option<&'static str> {
    ["/usr/lib/cni", "/opt/cni/bin"].into_iter().find(|at| Path::new(at).join("ptp").exists())
}

/// What real containers need, and a script that tries it in the directory `$D`.
const NEEDS: &[(&str, &str)] = &[
    ("root", "[ $(id -u) = 0 ]"),
    ("containerd", "$CONTAINERD --version"),
    ("runc", "runc --version"),
    (
        "the right to make overlay mounts",
        "mkdir l u w m && unshare -m mount -t overlay overlay -o lowerdir=$D/l,upperdir=$D/u,workdir=$D/w $D/m",
    ),
    (
        "the right to make network devices by ip",
        "unshare -n sh -c 'ip link add k8sl0 type veth peer name k8sl1 && ip link add k8sl2 type bridge'",
    ),
    (
        "the right to set packet rules by nft",
        r#"unshare -n sh -c 'nft add table ip k8sl && nft add chain ip k8sl c "{ type nat hook prerouting priority 0; }" && nft add rule ip k8sl c ip daddr 10.0.0.1 dnat to 10.0.0.2'"#,
    ),
    (
        "control groups of memory that can be made",
        "G=/sys/fs/cgroup; [ -e $G/cgroup.controllers ] && grep -q memory $G/cgroup.controllers || G=$G/memory; mkdir $G/k8s-learn-probe-$$ && rmdir $G/k8s-learn-probe-$$",
    ),
    // This machine's own files are the container's, so that no image is needed.
    (
        "a machine on which runc can run a container",
        r##"mkdir -p b/r && cd b && runc spec && sed -i "s/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"true\"/; s#\"rootfs\"#\"$D/b/r\"#" config.json && unshare -m sh -c "mount --bind / $D/b/r && runc --root $D/runc run k8s-learn-probe-$$""##,
    ),
];

/// Why there can be no real containers here, with what the trial said. Tried once.
pub(super) fn lacking() -> Option<&'static str> {
    static LACKING: LazyLock<Option<String>> = LazyLock::new(look);
    LACKING.as_deref()
}

fn look() -> Option<String> {
    if plugins().is_none() {
        return Some("the CNI plugins".to_owned());
    }
    let directory = tempfile::Builder::new().prefix("k8s-learn-probe").tempdir().ok()?;
    NEEDS.iter().find_map(|(what, script)| {
        let tried = Command::new("bash")
            .args(["-c", script])
            .current_dir(directory.path())
            .env("PATH", path())
            .env("D", directory.path())
            .env("CONTAINERD", binary())
            .stdin(Stdio::null())
            .output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Some(format!("{what} ({said})"))
            }
            Err(error) => Some(format!("{what} ({error})")),
        }
    })
}

/// The first number of containerd's version.
pub(super) fn major_version() -> u32 {
    let output = Command::new(binary()).arg("--version").env("PATH", path()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // `containerd github.com/containerd/containerd/v2 2.1.9+unknown REVISION`
    let version = text.split_whitespace().nth(2).unwrap_or_default().trim_start_matches('v');
    version.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(1)
}
