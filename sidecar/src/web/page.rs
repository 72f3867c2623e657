//! The page, which is in the program.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

const HTML: &str = include_str!("page/index.html");
const CSS: &str = include_str!("page/page.css");
/// One asks, the others show.
const SCRIPTS: [(&str, &str); 4] = [
    ("/page.js", include_str!("page/page.js")),
    ("/show.js", include_str!("page/show.js")),
    ("/requests.js", include_str!("page/requests.js")),
    ("/text.js", include_str!("page/text.js")),
];

/// Nothing on it comes from elsewhere.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

pub(super) fn routes() -> Router {
    let routes = Router::new()
        .route("/", get(|| file("text/html", HTML)))
        .route("/page.css", get(|| file("text/css", CSS)));
    SCRIPTS.iter().fold(routes, |routes, (path, text)| {
        routes.route(path, get(|| file("text/javascript", text)))
    })
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
