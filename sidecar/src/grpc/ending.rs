//! How a request stream ended.
//!
//! "The router closed its session" and "the stream broke" mean different things
//! to the leases, but tonic reports a reset with CANCEL, which is how a client
//! abandons a call, as the proper end of the stream. Whether HTTP/2's END_STREAM
//! was really received is known one layer below: this one notes it.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::Request;
use http_body::{Body, Frame, SizeHint};
use tonic::server::NamedService;
use tower_service::Service;

/// Whether the request's end was received. It is among the request's extensions.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// The peer said that this was all.
    pub(super) fn is_proper(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A service whose requests have an [`Ending`].
#[derive(Clone, Debug)]
pub(super) struct NoteEnding<S>(pub(super) S);

impl<S: NamedService> NamedService for NoteEnding<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for NoteEnding<S>
where
    S: Service<Request<NotedBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let ending = Ending::default();
        request.extensions_mut().insert(ending.clone());
        self.0
            .call(request.map(|inner| NotedBody { inner, ending }))
    }
}

/// A body that notes its end.
#[derive(Debug)]
pub(super) struct NotedBody<B> {
    inner: B,
    ending: Ending,
}

impl<B: Body + Unpin> Body for NotedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if frame.is_none() && this.inner.is_end_stream() {
            this.ending.0.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
