//! `kubectl config set-credentials`.

use async_trait::async_trait;
use base64::Engine;
use serde_json::json;

use super::write;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::kubeconfig::{User, Variable};
use crate::kubectl::session::Session;

/// The verb.
pub struct SetCredentials;

#[async_trait]
impl Verb for SetCredentials {
    fn name(&self) -> &'static str {
        "set-credentials"
    }

    fn short(&self) -> &'static str {
        "Set a user entry in kubeconfig"
    }

    fn long(&self) -> &'static str {
        "Add a user to the kubeconfig, or change one.\n\nWhat is not named stays as it is. A user has a client certificate and key, a bearer \
         token, a name and password, or a program that gives credentials; a token and a password exclude each other."
    }

    fn examples(&self) -> &'static str {
        "# Set the key of a user\nkubectl config set-credentials cluster-admin --client-key=admin.key\n\n# Set a bearer token\nkubectl config \
         set-credentials cluster-admin --token=abcdef\n\n# Put a client certificate into the kubeconfig\nkubectl config set-credentials \
         cluster-admin --client-certificate=admin.crt --embed-certs=true\n\n# Let a program give the credentials\nkubectl config \
         set-credentials cluster-admin --exec-command=/path/to/program --exec-api-version=client.authentication.k8s.io/v1"
    }

    fn usage(&self) -> &'static str {
        "NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--username=basic_user] \
         [--password=basic_password] [--auth-provider=provider_name] [--auth-provider-arg=key=value] [--exec-command=exec_command] \
         [--exec-api-version=exec_api_version] [--exec-arg=arg] [--exec-env=key=value]"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::string("auth-provider", "", "The auth provider of the user."),
            Flag::strings("auth-provider-arg", "Settings of the auth provider, as key=value."),
            Flag::bool(
                "embed-certs",
                false,
                "Put the content of the certificate and key into the kubeconfig.",
            ),
            Flag::string("exec-api-version", "", "The API version of the program that gives credentials."),
            Flag::strings("exec-arg", "Arguments of the program that gives credentials."),
            Flag::string("exec-command", "", "The program that gives credentials."),
            Flag::string_array(
                "exec-env",
                "Variables of the program that gives credentials, as key=value, or key- to remove one.",
            ),
            Flag::string(
                "exec-interactive-mode",
                "",
                "How the program that gives credentials uses standard input.",
            ),
            Flag::bool(
                "exec-provide-cluster-info",
                false,
                "Whether the program that gives credentials is told about the cluster.",
            ),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let [name] = args else {
            return Err(session.help_and_fail(format!("unexpected args: [{}]", args.join(" "))).await);
        };
        if name.is_empty() {
            return Err(KubectlError::message("you must specify a non-empty user name"));
        }
        let mut methods = vec![];
        if !flags.string("token").is_empty() {
            methods.push("--token");
        }
        if !flags.string("username").is_empty() || !flags.string("password").is_empty() {
            methods.push("--username/--password");
        }
        if methods.len() > 1 {
            let text = format!(
                "you cannot specify more than one authentication method at the same time: {}",
                methods.join(", ")
            );
            return Err(KubectlError::message(text));
        }
        let old = write::start(session).await?;
        let mut new = old.clone();
        let user = new.users.entry(name.clone()).or_default();
        set_certificates(session, flags, user).await?;
        set_secrets(flags, user);
        set_auth_provider(flags, user);
        set_exec(flags, user);
        write::modify(session, &old, &new).await?;
        session.out.line(format!("User {name:?} set.")).await
    }
}

async fn set_certificates(session: &Session, flags: &Flags, user: &mut User) -> Result<()> {
    let embed = flags.bool("embed-certs");
    let pairs = [
        ("client-certificate", &mut user.client_certificate, &mut user.client_certificate_data),
        ("client-key", &mut user.client_key, &mut user.client_key_data),
    ];
    if embed && flags.string("client-certificate").is_empty() && flags.string("client-key").is_empty() {
        return Err(KubectlError::message(
            "you must specify a --client-certificate or --client-key to embed",
        ));
    }
    for (flag, path, data) in pairs {
        let given = flags.string(flag);
        if !flags.changed(flag) {
            continue;
        }
        if embed && !given.is_empty() {
            let content = session.files.read(&session.absolute(given)).await;
            let content = content.map_err(|error| {
                KubectlError::message(format!("could not stat {flag} file {given}: stat {given}: {error}"))
            })?;
            *data = base64::engine::general_purpose::STANDARD.encode(content);
            path.clear();
        } else {
            *path = if given.is_empty() { String::new() } else { session.absolute(given) };
            if !given.is_empty() {
                data.clear();
            }
        }
    }
    Ok(())
}

fn set_secrets(flags: &Flags, user: &mut User) {
    if flags.changed("token") {
        flags.string("token").clone_into(&mut user.token);
        if !user.token.is_empty() {
            user.username.clear();
            user.password.clear();
        }
    }
    for (flag, field) in [("username", &mut user.username), ("password", &mut user.password)] {
        if flags.changed(flag) {
            flags.string(flag).clone_into(field);
            if !flags.string(flag).is_empty() {
                user.token.clear();
            }
        }
    }
}

fn set_auth_provider(flags: &Flags, user: &mut User) {
    if flags.changed("auth-provider") {
        let name = flags.string("auth-provider");
        let known = user.auth_provider.as_ref().is_some_and(|provider| provider["name"] == name);
        if name.is_empty() {
            user.auth_provider = None;
        } else if !known {
            user.auth_provider = Some(json!({"name": name, "config": null}));
        }
    }
    let Some(provider) = &mut user.auth_provider else { return };
    for argument in flags.strings("auth-provider-arg") {
        if let Some((key, value)) = argument.split_once('=') {
            provider["config"][key] = json!(value);
        } else if let (Some(key), Some(config)) =
            (argument.strip_suffix('-'), provider["config"].as_object_mut())
        {
            config.remove(key);
        }
    }
}

fn set_exec(flags: &Flags, user: &mut User) {
    if flags.changed("exec-command") {
        let command = flags.string("exec-command");
        if command.is_empty() {
            user.exec = None;
        } else {
            user.exec.get_or_insert_default().command = command.to_owned();
        }
    }
    let Some(exec) = &mut user.exec else { return };
    if flags.changed("exec-api-version") {
        flags.string("exec-api-version").clone_into(&mut exec.api_version);
    }
    if flags.changed("exec-interactive-mode") {
        flags.string("exec-interactive-mode").clone_into(&mut exec.interactive_mode);
    }
    if flags.changed("exec-arg") {
        exec.args = Some(flags.strings("exec-arg").to_vec());
    }
    if flags.changed("exec-provide-cluster-info") {
        exec.provide_cluster_info = flags.bool("exec-provide-cluster-info");
    }
    for argument in flags.strings("exec-env") {
        let variables = exec.env.get_or_insert_default();
        match (argument.split_once('='), argument.strip_suffix('-')) {
            (Some((name, value)), _) => match variables.iter_mut().find(|variable| variable.name == name) {
                Some(variable) => value.clone_into(&mut variable.value),
                None => variables.push(Variable { name: name.to_owned(), value: value.to_owned() }),
            },
            (None, Some(name)) => variables.retain(|variable| variable.name != name),
            (None, None) => {}
        }
    }
}
