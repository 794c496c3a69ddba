//! Which kinds there are, for controllers that work on all of them: namespace deletion and garbage collection.
// Models k8s.io/client-go/discovery (ServerPreferredResources, FilteredBy).

use std::collections::BTreeSet;

use kube::core::ApiResource;
use kube::discovery::{Discovery, Scope};

/// A kind that objects can be made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    /// Group, version, kind and plural.
    pub(crate) resource: ApiResource,
    /// Whether its objects live in namespaces.
    pub(crate) namespaced: bool,
    /// What can be done with them.
    pub(crate) verbs: BTreeSet<String>,
}

impl Kind {
    /// Whether all of the verbs can be done.
    pub(crate) fn supports(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.contains(*verb))
    }
}

/// The kinds of every group in its preferred version, by group and plural.
pub(crate) async fn kinds(client: &kube::Client) -> Result<Vec<Kind>, kube::Error> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut kinds: Vec<Kind> = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
        .map(|(resource, capabilities)| Kind {
            resource,
            namespaced: capabilities.scope == Scope::Namespaced,
            verbs: capabilities.operations.into_iter().collect(),
        })
        .collect();
    kinds.sort_by(|a, b| {
        (&a.resource.group, &a.resource.plural).cmp(&(&b.resource.group, &b.resource.plural))
    });
    Ok(kinds)
}
