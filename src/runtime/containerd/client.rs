//! The connection to containerd: one HTTP/2 channel over its unix socket, and the services on it.
//!
//! Used by everything in this room. It knows no pods and no nodes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::config::ContainerdError;
use super::proto::content::content_client::ContentClient;
use super::proto::cri::image_service_client::ImageServiceClient;
use super::proto::cri::runtime_service_client::RuntimeServiceClient;
use super::proto::cri::{StatusRequest, StatusResponse, VersionRequest, VersionResponse};
use super::proto::events::events_client::EventsClient;
use super::proto::images::images_client::ImagesClient;
use super::proto::leases::leases_client::LeasesClient;
use crate::clock::Clock;
use crate::runtime::api::RuntimeError;

/// containerd's namespace of everything that the CRI sees.
const NAMESPACE: &str = "k8s.io";
/// The largest answer that is read: a list of many containers.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// How long containerd may take to answer at first.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to containerd. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    socket: PathBuf,
}

/// A service of containerd's own, in the CRI's namespace.
pub(super) type Own = InterceptedService<Channel, InNamespace>;

/// Says in each request which namespace is meant, and which lease keeps what it makes.
#[derive(Clone, Debug, Default)]
pub(super) struct InNamespace {
    lease: Option<AsciiMetadataValue>,
}

impl Interceptor for InNamespace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("containerd-namespace", MetadataValue::from_static(NAMESPACE));
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.clone());
        }
        Ok(request)
    }
}

impl Client {
    /// Connects to a socket, and asks who is there.
    pub async fn connect(socket: &Path, clock: &Clock) -> Result<(Self, String), ContainerdError> {
        let failed = |why: String| ContainerdError::Socket { socket: socket.to_owned(), why };
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_: http::Uri| {
            let path = path.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        });
        // So that the words are the system's: a channel wraps them.
        UnixStream::connect(socket).await.map_err(|error| failed(error.to_string()))?;
        let endpoint = Endpoint::from_static("http://containerd");
        let channel = endpoint.connect_with_connector(connector);
        let channel = clock.timeout(CONNECT_TIMEOUT, channel).await;
        let channel = channel
            .map_err(|_| failed("it does not answer".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        let client = Self { channel, socket: socket.to_owned() };
        let version = clock.timeout(CONNECT_TIMEOUT, client.version()).await;
        let version = version
            .map_err(|_| failed("it does not answer".to_owned()))?
            .map_err(|status| failed(format!("its CRI plugin does not answer: {}", status.message())))?;
        Ok((client, version.runtime_version))
    }

    async fn version(&self) -> Result<VersionResponse, Status> {
        let request = VersionRequest { version: "v1".to_owned() };
        Ok(self.runtime().version(request).await?.into_inner())
    }

    /// What the CRI plugin says of itself, with its configuration.
    pub(super) async fn status(&self) -> Result<StatusResponse, ContainerdError> {
        let answer = self.runtime().status(StatusRequest { verbose: true }).await;
        Ok(answer.map_err(|status| ContainerdError::Answer(status.message().to_owned()))?.into_inner())
    }

    /// Where it is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(super) fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn own(&self, lease: Option<&str>) -> Own {
        let lease = lease.filter(|lease| !lease.is_empty()).and_then(|lease| lease.parse().ok());
        InterceptedService::new(self.channel.clone(), InNamespace { lease })
    }

    pub(super) fn content(&self, lease: &str) -> ContentClient<Own> {
        ContentClient::new(self.own(Some(lease)))
    }

    pub(super) fn image_names(&self, lease: &str) -> ImagesClient<Own> {
        ImagesClient::new(self.own(Some(lease)))
    }

    pub(super) fn leases(&self) -> LeasesClient<Own> {
        LeasesClient::new(self.own(None))
    }

    pub(super) fn events(&self) -> EventsClient<Own> {
        EventsClient::new(self.own(None))
    }
}

/// What containerd said, without what only its version 1 adds.
pub(super) fn words(status: &Status) -> String {
    status.message().trim_end_matches(": unknown").to_owned()
}

/// What containerd said, as the kubelet tells of it: with the code unless that says nothing.
pub(super) fn with_code(status: &Status) -> String {
    match status.code() {
        Code::Unknown => words(status),
        code => format!("rpc error: code = {} desc = {}", go_name(code), words(status)),
    }
}

/// Go's name of a code, which is ours.
pub(super) fn go_name(code: Code) -> String {
    format!("{code:?}")
}

/// A refusal that nobody has other words for.
pub(super) fn other(status: Status) -> RuntimeError {
    match status.code() {
        Code::NotFound => RuntimeError::NotFound(words(&status)),
        Code::DeadlineExceeded => RuntimeError::DeadlineExceeded(words(&status)),
        _ => RuntimeError::Other(words(&status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_named() {
        let error = Client::connect(Path::new("/nonexistent/containerd.sock"), &Clock::real()).await;
        let text = error.unwrap_err().to_string();
        assert!(text.contains("/nonexistent/containerd.sock") && text.contains("--runtime sim"), "{text}");
    }

    #[test]
    fn codes_show_as_the_kubelet_shows_them() {
        assert_eq!(with_code(&Status::unknown("no luck: unknown")), "no luck");
        assert_eq!(with_code(&Status::not_found("a")), "rpc error: code = NotFound desc = a");
    }
}
