//! From the kubeconfig and the global flags to a cluster, a user and a namespace.
//!
//! `program.rs` makes one [`Factory`] a call; verbs ask the [`Session`](super::session::Session), which asks it.
// Models k8s.io/cli-runtime/pkg/genericclioptions (ConfigFlags) and client-go/tools/clientcmd (client_config.go).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;

use super::client::{Client, ClientOptions};
use super::connect::{ClusterConfig, Connect, Impersonation};
use super::error::{KubectlError, Result};
use super::flags::{Flag, Flags};
use super::kubeconfig::{Cluster, Context, Kubeconfig, LoadingRules, User};
use super::session::{Output, absolute};
use crate::bash::Files;
use crate::clock::Clock;
use crate::meta::age;

/// The flags that every command takes, sorted.
pub fn global_flags(home: &str) -> Vec<Flag> {
    vec![
        Flag::string("as", "", "Whom to act as: the name of a user or of a service account."),
        Flag::string_array("as-group", "A group to act as; repeat the flag for several."),
        Flag::string("as-uid", "", "The UID to act as."),
        Flag::string_array(
            "as-user-extra",
            "An extra of the user to act as, as key=value; repeat the flag for several.",
        ),
        Flag::string(
            "cache-dir",
            &format!("{home}/.kube/cache"),
            "Where a cache would be kept; this kubectl keeps none.",
        ),
        Flag::string("certificate-authority", "", "A file with the certificate of the authority to trust."),
        Flag::string("client-certificate", "", "A file with the client certificate for TLS."),
        Flag::string("client-key", "", "A file with the client key for TLS."),
        Flag::string("cluster", "", "The cluster of the kubeconfig to talk to."),
        Flag::string("context", "", "The context of the kubeconfig to use."),
        Flag::bool("disable-compression", false, "Ask the server for answers that are not compressed."),
        Flag::bool(
            "insecure-skip-tls-verify",
            false,
            "Trust any certificate of the server. Connections are then not secure.",
        ),
        Flag::string("kubeconfig", "", "The kubeconfig file to use."),
        Flag::string("kuberc", "", "The kuberc file with preferences; this kubectl reads none."),
        Flag::duration(
            "log-flush-frequency",
            "5s",
            "How often a log would be flushed; this kubectl keeps none.",
        ),
        Flag::bool("match-server-version", false, "Insist on a server of the client's version."),
        Flag::string("namespace", "", "The namespace to work in.").short('n'),
        Flag::string("password", "", "The password for basic authentication."),
        Flag::string("profile", "none", "The name of a profile to take: only none is offered."),
        Flag::string("profile-output", "profile.pprof", "The file that a profile would go to."),
        Flag::string(
            "request-timeout",
            "0",
            "How long one request may take, like 1s, 2m or 3h. 0 means as long as it takes.",
        ),
        Flag::string("server", "", "The address and port of the API server.").short('s'),
        Flag::string(
            "tls-server-name",
            "",
            "The name to expect in the server's certificate, if not the one it is reached by.",
        ),
        Flag::string("token", "", "The bearer token to authenticate with."),
        Flag::string("user", "", "The user of the kubeconfig to be."),
        Flag::string("username", "", "The name for basic authentication."),
        Flag::int32("v", 0, "How much to log.").short('v'),
        Flag::string("vmodule", "", "Log levels a file; this kubectl keeps none."),
        Flag::bool("warnings-as-errors", false, "End with a code other than zero if the server warned."),
    ]
}

/// What the global flags say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub context: String,
    pub cluster: String,
    pub user: String,
    pub namespace: String,
    pub server: String,
    pub token: String,
    pub username: String,
    pub password: String,
    pub certificate_authority: String,
    pub client_certificate: String,
    pub client_key: String,
    pub insecure_skip_tls_verify: Option<bool>,
    pub tls_server_name: String,
    pub impersonate: Impersonation,
    pub request_timeout: String,
    pub warnings_as_errors: bool,
}

