use super::*;
use crate::{Op, Side, testing::Sent};

fn rules(text: &str) -> RuleSet {
    let lines: Vec<_> = text.lines().collect();
    RuleSet::parse(&lines).unwrap_or_else(|problem| panic!("{problem}"))
}

fn end(text: &str, sent: &Sent) -> Option<End> {
    rules(text).judge(sent).end
}

fn denied(condition: &str, sent: &Sent) -> bool {
    end(&format!("when {condition} then deny"), sent).is_some()
}

/// The headers that are changed, as text.
fn edits(text: &str, sent: &Sent) -> Vec<String> {
    let rules = rules(text);
    let shown = |edit: Edit| {
        let side = match edit.side {
            Side::Request => "request",
            Side::Response => "response",
        };
        match rules.op(&edit).expect("of these rules") {
            Op::Set(name, value) => format!("{side} set {} {value}", name.spelled),
            Op::Add(name, value) => format!("{side} add {} {value}", name.spelled),
            Op::Remove(name) => format!("{side} remove {}", name.spelled),
            Op::Rename(old, new) => format!("{side} rename {} {}", old.spelled, new.spelled),
        }
    };
    rules.judge(sent).edits.into_iter().map(shown).collect()
}

#[test]
fn each_condition() {
    let sent = Sent::to("/old/page?debug=1&q=a%20b")
        .header("X-Beta", "yes")
        .header("Accept", "text/html")
        .header("Accept", "application/json")
        .header("Cookie", "a=b; canary=on");
    for (condition, holds) in [
        ("method GET", true),
        ("method POST GET", true),
        ("method POST", false),
        ("not method POST", true),
        ("path = /old/page", true),
        ("path = /old", false),
        ("path ^= /old", true),
        ("path ^= /new", false),
        ("path ~ ^/old/[a-z]+$", true),
        ("path ~ ^/OLD", false),
        ("path ~* ^/OLD", true),
        ("header x-beta present", true),
        ("header x-gamma present", false),
        ("not header x-gamma present", true),
        ("header X-BETA = yes", true),
        ("header x-beta = YES", false),
        ("header accept = application/json", true),
        ("header accept ^= text/", true),
        ("header accept ~ json$", true),
        (
            // "yes"
            "header x-beta sha256 8a798890fe93817163b10b5f7bd2ca4d25d84c52739a645a889c173eee7d9d3d",
            true,
        ),
        (
            "header x-beta sha256 0000000000000000000000000000000000000000000000000000000000000000",
            false,
        ),
        ("cookie canary = on", true),
        ("cookie canary = off", false),
        ("cookie anary present", false),
        ("query debug present", true),
        ("query q = \"a b\"", true),
        ("query q ~ ^b", false),
        ("client 192.0.2.0/24", true),
        ("client 10.0.0.0/8 192.0.2.7", true),
        ("client 10.0.0.0/8", false),
        ("share 100%", true),
        ("share 0%", false),
        ("share 100% by client", true),
        ("share 100% by cookie canary", true),
        ("share 100% by header x-user", false),
        ("path ^= /old and header x-beta present", true),
        ("path ^= /old and header x-gamma present", false),
    ] {
        assert_eq!(denied(condition, &sent), holds, "{condition}");
    }
}

#[test]
fn each_action() {
    let sent = Sent::to("/a");
    let text = "always set request header X-A \"1 2\", add response header X-B $path, \
                remove request header Cookie, rename response header X-C X-D";
    let expected = [
        "request set X-A 1 2",
        "response add X-B /a",
        "request remove Cookie",
        "response rename X-C X-D",
    ];
    assert_eq!(edits(text, &sent), expected);
    let redirect = |status, to: &str| {
        let to = crate::Text::Shared(to.into());
        Some(End::Redirect { status, to })
    };
    assert_eq!(
        end("always redirect 308 /new", &sent),
        redirect(308, "/new")
    );
    assert_eq!(end("always deny", &sent), Some(End::Deny { status: 403 }));
    assert_eq!(
        end("always deny 404", &sent),
        Some(End::Deny { status: 404 })
    );
    assert_eq!(end("always app blue", &sent), Some(End::App("blue".into())));
}

