//! The draft that a reconcile of a Deployment works on: one function a step of Kubernetes' sync. Pure; used by `rollout`.
// Models pkg/controller/deployment/{sync,rolling,recreate}.go.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};

use super::rollout::{Action, Plan, World};
use super::{sets, status};

/// The objects on their way from what is to what shall be.
pub(super) struct Draft {
    original: Deployment,
    pub(super) deployment: Deployment,
    entries: Vec<Entry>,
    new: Option<usize>,
    populated: Vec<String>,
    pub(super) now: Timestamp,
    /// Entries in the order in which they were touched.
    touched: Vec<usize>,
    deleted: Vec<String>,
}

struct Entry {
    set: ReplicaSet,
    exists: bool,
    messages: Vec<String>,
}

impl Draft {
    pub(super) fn new(world: World) -> Self {
        let entry = |set| Entry { set, exists: true, messages: vec![] };
        let mut sets = world.sets;
        sets.sort_by_key(sets::age_key);
        Self {
            original: world.deployment.clone(),
            new: sets::find_new(&world.deployment, &sets),
            deployment: world.deployment,
            entries: sets.into_iter().map(entry).collect(),
            populated: world.populated,
            now: world.now,
            touched: vec![],
            deleted: vec![],
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false)
    }

    fn wanted(&self) -> i32 {
        sets::replicas(&self.deployment)
    }

    fn status(&mut self) -> &mut DeploymentStatus {
        self.deployment.status.get_or_insert_default()
    }

    pub(super) fn sets(&self) -> Vec<ReplicaSet> {
        self.entries.iter().map(|entry| entry.set.clone()).collect()
    }

    pub(super) fn new_set(&self) -> Option<&ReplicaSet> {
        self.new.map(|i| &self.entries[i].set)
    }

