//! A response body that keeps something for as long as it is being sent: what counts a request as running.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};

/// A body and what is dropped with it.
struct Guarded<G> {
    body: Body,
    _guard: G,
}

/// The response with a body that holds `guard`.
pub(super) fn guarded(response: Response<Body>, guard: impl Send + Unpin + 'static) -> Response<Body> {
    response.map(|body| Body::new(Guarded { body, _guard: guard }))
}

impl<G: Unpin> http_body::Body for Guarded<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
