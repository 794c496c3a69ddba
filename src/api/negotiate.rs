//! Which form a client wants an answer in, and which form its body has: `Accept`, `Content-Type` and `?pretty`.
// Models k8s.io/apiserver/pkg/endpoints/handlers/negotiation.

use http::{HeaderMap, header};

use super::codec::MediaType;
use super::request::Query;
use super::status::ApiError;

/// What the answer is turned into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conversion {
    /// The object as it is.
    #[default]
    None,
    /// A `meta.k8s.io/v1` Table.
    Table(Include),
    /// A `meta.k8s.io/v1` PartialObjectMetadata, or a list of them.
    Metadata,
}

/// What a row of a table carries besides its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// The object's metadata.
    #[default]
    Metadata,
    /// The object.
    Object,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it is written.
    pub media: MediaType,
    /// What it is turned into.
    pub conversion: Conversion,
    /// Whether it is for human eyes.
    pub pretty: bool,
}

impl Output {
    /// Plain JSON on one line.
    pub const JSON: Self = Self { media: MediaType::Json, conversion: Conversion::None, pretty: false };

    /// Reads what a client accepts; 406 if nothing fits.
    pub fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Self, ApiError> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let pretty = is_pretty(headers, query);
        if accept.trim().is_empty() {
            return Ok(Self { pretty, ..Self::JSON });
        }
        let mut clauses: Vec<Clause> = accept.split(',').map(Clause::parse).collect();
        // The sort is stable: of equals, the first counts.
        clauses.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let chosen = clauses.iter().find_map(|clause| Some((clause, clause.media()?)));
        let (clause, media) = chosen.ok_or_else(|| {
            ApiError::not_acceptable(
                "only the following media types are accepted: application/json, application/yaml",
            )
        })?;
        let conversion = match clause.kind.as_str() {
            "Table" => Conversion::Table(include(query)?),
            "" => Conversion::None,
            _ => Conversion::Metadata,
        };
        Ok(Self { media, conversion, pretty: pretty || clause.pretty })
    }
}

/// One choice of an `Accept` header.
#[derive(Debug, Default)]
struct Clause {
    media: String,
    weight: f64,
    kind: String,
    group: String,
    version: String,
    pretty: bool,
    unknown_stream: bool,
}

impl Clause {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_lowercase();
        let mut clause = Self { media, weight: 1.0, ..Self::default() };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                "q" => clause.weight = value.parse().unwrap_or(1.0),
                "as" => clause.kind = value.to_owned(),
                "g" => clause.group = value.to_owned(),
                "v" => clause.version = value.to_owned(),
                "pretty" => clause.pretty = value == "1",
                "stream" => clause.unknown_stream = !value.is_empty() && value != "watch",
                _ => {}
            }
        }
        clause
    }

    /// The media type that satisfies the choice, if one does.
    fn media(&self) -> Option<MediaType> {
        let known =
            ["Table", "PartialObjectMetadata", "PartialObjectMetadataList"].contains(&self.kind.as_str());
        let convertible = known && self.group == "meta.k8s.io" && self.version == "v1";
        if self.unknown_stream || !(self.kind.is_empty() || convertible) {
            return None;
        }
        match self.media.as_str() {
            "application/json" | "application/*" | "*/*" => Some(MediaType::Json),
            "application/yaml" => Some(MediaType::Yaml),
            _ => None,
        }
    }
}

fn include(query: &Query) -> Result<Include, ApiError> {
    match query.get("includeObject").unwrap_or_default() {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        other => Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', 'Object', \
             'None', or empty"
        ))),
    }
}

/// Whether the answer is for human eyes: `?pretty` says so, or the client is one of those that people use.
pub fn is_pretty(headers: &HeaderMap, query: &Query) -> bool {
    if let Some(pretty) = query.get("pretty").filter(|text| !text.is_empty()) {
        return ["1", "t", "T", "TRUE", "true", "True"].contains(&pretty);
    }
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|prefix| agent.starts_with(prefix))
}

/// How a body is written, as a client says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A form that the codec reads.
    Text(MediaType),
    /// Kubernetes' protobuf, which is made JSON first.
    Protobuf,
}

/// How a body is written; 415 if the server does not read that.
pub fn input(headers: &HeaderMap) -> Result<Input, ApiError> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text.split(';').next().unwrap_or_default().trim().to_lowercase().as_str() {
        "" | "application/json" => Ok(Input::Text(MediaType::Json)),
        "application/yaml" => Ok(Input::Text(MediaType::Yaml)),
        "application/vnd.kubernetes.protobuf" => Ok(Input::Protobuf),
        _ => Err(ApiError::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &str) -> Result<Output, ApiError> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, text.parse().unwrap())]);
        Output::negotiate(&headers, &Query::default())
    }

    #[test]
    fn the_first_choice_that_can_be_served_counts() {
        let table = Conversion::Table(Include::Metadata);
        let cases = [
            ("", Conversion::None),
            ("*/*", Conversion::None),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                table,
            ),
            ("application/vnd.kubernetes.protobuf,application/json", Conversion::None),
            ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Conversion::None),
            ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", Conversion::Metadata),
            ("application/json;q=0.5,application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9", table),
        ];
        for (text, expected) in cases {
            assert_eq!(accept(text).unwrap().conversion, expected, "{text}");
        }
        assert_eq!(accept("application/vnd.kubernetes.protobuf").unwrap_err().code(), 406);
        assert_eq!(accept("application/yaml").unwrap().media, MediaType::Yaml);
    }

    #[test]
    fn curl_gets_it_pretty_unless_it_says_otherwise() {
        let headers = HeaderMap::from_iter([(header::USER_AGENT, "curl/8.5.0".parse().unwrap())]);
        assert!(is_pretty(&headers, &Query::default()));
        assert!(!is_pretty(&headers, &Query::parse("pretty=false")));
        assert!(is_pretty(&HeaderMap::new(), &Query::parse("pretty=true")));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(accept in "[a-z/*;=,q0-9. ]{0,60}|\\PC{0,60}", query in "\\PC{0,40}") {
            if let Ok(value) = accept.parse::<http::HeaderValue>() {
                let both = [(header::ACCEPT, value.clone()), (header::CONTENT_TYPE, value)];
                let headers = HeaderMap::from_iter(both);
                let _ = Output::negotiate(&headers, &Query::parse(&query));
                let _ = input(&headers);
            }
        }
    }
}
