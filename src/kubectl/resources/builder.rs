//! The resource builder: what the arguments and flags say, turned into objects.
// Models k8s.io/cli-runtime/pkg/resource/builder.go.

use std::sync::Arc;

use serde_json::Value;

use super::arguments::{combined, normalize, split_resources, split_type_name};
use super::checks::check_name;
use super::files::{FilenameOptions, read_sources};
use super::info::{Info, Visited, is_list, list_items};
use crate::kubectl::client::{Client, Request};
use crate::kubectl::error::{KubectlError, Result};
use crate::kubectl::mapper::{Mapper, Mapping};
use crate::kubectl::session::Session;

/// Collects what is meant; [`visit`](Self::visit) finds it. The order of calls does not matter, save that
/// [`resource_type_or_name_args`](Self::resource_type_or_name_args) comes after the selectors.
pub struct Builder<'a> {
    pub(super) session: &'a Session,
    pub(super) errors: Vec<KubectlError>,
    pub(super) files: FilenameOptions,
    pub(super) namespace: String,
    pub(super) default_namespace: bool,
    pub(super) require_namespace: bool,
    pub(super) all_namespaces: bool,
    pub(super) label_selector: Option<String>,
    pub(super) field_selector: Option<String>,
    pub(super) select_all: bool,
    pub(super) subresource: String,
    pub(super) chunk: i64,
    pub(super) types: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) tuples: Vec<(String, String)>,
    pub(super) local: bool,
    pub(super) latest: bool,
    pub(super) flatten: bool,
    pub(super) continue_on_error: bool,
    pub(super) single_resource_type: bool,
    pub(super) require_object: bool,
    pub(super) validate: bool,
    pub(super) accept: Option<String>,
    pub(super) include_object: &'static str,
}

impl<'a> Builder<'a> {
    /// A builder that means nothing yet.
    pub fn new(session: &'a Session) -> Self {
        Self {
            session,
            errors: vec![],
            files: FilenameOptions::default(),
            namespace: String::new(),
            default_namespace: false,
            require_namespace: false,
            all_namespaces: false,
            label_selector: None,
            field_selector: None,
            select_all: false,
            subresource: String::new(),
            chunk: 0,
            types: vec![],
            names: vec![],
            tuples: vec![],
            local: false,
            latest: false,
            flatten: false,
            continue_on_error: false,
            single_resource_type: false,
            require_object: true,
            validate: false,
            accept: None,
            include_object: "",
        }
    }

