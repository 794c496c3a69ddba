//! `kubectl label` and `kubectl annotate`.
// Models kubectl/pkg/cmd/label and kubectl/pkg/cmd/annotate.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::patching::{self, Patch};
use super::targets::{
    Finding, all_flag, all_namespaces_flag, check_all, check_local, field_selector_flag, find, local_flag,
    selector_flag,
};
use super::writing::{DryRun, WriteOptions, dry_run, dry_run_flag, field_manager_flag, tell};
use crate::kubectl::command::Verb;
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::flags::{Flag, Flags};
use crate::kubectl::output::print_flags;
use crate::kubectl::resources::{FilenameOptions, Info, resources_and_pairs};
use crate::kubectl::session::Session;
use crate::kubectl::verbs::recording::{CHANGE_CAUSE, record, record_flag};
use crate::meta::names;

/// `kubectl label` or `kubectl annotate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Labels,
    Annotations,
}

impl Label {
    fn noun(self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotation",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Annotations => "annotations",
        }
    }
}

/// What is to be set and taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    set: BTreeMap<String, String>,
    remove: Vec<String>,
}

#[async_trait]
impl Verb for Label {
    fn name(&self) -> &'static str {
        match self {
            Self::Labels => "label",
            Self::Annotations => "annotate",
        }
    }
    fn short(&self) -> &'static str {
        match self {
            Self::Labels => "Update the labels on a resource",
            Self::Annotations => "Update the annotations on a resource",
        }
    }
    fn long(&self) -> &'static str {
        match self {
            Self::Labels => {
                "Set labels with KEY=VALUE and take them away with KEY-. A label that has another value is changed \
                             with --overwrite only."
            }
            Self::Annotations => {
                "Set annotations with KEY=VALUE and take them away with KEY-. An annotation that has another \
                                  value is changed with --overwrite only."
            }
        }
    }
    fn examples(&self) -> &'static str {
        match self {
            Self::Labels => {
                "# Set a label\nkubectl label pods web version=v1\n\n# Change it\nkubectl label --overwrite pods web \
                             version=v2\n\n# Take it away\nkubectl label pods web version-"
            }
            Self::Annotations => {
                "# Set an annotation\nkubectl annotate pods web note='looks good'\n\n# Take it away\nkubectl \
                                  annotate pods web note-"
            }
        }
    }
    fn usage(&self) -> &'static str {
        match self {
            Self::Labels => {
                "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]"
            }
            Self::Annotations => {
                "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]"
            }
        }
    }
    fn flags(&self) -> Vec<Flag> {
        let mut flags = print_flags();
        flags.extend(FilenameOptions::flags("identifying the resource to update"));
        let manager = if *self == Self::Labels { "kubectl-label" } else { "kubectl-annotate" };
        flags.extend([
            all_flag(),
            all_namespaces_flag(),
            dry_run_flag(),
            field_manager_flag(manager),
            field_selector_flag(),
            local_flag(),
            record_flag(),
            selector_flag(),
            Flag::bool("list", false, "Show what there is after the change."),
            Flag::bool("overwrite", false, "Change values that are there already."),
            Flag::string("resource-version", "", "Change the object only if it is of this version."),
        ]);
        flags
    }

    async fn run(&self, session: &Session, flags: &Flags, args: &[String]) -> Result<()> {
        let dry_run = dry_run(session, flags).await?;
        let (resources, pairs) = resources_and_pairs(args, self.noun())?;
        let changes = self.parse(&pairs)?;
        self.check(flags, &resources, &changes, dry_run)?;
        let local = flags.bool("local");
        let found =
            find(session, flags, &resources, Finding { latest: true, local, ..Finding::default() }).await?;
        let one = found.single_item_implied;
        if !one && !flags.string("resource-version").is_empty() {
            return Err(KubectlError::message("--resource-version may only be used with a single resource"));
        }
        let mut errors = found.errors;
        for info in found.infos {
            let work = Work { verb: *self, changes: &changes, dry_run, one };
            if let Err(error) = work.run(session, flags, info).await {
                errors.push(error);
            }
        }
        KubectlError::aggregate(errors)
    }
}