#[test]
fn in_order_until_one_ends_it() {
    let text = "# first\n\nalways set request header X-A 1\n\
                when path = /x then add request header X-A 2, deny 410\n\
                when path = /y then app blue\n\
                always remove response header Server";
    let verdict = rules(text).judge(&Sent::to("/x"));
    assert_eq!((verdict.edits.len(), verdict.line), (2, 4));
    assert_eq!(verdict.end, Some(End::Deny { status: 410 }));
    let verdict = rules(text).judge(&Sent::to("/y"));
    assert_eq!((verdict.edits.len(), verdict.line), (1, 5));
    let verdict = rules(text).judge(&Sent::to("/z"));
    assert_eq!((verdict.edits.len(), verdict.line), (2, 0));
}

#[test]
fn groups_of_the_path() {
    let text =
        "when header x present and path ~ ^/u/([^/]+)/(.*)$ then redirect 301 /user/$1?was=$2";
    let mut sent = Sent::to("/u/j j/a/b").header("x", "");
    let to = |sent: &Sent| match end(text, sent) {
        Some(End::Redirect { to, .. }) => to.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(to(&sent), "/user/j%20j?was=a/b");
    sent.path = b"/u/\r\n/\n".into();
    assert_eq!(end(text, &sent), None, "a dot is no line break");
    let text = "when path ~ ^/go(.*)$ then redirect 302 /$1";
    assert_eq!(
        end(text, &Sent::to("/go//evil.example")),
        Some(End::Redirect {
            status: 302,
            to: crate::Text::Made("/evil.example".into())
        })
    );
}

#[test]
fn problems_say_where() {
    for (text, line, column) in [
        ("deny", 1, 1),
        ("", 0, 0),
        ("always", 1, 7),
        ("\n# x\nalways frob", 3, 8),
        ("when path /x then deny", 1, 11),
        ("when path = then deny", 1, 18),
        ("when path ~ ( then deny", 1, 13),
        ("when path = /x", 1, 15),
        ("when path = /x then deny 200", 1, 26),
        ("when path = /x then deny 403 404", 1, 30),
        ("when path = /x then deny, deny", 1, 27),
        ("when method get then deny", 1, 13),
        ("when client 10.0.0.0/40 then deny", 1, 13),
        ("when client then deny", 1, 13),
        ("when share 5 then app x", 1, 12),
        ("when header a sha256 abc then deny", 1, 22),
        ("when path sha256 abc then deny", 1, 11),
        ("when header a:b present then deny", 1, 13),
        ("always set request header Host x", 1, 27),
        ("always set request header X-Mesh-App x", 1, 27),
        ("always remove response header Content-Length", 1, 31),
        ("always rename request header A Transfer-Encoding", 1, 32),
        ("always set request header A", 1, 28),
        ("always set request header A b c", 1, 31),
        ("always set request header A $nope", 1, 29),
        ("always set request header A $1", 1, 29),
        ("always set header A b", 1, 12),
        ("always redirect 300 /x", 1, 17),
        ("always redirect 301 x", 1, 21),
        ("always redirect 301 \"/a b\"", 1, 21),
        ("always redirect 301 $path", 1, 21),
        ("always app Shop", 1, 12),
        ("always set request header A \"b", 1, 29),
    ] {
        let lines: Vec<_> = text.lines().collect();
        match RuleSet::parse(&lines) {
            Ok(_) => assert_eq!((line, column), (0, 0), "{text}"),
            Err(problem) => assert_eq!(
                (problem.line, problem.column),
                (line, column),
                "{text}: {problem}"
            ),
        }
    }
}

#[test]
fn there_are_bounds() {
    let refused = |lines: Vec<String>| match RuleSet::parse(&lines) {
        Ok(rules) => panic!("{} rules", rules.len()),
        Err(problem) => problem.line,
    };
    assert_eq!(
        refused(vec!["always deny".into(); MAX_RULES + 1]),
        MAX_RULES + 1
    );
    assert_eq!(refused(vec![String::new(); MAX_LINES + 1]), MAX_LINES + 1);
    assert_eq!(refused(vec![format!("#{}", " ".repeat(MAX_LINE))]), 1);
    assert_eq!(refused(vec![format!("#{}", " ".repeat(2_000)); 20]), 17);
    let nine = format!("when {}method GET then deny", "method GET and ".repeat(8));
    assert_eq!(refused(vec![nine]), 1);
    let nine = format!("always {}deny", "remove request header a, ".repeat(8));
    assert_eq!(refused(vec![nine]), 1);
    let large = "when path ~ ((a{100}){100}){100} then deny";
    assert_eq!(refused(vec![large.into()]), 1);
    let deep = format!(
        "when path ~ {}a{} then deny",
        "(".repeat(100),
        ")".repeat(100)
    );
    assert_eq!(refused(vec![deep]), 1);
}