    /// The namespace that objects without one are in.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        if !self.all_namespaces {
            namespace.clone_into(&mut self.namespace);
        }
        self
    }

    /// Puts objects of files that name no namespace into the builder's.
    #[must_use]
    pub fn default_namespace(mut self) -> Self {
        self.default_namespace = true;
        self
    }

    /// Looks in all namespaces.
    #[must_use]
    pub fn all_namespaces(mut self, all: bool) -> Self {
        if all {
            self.namespace.clear();
        }
        self.all_namespaces = all;
        self
    }

    /// Takes objects from files. With `enforce_namespace` those of another namespace are an error.
    #[must_use]
    pub fn filenames(mut self, enforce_namespace: bool, options: &FilenameOptions) -> Self {
        self.files = options.clone();
        self.require_namespace |= enforce_namespace;
        self
    }

    /// Only objects with these labels; empty means any.
    #[must_use]
    pub fn label_selector(mut self, selector: &str) -> Self {
        let trimmed = selector.trim();
        if !trimmed.is_empty() {
            self.label_selector = Some(trimmed.to_owned());
        }
        self
    }

    /// Only objects with these fields; empty means any.
    #[must_use]
    pub fn field_selector(mut self, selector: &str) -> Self {
        let trimmed = selector.trim();
        if !trimmed.is_empty() {
            self.field_selector = Some(trimmed.to_owned());
        }
        self
    }

    /// All objects of the types (`--all`).
    #[must_use]
    pub fn select_all(mut self, all: bool) -> Self {
        self.select_all = all;
        self
    }

    /// Works on a sub-resource.
    #[must_use]
    pub fn subresource(mut self, subresource: &str) -> Self {
        subresource.clone_into(&mut self.subresource);
        self
    }

    /// Lists so many objects a request; 0 means all at once.
    #[must_use]
    pub fn chunks(mut self, size: i64) -> Self {
        self.chunk = size;
        self
    }

    /// Takes types by name, like `pods`.
    #[must_use]
    pub fn resource_types(mut self, types: &[&str]) -> Self {
        self.types.extend(types.iter().map(|&kind| kind.to_owned()));
        self
    }

    /// Takes objects by `TYPE/NAME`, or by name of the default type (empty: there is none).
    #[must_use]
    pub fn resource_names(mut self, default_type: &str, names: &[String]) -> Self {
        for name in names {
            match split_type_name(name) {
                Ok(Some(tuple)) => self.tuples.push(tuple),
                Ok(None) if default_type.is_empty() => {
                    self.errors
                        .push(KubectlError::message(format!("the argument {name:?} must be RESOURCE/NAME")));
                }
                Ok(None) => self.tuples.push((default_type.to_owned(), name.clone())),
                Err(error) => self.errors.push(error),
            }
        }
        self
    }

    /// Takes the arguments of a verb. With `allow_empty_selector` a type alone means all its objects.
    #[must_use]
    pub fn resource_type_or_name_args(mut self, allow_empty_selector: bool, args: &[String]) -> Self {
        let args = normalize(args);
        match combined(&args) {
            Err(error) => self.errors.push(error),
            Ok(true) => return self.resource_names("", &args),
            Ok(false) => {
                let [first, names @ ..] = &args[..] else { return self };
                self.types.extend(split_resources(first));
                self.names.extend_from_slice(names);
                if names.is_empty() && allow_empty_selector && self.label_selector.is_none() {
                    self.label_selector = Some(String::new());
                }
            }
        }
        self
    }

    /// Asks the server nothing.
    #[must_use]
    pub fn local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    /// Takes the newest form of objects in files from the server.
    #[must_use]
    pub fn latest(mut self) -> Self {
        self.latest = true;
        self
    }

    /// Takes lists apart.
    #[must_use]
    pub fn flatten(mut self) -> Self {
        self.flatten = true;
        self
    }

    /// Goes on after an error.
    #[must_use]
    pub fn continue_on_error(mut self) -> Self {
        self.continue_on_error = true;
        self
    }

    /// Fails if there is more than one type.
    #[must_use]
    pub fn single_resource_type(mut self) -> Self {
        self.single_resource_type = true;
        self
    }

    /// Whether named objects are taken from the server (the default).
    #[must_use]
    pub fn require_object(mut self, require: bool) -> Self {
        self.require_object = require;
        self
    }

    /// Whether objects in files must say what they are, as the verbs with `--validate` want.
    #[must_use]
    pub fn validate(mut self, validate: bool) -> Self {
        self.validate = validate;
        self
    }

    /// Asks for another form than objects (a Table); `include_object` is its parameter, or empty.
    #[must_use]
    pub fn accept(mut self, types: &str, include_object: &'static str) -> Self {
        self.accept = Some(types.to_owned());
        self.include_object = include_object;
        self
    }

    /// Finds what is meant. Errors of single objects are in the result; `Err` is one of the arguments as a whole.
    pub async fn visit(mut self) -> Result<Visited> {
        let sources =
            if self.files.is_empty() { None } else { Some(read_sources(self.session, &self.files).await?) };
        if self.select_all
            && (self.label_selector.as_deref().is_some_and(|s| !s.is_empty())
                || self.field_selector.is_some())
        {
            self.errors
                .push(KubectlError::message("setting 'all' parameter but found a non empty selector. "));
        }
        let mut found = Visited::default();
        let mut files = vec![];
        if let Some(sources) = sources {
            self.errors.extend(sources.errors);
            found.single_item_implied = sources.single;
            files = sources.files;
        }
        KubectlError::aggregate(std::mem::take(&mut self.errors))?;
        if self.select_all {
            self.label_selector = Some(String::new());
        }
        if !files.is_empty() {
            self.by_files(files, &mut found).await?;
        } else if self.label_selector.is_some() || self.field_selector.is_some() {
            self.by_selector(&mut found).await?;
        } else if !self.tuples.is_empty() {
            self.by_tuples(&mut found).await?;
        } else if !self.names.is_empty() {
            self.by_names(&mut found).await?;
        } else if !self.types.is_empty() {
            self.mappings().await?;
            return Err(KubectlError::message("resource(s) were provided, but no name was specified"));
        } else {
            let missing = "You must provide one or more resources by argument or filename.\nExample resource \
                           specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";
            return Err(KubectlError::message(missing));
        }
        if !self.continue_on_error {
            found.errors.truncate(1);
        }
        Ok(found)
    }

    async fn mappings(&self) -> Result<Vec<Arc<Mapping>>> {
        let mapper = self.session.mapper().await?;
        let mut mappings: Vec<Arc<Mapping>> = vec![];
        let types: Vec<String> = self
            .types
            .iter()
            .flat_map(|word| mapper.expand(word).unwrap_or_else(|| vec![word.clone()]))
            .collect();
        if types.len() > 1 && self.single_resource_type {
            return Err(several_types());
        }
        for word in &types {
            let mapping = mapper.find(word)?;
            if !mappings.contains(&mapping) {
                mappings.push(mapping);
            }
        }
        Ok(mappings)
    }

    async fn by_selector(&self, found: &mut Visited) -> Result<()> {
        let refused = if !self.names.is_empty() {
            Some("name cannot be provided when a selector is specified")
        } else if !self.tuples.is_empty() {
            Some("selectors and the all flag cannot be used when passing resource/name arguments")
        } else if self.types.is_empty() {
            Some("at least one resource must be specified to use a selector")
        } else if !self.subresource.is_empty() {
            Some("subresource cannot be used when bulk resources are specified")
        } else {
            None
        };
        if let Some(text) = refused {
            return Err(KubectlError::message(text));
        }
        let mappings = self.mappings().await?;
        let client = self.session.client().await?;
        for mapping in mappings {
            if let Err(error) = self.list(&client, &mapping, found).await {
                found.errors.push(error);
                if !self.continue_on_error {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Lists a resource, chunk by chunk.
    async fn list(&self, client: &Client, mapping: &Arc<Mapping>, found: &mut Visited) -> Result<()> {
        let mut token = String::new();
        let namespace = if mapping.namespaced { self.namespace.as_str() } else { "" };
        loop {
            let mut request = Request::get(mapping.path(namespace, "", ""))
                .query("labelSelector", self.label_selector.clone().unwrap_or_default())
                .query("fieldSelector", self.field_selector.clone().unwrap_or_default())
                .query("limit", if self.chunk > 0 { self.chunk.to_string() } else { String::new() })
                .query("continue", token.clone());
            request = self.with_accept(request);
            let list = client.json(request).await.map_err(|error| self.enhance(error, mapping))?;
            token = list["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            let info = Info {
                mapping: Some(mapping.clone()),
                namespace: namespace.to_owned(),
                object: list,
                ..Info::default()
            };
            if self.flatten && is_list(&info.object) {
                found.infos.extend(list_items(info.object).into_iter().map(|item| item_info(item, mapping)));
            } else {
                found.infos.push(info);
            }
            if token.is_empty() {
                return Ok(());
            }
        }
    }

    fn with_accept(&self, request: Request) -> Request {
        match &self.accept {
            Some(types) => request.accept(types.clone()).query("includeObject", self.include_object),
            None => request,
        }
    }

    // Models EnhanceListError.
    fn enhance(&self, error: KubectlError, mapping: &Mapping) -> KubectlError {
        let KubectlError::Status(mut status) = error else { return error };
        if !matches!(status.reason.as_deref(), Some("BadRequest" | "NotFound")) {
            return KubectlError::Status(status);
        }
        let subject = format!(
            "{}, Resource={}",
            if mapping.group.is_empty() { format!("/{}", mapping.version) } else { mapping.api_version() },
            mapping.resource
        );
        let message = status.message.take().unwrap_or_default();
        let (labels, fields) = (
            self.label_selector.clone().unwrap_or_default(),
            self.field_selector.clone().unwrap_or_default(),
        );
        status.message = Some(if labels.is_empty() && fields.is_empty() {
            format!("Unable to list {subject:?}: {message}")
        } else {
            format!(
                "Unable to find {subject:?} that match label selector {labels:?}, field selector {fields:?}: {message}"
            )
        });
        KubectlError::Status(status)
    }

    async fn by_tuples(&self, found: &mut Visited) -> Result<()> {
        found.single_item_implied |= self.tuples.len() == 1;
        found.targets_single_items = true;
        if !self.types.is_empty() {
            let text = "you may not specify individual resources and bulk resources in the same call";
            return Err(KubectlError::message(text));
        }
        let mapper = self.session.mapper().await?;
        let mappings = self.tuples.iter().map(|(word, _)| mapper.find(word)).collect::<Result<Vec<_>>>()?;
        if self.single_resource_type && mappings.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(several_types());
        }
        for (mapping, (_, name)) in mappings.into_iter().zip(&self.tuples) {
            self.named(mapping, name, found).await?;
        }
        Ok(())
    }

    async fn by_names(&self, found: &mut Visited) -> Result<()> {
        found.single_item_implied |= self.names.len() == 1;
        found.targets_single_items = true;
        match self.types.len() {
            0 => {
                return Err(KubectlError::message(
                    "you must provide a resource and a resource name together",
                ));
            }
            1 => {}
            _ => return Err(KubectlError::message("you must specify only one resource")),
        }
        let mapping = self.mappings().await?.remove(0);
        for name in &self.names {
            self.named(mapping.clone(), name, found).await?;
        }
        Ok(())
    }

    async fn named(&self, mapping: Arc<Mapping>, name: &str, found: &mut Visited) -> Result<()> {
        if !self.continue_on_error && !found.errors.is_empty() {
            return Ok(());
        }
        if mapping.namespaced && self.namespace.is_empty() {
            return Err(KubectlError::message(if self.all_namespaces {
                "a resource cannot be retrieved by name across all namespaces"
            } else {
                "namespace may not be empty when retrieving a resource by name"
            }));
        }
        let namespace = if mapping.namespaced { self.namespace.clone() } else { String::new() };
        let subresource = self.subresource.clone();
        let mut info =
            Info { mapping: Some(mapping), namespace, name: name.to_owned(), subresource, ..Info::default() };
        if self.require_object {
            let client = self.session.client().await?;
            if let Err(error) = self.fetch(&client, &mut info).await {
                found.errors.push(error);
                return Ok(());
            }
        }
        found.infos.push(info);
        Ok(())
    }

    pub(super) async fn fetch(&self, client: &Client, info: &mut Info) -> Result<()> {
        check_name(&info.name)?;
        info.object = client.json(self.with_accept(Request::get(info.path()?))).await?;
        Ok(())
    }
}

fn several_types() -> KubectlError {
    KubectlError::message("you may only specify a single resource type")
}

fn item_info(item: Value, mapping: &Arc<Mapping>) -> Info {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (name, namespace) = (text(&item["metadata"]["name"]), text(&item["metadata"]["namespace"]));
    Info { mapping: Some(mapping.clone()), namespace, name, object: item, ..Info::default() }
}

/// For verbs that look resources up by word without listing them.
impl Builder<'_> {
    /// The resource that a word means.
    pub async fn mapping(session: &Session, word: &str) -> Result<(Arc<Mapper>, Arc<Mapping>)> {
        let mapper = session.mapper().await?;
        let mapping = mapper.find(word)?;
        Ok((mapper, mapping))
    }
}
