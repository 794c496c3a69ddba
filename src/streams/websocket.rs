//! The WebSocket handshake of an HTTP request, and the connection that it leaves behind.
//!
//! Framing is `tokio-tungstenite`'s. What the messages mean is in [`super::channels`] and [`super::tunnel`].
// Models k8s.io/streaming/pkg/httpstream/wsstream.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::protocol::{StreamError, list_header};
use crate::net::Io;

/// The header with the protocols that a client offers, and the one that was chosen.
pub const PROTOCOL: &str = "sec-websocket-protocol";
/// The largest message that is read. kubectl sends pieces of 32 KiB.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// What messages are collected into before they go out; every message is flushed anyhow.
const BUFFER_BYTES: usize = 16 << 10;

/// Whether a request asks for an upgrade to WebSocket.
pub fn is_websocket_request(headers: &HeaderMap) -> bool {
    let has = |name: &str, wanted: &str| {
        list_header(headers, name).iter().any(|value| value.eq_ignore_ascii_case(wanted))
    };
    has("upgrade", "websocket") && has("connection", "upgrade")
}

/// The answer that accepts an upgrade, choosing `protocol`.
pub fn accept(headers: &HeaderMap, protocol: Option<&'static str>) -> Result<Response<()>, StreamError> {
    let key = headers.get("sec-websocket-key").ok_or_else(|| {
        StreamError::Protocol("Bad Request: the request has no Sec-WebSocket-Key".to_owned())
    })?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let out = response.headers_mut();
    out.insert("connection", HeaderValue::from_static("Upgrade"));
    out.insert("upgrade", HeaderValue::from_static("websocket"));
    out.insert("sec-websocket-accept", accept.expect("an accept key is base64"));
    if let Some(protocol) = protocol {
        out.insert(PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(response)
}

/// A request for an upgrade to WebSocket, offering `protocols`. `key` is 16 random bytes in base64.
pub fn request(path: &str, key: &str, protocols: &[&str]) -> Result<Request<()>, StreamError> {
    let request = Request::get(path)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", key)
        .header(PROTOCOL, protocols.join(", "));
    request.body(()).map_err(|error| StreamError::Protocol(error.to_string()))
}

fn config() -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    config.read_buffer_size = BUFFER_BYTES;
    config.write_buffer_size = 0;
    config.max_message_size = Some(MAX_MESSAGE_BYTES);
    config.max_frame_size = Some(MAX_MESSAGE_BYTES);
    config
}

/// The server's end of an upgraded connection.
pub async fn server<T: Io>(io: T) -> WebSocketStream<T> {
    WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await
}

/// The client's end of an upgraded connection.
pub async fn client<T: Io>(io: T) -> WebSocketStream<T> {
    WebSocketStream::from_raw_socket(io, Role::Client, Some(config())).await
}

/// The message that ends a connection as it should end (1000): kubectl takes anything else for an error.
pub fn normal_close() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_answers_the_key_and_the_protocol() {
        let request = request("/exec", "dGhlIHNhbXBsZSBub25jZQ==", &["v5.channel.k8s.io"]).unwrap();
        assert!(is_websocket_request(request.headers()));
        let response = accept(request.headers(), Some("v5.channel.k8s.io")).unwrap();
        // The example of RFC 6455, section 1.3.
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()[PROTOCOL], "v5.channel.k8s.io");
        assert!(accept(&HeaderMap::new(), None).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic(value in "\\PC{0,40}") {
            if let Ok(value) = value.parse::<HeaderValue>() {
                let names = ["sec-websocket-key", "upgrade", "connection", PROTOCOL];
                let headers: HeaderMap = names
                    .map(|name| (http::HeaderName::from_static(name), value.clone()))
                    .into_iter()
                    .collect();
                let _ = is_websocket_request(&headers);
                let _ = accept(&headers, None);
            }
        }
    }
}
