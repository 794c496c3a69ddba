//! Secret: data that is kept apart because it is secret.
// Models pkg/registry/core/secret and pkg/apis/core/validation (ValidateSecret).

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use super::config_map::MAX_DATA_BYTES;
use super::tls;
use crate::api::field::{FieldError, FieldPath};
use crate::api::kind::{Kind, WriteContext};
use crate::api::kinds::unset::{default_text, text};
use crate::api::kinds::{cells, checks};
use crate::api::status::ApiError;
use crate::api::table::{Cell, Column};
use crate::meta::names;

/// The annotation that says for which service account a token is.
const ACCOUNT_ANNOTATION: &str = "kubernetes.io/service-account.name";

/// `v1` Secret.
pub struct SecretKind;

impl Kind for SecretKind {
    type Object = Secret;

    fn default(secret: &mut Secret) {
        default_text(&mut secret.type_, "Opaque");
        // What was written as text is kept as bytes; the text itself is write-only.
        for (key, value) in secret.string_data.take().into_iter().flatten() {
            secret.data.get_or_insert_default().insert(key, ByteString(value.into_bytes()));
        }
    }

    fn prepare_update(_context: &WriteContext<'_>, new: &mut Secret, old: &Secret) -> Result<(), ApiError> {
        default_text(&mut new.type_, text(&old.type_));
        Ok(())
    }

    fn validate(secret: &Secret) -> Vec<FieldError> {
        let (field, mut errors, mut size) = (FieldPath::new("data"), vec![], 0);
        for (key, value) in secret.data.iter().flatten() {
            errors.extend(checks::each(names::config_map_key(key), &field.key(key), key));
            size += value.0.len();
        }
        if size > MAX_DATA_BYTES {
            errors.push(FieldError::too_long(&field, MAX_DATA_BYTES));
        }
        errors.extend(validate_type(secret, &field));
        errors
    }

    fn validate_update(new: &Secret, old: &Secret) -> Vec<FieldError> {
        let mut errors = checks::immutable(&text(&new.type_), &text(&old.type_), &FieldPath::new("type"));
        if old.immutable == Some(true) {
            let why = "field is immutable when `immutable` is set";
            if new.immutable != Some(true) {
                errors.push(FieldError::forbidden(&FieldPath::new("immutable"), why));
            }
            if new.data.as_ref().filter(|data| !data.is_empty())
                != old.data.as_ref().filter(|data| !data.is_empty())
            {
                errors.push(FieldError::forbidden(&FieldPath::new("data"), why));
            }
        }
        errors
    }

    fn warnings(secret: &Secret, _old: Option<&Secret>) -> Vec<String> {
        let tls = text(&secret.type_) == "kubernetes.io/tls";
        tls.then(|| tls::pair_warning(secret)).flatten().into_iter().collect()
    }

    fn selectable_fields(secret: &Secret) -> Vec<(&'static str, String)> {
        vec![("type", text(&secret.type_).to_owned())]
    }

    fn columns() -> Vec<Column> {
        vec![
            Column::NAME,
            Column::string("Type", "What the secret is for, which says what keys it has"),
            Column::string("Data", "How many keys the secret has"),
            Column::AGE,
        ]
    }

    fn row(secret: &Secret, now: Timestamp) -> Vec<Cell> {
        let keys = secret.data.as_ref().map_or(0, |data| data.len());
        vec![
            cells::name(&secret.metadata),
            text(&secret.type_).into(),
            keys.into(),
            cells::age(&secret.metadata, now),
        ]
    }
}

