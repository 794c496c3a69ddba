//! Gives every namespace its `default` ServiceAccount. Started from the table.
// Models pkg/controller/serviceaccount/serviceaccounts_controller.go.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};

use super::context::{Context, Error, Handle, Workshop, is_already_exists, is_namespace_terminating};
use super::queue::Queue;
use crate::informer::{Change, Informer};

const NAME: &str = "service-account-controller";
const DEFAULT: &str = "default";

struct Controller {
    client: kube::Client,
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
}

/// Starts the controller.
pub(crate) fn start(context: &Context) -> Handle {
    let queue: Queue<String> = Queue::new(context.clock.clone());
    let controller = Arc::new(Controller {
        client: context.client(NAME),
        namespaces: context.informers.of(),
        accounts: context.informers.of(),
    });
    let mut workshop = Workshop::new();
    workshop.wake(&controller.namespaces, &queue, |change| change.object().metadata.name.clone());
    workshop.wake(&controller.accounts, &queue, |change| {
        let namespace = change.object().metadata.namespace.clone();
        namespace.filter(|_| matches!(change, Change::Deleted(_)))
    });
    workshop.work(NAME, queue, move |name| {
        let this = controller.clone();
        async move { this.reconcile(&name).await }
    })
}

impl Controller {
    async fn reconcile(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(namespace) = self.namespaces.get("", name) else { return Ok(None) };
        if namespace.metadata.deletion_timestamp.is_some() || self.accounts.get(name, DEFAULT).is_some() {
            return Ok(None);
        }
        let account = ServiceAccount {
            metadata: ObjectMeta { name: Some(DEFAULT.to_owned()), ..ObjectMeta::default() },
            ..ServiceAccount::default()
        };
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), name);
        match api.create(&PostParams::default(), &account).await {
            Err(error) if !is_already_exists(&error) && !is_namespace_terminating(&error) => {
                Err(error.into())
            }
            _ => Ok(None),
        }
    }
}
