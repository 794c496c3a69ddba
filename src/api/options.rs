//! What a verb is asked to do besides: the query, or the body of a deletion, as options that are checked.
// Models k8s.io/apimachinery/pkg/apis/meta/{v1,internalversion}/validation.

use serde::Deserialize;

use super::codec::FieldValidation;
use super::field::{FieldError, FieldPath};
use super::request::{Query, RequestInfo, exact_name};
use super::status::{ApiError, GroupResource};
use crate::meta::selector::{FieldTerm, Selector, parse_fields};
use crate::store::Revision;

/// What a list, a watch or a deletion of a collection asks for.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which labels.
    pub labels: Selector,
    /// Which fields.
    pub fields: Vec<FieldTerm>,
    /// How many objects at the most; 0 for all.
    pub limit: usize,
    /// Where the page before ended.
    pub r#continue: String,
    /// The revision that was asked for; `None` for the newest.
    pub revision: Option<Revision>,
    /// Whether it is to be just that revision.
    pub exact: bool,
    /// Whether the list had limits on its revision at all.
    pub not_older_than: bool,
    /// How long a watch lasts.
    pub timeout_seconds: Option<u64>,
    /// Whether a watch tells its progress.
    pub bookmarks: bool,
    /// Whether a watch begins with what there is.
    pub initial_events: Option<bool>,
}

impl ListOptions {
    /// Reads the options of a list, or of a watch if `watch` is set.
    pub fn parse(info: &RequestInfo, query: &Query, watch: bool) -> Result<Self, ApiError> {
        let labels =
            Selector::parse(query.get("labelSelector").unwrap_or_default()).map_err(ApiError::bad_request)?;
        let fields =
            parse_fields(query.get("fieldSelector").unwrap_or_default()).map_err(ApiError::bad_request)?;
        let number = |name| query.number(name);
        let mut options = Self {
            labels,
            fields,
            limit: number("limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(0),
            r#continue: query.text("continue"),
            revision: revision(query.get("resourceVersion").unwrap_or_default())?,
            exact: query.get("resourceVersionMatch") == Some("Exact"),
            not_older_than: query.get("resourceVersionMatch") == Some("NotOlderThan"),
            timeout_seconds: number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()),
            bookmarks: query.flag("allowWatchBookmarks") == Some(true),
            initial_events: query.flag("sendInitialEvents"),
        };
        let errors = if watch { options.watch_errors(query) } else { options.list_errors(query) };
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &errors));
        }
        options.take_name(info)?;
        Ok(options)
    }

    /// A name in the path is a field selector in disguise.
    fn take_name(&mut self, info: &RequestInfo) -> Result<(), ApiError> {
        if !info.named_by_path {
            return Ok(());
        }
        if !self.fields.is_empty() && exact_name(&self.fields) != Some(&info.name) {
            return Err(ApiError::bad_request("fieldSelector metadata.name doesn't match requested name"));
        }
        if self.fields.is_empty() {
            self.fields.push(FieldTerm {
                field: "metadata.name".to_owned(),
                equal: true,
                value: info.name.clone(),
            });
        }
        Ok(())
    }

    fn list_errors(&self, query: &Query) -> Vec<FieldError> {
        let (field, r#match) =
            (FieldPath::new("resourceVersionMatch"), query.get("resourceVersionMatch").unwrap_or_default());
        let mut errors = vec![];
        if !r#match.is_empty() {
            if query.get("resourceVersion").unwrap_or_default().is_empty() {
                errors.push(FieldError::forbidden(
                    &field,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            if !self.r#continue.is_empty() {
                errors.push(FieldError::forbidden(
                    &field,
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if !["Exact", "NotOlderThan"].contains(&r#match) {
                errors.push(FieldError::not_supported(&field, r#match, &["Exact", "NotOlderThan", ""]));
            }
            if r#match == "Exact" && query.get("resourceVersion") == Some("0") {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                errors.push(FieldError::forbidden(&field, why));
            }
        }
        if self.initial_events.is_some() {
            let why = "sendInitialEvents is forbidden for list";
            errors.push(FieldError::forbidden(&FieldPath::new("sendInitialEvents"), why));
        }
        errors
    }

    fn watch_errors(&self, query: &Query) -> Vec<FieldError> {
        let (field, r#match) =
            (FieldPath::new("resourceVersionMatch"), query.get("resourceVersionMatch").unwrap_or_default());
        let mut errors = vec![];
        if self.initial_events.is_some() && r#match != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            errors.push(FieldError::forbidden(&field, why));
        }
        if !r#match.is_empty() {
            if self.initial_events.is_none() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(FieldError::forbidden(&field, why));
            }
            if r#match != "NotOlderThan" {
                errors.push(FieldError::not_supported(&field, r#match, &["NotOlderThan"]));
            }
            if !self.r#continue.is_empty() {
                errors.push(FieldError::forbidden(
                    &field,
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
        }
        errors
    }
}

/// A resource version from outside; `None` for an empty one or `0`, which both mean whatever there is.
pub fn revision(text: &str) -> Result<Option<Revision>, ApiError> {
    match text {
        "" | "0" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let field = FieldPath::new("resourceVersion");
            let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
            ApiError::invalid("meta.k8s.io", "ListOptions", "", &[FieldError::invalid(&field, text, why)])
        }),
    }
}

/// What a create, an update or a patch asks for.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Nothing is kept.
    pub dry_run: bool,
    /// Who manages the fields that are set; empty if the client did not say.
    pub field_manager: String,
    /// How strictly fields are checked.
    pub field_validation: FieldValidation,
    /// Whether an apply takes fields from other managers.
    pub force: Option<bool>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            field_manager: String::new(),
            field_validation: FieldValidation::Warn,
            force: None,
        }
    }
}

impl WriteOptions {
    /// Reads the options. `kind` names them in errors: `CreateOptions`, `UpdateOptions`, `PatchOptions`.
    pub fn parse(query: &Query, kind: &str, apply: bool) -> Result<Self, ApiError> {
        let field_manager = query.text("fieldManager");
        let mut errors = vec![];
        if kind == "PatchOptions" {
            if apply && field_manager.is_empty() {
                errors.push(FieldError::required(
                    &FieldPath::new("fieldManager"),
                    "is required for apply patch",
                ));
            }
            if !apply && query.get("force").is_some() {
                let why = "may not be specified for non-apply patch";
                errors.push(FieldError::forbidden(&FieldPath::new("force"), why));
            }
        }
        errors.extend(field_manager_errors(&field_manager));
        let dry_run = dry_run(query.all("dryRun"), &mut errors);
        let field_validation = match query.get("fieldValidation").unwrap_or_default() {
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            other => {
                let field = FieldPath::new("fieldValidation");
                errors.push(FieldError::not_supported(&field, other, &["", "Ignore", "Strict", "Warn"]));
                FieldValidation::Warn
            }
        };
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", kind, "", &errors));
        }
        Ok(Self { dry_run, field_manager, field_validation, force: query.flag("force") })
    }
}

