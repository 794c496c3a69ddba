//! What the API answers when it refuses: a `Status` with Kubernetes' own reasons and messages.
//!
//! [`ApiError`] is the one error type of the API floor. Its constructors are named after the reasons.
// Models k8s.io/apimachinery/pkg/api/errors.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Status, StatusCause, StatusDetails};

use super::field::FieldError;

/// A refusal, as a `Status` object with its HTTP code.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError(pub Box<Status>);

/// Which resource a request was about, for messages: `deployments.apps`, or `pods` in the core group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupResource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, like `deployments`.
    pub resource: String,
}

impl GroupResource {
    /// A resource of a group.
    pub fn new(group: &str, resource: &str) -> Self {
        Self { group: group.to_owned(), resource: resource.to_owned() }
    }
}

impl std::fmt::Display for GroupResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.message.as_deref().unwrap_or("unknown error"))
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// A refusal with a code, a reason and a message.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Status {
            metadata: ListMeta::default(),
            status: Some("Failure".to_owned()),
            message: Some(message.into()),
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            code: Some(i32::from(code)),
            details: None,
        }))
    }

    /// The refusal as the JSON that is sent.
    pub fn to_json(&self) -> bytes::Bytes {
        let value = serde_json::to_value(&self.0).expect("a Status has string keys only");
        super::codec::encode_value(&super::codec::Target::named("", "v1", "Status"), &value)
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.0.code.and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
    }

    /// The reason, like `NotFound`.
    pub fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or_default()
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.0.details = Some(StatusDetails {
            name: some(name),
            group: some(group),
            kind: some(kind),
            ..StatusDetails::default()
        });
        self
    }

    /// Adds a cause to the details.
    #[must_use]
    pub fn cause(mut self, reason: &str, message: &str, field: Option<&str>) -> Self {
        let details = self.0.details.get_or_insert_default();
        details.causes.get_or_insert_default().push(StatusCause {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            field: field.map(str::to_owned),
        });
        self
    }

    /// Tells the client to try again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: i32) -> Self {
        self.0.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// 404: there is no object of that name.
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {name:?} not found")).about(
            &resource.group,
            &resource.resource,
            name,
        )
    }

    /// 404: there is no such path.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").about("", "", "")
    }

    /// 409: there is an object of that name already.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).about(
            &resource.group,
            &resource.resource,
            name,
        )
    }

    /// 409: the object has changed since it was read, or something else is in the way.
    pub fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::new(409, "Conflict", message).about(&resource.group, &resource.resource, name)
    }

    /// 422: fields of the object are wrong.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let list = match &messages[..] {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut error = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {list}"))
            .about(group, kind, name);
        for e in errors {
            error = error.cause(e.kind.reason(), &e.body(), Some(&e.field.to_string()));
        }
        error
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 403: it is understood, and refused.
    pub fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {name:?} is forbidden: {why}")
        };
        Self::new(403, "Forbidden", message).about(&resource.group, &resource.resource, name)
    }

    /// 401: who are you?
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 405: the resource does not have that verb.
    pub fn method_not_supported(resource: &GroupResource, verb: &str) -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            format!("{verb} is not supported on resources of kind \"{resource}\""),
        )
        .about(&resource.group, &resource.resource, "")
    }

    /// 410: the revision asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 413: the body is larger than the server reads.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: the body is of a type that the server does not read.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 406: the client accepts nothing that the server can write.
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// 429: later, please.
    pub fn too_many_requests(message: impl Into<String>, retry_seconds: i32) -> Self {
        Self::new(429, "TooManyRequests", message).retry_after(retry_seconds)
    }

    /// 500: the server is at fault.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        let text = message.to_string();
        Self::new(500, "InternalError", format!("Internal error occurred: {text}")).cause("", &text, None)
    }

    /// 504: the request took too long.
    pub fn timeout(message: &str) -> Self {
        Self::new(504, "Timeout", format!("Timeout: {message}"))
    }

    /// 503: what the request needs cannot be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }
}