impl Overrides {
    /// Reads them from the flags.
    pub fn new(flags: &Flags) -> Self {
        let text = |name: &str| flags.string(name).to_owned();
        let extra = flags.strings("as-user-extra").iter().filter_map(|pair| pair.split_once('='));
        Self {
            context: text("context"),
            cluster: text("cluster"),
            user: text("user"),
            namespace: text("namespace"),
            server: text("server"),
            token: text("token"),
            username: text("username"),
            password: text("password"),
            certificate_authority: text("certificate-authority"),
            client_certificate: text("client-certificate"),
            client_key: text("client-key"),
            insecure_skip_tls_verify: flags
                .changed("insecure-skip-tls-verify")
                .then(|| flags.bool("insecure-skip-tls-verify")),
            tls_server_name: text("tls-server-name"),
            impersonate: Impersonation {
                user: text("as"),
                uid: text("as-uid"),
                groups: flags.strings("as-group").to_vec(),
                extra: extra.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            },
            request_timeout: text("request-timeout"),
            warnings_as_errors: flags.bool("warnings-as-errors"),
        }
    }
}

/// Everything that leads to a cluster.
pub struct Factory {
    /// The files that were merged, for `kubectl config`.
    pub rules: LoadingRules,
    /// The global flags.
    pub overrides: Overrides,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) cwd: String,
    pub(crate) clock: Clock,
    /// The merged kubeconfig; the error is told only by verbs that need it.
    loaded: Result<Kubeconfig>,
    in_cluster_namespace: Option<String>,
}

/// The surroundings that a factory looks at.
pub struct FactoryParts {
    pub connect: Arc<dyn Connect>,
    pub files: Arc<dyn Files>,
    pub clock: Clock,
    pub env: BTreeMap<String, String>,
    pub cwd: String,
}