/// The longest that the name of a field manager may be, in bytes.
const MAX_FIELD_MANAGER_BYTES: usize = 128;

fn field_manager_errors(manager: &str) -> Vec<FieldError> {
    let field = FieldPath::new("fieldManager");
    let mut errors = vec![];
    if manager.len() > MAX_FIELD_MANAGER_BYTES {
        errors.push(FieldError::too_long(&field, MAX_FIELD_MANAGER_BYTES));
    }
    for (position, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {position})", u32::from(c));
        errors.push(FieldError::invalid(&field, manager, why));
    }
    errors
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, errors: &mut Vec<FieldError>) -> bool {
    let values: Vec<&str> = values.collect();
    if values.iter().any(|value| *value != "All") {
        errors.push(FieldError::not_supported(&FieldPath::new("dryRun"), values.clone(), &["All"]));
    }
    !values.is_empty()
}

/// What a deletion asks for; the body of the request, or its query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteOptions {
    /// What the body says it is.
    kind: String,
    /// How long the object may take to go.
    pub grace_period_seconds: Option<i64>,
    /// What the object must be.
    pub preconditions: Option<Preconditions>,
    /// The old form of `propagation_policy`.
    pub orphan_dependents: Option<bool>,
    /// `Orphan`, `Background` or `Foreground`.
    pub propagation_policy: Option<String>,
    dry_run: Vec<String>,
}

/// What an object must be for a write to happen.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Preconditions {
    /// Its UID.
    pub uid: Option<String>,
    /// Its resource version.
    pub resource_version: Option<String>,
}

