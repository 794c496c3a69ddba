//! The verbs on clusters and users: listing, changing, removing.

use async_trait::async_trait;
use base64::Engine;

use super::contexts::unexpected;
use super::write;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::kubeconfig::Kubeconfig;
use crate::kubectl::session::Session;

/// `kubectl config get-clusters`.
pub struct GetClusters;
/// `kubectl config get-users`.
pub struct GetUsers;
/// `kubectl config delete-cluster`.
pub struct DeleteCluster;
/// `kubectl config delete-user`.
pub struct DeleteUser;
/// `kubectl config set-cluster`.
pub struct SetCluster;

async fn list(session: &Session, names: impl Iterator<Item = &String>) -> Result<()> {
    session.out.write(names.fold("NAME\n".to_owned(), |text, name| text + name + "\n")).await
}

#[async_trait]
impl Verb for GetClusters {
    fn name(&self) -> &'static str {
        "get-clusters"
    }

    fn short(&self) -> &'static str {
        "Display clusters defined in the kubeconfig"
    }

    fn examples(&self) -> &'static str {
        "# List the clusters that kubectl knows\nkubectl config get-clusters"
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        list(session, write::start(session).await?.clusters.keys()).await
    }
}

#[async_trait]
impl Verb for GetUsers {
    fn name(&self) -> &'static str {
        "get-users"
    }

    fn short(&self) -> &'static str {
        "Display users defined in the kubeconfig"
    }

    fn examples(&self) -> &'static str {
        "# List the users that kubectl knows\nkubectl config get-users"
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        list(session, write::start(session).await?.users.keys()).await
    }
}

/// Removes an entry that `remove` finds, and says so.
async fn delete(
    session: &Session,
    what: &str,
    args: &[String],
    remove: fn(&mut Kubeconfig, &str) -> bool,
) -> Result<()> {
    let [name] = args else { return session.out.write(session.help()).await };
    let old = write::start(session).await?;
    let path = write::default_path(session).await?;
    let mut new = old.clone();
    if !remove(&mut new, name) {
        return Err(KubectlError::message(format!("cannot delete {what} {name}, not in {path}")));
    }
    write::modify(session, &old, &new).await?;
    session.out.line(format!("deleted {what} {name} from {path}")).await
}

#[async_trait]
impl Verb for DeleteCluster {
    fn name(&self) -> &'static str {
        "delete-cluster"
    }

    fn short(&self) -> &'static str {
        "Delete the specified cluster from the kubeconfig"
    }

    fn examples(&self) -> &'static str {
        "# Remove a cluster\nkubectl config delete-cluster minikube"
    }

    fn usage(&self) -> &'static str {
        "NAME"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        delete(session, "cluster", args, |config, name| config.clusters.remove(name).is_some()).await
    }
}

#[async_trait]
impl Verb for DeleteUser {
    fn name(&self) -> &'static str {
        "delete-user"
    }

    fn short(&self) -> &'static str {
        "Delete the specified user from the kubeconfig"
    }

    fn examples(&self) -> &'static str {
        "# Remove a user\nkubectl config delete-user minikube"
    }

    fn usage(&self) -> &'static str {
        "NAME"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        delete(session, "user", args, |config, name| config.users.remove(name).is_some()).await
    }
}

#[async_trait]
impl Verb for SetCluster {
    fn name(&self) -> &'static str {
        "set-cluster"
    }

    fn short(&self) -> &'static str {
        "Set a cluster entry in kubeconfig"
    }

    fn long(&self) -> &'static str {
        "Add a cluster to the kubeconfig, or change one.\n\nWhat is not named stays as it is."
    }

    fn examples(&self) -> &'static str {
        "# Set the server of a cluster\nkubectl config set-cluster e2e --server=https://1.2.3.4\n\n# Put the certificate of the authority into \
         the kubeconfig\nkubectl config set-cluster e2e --embed-certs --certificate-authority=ca.crt\n\n# Do not check the server's \
         certificate\nkubectl config set-cluster e2e --insecure-skip-tls-verify=true"
    }

    fn usage(&self) -> &'static str {
        "NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true] \
         [--tls-server-name=example.com]"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool("embed-certs", false, "Put the content of certificates into the kubeconfig."),
            Flag::string("proxy-url", "", "The proxy to reach the cluster through."),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let [name] = args else { return Err(unexpected(session, args).await) };
        if name.is_empty() {
            return Err(KubectlError::message("you must specify a non-empty cluster name"));
        }
        let authority = flags.string("certificate-authority");
        let embed = flags.bool("embed-certs");
        if !authority.is_empty() && flags.bool("insecure-skip-tls-verify") {
            let text = "you cannot specify a certificate authority and insecure mode at the same time";
            return Err(KubectlError::message(text));
        }
        if embed && authority.is_empty() {
            return Err(KubectlError::message("you must specify a --certificate-authority to embed"));
        }
        let old = write::start(session).await?;
        let mut new = old.clone();
        let cluster = new.clusters.entry(name.clone()).or_default();
        if flags.changed("server") {
            flags.string("server").clone_into(&mut cluster.server);
            cluster.tls_server_name.clear();
        }
        if flags.changed("tls-server-name") {
            flags.string("tls-server-name").clone_into(&mut cluster.tls_server_name);
        }
        if flags.changed("proxy-url") {
            flags.string("proxy-url").clone_into(&mut cluster.proxy_url);
        }
        if flags.changed("insecure-skip-tls-verify") {
            cluster.insecure_skip_tls_verify = flags.bool("insecure-skip-tls-verify");
            if cluster.insecure_skip_tls_verify {
                cluster.certificate_authority.clear();
                cluster.certificate_authority_data.clear();
            }
        }
        if flags.changed("certificate-authority") {
            if !authority.is_empty() {
                cluster.insecure_skip_tls_verify = false;
            }
            if embed {
                let content = session.files.read(&session.absolute(authority)).await;
                let content = content.map_err(|e| {
                    KubectlError::message(format!(
                        "could not stat certificate-authority file {authority}: stat {authority}: {e}"
                    ))
                })?;
                cluster.certificate_authority_data =
                    base64::engine::general_purpose::STANDARD.encode(content);
                cluster.certificate_authority.clear();
            } else {
                cluster.certificate_authority =
                    if authority.is_empty() { String::new() } else { session.absolute(authority) };
                if !authority.is_empty() {
                    cluster.certificate_authority_data.clear();
                }
            }
        }
        write::modify(session, &old, &new).await?;
        session.out.line(format!("Cluster {name:?} set.")).await
    }
}
