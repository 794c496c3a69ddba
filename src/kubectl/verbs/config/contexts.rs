//! The verbs on contexts: which there are, which is in use, changing and removing them.

use async_trait::async_trait;

use super::write;
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::kubeconfig::Kubeconfig;
use crate::kubectl::output::TabWriter;
use crate::kubectl::session::Session;

/// `kubectl config current-context`.
pub struct CurrentContext;
/// `kubectl config get-contexts`.
pub struct GetContexts;
/// `kubectl config use-context`.
pub struct UseContext;
/// `kubectl config set-context`.
pub struct SetContext;
/// `kubectl config rename-context`.
pub struct RenameContext;
/// `kubectl config delete-context`.
pub struct DeleteContext;

#[async_trait]
impl Verb for CurrentContext {
    fn name(&self) -> &'static str {
        "current-context"
    }

    fn short(&self) -> &'static str {
        "Display the current-context"
    }

    fn examples(&self) -> &'static str {
        "# Print the name of the current context\nkubectl config current-context"
    }

    async fn run(&self, session: &Session, _: &Flags, _: &[String]) -> Result<()> {
        let config = write::start(session).await?;
        if config.current_context.is_empty() {
            return Err(KubectlError::message("current-context is not set"));
        }
        session.out.line(config.current_context).await
    }
}

#[async_trait]
impl Verb for GetContexts {
    fn name(&self) -> &'static str {
        "get-contexts"
    }

    fn short(&self) -> &'static str {
        "Describe one or many contexts"
    }

    fn long(&self) -> &'static str {
        "Show the contexts of the kubeconfig, or some of them."
    }

    fn examples(&self) -> &'static str {
        "# List all contexts\nkubectl config get-contexts\n\n# Show one\nkubectl config get-contexts my-context"
    }

    fn usage(&self) -> &'static str {
        "[(-o|--output=)name)]"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![
            Flag::bool("no-headers", false, "Print no headers."),
            Flag::string("output", "", "Output format. One of: (name).").short('o'),
        ]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let output = flags.string("output");
        if !matches!(output, "" | "name") {
            let text = format!(
                "--output {output} is not available in kubectl config get-contexts; resetting to default output format"
            );
            return Err(KubectlError::message(text));
        }
        let config = write::start(session).await?;
        let mut names: Vec<&String> = config.contexts.keys().collect();
        let mut errors = vec![];
        if !args.is_empty() {
            names.clear();
            for name in args {
                match config.contexts.get_key_value(name) {
                    Some((name, _)) => names.push(name),
                    None => errors.push(KubectlError::message(format!("context {name} not found"))),
                }
            }
            names.sort();
        }
        let mut writer = TabWriter::for_tables();
        let name_only = output == "name";
        if !name_only && !flags.bool("no-headers") {
            writer.line("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE");
        }
        for name in names {
            let context = &config.contexts[name];
            let mark = if config.current_context == *name { "*" } else { "" };
            writer.line(&if name_only {
                name.clone()
            } else {
                format!("{mark}\t{name}\t{}\t{}\t{}", context.cluster, context.user, context.namespace)
            });
        }
        session.out.write(writer.flush()).await?;
        KubectlError::aggregate(errors)
    }
}

#[async_trait]
impl Verb for UseContext {
    fn name(&self) -> &'static str {
        "use-context"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["use"]
    }

    fn short(&self) -> &'static str {
        "Set the current-context in a kubeconfig file"
    }

    fn long(&self) -> &'static str {
        "Make a context the current one."
    }

    fn examples(&self) -> &'static str {
        "# Use the context of another cluster\nkubectl config use-context minikube"
    }

    fn usage(&self) -> &'static str {
        "CONTEXT_NAME"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        let [name] = args else { return Err(unexpected(session, args).await) };
        let old = write::start(session).await?;
        if name.is_empty() {
            return Err(KubectlError::message("empty context names are not allowed"));
        }
        if !old.contexts.contains_key(name) {
            return Err(KubectlError::message(format!("no context exists with the name: {name:?}")));
        }
        let new = Kubeconfig { current_context: name.clone(), ..old.clone() };
        write::modify(session, &old, &new).await?;
        session.out.line(format!("Switched to context {name:?}.")).await
    }
}

#[async_trait]
impl Verb for SetContext {
    fn name(&self) -> &'static str {
        "set-context"
    }

    fn short(&self) -> &'static str {
        "Set a context entry in kubeconfig"
    }

    fn long(&self) -> &'static str {
        "Add a context to the kubeconfig, or change one.\n\nWhat is not named stays as it is."
    }

    fn examples(&self) -> &'static str {
        "# Change the user of a context\nkubectl config set-context gce --user=cluster-admin\n\n# Change the namespace of the current \
         context\nkubectl config set-context --current --namespace=shop"
    }

    fn usage(&self) -> &'static str {
        "[NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]"
    }

    fn flags(&self) -> Vec<Flag> {
        vec![Flag::bool("current", false, "Change the current context.")]
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        if args.len() > 1 {
            return Err(unexpected(session, args).await);
        }
        let old = write::start(session).await?;
        let name = match (args.first(), flags.bool("current")) {
            (Some(_), true) => {
                return Err(KubectlError::message("you cannot specify both a context name and --current"));
            }
            (None, false) => {
                return Err(KubectlError::message("you must specify a non-empty context name or --current"));
            }
            (Some(name), false) if name.is_empty() => {
                return Err(KubectlError::message("you must specify a non-empty context name or --current"));
            }
            (Some(name), false) => name.clone(),
            (None, true) if old.current_context.is_empty() => {
                return Err(KubectlError::message("no current context is set"));
            }
            (None, true) => old.current_context.clone(),
        };
        let mut new = old.clone();
        let exists = new.contexts.contains_key(&name);
        let context = new.contexts.entry(name.clone()).or_default();
        for (flag, field) in [
            ("cluster", &mut context.cluster),
            ("user", &mut context.user),
            ("namespace", &mut context.namespace),
        ] {
            if flags.changed(flag) {
                flags.string(flag).clone_into(field);
            }
        }
        write::modify(session, &old, &new).await?;
        let done = if exists { "modified" } else { "created" };
        session.out.line(format!("Context {name:?} {done}.")).await
    }
}

