//! Which objects a goal is about: `pods`, `deployment/web`, `pods/web-*`, narrowed by labels and a namespace.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::glob::Glob;
use super::super::world::World;
use super::options::Options;
use crate::meta::selector::Selector;
use crate::store::Revision;

/// The namespace that is meant when none is written.
const DEFAULT_NAMESPACE: &str = "default";

/// Some objects.
#[derive(Clone, Debug)]
pub(super) struct Target {
    kind: String,
    name: Option<Glob>,
    namespace: String,
    labels: Option<Selector>,
}

impl Target {
    /// Reads `of`, `namespace` and `labels`.
    pub(super) fn of(options: &mut Options) -> Result<Self, String> {
        let of: String = options.need("of")?;
        let mut target = Self::named(&of)?;
        if let Some(namespace) = options.take("namespace")? {
            target.namespace = namespace;
        }
        if let Some(labels) = options.take::<String>("labels")? {
            let selector = Selector::parse(&labels).map_err(|why| format!("`labels: {labels}`: {why}"))?;
            target.labels = Some(selector);
        }
        Ok(target)
    }

    /// Reads what may be written as `TYPE/NAME` alone or with keys.
    pub(super) fn read(written: Value) -> Result<Self, String> {
        if let Value::String(of) = &written {
            return Self::named(of);
        }
        let mut options = Options::of(written)?;
        let target = Self::of(&mut options)?;
        options.end()?;
        Ok(target)
    }

    fn named(of: &str) -> Result<Self, String> {
        let (kind, name) = of.split_once('/').map_or((of, None), |(kind, name)| (kind, Some(name)));
        if kind.is_empty() || name.is_some_and(str::is_empty) {
            return Err(format!("{of:?} is no TYPE or TYPE/NAME"));
        }
        let namespace = DEFAULT_NAMESPACE.to_owned();
        Ok(Self { kind: kind.to_owned(), name: name.map(Glob::new), namespace, labels: None })
    }

    /// The objects at a revision (0 for the newest), by their keys.
    pub(super) fn objects(&self, world: &World, revision: Revision) -> Vec<Value> {
        let exact = self.name.as_ref().and_then(Glob::literal);
        let mut objects = world.objects(&self.kind, &self.namespace, exact, revision);
        if let Some(glob) = self.name.as_ref().filter(|_| exact.is_none()) {
            objects.retain(|object| glob.matches(object["metadata"]["name"].as_str().unwrap_or_default()));
        }
        if let Some(selector) = &self.labels {
            objects.retain(|object| selector.matches(&labels_of(object)));
        }
        objects
    }

    /// What is wrong with it.
    pub(super) fn lint(&self, world: &World) -> Vec<String> {
        match world.has_kind(&self.kind) {
            true => vec![],
            false => vec![format!("the cluster has no kind {:?}", self.kind)],
        }
    }
}

fn labels_of(object: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
}
