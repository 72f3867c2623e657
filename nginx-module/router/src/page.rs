//! The short body of an error: a page for people, JSON for programs.

use crate::code::Code;

/// A body and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// For Content-Type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Whether a client that sent this Accept header wants JSON rather than HTML:
/// it names JSON, and does not name HTML before it.
pub fn wants_json(accept: &[u8]) -> bool {
    let find = |what: &[u8]| {
        accept
            .windows(what.len())
            .position(|w| w.eq_ignore_ascii_case(what))
    };
    match (find(b"application/json"), find(b"text/html")) {
        (Some(json), Some(html)) => json < html,
        (json, _) => json.is_some(),
    }
}

/// The body for an error.
pub fn render(code: Code, json: bool) -> Page {
    let (name, title, status) = (code.name(), code.title(), code.status());
    if json {
        let body =
            format!("{{\"error\":\"{name}\",\"status\":{status},\"message\":\"{title}\"}}\n");
        return Page {
            content_type: "application/json",
            body,
        };
    }
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;margin:20vh auto;max-width:32em;padding:0 1em;color:#222}}\
         p{{color:#666}}@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}p{{color:#aaa}}}}\
         </style></head>\n<body><h1>{title}</h1><p>{status} &middot; {name}</p></body></html>\n"
    );
    Page {
        content_type: "text/html",
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept() {
        assert!(wants_json(b"application/json"));
        assert!(wants_json(b"Application/JSON, */*"));
        assert!(!wants_json(b"text/html, application/json;q=0.5"));
        assert!(!wants_json(b"*/*"));
        assert!(!wants_json(b""));
    }

    #[test]
    fn bodies_name_the_code() {
        let json = render(Code::H14, true);
        assert_eq!(
            json.body,
            "{\"error\":\"H14\",\"status\":503,\"message\":\"The app is not running\"}\n"
        );
        assert!(render(Code::H14, false).body.contains("503 &middot; H14"));
    }
}
