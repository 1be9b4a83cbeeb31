//! What is left of a body that nobody reads to its end.
//!
//! A refusal is often known before the caller has sent everything. Were the connection closed then,
//! the caller would be cut off as it writes and might never see the answer; so what still comes is
//! read and thrown away beside the answer, within limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;

/// Most bytes that are read for nobody; who sends more is cut off.
const MOST: usize = 64 << 20;
const LONGEST: Duration = Duration::from_secs(10);

pub(super) async fn finish(request: Request) -> Request {
    request.map(|body| Body::new(Finished(Some(body))))
}

/// A body that is read to its end, whoever drops it before; `None` once it is.
struct Finished(Option<Body>);

impl HttpBody for Finished {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, discard(body)));
        }
    }
}

async fn discard(body: Body) {
    let (mut body, mut read) = (body.into_data_stream(), 0);
    while read <= MOST
        && let Some(Ok(bytes)) = body.next().await
    {
        read += bytes.len();
    }
}
