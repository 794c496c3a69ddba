//! The form of an answer: objects and lists as they are, as tables, or as bare metadata; in JSON or YAML; pretty or not.
// Models k8s.io/apiserver/pkg/endpoints/handlers (transformResponseObject) and .../registry/rest (ConvertToTable).

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::{Content, Page, Reply, Rest};
use crate::api::codec::{self, MediaType};
use crate::api::kind::DynKind;
use crate::api::negotiate::{Conversion, Include, Output};
use crate::api::status::ApiError;

/// Writes the answers to one call in the form that its client wants.
#[derive(Clone)]
pub struct Presenter {
    rest: Rest,
    kind: crate::api::registry::KindRef,
    output: Output,
    /// Where the server keeps the kind's group and version warning.
    warning: Option<String>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Version {
    #[serde(rename = "resourceVersion")]
    resource_version: String,
}

impl Presenter {
    /// A presenter of objects of a kind.
    pub fn new(rest: &Rest, kind: crate::api::registry::KindRef, output: Output) -> Self {
        let warning = kind.info().warning.clone();
        Self { rest: rest.clone(), kind, output, warning }
    }

    /// The whole response.
    pub fn response(&self, reply: Reply) -> Result<Response<Body>, ApiError> {
        let json = match &reply.content {
            Content::Other(bytes) => bytes.clone(),
            Content::Object(bytes) => self.object(bytes)?,
            Content::List(page) => self.list(page),
        };
        let mut response = written(reply.code, &json, &self.output);
        add_warnings(&mut response, self.warning.iter().chain(&reply.warnings));
        Ok(response)
    }

    /// One object, in the form that was asked for.
    fn object(&self, bytes: &Bytes) -> Result<Bytes, ApiError> {
        match self.output.conversion {
            Conversion::None => Ok(bytes.clone()),
            Conversion::Metadata => {
                let head: Head<'_> = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
                Ok(partial(head.metadata.get()).into())
            }
            Conversion::Table(include) => {
                let head: Head<'_> = serde_json::from_slice(bytes).map_err(ApiError::internal)?;
                let version: Version = serde_json::from_str(head.metadata.get()).unwrap_or_default();
                let metadata = format!("{{\"resourceVersion\":{}}}", Value::from(version.resource_version));
                Ok(self.table(std::slice::from_ref(bytes), &metadata, include, true).into())
            }
        }
    }

    /// The object of a watch event. Only the first table of a watch has the columns.
    pub(super) fn event_object(&self, bytes: &Bytes, first: bool) -> Bytes {
        match self.output.conversion {
            Conversion::Table(include) => {
                let head: Result<Head<'_>, _> = serde_json::from_slice(bytes);
                let metadata = head.map(|head| head.metadata.get().to_owned()).unwrap_or_default();
                let version: Version = serde_json::from_str(&metadata).unwrap_or_default();
                let metadata = format!("{{\"resourceVersion\":{}}}", Value::from(version.resource_version));
                self.table(std::slice::from_ref(bytes), &metadata, include, first).into()
            }
            _ => self.object(bytes).unwrap_or_else(|_| bytes.clone()),
        }
    }

    fn list(&self, page: &Page) -> Bytes {
        // Only what is computed has no revision.
        let mut metadata = match page.revision {
            0 => "{".to_owned(),
            revision => format!("{{\"resourceVersion\":\"{revision}\""),
        };
        if !page.r#continue.is_empty() {
            metadata.push_str(&format!(",\"continue\":\"{}\"", page.r#continue));
        }
        if let Some(remaining) = page.remaining {
            metadata.push_str(&format!(",\"remainingItemCount\":{remaining}"));
        }
        metadata.push('}');
        let info = self.kind.info();
        let mut out = Vec::with_capacity(page.items.iter().map(Bytes::len).sum::<usize>() + 256);
        match self.output.conversion {
            Conversion::None if info.schema_type.is_none() => {
                let head = format!("{{\"apiVersion\":\"{}\",\"items\":[", info.api_version());
                out.extend_from_slice(head.as_bytes());
                self.items(page, &mut out);
                out.extend_from_slice(
                    format!("],\"kind\":\"{}\",\"metadata\":{metadata}}}", info.list_kind).as_bytes(),
                );
            }
            Conversion::None => {
                let (kind, version) = (&info.list_kind, info.api_version());
                let head = format!(
                    "{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata},\"items\":["
                );
                out.extend_from_slice(head.as_bytes());
                self.items(page, &mut out);
                out.extend_from_slice(b"]}");
            }
            Conversion::Metadata => {
                let head = format!(
                    "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata},\"items\":["
                );
                out.extend_from_slice(head.as_bytes());
                for (index, item) in page.items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    let head: Result<Head<'_>, _> = serde_json::from_slice(item);
                    out.extend_from_slice(partial(head.map_or("{}", |head| head.metadata.get())).as_bytes());
                }
                out.extend_from_slice(b"]}");
            }
            Conversion::Table(include) => return self.table(&page.items, &metadata, include, true).into(),
        }
        out.into()
    }

