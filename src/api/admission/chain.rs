//! The chain of admission plugins, and the request as they see it.
//!
//! `rest` and the sub-resources build an [`AdmissionRequest`] for each write and run it through a [`Chain`].
// Models k8s.io/apiserver/pkg/admission (Attributes, chainAdmissionHandler) and pkg/kubeapiserver/options/plugins.go.

use super::{
    DefaultStorageClass, DefaultTolerationSeconds, NamespaceLifecycle, PersistentVolumeClaimResize, Priority,
    ServiceAccountPlugin, StorageObjectInUseProtection, TaintNodesByCondition,
};
use crate::api::auth::UserInfo;
use crate::api::kind::{ApiObject, KindInfo, Object};
use crate::api::registry::Registry;
use crate::api::status::ApiError;
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::{KeyRange, RangeRequest, Store};

/// What the request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A new object, or a new sub-resource object (a Binding, an Eviction).
    Create,
    /// A change of an object, also of its status or scale.
    Update,
    /// A deletion.
    Delete,
    /// exec, attach, port-forward, proxy: a stream to what the object stands for.
    Connect,
}

/// A write on its way to the store.
#[derive(Debug)]
pub struct AdmissionRequest<'a> {
    /// What it does.
    pub operation: Operation,
    /// The resource of the URL. For a sub-resource it is the parent's kind.
    pub kind: &'a KindInfo,
    /// The sub-resource; empty for the object itself.
    pub subresource: &'a str,
    /// The namespace; empty for kinds without one.
    pub namespace: &'a str,
    /// The name in the URL or the object; empty when it is yet to be generated.
    pub name: &'a str,
    /// The new object; `None` for deletions and connections.
    pub object: Option<&'a mut (dyn Object + 'static)>,
    /// The object as it is stored; `None` for creations.
    pub old: Option<&'a (dyn Object + 'static)>,
    /// Who asks.
    pub user: &'a UserInfo,
    /// Nothing will be kept.
    pub dry_run: bool,
    /// Warnings that the plugins have for the client.
    pub warnings: Vec<String>,
}

impl AdmissionRequest<'_> {
    /// Whether the request is for that group and plural, and for that sub-resource (empty: the object itself).
    pub fn is(&self, group: &str, plural: &str, subresource: &str) -> bool {
        self.kind.group == group && self.kind.plural == plural && self.subresource == subresource
    }

    /// The new object as its own type.
    pub fn object_as<T: Object>(&self) -> Option<&T> {
        self.object.as_deref()?.get()
    }

    /// The new object as its own type, to change.
    pub fn object_as_mut<T: Object>(&mut self) -> Option<&mut T> {
        self.object.as_deref_mut()?.get_mut()
    }

    /// The stored object as its own type.
    pub fn old_as<T: Object>(&self) -> Option<&T> {
        self.old?.get()
    }

    /// 403, in admission's words: names the object, or its `generateName` while it has no name.
    // Models k8s.io/apiserver/pkg/admission (NewForbidden).
    pub fn forbidden(&self, why: &str) -> ApiError {
        let meta = self.object.as_deref().map(|object| object.meta());
        let given = |text: Option<&String>| text.filter(|text| !text.is_empty()).cloned();
        let name = Some(self.name.to_owned()).filter(|name| !name.is_empty());
        let name =
            name.or_else(|| given(meta?.name.as_ref())).or_else(|| given(meta?.generate_name.as_ref()));
        ApiError::forbidden(&self.kind.group_resource(), &name.unwrap_or_else(|| "Unknown".to_owned()), why)
    }
}

/// What a plugin may look at besides the request.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionContext<'a> {
    /// The cluster's time.
    pub clock: &'a Clock,
    /// The cluster's source of chance.
    pub seed: &'a Seed,
    /// The store, to look other objects up.
    pub store: &'a Store,
    /// The kinds, to know where their objects are.
    pub registry: &'a Registry,
}

impl AdmissionContext<'_> {
    /// The stored object of that type and name. `None` also if the kind is not served here.
    pub fn read<T: ApiObject>(&self, namespace: &str, name: &str) -> Option<T> {
        let key = self.kind_of::<T>()?.info().storage_key(namespace, name);
        serde_json::from_slice(&self.store.get(&key)?.value).ok()
    }

    /// All stored objects of that type in a namespace, or in all of them if it is empty, by key.
    pub fn list<T: ApiObject>(&self, namespace: &str) -> Vec<T> {
        let Some(kind) = self.kind_of::<T>() else { return vec![] };
        let prefix = kind.info().storage_prefix();
        let prefix = if namespace.is_empty() { prefix } else { format!("{prefix}{namespace}/") };
        let range = self.store.range(&RangeRequest::new(KeyRange::prefix(prefix)));
        let kvs = range.map(|response| response.kvs).unwrap_or_default();
        kvs.iter().filter_map(|kv| serde_json::from_slice(&kv.value).ok()).collect()
    }

    fn kind_of<T: ApiObject>(&self) -> Option<crate::api::registry::KindRef> {
        self.registry.kind(T::GROUP, T::VERSION, T::KIND)
    }
}