impl Label {
    fn parse(self, pairs: &[String]) -> Result<Changes> {
        let mut changes = Changes::default();
        for pair in pairs {
            match pair.split_once('=') {
                Some((key, value)) if self == Self::Annotations || !value.contains('=') => {
                    let errors = if self == Self::Labels { names::label_value(value) } else { vec![] };
                    if !errors.is_empty() {
                        return Err(KubectlError::message(format!(
                            "invalid label value: {pair:?}: {}",
                            errors.join(";")
                        )));
                    }
                    changes.set.insert(key.to_owned(), value.to_owned());
                }
                Some(_) => return Err(KubectlError::message(format!("invalid label spec: {pair}"))),
                None => changes.remove.push(pair.trim_end_matches('-').to_owned()),
            }
        }
        let both: Vec<&str> =
            changes.remove.iter().filter(|key| changes.set.contains_key(*key)).map(String::as_str).collect();
        if both.is_empty() {
            return Ok(changes);
        }
        Err(KubectlError::message(match self {
            Self::Labels => "can not both modify and remove a label in the same command".to_owned(),
            Self::Annotations => format!(
                "can not both modify and remove the following annotation(s) in the same command: {}",
                both.join(", ")
            ),
        }))
    }

    fn check(self, flags: &Flags, resources: &[String], changes: &Changes, dry_run: DryRun) -> Result<()> {
        let no_files = FilenameOptions::new(flags).is_empty();
        if flags.bool("list") && flags.changed("output") {
            return Err(KubectlError::message("--list and --output may not be specified together"));
        }
        check_all(flags)?;
        check_local(flags, dry_run == DryRun::Server)?;
        let (pod, json) =
            if self == Self::Labels { ("pod.yaml", "pod.json") } else { ("rsrc.yaml", "rsrc.json") };
        let problem = if flags.bool("local") && !resources.is_empty() {
            format!("can only use local files by -f {pod} or --filename={json} when --local=true is set")
        } else if flags.bool("local") && no_files {
            format!("one or more files must be specified as -f {pod} or --filename={json}")
        } else if resources.is_empty() && no_files {
            "one or more resources must be specified as <resource> <name> or <resource>/<name>".to_owned()
        } else if changes.set.is_empty() && changes.remove.is_empty() && !flags.bool("list") {
            format!("at least one {} update is required", self.noun())
        } else {
            return Ok(());
        };
        Err(KubectlError::message(problem))
    }
}

struct Work<'a> {
    verb: Label,
    changes: &'a Changes,
    dry_run: DryRun,
    one: bool,
}