/// What the type says that there must be.
fn validate_type(secret: &Secret, field: &FieldPath) -> Vec<FieldError> {
    let value =
        |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let required = |key: &str| FieldError::required(&field.key(key), "");
    let json = |key: &str| match value(key) {
        None => vec![required(key)],
        Some(bytes) => match serde_json::from_slice::<Map<String, Value>>(bytes) {
            Ok(_) => vec![],
            Err(error) => vec![FieldError::invalid(
                &field.key(key),
                "<secret contents redacted>",
                go_json_error(bytes, &error),
            )],
        },
    };
    match text(&secret.type_) {
        "kubernetes.io/service-account-token" => {
            let annotation = secret.metadata.annotations.as_ref().and_then(|all| all.get(ACCOUNT_ANNOTATION));
            let annotations = FieldPath::new("metadata").child("annotations").key(ACCOUNT_ANNOTATION);
            if annotation.is_none_or(String::is_empty) {
                vec![FieldError::required(&annotations, "")]
            } else {
                vec![]
            }
        }
        "kubernetes.io/dockercfg" => json(".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json(".dockerconfigjson"),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            vec![required("username"), required("password")]
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(<[u8]>::is_empty) => {
            vec![required("ssh-privatekey")]
        }
        "kubernetes.io/tls" => {
            ["tls.crt", "tls.key"].into_iter().filter(|key| value(key).is_none()).map(required).collect()
        }
        _ => vec![],
    }
}

/// What Go's JSON reader says of bytes that are not an object.
fn go_json_error(bytes: &[u8], error: &serde_json::Error) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let kind = match value {
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            _ => "array",
        };
        return format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
    }
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = error.line().saturating_sub(1);
    let start: usize = bytes.split(|byte| *byte == b'\n').take(line).map(|line| line.len() + 1).sum();
    let at = (start + error.column().saturating_sub(1)).min(bytes.len().saturating_sub(1));
    let found = char::from(bytes.get(at).copied().unwrap_or_default());
    format!("invalid character {found:?} looking for beginning of value")
}

#[cfg(test)]
mod tests {
    use crate::api::kinds::samples::{change_refused, defaulted, read, refused};

    fn secret(rest: &str) -> String {
        format!("{{apiVersion: v1, kind: Secret, metadata: {{name: login, namespace: default}}, {rest}}}")
    }

    #[test]
    fn text_becomes_bytes() {
        insta::assert_snapshot!(defaulted(&secret("stringData: {user: admin}, data: {user: b2xk, key: a2V5}")), @"
        apiVersion: v1
        data:
          key: a2V5
          user: YWRtaW4=
        kind: Secret
        metadata:
          name: login
          namespace: default
        type: Opaque
        ");
    }

    #[test]
    fn a_type_says_what_there_must_be() {
        let cases = [
            ("type: kubernetes.io/tls", "data[tls.crt]: Required value\ndata[tls.key]: Required value"),
            (
                "type: kubernetes.io/basic-auth",
                "data[username]: Required value\ndata[password]: Required value",
            ),
            ("type: kubernetes.io/ssh-auth", "data[ssh-privatekey]: Required value"),
            ("type: kubernetes.io/dockerconfigjson", "data[.dockerconfigjson]: Required value"),
            (
                "type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '[]'}",
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": json: cannot unmarshal array into Go value \
                 of type map[string]interface {}",
            ),
            (
                "type: kubernetes.io/service-account-token",
                "metadata.annotations[kubernetes.io/service-account.name]: Required value",
            ),
            ("type: own", ""),
        ];
        for (rest, expected) in cases {
            assert_eq!(refused(&secret(rest)), expected, "{rest}");
        }
    }

    #[test]
    fn the_type_stays_and_an_immutable_one_stays_whole() {
        let frozen = secret("immutable: true, stringData: {a: b}");
        let words = "Forbidden: field is immutable when `immutable` is set";
        assert_eq!(
            change_refused(&frozen, &secret("immutable: true, stringData: {a: c}")),
            format!("data: {words}")
        );
        assert_eq!(change_refused(&frozen, &secret("stringData: {a: b}")), format!("immutable: {words}"));
        let kept = "type: Invalid value: \"own\": field is immutable";
        assert_eq!(change_refused(&secret("type: Opaque"), &secret("type: own")), kept);
    }

    #[test]
    fn a_key_that_does_not_fit_is_warned_about() {
        let pair = || {
            let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
            (made.cert.pem(), made.signing_key.serialize_pem())
        };
        let ((certificate, key), (_, other)) = (pair(), pair());
        let warned = |certificate: &str, key: &str| {
            let data = serde_json::json!({"tls.crt": certificate, "tls.key": key});
            let (kind, object) = read(&secret(&format!("type: kubernetes.io/tls, stringData: {data}")));
            kind.warnings(&*object, None).join("\n")
        };
        assert_eq!(warned(&certificate, &key), "");
        assert_eq!(warned(&certificate, &other), "tls: private key does not match public key");
        assert_eq!(warned("none", &key), "tls: failed to find any PEM data in certificate input");
        assert_eq!(warned(&certificate, "none"), "tls: failed to find any PEM data in key input");
    }
}