/// One rule of admission.
pub trait Plugin: Send + Sync {
    /// Its name, as Kubernetes' flags have it.
    fn name(&self) -> &'static str;
    /// Changes the object, or refuses it.
    fn admit(
        &self,
        _request: &mut AdmissionRequest<'_>,
        _context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        Ok(())
    }
    /// Refuses the object as it would be stored. `warnings` of the request may grow; the object must not change.
    fn validate(
        &self,
        _request: &mut AdmissionRequest<'_>,
        _context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        Ok(())
    }
}

/// The plugins in their order.
pub struct Chain {
    plugins: Vec<Box<dyn Plugin>>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.plugins.iter().map(|plugin| plugin.name())).finish()
    }
}

impl Chain {
    /// The plugins that this API server runs, in Kubernetes' order.
    pub fn built_in() -> Self {
        Self::new(vec![
            Box::new(NamespaceLifecycle),
            Box::new(ServiceAccountPlugin),
            Box::new(TaintNodesByCondition),
            Box::new(Priority),
            Box::new(DefaultTolerationSeconds),
            Box::new(DefaultStorageClass),
            Box::new(StorageObjectInUseProtection),
            Box::new(PersistentVolumeClaimResize),
        ])
    }

    /// A chain of these plugins.
    pub fn new(plugins: Vec<Box<dyn Plugin>>) -> Self {
        Self { plugins }
    }

    /// The changing step: each plugin sees what the ones before it made. Ends at the first refusal.
    pub fn admit(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        self.plugins.iter().try_for_each(|plugin| plugin.admit(request, context))
    }

    /// The judging step, on the object that will be stored. Ends at the first refusal.
    pub fn validate(
        &self,
        request: &mut AdmissionRequest<'_>,
        context: &AdmissionContext<'_>,
    ) -> Result<(), ApiError> {
        self.plugins.iter().try_for_each(|plugin| plugin.validate(request, context))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod};

    use super::*;
    use crate::api::kind::KindInfo;
    use crate::store::{Author, Op, Payload, Txn};

    struct World {
        clock: Clock,
        seed: Seed,
        store: Store,
        registry: Registry,
    }

    impl World {
        /// A cluster with these objects, as JSON by their keys.
        fn with(objects: &[(&str, serde_json::Value)]) -> Self {
            let clock = Clock::virtual_time();
            let store = Store::new(clock.clone());
            for (key, value) in objects {
                let value = Payload::Plain(value.to_string().into());
                let success = vec![Op::Put { key: (*key).to_owned(), value, lease: 0 }];
                store.txn(Txn { success, ..Txn::default() }, Author::default()).unwrap();
            }
            Self { clock, seed: Seed::new(7), store, registry: Registry::built_in() }
        }

        fn tea() -> Self {
            let namespace =
                |phase: &str| serde_json::json!({"metadata": {"name": "tea"}, "status": {"phase": phase}});
            let account = serde_json::json!({"metadata": {"name": "default"}, "imagePullSecrets": [{"name": "registry"}]});
            Self::with(&[
                ("/registry/namespaces/tea", namespace("Active")),
                ("/registry/namespaces/gone", namespace("Terminating")),
                ("/registry/serviceaccounts/tea/default", account),
            ])
        }

        fn info(&self, plural: &str) -> KindInfo {
            self.registry.resource("", "v1", plural).unwrap().info().clone()
        }