impl Work<'_> {
    async fn run(&self, session: &Session, flags: &Flags, mut info: Info) -> Result<()> {
        let here = self.dry_run == DryRun::Client
            || flags.bool("local")
            || (flags.bool("list") && self.verb == Label::Labels);
        let version = flags.string("resource-version");
        if !version.is_empty()
            && let Some(metadata) = info.object["metadata"].as_object_mut()
        {
            metadata.remove("resourceVersion");
        }
        let before = info.object.clone();
        if self.verb == Label::Labels && !here {
            for key in
                self.changes.remove.iter().filter(|key| before["metadata"]["labels"][key.as_str()].is_null())
            {
                session.out.line(format!("label {key:?} not found.")).await?;
            }
        }
        if self.verb == Label::Annotations && !here {
            // A cause that is given as an annotation counts more.
            record(session, &mut info.object);
        }
        let operation = self.change(&mut info.object, flags.bool("overwrite"))?;
        if self.verb == Label::Labels && !here {
            record(session, &mut info.object);
        }
        if !version.is_empty() {
            info.object["metadata"]["resourceVersion"] = json!(version);
        }
        if !here && (self.verb == Label::Annotations || operation != "not labeled") {
            let patch = Patch::merge(&before, &info.object)?;
            let options = WriteOptions {
                dry_run: self.dry_run,
                field_manager: flags.string("field-manager"),
                validation: "",
            };
            let patched = patching::send(session, &info, &patch, &options).await?;
            if self.verb == Label::Annotations {
                info.object = patched;
            }
        }
        if flags.bool("list") {
            return self.list(session, &info).await;
        }
        tell(session, flags, &info.object, operation, self.dry_run).await
    }

    /// Changes the object and says what was done.
    fn change(&self, object: &mut Value, overwrite: bool) -> Result<&'static str> {
        let field = self.verb.field();
        let current = object["metadata"][field].as_object().cloned().unwrap_or_default();
        if !overwrite {
            self.refuse_overwrites(&current)?;
        }
        let (mut added, mut removed, mut entries) = (false, false, current);
        for (key, value) in &self.changes.set {
            let old = entries.insert(key.clone(), json!(value));
            added |= old.is_none_or(|old| old != json!(value));
        }
        for key in &self.changes.remove {
            removed |= entries.remove(key).is_some();
        }
        if entries.is_empty() {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove(field);
            }
        } else {
            object["metadata"][field] = Value::Object(entries);
        }
        Ok(match (self.verb, added, removed) {
            (Label::Annotations, ..) => "annotated",
            (Label::Labels, true, true) => "modified",
            (Label::Labels, true, false) => "labeled",
            (Label::Labels, false, true) => "unlabeled",
            (Label::Labels, false, false) => "not labeled",
        })
    }

    fn refuse_overwrites(&self, current: &serde_json::Map<String, Value>) -> Result<()> {
        let mut taken = vec![];
        for (key, value) in &self.changes.set {
            let old = current.get(key).and_then(Value::as_str).filter(|old| old != value);
            if let Some(old) = old.filter(|_| self.verb == Label::Labels || key != CHANGE_CAUSE) {
                taken.push(format!("'{key}' already has a value ({old})"));
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        if self.verb == Label::Annotations {
            let text = format!(
                "--overwrite is false but found the following declared annotation(s): {}",
                taken.join("; ")
            );
            return Err(KubectlError::message(text));
        }
        let error = |text: String| KubectlError::message(format!("{text}, and --overwrite is false"));
        KubectlError::aggregate(taken.into_iter().map(error).collect())
    }

    async fn list(&self, session: &Session, info: &Info) -> Result<()> {
        let mut text = String::new();
        let indent = if self.one { "" } else { " " };
        if !self.one {
            let api_version = info.object["apiVersion"].as_str().unwrap_or_default();
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            let kind = info.object["kind"].as_str().unwrap_or_default();
            text += &format!("Listing {} for {kind}.{group}/{}:\n", self.verb.field(), info.name);
        }
        for (key, value) in info.object["metadata"][self.verb.field()].as_object().into_iter().flatten() {
            text += &format!("{indent}{key}={}\n", value.as_str().unwrap_or_default());
        }
        session.out.write(text).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(verb: Label, pairs: &[&str]) -> std::result::Result<Changes, String> {
        let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        verb.parse(&pairs).map_err(|error| error.to_string())
    }

    #[test]
    fn changes_say_what_they_did() {
        let cases = [
            (vec!["a=1"], json!({}), Ok("labeled")),
            (vec!["a=1"], json!({"a": "1"}), Ok("not labeled")),
            (vec!["a-"], json!({"a": "1"}), Ok("unlabeled")),
            (vec!["b=2", "a-"], json!({"a": "1"}), Ok("modified")),
            (vec!["a=2"], json!({"a": "1"}), Err("'a' already has a value (1), and --overwrite is false")),
        ];
        for (pairs, labels, expected) in cases {
            let changes = changes(Label::Labels, &pairs).unwrap();
            let work = Work { verb: Label::Labels, changes: &changes, dry_run: DryRun::None, one: true };
            let mut object = json!({"metadata": {"labels": labels}});
            let done = work.change(&mut object, false).map_err(|error| error.to_string());
            assert_eq!(done, expected.map_err(str::to_owned), "{pairs:?}");
        }
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(changes(Label::Labels, &["a=b=c"]).unwrap_err(), "invalid label spec: a=b=c");
        assert!(
            changes(Label::Labels, &["a=b c"]).unwrap_err().starts_with("invalid label value: \"a=b c\": ")
        );
        assert_eq!(changes(Label::Annotations, &["a=b=c"]).unwrap().set["a"], "b=c");
        let both = changes(Label::Labels, &["a=b", "a-"]).unwrap_err();
        assert_eq!(both, "can not both modify and remove a label in the same command");
    }

    proptest::proptest! {
        #[test]
        fn any_pair_is_read_or_refused(pair in "[a-z=/.-]{0,20}|\\PC{0,30}") {
            let _ = Label::Labels.parse(std::slice::from_ref(&pair));
            let _ = Label::Annotations.parse(&[pair]);
        }
    }
}