    fn items(&self, page: &Page, out: &mut Vec<u8>) {
        for (index, item) in page.items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let (opening, rest) = codec::list_item(self.kind.info(), item);
            out.extend_from_slice(opening);
            out.extend_from_slice(rest);
        }
    }

    fn table(&self, items: &[Bytes], metadata: &str, include: Include, columns: bool) -> String {
        let mut out = format!(
            "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata},\"columnDefinitions\":"
        );
        out.push_str(&if columns { column_definitions(&*self.kind) } else { "null".to_owned() });
        out.push_str(",\"rows\":[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            self.row(item, include, &mut out);
        }
        out.push_str("]}");
        out
    }

    fn row(&self, item: &Bytes, include: Include, out: &mut String) {
        let value: Value = serde_json::from_slice(item).unwrap_or_default();
        let cells = match self.kind.decode(value) {
            Ok(object) => self.kind.row(&*object, self.rest.clock().now()),
            Err(_) => vec![],
        };
        out.push_str(&format!("{{\"cells\":{}", Value::Array(cells)));
        let object = match include {
            Include::None => "null".to_owned(),
            Include::Object => String::from_utf8_lossy(item).into_owned(),
            Include::Metadata => {
                let head: Result<Head<'_>, _> = serde_json::from_slice(item);
                partial(head.map_or("{}", |head| head.metadata.get()))
            }
        };
        out.push_str(&format!(",\"object\":{object}}}"));
    }
}

fn partial(metadata: &str) -> String {
    format!(
        "{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata}}}"
    )
}

fn column_definitions(kind: &dyn DynKind) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let one = |column: crate::api::table::Column| {
        format!(
            "{{\"name\":{},\"type\":{},\"format\":{},\"description\":{},\"priority\":{}}}",
            text(column.name),
            text(column.r#type),
            text(column.format),
            text(column.description),
            column.priority
        )
    };
    let columns: Vec<String> = kind.columns().into_iter().map(one).collect();
    format!("[{}]", columns.join(","))
}

/// A response of JSON in the form that was asked for.
pub fn written(code: u16, json: &[u8], output: &Output) -> Response<Body> {
    let (media, body) = match output.media {
        MediaType::Json if output.pretty => ("application/json", codec::pretty(json)),
        MediaType::Json => ("application/json", [json, b"\n"].concat().into()),
        MediaType::Yaml => {
            let value: Value = serde_json::from_slice(json).unwrap_or_default();
            ("application/yaml", crate::yaml::to_string(&value).into())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// Adds `Warning` headers, each text once.
// Models k8s.io/apimachinery/pkg/util/net (NewWarningHeader).
pub fn add_warnings<'a>(response: &mut Response<Body>, warnings: impl Iterator<Item = &'a String>) {
    let mut seen: Vec<&String> = vec![];
    for warning in warnings {
        if seen.contains(&warning) {
            continue;
        }
        seen.push(warning);
        let text: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{text}\"").as_bytes()) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}

/// A refusal as a response.
pub fn refused(error: &ApiError, output: &Output) -> Response<Body> {
    let mut response = written(error.code(), &error.to_json(), output);
    if let Some(seconds) = error.0.details.as_ref().and_then(|details| details.retry_after_seconds) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
