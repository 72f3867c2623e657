//! HTTP/1 around what there is to see.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware,
    response::Response,
    routing::get,
};
use futures_core::Stream;
use futures_util::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpStream, sync::Semaphore};

use super::{
    api::Api,
    charts,
    guard::{self, Guard},
    history::History,
    metrics::{self, Scraper},
    page,
};
use crate::driver::Driver;

/// Connections at once; one more waits to be accepted.
const CONNECTIONS: usize = 64;
/// A client that connects has something to ask.
const ASK_WITHIN: Duration = Duration::from_secs(30);

/// What is served, and to whom.
#[derive(Clone)]
pub struct Site {
    /// Of what.
    pub driver: Arc<Driver>,
    /// What this sidecar calls itself.
    pub node: Arc<str>,
    /// Who may look.
    pub guard: Guard,
}

impl Site {
    fn router(self, history: History) -> Router {
        let api = Api::new(self.driver.clone(), self.node.clone(), history.clone());
        let scraper = Arc::new(Scraper::new(self.driver, self.node));
        page::routes()
            .merge(api.routes())
            .merge(charts::routes(history))
            .route("/metrics", get(metrics::get).with_state(scraper))
            .layer(middleware::from_fn_with_state(self.guard, guard::check))
            .layer(middleware::map_response(keep_to_itself))
    }
}

/// Nothing of it is kept anywhere, or taken for something else.
async fn keep_to_itself(mut response: Response) -> Response {
    const ALWAYS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in ALWAYS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Serves these connections for as long as it is polled.
pub async fn serve(site: Site, incoming: impl Stream<Item = io::Result<TcpStream>>) {
    let history = History::default();
    let kept = history.clone().keep(site.driver.clone());
    tokio::select! {
        () = kept => {}
        () = accept(site.router(history), incoming) => {}
    }
}

async fn accept(router: Router, incoming: impl Stream<Item = io::Result<TcpStream>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut incoming = std::pin::pin!(incoming);
    // An error would mean that somebody closed the semaphore.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Some(stream) = incoming.next().await else {
            return;
        };
        let Ok(stream) = stream else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let peer = stream.peer_addr();
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ASK_WITHIN)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                note(peer, &error);
            }
            drop(place);
        });
    }
}

fn note(peer: io::Result<SocketAddr>, error: &hyper::Error) {
    let peer = peer.map_or_else(|_| "somebody".into(), |peer| peer.to_string());
    tracing::debug!("{peer} came over HTTP, and that ended: {error}");
}
