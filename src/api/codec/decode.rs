//! Bodies to values: kind checks, types, unknown and repeated fields, canonical scalars, no zero values.
// Models k8s.io/apimachinery/pkg/runtime/serializer/json, sigs.k8s.io/json and transformDecodeError of
// apiserver/pkg/endpoints/handlers.

use serde_json::Value;

use super::node::{self, Node};
use super::target::{Target, join};
use super::walk::{Walk, word};
use super::yaml;
use crate::api::kind::KindInfo;
use crate::api::schema;
use crate::api::status::ApiError;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// What becomes of unknown and repeated fields (`?fieldValidation=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped, with a warning each.
    Warn,
    /// They are an error.
    Strict,
}

/// A body that was read.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The object as Go would hold it: of zero values only those that the server always writes (so that it is the same when
    /// it is read back from the store), no nulls, canonical quantities and times.
    pub value: Value,
    /// `unknown field "spec.foo"` and the like, for `Warning` headers.
    pub warnings: Vec<String>,
}

/// Reads an object of a kind; errors are what the API server answers to such a body.
pub fn decode(
    kind: &KindInfo,
    body: &[u8],
    media: MediaType,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    decode_as(&Target::of(kind), body, media, validation)
}

/// Reads a body as plain JSON, whatever it holds; for bodies without a kind, and for those that patches are made of.
pub fn parse(body: &[u8], media: MediaType) -> Result<Value, String> {
    match media {
        MediaType::Json => node::read(body).map(|node| node.to_value()),
        MediaType::Yaml => yaml::read(body).map(|node| node.to_value()),
    }
}

/// Reads an object of a kind that need not be a row of the registry.
pub fn decode_as(
    target: &Target<'_>,
    body: &[u8],
    media: MediaType,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let node = match media {
        MediaType::Json => node::read(body).map_err(|error| {
            unrecognized(target, body, &format!("couldn't get version/kind; json parse error: {error}"))
        })?,
        MediaType::Yaml => yaml::read(body).map_err(|error| unrecognized(target, body, &error))?,
    };
    let identity = Identity::of(&node, target).map_err(|error| unrecognized(target, body, &error))?;
    identity.check(target)?;
    let mut walk = Walk::new(target.custom);
    let value = walk.object(&node, target).map_err(|error| identity.cannot_be_handled(target, &error))?;
    let mut strict = walk.strict;
    if media == MediaType::Yaml && validation != FieldValidation::Ignore {
        strict.splice(0..0, yaml::repeated_keys(body));
    }
    match validation {
        FieldValidation::Strict if !strict.is_empty() => {
            Err(identity.cannot_be_handled(target, &format!("strict decoding error: {}", strict.join(", "))))
        }
        FieldValidation::Ignore => Ok(Decoded { value, warnings: vec![] }),
        _ => Ok(Decoded { value, warnings: strict }),
    }
}

/// Reads what a patch has made, with bare errors; kind and version are not looked at.
pub fn decode_loosely(target: &Target<'_>, body: &[u8]) -> Result<Decoded, String> {
    let node = node::read(body)?;
    let mut walk = Walk::new(target.custom);
    let value = walk.object(&node, target)?;
    Ok(Decoded { value, warnings: walk.strict })
}

/// What is wrong with repeated keys of a document, JSON or YAML.
pub fn repeated_fields(body: &[u8]) -> Vec<String> {
    let mut walk = Walk::new(true);
    match node::read(body) {
        Ok(node) => walk.custom_value(&node, None),
        Err(_) => return yaml::repeated_keys(body).into_iter().collect(),
    };
    walk.strict
}

/// A body of which not even the kind could be read.
fn unrecognized(target: &Target<'_>, body: &[u8], error: &str) -> ApiError {
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {error} ({})",
        target.kind,
        summary(body)
    ))
}

/// The first bytes of a body: as text if it may be JSON or YAML, else in hexadecimal.
// Models summarizeData.
fn summary(body: &[u8]) -> String {
    const MOST: usize = 30;
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    let cut = &body[..body.len().min(MOST)];
    let dots = if body.len() > MOST { " ..." } else { "" };
    if body[0] == b'{' {
        return format!("{}{dots}", String::from_utf8_lossy(cut));
    }
    let hex: String = cut.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}{dots}")
}

/// Group, version and kind as the body says, the target's where it is silent.
struct Identity {
    group: String,
    version: String,
    kind: String,
}