#[async_trait]
impl Verb for RenameContext {
    fn name(&self) -> &'static str {
        "rename-context"
    }

    fn short(&self) -> &'static str {
        "Rename a context from the kubeconfig file"
    }

    fn long(&self) -> &'static str {
        "Give a context another name. If it is the current one, it stays so under the new name."
    }

    fn examples(&self) -> &'static str {
        "# Rename a context\nkubectl config rename-context old-name new-name"
    }

    fn usage(&self) -> &'static str {
        "CONTEXT_NAME NEW_NAME"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        let [from, to] = args else { return Err(unexpected(session, args).await) };
        let old = write::start(session).await?;
        let path = write::default_path(session).await?;
        let mut new = old.clone();
        let Some(context) = new.contexts.remove(from) else {
            return Err(KubectlError::message(format!(
                "cannot rename the context {from:?}, it's not in {path}"
            )));
        };
        if old.contexts.contains_key(to) {
            return Err(KubectlError::message(format!(
                "cannot rename the context {from:?}, the context {to:?} already exists in {path}"
            )));
        }
        new.contexts.insert(to.clone(), context);
        if new.current_context == *from {
            new.current_context.clone_from(to);
        }
        write::modify(session, &old, &new).await?;
        session.out.line(format!("Context {from:?} renamed to {to:?}.")).await
    }
}

#[async_trait]
impl Verb for DeleteContext {
    fn name(&self) -> &'static str {
        "delete-context"
    }

    fn short(&self) -> &'static str {
        "Delete the specified context from the kubeconfig"
    }

    fn examples(&self) -> &'static str {
        "# Remove a context\nkubectl config delete-context minikube"
    }

    fn usage(&self) -> &'static str {
        "NAME"
    }

    async fn run(&self, session: &Session, _: &Flags, args: &[String]) -> Result<()> {
        let [name] = args else { return session.out.write(session.help()).await };
        let old = write::start(session).await?;
        let path = write::default_path(session).await?;
        let mut new = old.clone();
        if new.contexts.remove(name).is_none() {
            return Err(KubectlError::message(format!("cannot delete context {name}, not in {path}")));
        }
        if old.current_context == *name {
            let warning = "warning: this removed your active context, use \"kubectl config use-context\" to select a different one";
            session.err.line(warning).await?;
        }
        write::modify(session, &old, &new).await?;
        session.out.line(format!("deleted context {name} from {path}")).await
    }
}

/// The error of arguments that cannot be taken.
pub(super) async fn unexpected(session: &Session, args: &[String]) -> KubectlError {
    session.help_and_fail(format!("Unexpected args: [{}]", args.join(" "))).await
}

#[cfg(test)]
mod tests {
    use crate::kubectl::verbs::testing::Harness;

    #[tokio::test(start_paused = true)]
    async fn contexts_are_made_used_and_removed() {
        let harness = Harness::new().await;
        let cases = [
            ("config current-context", "minikube\n"),
            ("config set-context --current --namespace=tea", "Context \"minikube\" modified.\n"),
            ("config set-context b --cluster=minikube", "Context \"b\" created.\n"),
            ("config use-context nope", "error: no context exists with the name: \"nope\"\n[exit 1]\n"),
            ("config use-context b", "Switched to context \"b\".\n"),
            (
                "config get-contexts",
                "CURRENT   NAME       CLUSTER    AUTHINFO   NAMESPACE\n*         b          minikube              \n          minikube   minikube   minikube   tea\n",
            ),
            ("config rename-context b c", "Context \"b\" renamed to \"c\".\n"),
            ("config set contexts.c.namespace x", "Property \"contexts.c.namespace\" set.\n"),
            ("config view --minify -o jsonpath={..namespace}", "x"),
            ("config unset contexts.c.namespace", "Property \"contexts.c.namespace\" unset.\n"),
            (
                "config delete-context c",
                "deleted context c from /root/.kube/config\nwarning: this removed your active context, use \"kubectl config use-context\" to select a different one\n",
            ),
            ("config get-contexts -o name", "minikube\n"),
            (
                "config foo",
                "error: unknown command \"foo\"\nSee 'kubectl config -h' for help and examples\n[exit 1]\n",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(harness.run(line).await, expected, "kubectl {line}");
        }
    }
}
