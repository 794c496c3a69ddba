//! A client: one request over one connection, the answer piece by piece.

use std::io;

use tokio::io::{AsyncWriteExt, BufReader};

use super::body::Body;
use super::message::Head;
use crate::net::BoxIo;

/// A connection that requests go over, one after the other.
pub(in crate::runtime::sim::programs) struct Client {
    io: BufReader<BoxIo>,
}

/// The beginning of an answer; its body is read from the client.
pub(in crate::runtime::sim::programs) struct Answer {
    pub(in crate::runtime::sim::programs) code: u16,
    pub(in crate::runtime::sim::programs) head: Head,
    body: Body,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime::sim::programs) enum ClientError {
    /// The server closed the connection without a word.
    #[error("empty reply from server")]
    Empty,
    /// What came is not HTTP.
    #[error("not HTTP")]
    NotHttp,
    /// The connection broke.
    #[error("{0}")]
    Broken(#[from] io::Error),
}

impl Client {
    pub(in crate::runtime::sim::programs) fn new(io: BoxIo) -> Self {
        Self { io: BufReader::new(io) }
    }

    /// Sends a request and reads the head of its answer.
    pub(in crate::runtime::sim::programs) async fn request(
        &mut self,
        head: &Head,
        body: &[u8],
    ) -> Result<Answer, ClientError> {
        let method = head.first.split(' ').next().unwrap_or_default();
        // A server that answers and closes before it has read all is heard all the same.
        let sent = async {
            self.io.write_all(&head.bytes()).await?;
            self.io.write_all(body).await?;
            self.io.flush().await
        };
        let _ = sent.await;
        loop {
            let head = match Head::read(&mut self.io).await {
                Ok(Some(head)) => head,
                Ok(None) => return Err(ClientError::Empty),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(ClientError::NotHttp),
                Err(error) => return Err(error.into()),
            };
            let mut words = head.first.split(' ');
            let version = words.next().unwrap_or_default();
            let code = words.next().and_then(|code| code.parse::<u16>().ok());
            let Some(code) = code.filter(|_| version.starts_with("HTTP/")) else {
                return Err(ClientError::NotHttp);
            };
            if code == 100 {
                continue;
            }
            let body = Body::of_answer(&head.headers, code, method);
            return Ok(Answer { code, head, body });
        }
    }

    /// The next piece of an answer's body.
    pub(in crate::runtime::sim::programs) async fn piece(
        &mut self,
        answer: &mut Answer,
    ) -> io::Result<Option<Vec<u8>>> {
        answer.body.read(&mut self.io).await
    }
}

impl Answer {
    /// How long the body says that it is.
    pub(in crate::runtime::sim::programs) fn length(&self) -> Option<u64> {
        match self.body {
            Body::Length(length) => Some(length),
            _ => None,
        }
    }
}