impl Identity {
    fn of(node: &Node<'_>, target: &Target<'_>) -> Result<Self, String> {
        let prefix = "couldn't get version/kind; json parse error: json: cannot unmarshal";
        if !matches!(node, Node::Object(_) | Node::Null) {
            let go = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
            return Err(format!("{prefix} {} into Go value of type {go}", word(node)));
        }
        let text = |key: &str| match node.get(key) {
            None | Some(Node::Null) => Ok(""),
            Some(Node::String(text)) => Ok(text.as_ref()),
            Some(other) => {
                Err(format!("{prefix} {} into Go struct field .{key} of type string", word(other)))
            }
        };
        let (api_version, kind) = (text("apiVersion")?, text("kind")?);
        let (group, version) = match api_version.split_once('/') {
            None => ("", api_version),
            Some((_, version)) if version.contains('/') => {
                return Err(format!("unexpected GroupVersion string: {api_version}"));
            }
            Some(parts) => parts,
        };
        let (group, version) = match (group, version) {
            ("", "") => (target.group, target.version),
            (group, "") if group == target.group => (group, target.version),
            parts => parts,
        };
        let kind = if kind.is_empty() { target.kind } else { kind };
        Ok(Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() })
    }

    /// Refuses an object of another kind or version than the request is about.
    fn check(&self, target: &Target<'_>) -> Result<(), ApiError> {
        if self.group == target.group && self.version == target.version && self.kind == target.kind {
            return Ok(());
        }
        let given = join(&self.group, &self.version);
        if target.custom {
            if self.kind != target.kind {
                return Err(self.cannot_be_handled(
                    target,
                    &format!("no kind {:?} is registered for version {given:?}", self.kind),
                ));
            }
        } else if schema::name_of(&self.group, &self.version, &self.kind).is_none() {
            let scheme = "pkg/api/legacyscheme/scheme.go:30";
            let what =
                format!("no kind {:?} is registered for version {given:?} in scheme {scheme:?}", self.kind);
            return Err(self.cannot_be_handled(target, &what));
        } else if self.kind != target.kind {
            let package = if target.group.is_empty() {
                "core"
            } else {
                target.group.split('.').next().unwrap_or_default()
            };
            let what = format!(
                "converting ({}.{}) to ({package}.{}): unknown conversion",
                self.version, self.kind, target.kind
            );
            return Err(self.cannot_be_handled(target, &what));
        }
        let expected = target.api_version();
        Err(ApiError::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({expected})"
        )))
    }

    fn cannot_be_handled(&self, target: &Target<'_>, error: &str) -> ApiError {
        let (kind, version) = (&self.kind, &self.version);
        ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {error}",
            target.kind
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::codec::{Target, encode_value, pretty, to_canonical_value};
    use proptest::prelude::*;
    use serde_json::json;

    fn read(target: &Target<'_>, body: &str) -> Result<Decoded, String> {
        decode_as(target, body.as_bytes(), MediaType::Json, FieldValidation::Strict)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn refusals_are_in_the_servers_words() {
        let pod = Target::named("", "v1", "Pod");
        let cases = [
            (
                r#"{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"imagee":"x","name":"a","prots":[]}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagee", unknown field "spec.containers[0].prots""#,
            ),
            (
                r#"{"kind":"pod","apiVersion":"v1"}"#,
                r#"pod in version "v1" cannot be handled as a Pod: no kind "pod" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30""#,
            ),
            (
                r#"{"spec":{"containers":[{"ports":[{"containerPort":"http"}]}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"#,
            ),
            (
                r#"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"#,
            ),
            (
                r#"{"metadata":{"labels":{"a":1}}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"#,
            ),
            (
                r#"{"metadata":{"name":"a","name":"b"}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: strict decoding error: duplicate field "metadata.name""#,
            ),
            (
                r#"{"spec":{"containers":[{"imagePullPolicy":5}]}}"#,
                r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field Container.spec.containers.imagePullPolicy of type v1.PullPolicy"#,
            ),
            (
                r#"{"kind":"Service","apiVersion":"v1"}"#,
                r#"Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion"#,
            ),
            (
                "{bad",
                r#"the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character 'b' looking for beginning of object key string ({bad)"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(read(&pod, body).unwrap_err(), expected, "{body}");
        }
        let deployment = Target::named("apps", "v1", "Deployment");
        let wrong_version = decode_as(
            &deployment,
            br#"{"kind":"Deployment","apiVersion":"v1"}"#,
            MediaType::Json,
            FieldValidation::Warn,
        );
        assert!(
            wrong_version
                .unwrap_err()
                .to_string()
                .contains(r#"no kind "Deployment" is registered for version "v1""#)
        );
    }

    #[test]
    fn values_are_what_go_would_hold() {
        let body = r#"{"metadata":{"name":"a","creationTimestamp":null,"labels":{"x":null}},"spec":{"hostNetwork":false,
            "volumes":[{"name":"v","emptyDir":{}}],"terminationGracePeriodSeconds":0,"nodeSelector":{},
            "containers":[{"name":"c","resources":{"requests":{"cpu":0.5,"memory":"1024Mi"}}}]}}"#;
        let value = read(&Target::named("", "v1", "Pod"), body).unwrap().value;
        let expected = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "labels": {"x": ""}}, "status": {},
            "spec": {"volumes": [{"name": "v", "emptyDir": {}}], "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]}
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn bytes_are_what_the_server_writes() {
        let deployment = Target::named("apps", "v1", "Deployment");
        let body = r#"{"metadata":{"name":"<a>"},"spec":{"replicas":0,"template":{"spec":{"containers":[{"image":"x"}]}}}}"#;
        let value = read(&deployment, body).unwrap().value;
        let bytes = encode_value(&deployment, &value);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"\u003ca\u003e"},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":[{"name":"","image":"x","resources":{}}]}},"strategy":{}},"status":{}}"#
        );
        assert!(pretty(&bytes).starts_with(
            b"{\n  \"kind\": \"Deployment\",\n  \"apiVersion\": \"apps/v1\",\n  \"metadata\": {\n"
        ));
    }

    #[test]
    fn stamps_surround_the_resource_version() {
        use crate::api::kind::Typed;
        use crate::api::kinds::core::config_map::ConfigMapKind;
        let kind = Typed::<ConfigMapKind>::boxed();
        let value = json!({"metadata": {"name": "a", "resourceVersion": "5", "generation": 1}, "data": {"b": "1", "a": "2"}});
        let bytes = crate::api::codec::encode(kind.info(), &value).at(42);
        let expected = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"42","generation":1},"data":{"a":"2","b":"1"}}"#;
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        let mut info = kind.info().clone();
        info.schema_type = None;
        let bytes = crate::api::codec::encode(
            &info,
            &json!({"kind": "W", "metadata": {"name": "a", "uid": "u"}, "b": 1.0}),
        )
        .at(7);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            r#"{"b":1,"kind":"W","metadata":{"name":"a","resourceVersion":"7","uid":"u"}}"#
        );
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back_the_same(labels in proptest::collection::btree_map("[a-z]{1,5}", "\\PC{0,5}", 0..4),
            cpu in "[0-9]{1,4}(m|k|Mi|)", replicas in any::<i32>(), flag: bool, seconds in 0_i64..4_000_000_000) {
            let time = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            let body = json!({"metadata": {"labels": labels, "creationTimestamp": time}, "spec": {"replicas": replicas, "paused": flag,
                "template": {"spec": {"containers": [{"resources": {"limits": {"cpu": cpu}}}, {}]}}}});
            let target = Target::named("apps", "v1", "Deployment");
            let first = read(&target, &body.to_string()).unwrap().value;
            let bytes = encode_value(&target, &first);
            let second = read(&target, std::str::from_utf8(&bytes).unwrap()).unwrap().value;
            prop_assert_eq!(&first, &second);
            let stored: k8s_openapi::api::apps::v1::Deployment = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(serde_json::from_value::<k8s_openapi::api::apps::v1::Deployment>(first.clone()).unwrap(), stored);
            prop_assert_eq!(to_canonical_value(&target, &second), serde_json::from_slice::<Value>(&bytes).unwrap());
        }

        #[test]
        fn no_json_makes_it_panic(spec in crate::api::testing::any_json(), status in crate::api::testing::any_json()) {
            let target = Target::named("", "v1", "Pod");
            let body = json!({"spec": spec, "status": status, "metadata": {"labels": spec.clone()}});
            if let Ok(decoded) = decode_as(&target, body.to_string().as_bytes(), MediaType::Json, FieldValidation::Ignore) {
                encode_value(&target, &decoded.value);
            }
            if let Ok(decoded) = crate::api::codec::from_unstructured(&target, body) {
                encode_value(&target, &decoded.value);
            }
        }
    }
}
