//! The user behind a request, as authentication found out.

use std::collections::BTreeMap;

/// Who asks. In-process components put this into the request's extensions; over TLS it comes from a client certificate or
/// a token, never from a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Like `kubernetes-admin` or `system:serviceaccount:default:default`.
    pub name: String,
    /// Unique over time, where there is one.
    pub uid: String,
    /// Like `system:masters`, `system:authenticated`.
    pub groups: Vec<String>,
    /// What else the authenticator said.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// A user of these groups, and of `system:authenticated`.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let groups =
            groups.iter().chain(&["system:authenticated"]).map(|group| (*group).to_owned()).collect();
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// The cluster's administrator.
    pub fn admin() -> Self {
        Self::new("kubernetes-admin", &["system:masters"])
    }
}
