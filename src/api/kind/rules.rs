//! The small types of a kind's declaration: what it has, what may be done with its objects, what its hooks may use.

use serde_json::Value;

use crate::api::allocations::Allocations;
use crate::api::auth::UserInfo;
use crate::clock::Clock;
use crate::seed::Seed;
use crate::store::Store;

/// What a hook may use besides the object.
#[derive(Clone, Copy, Debug)]
pub struct WriteContext<'a> {
    /// The cluster's time.
    pub clock: &'a Clock,
    /// The cluster's source of chance.
    pub seed: &'a Seed,
    /// The store, to look other objects up.
    pub store: &'a Store,
    /// The IPs and ports that Services have taken.
    pub allocations: &'a Allocations,
    /// Who asks.
    pub user: &'a UserInfo,
    /// Nothing is kept: leave no trace outside the object.
    pub dry_run: bool,
}

/// What happens to a kind's `metadata.generation` and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The kind has a status sub-resource: create and update ignore the status, an update of the status ignores the rest.
    pub status: bool,
    /// `metadata.generation` starts at 1 and goes up with each change of the spec.
    pub generation: bool,
    /// The kind has a scale sub-resource; see [`super::Kind::scale`].
    pub scale: bool,
}

/// What the generic machinery may do with a kind's objects; most kinds have [`Rules::USUAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A PUT of a name that does not exist creates it.
    pub create_on_update: bool,
    /// An update without a resourceVersion is taken as of the newest.
    pub unconditional_update: bool,
    /// A deletion is answered with the object, not with a Status.
    pub returns_deleted: bool,
    /// The status that a new object brings along is kept (Nodes).
    pub status_at_create: bool,
    /// What a deletion without a policy does with dependents.
    pub dependents: Dependents,
    /// For how long an object lives (Events).
    pub ttl_seconds: Option<u64>,
}

/// What a deletion without a policy does with an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependents {
    /// The garbage collector deletes them.
    Deleted,
    /// They stay.
    Orphaned,
    /// The kind never has any, whatever the policy.
    None,
}

impl Rules {
    /// What most kinds have.
    pub const USUAL: Self = Self {
        create_on_update: false,
        unconditional_update: true,
        returns_deleted: false,
        status_at_create: false,
        dependents: Dependents::Deleted,
        ttl_seconds: None,
    };
}

/// How objects of one version become objects of the version that is stored, and back. Both are JSON objects.
#[derive(Clone, Copy, Debug)]
pub struct Conversion {
    /// The group, version and plural under which the objects are stored.
    pub storage: (&'static str, &'static str, &'static str),
    /// To the stored version.
    pub to_storage: fn(Value) -> Value,
    /// From the stored version.
    pub from_storage: fn(Value) -> Value,
}

/// The numbers of a scale sub-resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How many are wanted.
    pub spec_replicas: i32,
    /// How many there are.
    pub status_replicas: i32,
    /// The label selector in its string form.
    pub selector: String,
}