    /// The places of the other ReplicaSets, oldest first.
    fn old(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|&i| Some(i) != self.new).collect()
    }

    fn size(&self, i: usize) -> i32 {
        sets::size(&self.entries[i].set)
    }

    fn total(&self) -> i32 {
        (0..self.entries.len()).map(|i| self.size(i)).sum()
    }

    fn active(&self, places: Vec<usize>) -> Vec<usize> {
        places.into_iter().filter(|&i| self.size(i) > 0).collect()
    }

    fn touch(&mut self, i: usize) {
        if !self.touched.contains(&i) {
            self.touched.push(i);
        }
    }

    /// A pause and its end are told in the condition of progress.
    // Models checkPausedConditions.
    pub(super) fn note_pause(&mut self) {
        if status::deadline(&self.deployment).is_none() {
            return;
        }
        let (paused, now) = (self.is_paused(), self.now);
        let status = self.status();
        let reason = status::find(status, status::PROGRESSING).and_then(|condition| condition.reason.clone());
        let is_told = reason.as_deref() == Some("DeploymentPaused");
        let (reason, text) = match reason.as_deref() {
            Some(status::TIMED_OUT) => return,
            _ if paused && !is_told => ("DeploymentPaused", "Deployment is paused"),
            _ if !paused && is_told => ("DeploymentResumed", "Deployment is resumed"),
            _ => return,
        };
        let condition = status::condition(status::PROGRESSING, "Unknown", reason, text.to_owned(), now);
        status::set(status, condition);
    }

    /// Whether the Deployment was scaled, which is carried out before a rollout goes on.
    // Models isScalingEvent.
    pub(super) fn is_scaling(&self) -> bool {
        let wanted = self.wanted();
        let mut sizes = self.entries.iter().filter(|entry| sets::size(&entry.set) > 0);
        sizes
            .any(|entry| sets::noted(&entry.set, sets::DESIRED_REPLICAS).is_some_and(|noted| noted != wanted))
    }

    /// Numbers the rollout, and adds a ReplicaSet for the template if there is none and one is asked for.
    // Models getNewReplicaSet.
    pub(super) fn find_new_set(&mut self, create: bool) {
        let revision =
            self.old().into_iter().map(|i| sets::revision(&self.entries[i].set)).max().unwrap_or(0).max(0)
                + 1;
        match self.new {
            Some(i) => self.refresh_new_set(i, revision),
            None if create => self.add_new_set(revision),
            None => {}
        }
    }

    fn refresh_new_set(&mut self, i: usize, revision: i64) {
        let wait = self.deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
        let set = &mut self.entries[i].set;
        let spec = set.spec.get_or_insert_default();
        let other_wait = spec.min_ready_seconds.unwrap_or(0) != wait.unwrap_or(0);
        spec.min_ready_seconds = wait;
        if sets::annotate(&self.deployment, set, revision) || other_wait {
            self.touch(i);
        }
        let revision = sets::revision(&self.entries[i].set);
        self.note_revision(&revision.to_string());
        let name = self.entries[i].set.metadata.name.clone().unwrap_or_default();
        let now = self.now;
        if status::deadline(&self.deployment).is_some()
            && status::find(self.status(), status::PROGRESSING).is_none()
        {
            let text = format!("Found new replica set {name:?}");
            let found = status::condition(status::PROGRESSING, "True", "FoundNewReplicaSet", text, now);
            status::set(self.status(), found);
        }
    }

    fn add_new_set(&mut self, revision: i64) {
        let mut set = sets::new_set(&self.deployment);
        let size = sets::new_size(&self.deployment, self.total(), 0);
        set.spec.get_or_insert_default().replicas = Some(size);
        sets::annotate(&self.deployment, &mut set, revision);
        sets::note_replicas(&self.deployment, &mut set);
        let name = set.metadata.name.clone().unwrap_or_default();
        let messages = match size {
            0 => vec![],
            _ => vec![format!("Scaled up replica set {name} from 0 to {size}")],
        };
        self.entries.push(Entry { set, exists: false, messages });
        let i = self.entries.len() - 1;
        self.new = Some(i);
        self.touch(i);
        self.note_revision(&revision.to_string());
        if status::deadline(&self.deployment).is_some() {
            let text = format!("Created new replica set {name:?}");
            let created =
                status::condition(status::PROGRESSING, "True", "NewReplicaSetCreated", text, self.now);
            status::set(self.status(), created);
        }
    }

    fn note_revision(&mut self, revision: &str) {
        let notes = self.deployment.metadata.annotations.get_or_insert_default();
        notes.insert(sets::REVISION.to_owned(), revision.to_owned());
    }

    /// Sets the size of a ReplicaSet and notes the Deployment's numbers on it. Returns whether the size changed.
    // Models scaleReplicaSet.
    fn resize(&mut self, i: usize, size: i32) -> bool {
        let entry = &mut self.entries[i];
        let before = sets::size(&entry.set);
        let noted = sets::note_replicas(&self.deployment, &mut entry.set);
        if before != size {
            entry.set.spec.get_or_insert_default().replicas = Some(size);
            let name = entry.set.metadata.name.as_deref().unwrap_or_default();
            let word = if before < size { "up" } else { "down" };
            entry.messages.push(format!("Scaled {word} replica set {name} from {before} to {size}"));
        }
        if noted || before != size {
            self.touch(i);
        }
        before != size
    }

    fn resize_if_other(&mut self, i: usize, size: i32) -> bool {
        self.size(i) != size && self.resize(i, size)
    }

    /// Follows `spec.replicas`: one active ReplicaSet gets all, several their share.
    // Models scale.
    pub(super) fn scale(&mut self) {
        let wanted = self.wanted();
        if let Some(only) = self.active_or_latest() {
            self.resize_if_other(only, wanted);
            return;
        }
        if self.is_saturated() {
            for i in self.active(self.old()) {
                self.resize_if_other(i, 0);
            }
            return;
        }
        if sets::is_rolling(&self.deployment) {
            self.scale_in_proportion();
        }
    }

    /// The active ReplicaSet if there is just one, else the newest if there is none.
    // Models FindActiveOrLatest.
    fn active_or_latest(&self) -> Option<usize> {
        let active = self.active((0..self.entries.len()).collect());
        match active.as_slice() {
            [] => self.new.or_else(|| self.old().last().copied()),
            [only] => Some(*only),
            _ => None,
        }
    }

    fn is_saturated(&self) -> bool {
        let wanted = self.wanted();
        self.new_set().is_some_and(|set| {
            sets::size(set) == wanted
                && sets::noted(set, sets::DESIRED_REPLICAS) == Some(wanted)
                && sets::available(set) == wanted
        })
    }

    fn scale_in_proportion(&mut self) {
        let wanted = self.wanted();
        let mut active = self.active((0..self.entries.len()).collect());
        let allowed = if wanted > 0 { wanted + sets::max_surge(&self.deployment) } else { 0 };
        let to_add = allowed - active.iter().map(|&i| self.size(i)).sum::<i32>();
        // The largest first; of equals the newest when growing, the oldest when shrinking.
        active.sort_by_key(|&i| (-self.size(i), if to_add > 0 { usize::MAX - i } else { i }));
        let mut added = 0;
        let mut sizes = vec![];
        for &i in &active {
            let part = sets::proportion(&self.entries[i].set, &self.deployment, to_add, added);
            added += part;
            sizes.push(self.size(i) + part);
        }
        if let Some(first) = sizes.first_mut()
            && to_add != 0
        {
            *first = (*first + to_add - added).max(0);
        }
        for (i, size) in active.into_iter().zip(sizes) {
            self.resize(i, size);
        }
    }

    // Models rolloutRolling.
    pub(super) fn roll(&mut self) {
        self.find_new_set(true);
        if self.grow_new_set() || self.shrink_old_sets() {
            return;
        }
        self.clean_up_if_complete();
    }

    // Models reconcileNewReplicaSet.
    fn grow_new_set(&mut self) -> bool {
        let Some(new) = self.new else { return false };
        let (wanted, size) = (self.wanted(), self.size(new));
        let target = match size.cmp(&wanted) {
            std::cmp::Ordering::Equal => return false,
            std::cmp::Ordering::Greater => wanted,
            std::cmp::Ordering::Less => sets::new_size(&self.deployment, self.total(), size),
        };
        self.resize_if_other(new, target)
    }

    // Models reconcileOldReplicaSets.
    fn shrink_old_sets(&mut self) -> bool {
        let Some(new) = self.new else { return false };
        let old = self.active(self.old());
        if old.is_empty() {
            return false;
        }
        let least = self.wanted() - sets::max_unavailable(&self.deployment);
        let coming = self.size(new) - sets::available(&self.entries[new].set);
        let most = self.total() - least - coming;
        if most <= 0 {
            return false;
        }
        let mut down = 0;
        // Pods that do not work go first: they are no loss.
        for &i in &old {
            let broken = self.size(i) - sets::available(&self.entries[i].set);
            let count = broken.min(most - down);
            if count > 0 {
                down += count;
                let size = self.size(i) - count;
                self.resize_if_other(i, size);
            }
        }
        let available: i32 = self.entries.iter().map(|entry| sets::available(&entry.set)).sum();
        let mut spare = available - least;
        for &i in &old {
            let count = self.size(i).min(spare);
            if count > 0 {
                down += count;
                spare -= count;
                let size = self.size(i) - count;
                self.resize_if_other(i, size);
            }
        }
        down > 0
    }

    // Models rolloutRecreate.
    pub(super) fn recreate(&mut self) {
        self.find_new_set(false);
        let mut shrunk = false;
        for i in self.active(self.old()) {
            shrunk |= self.resize_if_other(i, 0);
        }
        if shrunk || self.old_pods_run() {
            return;
        }
        if self.new.is_none() {
            self.find_new_set(true);
        }
        if let Some(new) = self.new {
            self.resize_if_other(new, self.wanted());
        }
        self.clean_up_if_complete();
    }

    // Models oldPodsRunning.
    fn old_pods_run(&self) -> bool {
        let new = self.new_set().and_then(|set| set.metadata.uid.as_ref());
        self.old().into_iter().any(|i| sets::actual(&self.entries[i].set) > 0)
            || self.populated.iter().any(|uid| Some(uid) != new)
    }

    fn clean_up_if_complete(&mut self) {
        let status = self.deployment.status.clone().unwrap_or_default();
        if status::is_complete(&self.deployment, &status) {
            self.clean_up();
        }
    }

    /// Deletes the oldest empty ReplicaSets beyond the history limit.
    // Models cleanupDeployment.
    pub(super) fn clean_up(&mut self) {
        let limit = self.deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit);
        let Some(limit) = limit.filter(|&limit| limit != i32::MAX) else { return };
        let staying = |entry: &Entry| entry.set.metadata.deletion_timestamp.is_none();
        let mut old: Vec<usize> = self.old().into_iter().filter(|&i| staying(&self.entries[i])).collect();
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        old.sort_by_key(|&i| sets::revision(&self.entries[i].set));
        for i in old.into_iter().take(surplus) {
            let set = &self.entries[i].set;
            let observed = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
            let is_empty = sets::actual(set) == 0 && sets::size(set) == 0;
            if is_empty && set.metadata.generation.unwrap_or(0) <= observed {
                self.deleted.extend(set.metadata.name.clone());
            }
        }
    }

    pub(super) fn calculated(&self) -> DeploymentStatus {
        status::calculate(&self.deployment, &self.sets(), self.new_set(), self.now)
    }

    /// Gathers what has changed.
    pub(super) fn finish(mut self, status: DeploymentStatus) -> Plan {
        let mut plan = Plan::default();
        for i in std::mem::take(&mut self.touched) {
            let entry = &mut self.entries[i];
            let (set, messages) = (Box::new(entry.set.clone()), std::mem::take(&mut entry.messages));
            plan.actions.push(match entry.exists {
                true => Action::Update(set, messages),
                false => Action::Create(set, messages),
            });
        }
        plan.actions.extend(std::mem::take(&mut self.deleted).into_iter().map(Action::Delete));
        let before = status::normalized(self.original.status.clone().unwrap_or_default());
        let renumbered =
            self.deployment.metadata.annotations.as_ref().and_then(|map| map.get(sets::REVISION))
                != self.original.metadata.annotations.as_ref().and_then(|map| map.get(sets::REVISION));
        let status = status::normalized(status);
        if status != before || renumbered {
            self.deployment.status = Some(status);
            plan.deployment = Some(self.deployment);
        } else {
            plan.again = status::next_look(&self.deployment, &before, self.now);
        }
        plan
    }
}
