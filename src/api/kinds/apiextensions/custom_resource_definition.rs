//! CustomResourceDefinition: kinds that users define. This server has none and lets nobody make one yet; it says so where
//! it is asked, which clients do before they call a kind unknown.
// Models k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition, of it the reading.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::api::kind::Kind;
use crate::api::probes::Probes;

/// `apiextensions.k8s.io/v1` CustomResourceDefinition.
pub struct CustomResourceDefinitionKind;

impl Kind for CustomResourceDefinitionKind {
    type Object = CustomResourceDefinition;
    const SHORT_NAMES: &'static [&'static str] = &["crd", "crds"];
    const CATEGORIES: &'static [&'static str] = &["api-extensions"];
    const VERBS: &'static [&'static str] = &["get", "list"];

    fn computed(_: &Probes) -> Option<Vec<CustomResourceDefinition>> {
        Some(vec![])
    }
}
