//! What is agreed on before bytes flow: names of protocols, which streams a request wants, and how an end is told.
//!
//! Called by both ends. Framing is not here.
// Models k8s.io/apimachinery/pkg/util/remotecommand and k8s.io/cri-streaming/pkg/streaming/remotecommand.

use http::{HeaderMap, HeaderValue};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};
use serde::{Deserialize, Serialize};

/// WebSocket and SPDY: channels with a JSON status at the end.
pub const V4: &str = "v4.channel.k8s.io";
/// WebSocket: as [`V4`], and a client can close a single channel.
pub const V5: &str = "v5.channel.k8s.io";
/// SPDY's older versions, the newest first. The first two end with an error in plain text.
pub const OLDER: [&str; 3] = ["v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"];
/// Port forwarding over SPDY.
pub const PORT_FORWARD: &str = "portforward.k8s.io";
/// Port forwarding over SPDY inside a WebSocket.
pub const PORT_FORWARD_TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// The value of `Upgrade` for SPDY.
pub const SPDY_31: &str = "SPDY/3.1";
/// The header in which SPDY clients offer protocols, and are told which was chosen.
pub const PROTOCOL_HEADER: &str = "x-stream-protocol-version";
/// The header that names what would have been accepted.
pub const ACCEPTED_HEADER: &str = "x-accepted-stream-protocol-versions";

/// The header of a SPDY stream that says what it carries.
pub const STREAM_TYPE: &str = "streamtype";
/// The header of a SPDY stream with the port to forward to.
pub const PORT: &str = "port";
/// The header of a SPDY stream that pairs data with errors.
pub const REQUEST_ID: &str = "requestid";

/// Channel numbers of a remote command over WebSocket.
pub mod channel {
    pub const STDIN: u8 = 0;
    pub const STDOUT: u8 = 1;
    pub const STDERR: u8 = 2;
    pub const ERROR: u8 = 3;
    pub const RESIZE: u8 = 4;
    /// From v5: the next byte names a channel on which nothing more comes.
    pub const CLOSE: u8 = 255;
}

/// What can go wrong between two ends of a stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The transport broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The other end does not keep to the protocol.
    #[error("{0}")]
    Protocol(String),
    /// The other end answered the upgrade with something else: HTTP status code and body.
    #[error("unable to upgrade connection: {message}")]
    Refused { code: u16, message: String },
    /// The other end did not do its part in time.
    #[error("timed out waiting for client to create streams")]
    TimedOut,
}

/// The size of a terminal in characters, as kubectl sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

/// Which streams a remote command has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

impl StreamOptions {
    /// Reads the kubelet's own query parameters (`input=1`) or the API's (`stdin=true`).
    // Models k8s.io/cri-streaming/pkg/streaming/remotecommand (NewOptions).
    pub fn from_query(query: &str) -> Result<Self, StreamError> {
        let set = |short: &str, long: &str| {
            query_values(query, short)
                .chain(query_values(query, long))
                .any(|value| value == "1" || value == "true")
        };
        let tty = set("tty", "tty");
        let options = Self {
            stdin: set("input", "stdin"),
            stdout: set("output", "stdout"),
            stderr: set("error", "stderr") && !tty,
            tty,
        };
        if !options.stdin && !options.stdout && !options.stderr {
            return Err(StreamError::Protocol(
                "you must specify at least 1 of stdin, stdout, stderr".to_owned(),
            ));
        }
        Ok(options)
    }
}