/// The files that every container has which may talk to the API.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Factory {
    /// Reads the kubeconfigs.
    pub async fn load(flags: &Flags, parts: FactoryParts) -> Self {
        let rules = LoadingRules::new(flags.string("kubeconfig"), &parts.env, &parts.cwd);
        let mut loaded = rules.load(parts.files.as_ref()).await;
        let mut in_cluster_namespace = None;
        if matches!(&loaded, Ok(config) if *config == Kubeconfig::default())
            && rules.explicit.is_none()
            && let Some((config, namespace)) = in_cluster(parts.files.as_ref(), &parts.env).await
        {
            loaded = Ok(config);
            in_cluster_namespace = namespace;
        }
        Self {
            rules,
            overrides: Overrides::new(flags),
            connect: parts.connect,
            files: parts.files,
            cwd: parts.cwd,
            clock: parts.clock,
            loaded,
            in_cluster_namespace,
        }
    }

    /// The merged kubeconfig, with absolute paths.
    pub fn kubeconfig(&self) -> Result<&Kubeconfig> {
        self.loaded.as_ref().map_err(Clone::clone)
    }

    /// The namespace to work in, and whether a flag named it.
    pub fn namespace(&self) -> Result<(String, bool)> {
        if !self.overrides.namespace.is_empty() {
            return Ok((self.overrides.namespace.clone(), true));
        }
        let (context, _) = self.context()?;
        if !context.namespace.is_empty() {
            return Ok((context.namespace, false));
        }
        Ok((self.in_cluster_namespace.clone().unwrap_or_else(|| "default".to_owned()), false))
    }

    /// The context in use, and its name. Without one it is empty.
    fn context(&self) -> Result<(Context, String)> {
        let config = self.kubeconfig()?;
        let named = &self.overrides.context;
        let name = if named.is_empty() { &config.current_context } else { named };
        match config.contexts.get(name) {
            Some(context) => Ok((context.clone(), name.clone())),
            None if name.is_empty() => Ok((Context::default(), String::new())),
            None => {
                let text = format!("context was not found for specified context: {name}");
                Err(KubectlError::Configuration(text))
            }
        }
    }

    /// The cluster and user of the context, with the flags put over them.
    fn entries(&self) -> Result<(Cluster, User)> {
        let config = self.kubeconfig()?;
        let (context, context_name) = self.context()?;
        let over = &self.overrides;
        let pick = |flag: &String, own: &String| if flag.is_empty() { own.clone() } else { flag.clone() };
        let (cluster_name, user_name) =
            (pick(&over.cluster, &context.cluster), pick(&over.user, &context.user));
        let mut user = match config.users.get(&user_name) {
            Some(user) => user.clone(),
            None if !over.user.is_empty() => {
                return Err(KubectlError::message(format!("auth info {user_name:?} does not exist")));
            }
            None if !user_name.is_empty() => {
                let text = format!("user {user_name:?} was not found for context {context_name:?}");
                return Err(KubectlError::Configuration(text));
            }
            None => User::default(),
        };
        let cluster = config.clusters.get(&cluster_name);
        if cluster.is_none() && !cluster_name.is_empty() && over.server.is_empty() {
            if !over.cluster.is_empty() {
                return Err(KubectlError::message(format!("no server found for cluster {cluster_name:?}")));
            }
            let text = format!("cluster {cluster_name:?} was not found for context {context_name:?}");
            return Err(KubectlError::Configuration(text));
        }
        let mut cluster = cluster.cloned().unwrap_or_default();
        self.override_cluster(&mut cluster);
        self.override_user(&mut user);
        if cluster.server.is_empty() {
            if !cluster_name.is_empty() {
                return Err(KubectlError::message(format!("no server found for cluster {cluster_name:?}")));
            }
            "http://localhost:8080".clone_into(&mut cluster.server);
        }
        Ok((cluster, user))
    }

    fn override_cluster(&self, cluster: &mut Cluster) {
        let over = &self.overrides;
        if !over.server.is_empty() {
            let plain = !over.server.contains("://");
            cluster.server = if plain { format!("http://{}", over.server) } else { over.server.clone() };
        }
        if !over.tls_server_name.is_empty() {
            cluster.tls_server_name.clone_from(&over.tls_server_name);
        }
        if !over.certificate_authority.is_empty() {
            cluster.certificate_authority = absolute(&self.cwd, &over.certificate_authority);
            cluster.certificate_authority_data.clear();
        }
        if let Some(insecure) = over.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = insecure;
            if insecure {
                cluster.certificate_authority.clear();
                cluster.certificate_authority_data.clear();
            }
        }
    }

    fn override_user(&self, user: &mut User) {
        let over = &self.overrides;
        if !over.token.is_empty() {
            user.token.clone_from(&over.token);
            user.token_file.clear();
        }
        if !over.client_certificate.is_empty() {
            user.client_certificate = absolute(&self.cwd, &over.client_certificate);
            user.client_certificate_data.clear();
        }
        if !over.client_key.is_empty() {
            user.client_key = absolute(&self.cwd, &over.client_key);
            user.client_key_data.clear();
        }
        if !over.username.is_empty() {
            user.username.clone_from(&over.username);
        }
        if !over.password.is_empty() {
            user.password.clone_from(&over.password);
        }
    }

    /// The cluster to talk to and the credentials for it.
    pub async fn cluster_config(&self) -> Result<ClusterConfig> {
        let (cluster, user) = self.entries()?;
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut token = some(&user.token);
        if token.is_none() && !user.token_file.is_empty() {
            let content = self.content("", &user.token_file).await?.unwrap_or_default();
            token = Some(String::from_utf8_lossy(&content).trim().to_owned());
        }
        let mut impersonate = self.overrides.impersonate.clone();
        if impersonate.user.is_empty() {
            impersonate.user.clone_from(&user.impersonate);
            impersonate.uid.clone_from(&user.impersonate_uid);
            impersonate.groups.clone_from(&user.impersonate_groups);
        }
        if impersonate.user.is_empty() && (!impersonate.groups.is_empty() || !impersonate.uid.is_empty()) {
            let text = "requesting uid, groups or user-extra for  without impersonating a user";
            return Err(KubectlError::message(text));
        }
        Ok(ClusterConfig {
            server: cluster.server.clone(),
            certificate_authority: self
                .content(&cluster.certificate_authority_data, &cluster.certificate_authority)
                .await?,
            insecure_skip_tls_verify: cluster.insecure_skip_tls_verify,
            tls_server_name: some(&cluster.tls_server_name),
            client_certificate: self.content(&user.client_certificate_data, &user.client_certificate).await?,
            client_key: self.content(&user.client_key_data, &user.client_key).await?,
            token,
            username: some(&user.username),
            password: some(&user.password),
            exec: user.exec.as_ref().and_then(|exec| serde_json::to_value(exec).ok()),
            proxy_url: some(&cluster.proxy_url),
            impersonate,
        })
    }

    /// What is given as base64, or in a file.
    async fn content(&self, data: &str, path: &str) -> Result<Option<Vec<u8>>> {
        if !data.is_empty() {
            let decoded = base64::engine::general_purpose::STANDARD.decode(data.trim());
            return decoded
                .map(Some)
                .map_err(|error| KubectlError::message(format!("illegal base64 data: {error}")));
        }
        if path.is_empty() {
            return Ok(None);
        }
        let read = self.files.read(path).await;
        let unable = |error| {
            KubectlError::message(format!(
                "unable to read {path}: {}",
                super::session::open_error(path, &error)
            ))
        };
        Ok(Some(read.map_err(unable)?.to_vec()))
    }

    /// A client of the cluster. Warnings of the server go to `err`.
    pub async fn client(&self, err: Output) -> Result<Client> {
        let config = self.cluster_config().await?;
        let timeout = match self.overrides.request_timeout.as_str() {
            "" | "0" => None,
            seconds if seconds.chars().all(|c| c.is_ascii_digit()) => age::parse_go(&format!("{seconds}s")).ok(),
            text => Some(age::parse_go(text).map_err(|_| {
                let hint = "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a \
                            corresponding time unit (e.g. 1s | 2m | 3h)";
                KubectlError::message(hint)
            })?),
        };
        let inner = self.connect.connect(&config).await?;
        let options = ClientOptions { timeout, clock: self.clock.clone(), err };
        Ok(Client::new(inner, &config, options))
    }
}

