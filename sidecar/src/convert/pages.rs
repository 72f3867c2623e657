//! Pages of an app's own: documents, which are read here only to see whether somebody
//! could ever be shown them.

use dynomesh_proto::v1::{self, sidecar_message::Kind};
use mesh::{Page, Pages};

use super::Malformed;

/// For every code that has no page of its own.
const ANY: &str = "error";

/// What an app's clients may be refused with.
const CODES: [&str; 17] = [
    ANY,
    "H10",
    "H11",
    "H12",
    "H13",
    "H14",
    "H17",
    "H19",
    "H20",
    "H21",
    "H22",
    "H34",
    "H80",
    "H81",
    "H99",
    "too-large",
    "rate-limited",
];

const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// A page that somebody sets. Whether it is one depends on it alone, so it is the
/// same on every host.
pub(super) fn page_from_proto(given: v1::Page) -> Result<Page, Malformed> {
    if !CODES.contains(&&*given.code) {
        let known = CODES.join(", ");
        let problem = format!("\"{}\" is none of {known}", short(&given.code));
        return Err(Malformed::new("put_page.code", problem));
    }
    let content_type = match &*given.content_type {
        "" => HTML.to_owned(),
        HTML | JSON => given.content_type,
        other => {
            let problem = format!("\"{}\" is neither {HTML} nor {JSON}", short(other));
            return Err(Malformed::new("put_page.content_type", problem));
        }
    };
    Ok(Page {
        code: given.code.into(),
        content_type: content_type.into(),
        body: given.body.into(),
    })
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Pages from disk. They were checked when they were set, perhaps by another version.
pub(super) fn pages_from_proto(given: Vec<v1::Page>) -> Pages {
    Pages::new(given.into_iter().map(|page| Page {
        code: page.code.into(),
        content_type: page.content_type.into(),
        body: page.body.into(),
    }))
}

/// A page as it can be set again.
pub(super) fn page_from_core(page: &Page) -> v1::Page {
    v1::Page {
        body: (*page.body).into(),
        ..without_body(page, 0)
    }
}

/// All of them.
pub(super) fn pages_from_core(pages: &Pages) -> Vec<v1::Page> {
    pages.all().iter().map(page_from_core).collect()
}

/// That there are these, for lists.
pub(super) fn pages_in_short(pages: &Pages) -> Vec<v1::Page> {
    let size = |page: &Page| u32::try_from(page.body.len()).unwrap_or(u32::MAX);
    let all = pages.all().iter();
    all.map(|page| without_body(page, size(page))).collect()
}

fn without_body(page: &Page, size: u32) -> v1::Page {
    v1::Page {
        code: (*page.code).into(),
        content_type: (*page.content_type).into(),
        body: String::new(),
        size,
    }
}

/// The pages of an app, as a message.
pub fn app_pages(app: &str, pages: &Pages) -> v1::SidecarMessage {
    let pages = v1::AppPages {
        app: app.into(),
        pages: pages_from_core(pages),
    };
    v1::SidecarMessage {
        kind: Some(Kind::Pages(pages)),
    }
}