impl Preconditions {
    /// Refuses an object that is another than the one that was meant. `metadata` is the object's own.
    pub fn check(
        &self,
        kind: &GroupResource,
        name: &str,
        metadata: &serde_json::Value,
    ) -> Result<(), ApiError> {
        let have = |field: &str| metadata.get(field).and_then(serde_json::Value::as_str).unwrap_or_default();
        let (uid, version) = (have("uid"), have("resourceVersion"));
        if let Some(asked) = self.uid.as_deref().filter(|asked| *asked != uid) {
            let why = format!(
                "the UID in the precondition ({asked}) does not match the UID in record ({uid}). The object might have been \
                 deleted and then recreated"
            );
            return Err(ApiError::conflict(kind, name, &why));
        }
        if let Some(asked) = self.resource_version.as_deref().filter(|asked| *asked != version) {
            let why = format!(
                "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record ({version}). \
                 The object might have been modified"
            );
            return Err(ApiError::conflict(kind, name, &why));
        }
        Ok(())
    }
}

impl DeleteOptions {
    /// Keeps nothing if the request says so, whatever the options say.
    pub fn set_dry_run(&mut self, dry_run: bool) {
        if dry_run && self.dry_run.is_empty() {
            self.dry_run.push("All".to_owned());
        }
    }

    /// Reads the options from the query.
    pub fn from_query(query: &Query) -> Result<Self, ApiError> {
        Self {
            grace_period_seconds: query.number("gracePeriodSeconds")?,
            orphan_dependents: query.flag("orphanDependents"),
            propagation_policy: query
                .get("propagationPolicy")
                .filter(|text| !text.is_empty())
                .map(str::to_owned),
            dry_run: query.all("dryRun").map(str::to_owned).collect(),
            ..Self::default()
        }
        .checked()
    }

    /// Reads the options from a body that was made JSON.
    pub fn from_body(body: serde_json::Value) -> Result<Self, ApiError> {
        let options: Self =
            serde_json::from_value(body).map_err(|error| ApiError::bad_request(error.to_string()))?;
        if !["", "DeleteOptions"].contains(&options.kind.as_str()) {
            let message = format!(
                "no kind {:?} is registered for the internal version of group \"meta.k8s.io\"",
                options.kind
            );
            return Err(ApiError::bad_request(message));
        }
        options.checked()
    }

    /// Whether nothing is kept.
    pub fn is_dry_run(&self) -> bool {
        !self.dry_run.is_empty()
    }

    fn checked(self) -> Result<Self, ApiError> {
        let mut errors = vec![];
        let field = FieldPath::new("propagationPolicy");
        if let Some(policy) = &self.propagation_policy {
            if self.orphan_dependents.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                errors.push(FieldError::invalid(&field, policy.as_str(), why));
            }
            if !["Foreground", "Background", "Orphan"].contains(&policy.as_str()) {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported(&field, policy.as_str(), &supported));
            }
        }
        dry_run(self.dry_run.iter().map(String::as_str), &mut errors);
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_that_contradict_are_refused_in_kubernetes_words() {
        let error = |query: &str, watch: bool| {
            ListOptions::parse(&RequestInfo::default(), &Query::parse(query), watch).unwrap_err().to_string()
        };
        assert!(
            error("resourceVersionMatch=Exact", false)
                .contains("resourceVersionMatch is forbidden unless resourceVersion is provided")
        );
        assert!(
            error("sendInitialEvents=true", true)
                .contains("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        );
        assert!(error("limit=x", false).contains("strconv.ParseInt: parsing \"x\": invalid syntax"));
        let error = WriteOptions::parse(&Query::parse("dryRun=Some"), "CreateOptions", false).unwrap_err();
        assert_eq!(error.code(), 422);
        let error =
            DeleteOptions::from_query(&Query::parse("propagationPolicy=Maybe")).unwrap_err().to_string();
        assert!(
            error.contains("supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parsers_panic(query in ".{0,60}") {
            let query = Query::parse(&query);
            let _ = ListOptions::parse(&RequestInfo::default(), &query, true);
            let _ = WriteOptions::parse(&query, "PatchOptions", true);
            let _ = DeleteOptions::from_query(&query);
        }
    }
}
