//! The chain of admission plugins, and the request as they see it.
//!
//! `rest` and the sub-resources build an [`AdmissionRequest`] for each write and run it through a [`Chain`].
// Models k8s.io/apiserver/pkg/admission (Attributes, chainAdmissionHandler) and pkg/kubeapiserver/options/plugins.go.

use super::{
    DefaultTolerationSeconds, NamespaceLifecycle, Priority, ServiceAccountPlugin, TaintNodesByCondition,
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
