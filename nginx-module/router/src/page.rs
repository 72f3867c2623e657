//! The short body of an error: a page for people, JSON for programs.

use std::borrow::Cow;

use dynomesh_proto::v1;

use crate::code::Code;

const HTML: &str = "text/html";
const JSON: &str = "application/json";

/// Places in a page of an app's that are filled in: a page has a bounded length.
const MAX_PLACES: usize = 100;

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
            content_type: JSON,
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
        content_type: HTML,
        body,
    }
}

/// A page of an app's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The name of a code, or `error`.
    pub(crate) code: String,
    /// It is JSON, otherwise HTML.
    pub(crate) json: bool,
    pub(crate) body: String,
}

/// What may be filled in.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Why there is an error.
    pub code: Code,
    /// Whose page it is.
    pub app: &'a str,
    /// Nginx's `$request_id`.
    pub request_id: &'a str,
}

impl Own {
    /// `None`: it is of a kind that is not known here.
    pub(crate) fn read(page: v1::Page) -> Option<Self> {
        let json = match &*page.content_type {
            JSON => true,
            HTML => false,
            _ => return None,
        };
        let v1::Page { code, body, .. } = page;
        Some(Self { code, json, body })
    }

    /// With `{{code}}` and the like filled in. What is no such place stays as it is.
    pub fn fill(&self, facts: &Facts<'_>) -> Page {
        let mut body = String::with_capacity(self.body.len() + 64);
        let mut rest = &*self.body;
        for _ in 0..MAX_PLACES {
            let Some((before, place)) = rest.split_once("{{") else {
                break;
            };
            body.push_str(before);
            let known = place.split_once("}}").and_then(|(name, after)| {
                let value = facts.value(name.trim())?;
                Some((value, after))
            });
            rest = match known {
                Some((value, after)) => {
                    self.push_escaped(&mut body, &value);
                    after
                }
                None => {
                    body.push_str("{{");
                    place
                }
            };
        }
        body.push_str(rest);
        let content_type = if self.json { JSON } else { HTML };
        Page { content_type, body }
    }

    /// So that it is text, in an attribute or a string too.
    fn push_escaped(&self, body: &mut String, value: &str) {
        for c in value.chars() {
            match (self.json, c) {
                (false, '&' | '<' | '>' | '"' | '\'') | (true, '"' | '\\' | '\0'..='\x1f') => {
                    let number = u32::from(c);
                    body.push_str(&match self.json {
                        true => format!("\\u{number:04x}"),
                        false => format!("&#{number};"),
                    });
                }
                _ => body.push(c),
            }
        }
    }
}

impl Facts<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(match name {
            "code" => self.code.name().into(),
            "status" => self.code.status().to_string().into(),
            "message" => self.code.title().into(),
            "app" => self.app.into(),
            "request_id" => self.request_id.into(),
            _ => return None,
        })
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

    fn filled(json: bool, body: &str, request_id: &str) -> String {
        let (code, body) = ("error".into(), body.into());
        let facts = Facts {
            code: Code::H80,
            app: "shop",
            request_id,
        };
        Own { code, json, body }.fill(&facts).body
    }

    #[test]
    fn places_are_filled_in_and_nothing_else() {
        let text = "{{code}} {{ status }} {{app}}: {{request_id}}, {{ {{nope}} {{code";
        let want = "H80 503 shop: 1f, {{ {{nope}} {{code";
        assert_eq!(filled(false, text, "1f"), want);
        assert_eq!(filled(true, "{\"a\":{\"b\":{}}}", ""), "{\"a\":{\"b\":{}}}");
        let message = Code::H80.title();
        assert_eq!(filled(true, "{{message}}", ""), message);
        let many = "{{code}}".repeat(MAX_PLACES + 2);
        let want = "H80".repeat(MAX_PLACES) + "{{code}}{{code}}";
        assert_eq!(filled(false, &many, ""), want);
    }

    #[test]
    fn what_is_filled_in_is_text() {
        let evil = "<b a=\"'&\\\n";
        let html = "&#60;b a=&#34;&#39;&#38;\\\n";
        assert_eq!(filled(false, "{{request_id}}", evil), html);
        let json = "<b a=\\u0022'&\\u005c\\u000a";
        assert_eq!(filled(true, "{{request_id}}", evil), json);
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