/// The decoded values of a query parameter, in order.
pub fn query_values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Every value of a header that is a list, whether repeated or joined by commas.
pub fn list_header(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

/// The first protocol that the client offers and the server has.
pub fn negotiate(offered: &[String], supported: &[&'static str]) -> Option<&'static str> {
    offered.iter().find_map(|offer| supported.iter().find(|name| *name == offer).copied())
}

/// Whether a request asks for an upgrade to SPDY.
pub fn is_spdy_request(headers: &HeaderMap) -> bool {
    let upgrade = list_header(headers, "upgrade").iter().any(|value| value.eq_ignore_ascii_case(SPDY_31));
    upgrade && list_header(headers, "connection").iter().any(|value| value.eq_ignore_ascii_case("upgrade"))
}

/// The headers of an answer that switches to SPDY.
pub fn spdy_response(protocol: Option<&'static str>) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert("connection", HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert("upgrade", HeaderValue::from_static(SPDY_31));
    if let Some(protocol) = protocol {
        response.headers_mut().insert(PROTOCOL_HEADER, HeaderValue::from_static(protocol));
    }
    response
}

/// How a remote command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With exit code 0, or the attach is over.
    Success,
    /// With another exit code.
    ExitCode(i32),
    /// It could not be run, or broke off.
    Error(String),
}

impl Outcome {
    /// The status that is sent on the error channel. `translated` is how a v5 client gets it: in Kubernetes its API server
    /// translates from the kubelet's protocol, and wraps what it is told in its own words.
    pub fn to_status(&self, translated: bool) -> Status {
        match self {
            Self::Success => Status { status: Some("Success".to_owned()), ..Status::default() },
            Self::ExitCode(code) => Status {
                status: Some("Failure".to_owned()),
                reason: Some("NonZeroExitCode".to_owned()),
                message: Some(format!(
                    "command terminated with non-zero exit code: command terminated with exit code {code}"
                )),
                details: Some(StatusDetails {
                    causes: Some(vec![StatusCause {
                        reason: Some("ExitCode".to_owned()),
                        message: Some(code.to_string()),
                        field: None,
                    }]),
                    ..StatusDetails::default()
                }),
                ..Status::default()
            },
            Self::Error(text) => {
                let inner = format!("Internal error occurred: {text}");
                let cause = if translated { inner.clone() } else { text.clone() };
                Status {
                    status: Some("Failure".to_owned()),
                    reason: Some("InternalError".to_owned()),
                    code: Some(500),
                    message: Some(if translated {
                        format!("Internal error occurred: {inner}")
                    } else {
                        inner
                    }),
                    details: Some(StatusDetails {
                        causes: Some(vec![StatusCause { reason: None, message: Some(cause), field: None }]),
                        ..StatusDetails::default()
                    }),
                    ..Status::default()
                }
            }
        }
    }

    /// The status as the bytes of the error channel.
    pub fn to_json(&self, translated: bool) -> Vec<u8> {
        serde_json::to_vec(&self.to_status(translated)).unwrap_or_default()
    }

    /// Reads what came on the error channel. An empty message is a success, as older servers send it.
    // Models k8s.io/client-go/tools/remotecommand (errorDecoderV4).
    pub fn from_json(message: &[u8]) -> Self {
        let protocol = |what: &str| Self::Error(format!("error stream protocol error: {what}"));
        if message.is_empty() {
            return Self::Success;
        }
        let status: Status = match serde_json::from_slice(message) {
            Ok(status) => status,
            Err(error) => return protocol(&format!("{error} in {:?}", String::from_utf8_lossy(message))),
        };
        match status.status.as_deref() {
            Some("Success") => Self::Success,
            Some("Failure") if status.reason.as_deref() == Some("NonZeroExitCode") => {
                let Some(details) = status.details else { return protocol("details must be set") };
                let causes = details.causes.unwrap_or_default();
                let Some(cause) = causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode"))
                else {
                    return protocol("no ExitCode cause given");
                };
                let text = cause.message.clone().unwrap_or_default();
                match text.parse::<u8>() {
                    Ok(code) => Self::ExitCode(i32::from(code)),
                    Err(_) => protocol(&format!("invalid exit code value {text:?}")),
                }
            }
            Some("Failure") => Self::Error(status.message.unwrap_or_default()),
            _ => protocol("unknown error"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_the_error_channel() {
        for outcome in [Outcome::Success, Outcome::ExitCode(7), Outcome::ExitCode(127)] {
            assert_eq!(Outcome::from_json(&outcome.to_json(true)), outcome);
        }
        let error = Outcome::Error("error executing command in container: no such thing".to_owned());
        let Outcome::Error(seen) = Outcome::from_json(&error.to_json(true)) else {
            panic!("an error stays one")
        };
        assert_eq!(
            seen,
            "Internal error occurred: Internal error occurred: error executing command in container: no such thing"
        );
        assert_eq!(Outcome::from_json(b""), Outcome::Success);
        assert!(matches!(Outcome::from_json(b"nonsense"), Outcome::Error(_)));
    }

    #[test]
    fn streams_are_read_from_either_kind_of_query() {
        let check = |query: &str| StreamOptions::from_query(query).ok();
        let all = StreamOptions { stdin: true, stdout: true, stderr: false, tty: true };
        assert_eq!(check("input=1&output=1&error=1&tty=1&command=sh"), Some(all));
        assert_eq!(check("stdin=true&stdout=true&tty=true"), Some(all));
        assert_eq!(check("command=ls"), None);
        let command: Vec<String> =
            query_values("command=sh&command=-c&command=echo+a%26b", "command").collect();
        assert_eq!(command, ["sh", "-c", "echo a&b"]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_on_the_error_channel_panics(bytes: Vec<u8>) {
            let _ = Outcome::from_json(&bytes);
        }
    }
}
