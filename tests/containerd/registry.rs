//! A registry of one image on this machine: enough of the distribution API for a pull over plain HTTP.
//!
//! Its image is one of the course's, as `k8s-learn images build` writes it. What lies below `closed/` is for `me` with the
//! password `open-sesame`. Dropping it closes its port.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// `me:open-sesame`
const BASIC: &str = "Basic bWU6b3Blbi1zZXNhbWU=";

pub(super) struct Registry {
    pub(super) address: String,
    over: Arc<AtomicBool>,
}

impl Registry {
    /// A registry whose files are kept in a directory.
    pub(super) fn start(directory: &Path) -> Self {
        let archive = directory.join("image.tar");
        let mut build = Command::new(env!("CARGO_BIN_EXE_k8s-learn"));
        build.args(["images", "build", "busybox:1.36", "-o"]).arg(&archive);
        assert!(build.output().unwrap().status.success(), "the image cannot be built");
        let unpacked = directory.join("image");
        std::fs::create_dir(&unpacked).unwrap();
        let tar = Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&unpacked).status().unwrap();
        assert!(tar.success());
        std::fs::remove_file(archive).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let unpacked = unpacked.clone();
                // A client that goes away in the middle is its own affair.
                std::thread::spawn(move || drop(serve(stream, &unpacked)));
            }
        });
        Self { address, over }
    }

    /// Has containerd, whose directory of hosts it is, ask it over plain HTTP.
    pub(super) fn announce(&self, hosts: &Path) {
        let directory = hosts.join(&self.address);
        std::fs::create_dir_all(&directory).unwrap();
        let server = format!("http://{}", self.address);
        let text =
            format!("server = \"{server}\"\n[host.\"{server}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
        std::fs::write(directory.join("hosts.toml"), text).unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // So that it looks.
        let _ = TcpStream::connect(&self.address);
    }
}

/// The digest of the image's manifest.
fn manifest(unpacked: &Path) -> String {
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(unpacked.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

fn serve(stream: TcpStream, unpacked: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut first, mut authorization) = (String::new(), String::new());
        reader.read_line(&mut first)?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    value.clone_into(&mut authorization)
                }
                None => break,
                _ => {}
            }
        }
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match find(path, &authorization, unpacked) {
            Ok((file, kind, digest)) => {
                let mut content = std::fs::File::open(file)?;
                let size = content.metadata()?.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\nDocker-Content-Digest: {digest}\r\n\r\n"
                )?;
                if method != "HEAD" {
                    std::io::copy(&mut content, &mut stream)?;
                }
            }
            Err((status, headers, code)) => {
                let text = format!(r#"{{"errors":[{{"code":"{code}","message":"{code}"}}]}}"#);
                let body = if method == "HEAD" { "" } else { &text };
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    text.len()
                )?;
            }
        }
        stream.flush()?;
    }
}

/// The file that a path means, with its type and digest; else status, headers and error.
fn find(
    path: &str,
    authorization: &str,
    unpacked: &Path,
) -> Result<(PathBuf, &'static str, String), (&'static str, &'static str, &'static str)> {
    if path.starts_with("/v2/closed/") && authorization != BASIC {
        return Err(("401 Unauthorized", "WWW-Authenticate: Basic realm=\"tests\"\r\n", "UNAUTHORIZED"));
    }
    let parts: Vec<&str> = path.trim_start_matches("/v2/").split('/').collect();
    let own = manifest(unpacked);
    let blob = |digest: &str| unpacked.join("blobs").join(digest.replace(':', "/"));
    match parts[..] {
        ["open" | "closed", "box", "manifests", reference] if reference == "1" || reference == own => {
            Ok((blob(&own), MANIFEST, own))
        }
        ["open" | "closed", "box", "blobs", digest] if blob(digest).is_file() => {
            Ok((blob(digest), "application/octet-stream", digest.to_owned()))
        }
        _ => Err(("404 Not Found", "", "MANIFEST_UNKNOWN")),
    }
}
