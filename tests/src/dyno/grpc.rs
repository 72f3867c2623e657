//! A dyno that speaks gRPC: every unary call is answered with its own message.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::WithTrailers};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, header::HeaderValue, server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Dyno, socket::Listener, stats::ID_HEADER};

type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;
type Answer = Response<WithTrailers<Full<Bytes>, Trailers>>;

/// Serves HTTP/2 with prior knowledge until the process ends.
pub async fn http2(dyno: Arc<Dyno>, listener: Listener) -> io::Result<()> {
    let Listener::Tcp(listener) = listener else {
        return Err(io::Error::other("--grpc listens on TCP only"));
    };
    loop {
        let (io, _) = listener.accept().await?;
        let dyno = dyno.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| echo(dyno.clone(), request));
            // An error is a client that went away.
            let _ = http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(io), service)
                .await;
        });
    }
}

async fn echo(dyno: Arc<Dyno>, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let id = request.headers().get(ID_HEADER);
    let mut visit = dyno.stats.begin_id(id.and_then(|id| id.to_str().ok()));
    // The message with its frame, which an echo need not take apart.
    let message = request.into_body().collect().await?.to_bytes();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut response =
        Response::new(Full::new(message).with_trailers(std::future::ready(Some(Ok(trailers)))));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    visit.end();
    Ok(response)
}