        fn admit(
            &self,
            plural: &str,
            namespace: &str,
            operation: Operation,
            object: &mut dyn Object,
        ) -> Result<(), ApiError> {
            let (info, user) = (self.info(plural), UserInfo::admin());
            let name = object.meta().name.clone().unwrap_or_default();
            let mut request = AdmissionRequest {
                operation,
                kind: &info,
                subresource: "",
                namespace,
                name: &name,
                object: (operation != Operation::Delete).then_some(object),
                old: None,
                user: &user,
                dry_run: false,
                warnings: vec![],
            };
            let Self { clock, seed, store, registry } = self;
            let (context, chain) = (AdmissionContext { clock, seed, store, registry }, Chain::built_in());
            chain.admit(&mut request, &context)?;
            chain.validate(&mut request, &context)
        }
    }

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).unwrap()
    }

    fn plain() -> Pod {
        pod(
            serde_json::json!({"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "web"}]}}),
        )
    }

    #[test]
    fn a_new_pod_gets_an_account_a_token_tolerations_and_a_priority() {
        let mut pod = plain();
        World::tea().admit("pods", "tea", Operation::Create, &mut pod).unwrap();
        let spec = pod.spec.unwrap();
        assert_eq!(
            (spec.service_account_name.as_deref(), spec.service_account.as_deref()),
            (Some("default"), Some("default"))
        );
        assert_eq!(
            (spec.priority, spec.preemption_policy.as_deref()),
            (Some(0), Some("PreemptLowerPriority"))
        );
        assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "registry");
        let volume = &spec.volumes.unwrap()[0];
        assert!(volume.name.starts_with("kube-api-access-") && volume.name.len() == 21, "{}", volume.name);
        let mounts = spec.containers[0].volume_mounts.as_ref().unwrap();
        assert_eq!((mounts[0].name.as_str(), mounts[0].read_only), (volume.name.as_str(), Some(true)));
        let sources = volume.projected.as_ref().unwrap().sources.as_ref().unwrap();
        assert_eq!(sources[0].service_account_token.as_ref().unwrap().expiration_seconds, Some(3607));
        let taints: Vec<_> =
            spec.tolerations.unwrap().into_iter().map(|t| (t.key.unwrap(), t.toleration_seconds)).collect();
        let expected =
            ["not-ready", "unreachable"].map(|name| (format!("node.kubernetes.io/{name}"), Some(300)));
        assert_eq!(taints, expected);
    }

    #[test]
    fn a_pod_that_says_so_has_no_token() {
        let mut pod = plain();
        pod.spec.as_mut().unwrap().automount_service_account_token = Some(false);
        World::tea().admit("pods", "tea", Operation::Create, &mut pod).unwrap();
        assert_eq!(pod.spec.unwrap().volumes, None);
    }

    #[test]
    fn refusals_are_in_kubernetes_words() {
        let world = World::tea();
        let refused = |plural: &str, namespace: &str, operation, object: &mut dyn Object| {
            world.admit(plural, namespace, operation, object).unwrap_err()
        };
        let ghost = &mut pod(
            serde_json::json!({"metadata": {"name": "ghost"}, "spec": {"serviceAccountName": "ghost"}}),
        );
        assert_eq!(
            refused("pods", "tea", Operation::Create, ghost).to_string(),
            "pods \"ghost\" is forbidden: error looking up service account tea/ghost: serviceaccount \"ghost\" not found"
        );
        let classy = &mut pod(
            serde_json::json!({"metadata": {"name": "nopc"}, "spec": {"priorityClassName": "royal"}}),
        );
        assert_eq!(
            refused("pods", "tea", Operation::Create, classy).to_string(),
            "pods \"nopc\" is forbidden: no PriorityClass with name royal was found"
        );
        assert_eq!(
            refused("pods", "nowhere", Operation::Create, &mut plain()).to_string(),
            "namespaces \"nowhere\" not found"
        );
        let late = refused("pods", "gone", Operation::Create, &mut plain());
        assert_eq!(
            late.to_string(),
            "pods \"web-\" is forbidden: unable to create new content in namespace gone because it is being terminated"
        );
        let causes = late.0.details.unwrap().causes.unwrap();
        assert_eq!(causes[0].reason.as_deref(), Some("NamespaceTerminating"));
        let namespace: &mut k8s_openapi::api::core::v1::Namespace =
            &mut serde_json::from_value(serde_json::json!({"metadata": {"name": "default"}})).unwrap();
        assert_eq!(
            refused("namespaces", "default", Operation::Delete, namespace).to_string(),
            "namespaces \"default\" is forbidden: this namespace may not be deleted"
        );
    }

    #[test]
    fn system_priorities_hold_without_objects() {
        let mut pod = plain();
        pod.spec.as_mut().unwrap().priority_class_name = Some("system-node-critical".to_owned());
        World::tea().admit("pods", "tea", Operation::Create, &mut pod).unwrap();
        assert_eq!(pod.spec.unwrap().priority, Some(2_000_001_000));
    }

    #[test]
    fn a_new_node_is_not_ready() {
        let mut node: Node =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "worker"}})).unwrap();
        World::tea().admit("nodes", "", Operation::Create, &mut node).unwrap();
        let taints = node.spec.unwrap().taints.unwrap();
        assert_eq!(
            (taints[0].key.as_str(), taints[0].effect.as_str()),
            ("node.kubernetes.io/not-ready", "NoSchedule")
        );
    }
}