/// The kubeconfig of a container with a service account, and its namespace.
// Models client-go/rest.InClusterConfig.
async fn in_cluster(
    files: &dyn Files,
    env: &BTreeMap<String, String>,
) -> Option<(Kubeconfig, Option<String>)> {
    let (host, port) = (env.get("KUBERNETES_SERVICE_HOST")?, env.get("KUBERNETES_SERVICE_PORT")?);
    files.metadata(&format!("{SERVICE_ACCOUNT}/token")).await.ok()?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let cluster = Cluster {
        server: format!("https://{host}:{port}"),
        certificate_authority: format!("{SERVICE_ACCOUNT}/ca.crt"),
        ..Cluster::default()
    };
    let user = User { token_file: format!("{SERVICE_ACCOUNT}/token"), ..User::default() };
    let context = Context { cluster: "in-cluster".into(), user: "in-cluster".into(), ..Context::default() };
    let namespace = files.read(&format!("{SERVICE_ACCOUNT}/namespace")).await.ok();
    let config = Kubeconfig {
        clusters: BTreeMap::from([("in-cluster".to_owned(), cluster)]),
        users: BTreeMap::from([("in-cluster".to_owned(), user)]),
        contexts: BTreeMap::from([("in-cluster".to_owned(), context)]),
        current_context: "in-cluster".to_owned(),
        ..Kubeconfig::default()
    };
    Some((config, namespace.map(|text| String::from_utf8_lossy(&text).trim().to_owned())))
}
