//! Whatever the text and the request, nothing panics and nothing gets into a
//! header that must not.
#![allow(clippy::unwrap_used)]

use std::{borrow::Cow, net::IpAddr};

use proptest::prelude::*;
use rules::{End, Op, Request, RuleSet, Verdict};

#[derive(Debug)]
struct Sent {
    method: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    host: Vec<u8>,
    chance: u32,
}

impl Request for Sent {
    fn method(&self) -> &[u8] {
        &self.method
    }
    fn path(&self) -> &[u8] {
        &self.path
    }
    fn query(&self) -> &[u8] {
        &self.query
    }
    fn has_header(&self, name: &str, like: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut all = self.headers.iter();
        all.any(|(key, value)| key == name && like(value))
    }
    fn header_names(&self, each: &mut dyn FnMut(&[u8])) {
        self.headers
            .iter()
            .for_each(|(key, _)| each(key.as_bytes()));
    }
    fn client(&self) -> Option<IpAddr> {
        self.chance
            .is_multiple_of(2)
            .then(|| IpAddr::from(self.chance.to_be_bytes()))
    }
    fn client_text(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.host)
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn host(&self) -> &[u8] {
        &self.host
    }
    fn app(&self) -> &str {
        "shop"
    }
    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.method)
    }
    fn chance(&self) -> u32 {
        self.chance
    }
}

prop_compose! {
    fn sent()(
        method in any::<Vec<u8>>(),
        path in any::<Vec<u8>>(),
        query in any::<Vec<u8>>(),
        headers in prop::collection::vec(("(cookie|a|x-user)", any::<Vec<u8>>()), 0..6),
        host in any::<Vec<u8>>(),
        chance in any::<u32>(),
    ) -> Sent {
        Sent { method, path, query, headers, host, chance }
    }
}

/// Words of the language and of none, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "when",
            "always",
            "then",
            "and",
            "not",
            "method",
            "path",
            "header",
            "cookie",
            "query",
            "client",
            "share",
            "by",
            "present",
            "=",
            "^=",
            "~",
            "~*",
            "set",
            "add",
            "remove",
            "rename",
            "request",
            "response",
            "redirect",
            "deny",
            "app",
            "301",
            "403",
            ",",
            "GET",
            "5%",
            "10.0.0.0/8",
            "::1",
            "/x",
            "X-A",
            "host",
            "\"a b\"",
            "$path",
            "$1",
            "(.*)",
            "https://$host$path?$args",
            "/$1",
            "shop",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    prop::collection::vec(word, 0..14).prop_map(|words| words.join(" "))
}

/// Rules that are well formed, with what may be dangerous in them.
fn rule() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(vec![
        "always",
        "when path ~ ^(.)(.*)$ then",
        "when not method GET then",
        "when share 50% then",
        "when cookie a present then",
        "when query a = b then",
        "when share 30% by header x-user then",
        "when header a ~* [a-z]+ then",
        "when client 0.0.0.0/1 then",
    ]);
    let action = prop::sample::select(vec![
        "set request header X-A $path",
        "add response header X-B \"$args $host\"",
        "set response header Location $scheme://$host$path?$args",
        "remove request header X-C",
        "rename request header X-D X-E",
        "set request header X-F $client_addr-$request_id-$app",
        "redirect 301 /$path",
        "redirect 302 https://$host$path",
        "deny",
        "app blue",
    ]);
    (condition, action).prop_map(|(condition, action)| format!("{condition} {action}"))
}

fn check(rules: &RuleSet, verdict: &Verdict) -> Result<(), TestCaseError> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    for edit in &verdict.edits {
        match rules.op(edit).unwrap() {
            Op::Set(name, value) | Op::Add(name, value) => {
                prop_assert!(plain(value), "{value:?}");
                prop_assert!(value.len() <= rules::MAX_EXPANDED);
                prop_assert!(&*name.lower != "host");
            }
            Op::Remove(name) | Op::Rename(_, name) => prop_assert!(&*name.lower != "host"),
        }
    }
    if let Some(End::Redirect { status, to }) = &verdict.end {
        prop_assert!((301..=308).contains(status));
        prop_assert!(
            plain(to) && !to.starts_with("//") && !to.starts_with("/\\"),
            "{to:?}"
        );
    }
    Ok(())
}

/// One, as a rule has it.
fn condition() -> impl Strategy<Value = String> {
    let value = "[/a-c%]{1,3}";
    let test = ("(=|\\^=|~|~\\*)", value).prop_map(|(test, value)| format!("{test} {value}"));
    let path = "\\^?[/a-c]{0,3}[?*+.]?[/a-c]?".prop_map(|pattern| format!("path ~ \"{pattern}\""));
    let what = prop::sample::select(vec!["path", "header a", "cookie a", "query a"]);
    prop_oneof![
        (what, test).prop_map(|(what, test)| format!("{what} {test}")),
        path,
        Just("share 50% by cookie a".to_owned()),
        Just("share 50% by header x-user".to_owned()),
        Just("header cookie present".to_owned()),
    ]
}

prop_compose! {
    /// A request that such a condition may be about.
    fn similar()(
        sent in sent(),
        path in "/[/a-c]{0,3}",
        query in "(|a|a=[/a-c]{1,3}|b=1)",
        cookie in "a=[/a-c]{0,2}",
        with in any::<bool>(),
    ) -> Sent {
        let (path, query) = (path.into(), query.into());
        let mut headers = sent.headers;
        headers.extend(with.then(|| ("cookie".to_owned(), cookie.into())));
        Sent { path, query, headers, ..sent }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_text(lines in prop::collection::vec("\\PC{0,80}", 0..4), sent in sent()) {
        match RuleSet::parse(&lines) {
            Ok(rules) => check(&rules, &rules.judge(&sent))?,
            Err(problem) => {
                let line = &lines[problem.line - 1];
                prop_assert!((1..=line.chars().count() + 1).contains(&problem.column), "{problem}");
            }
        }
    }

    #[test]
    fn any_words(line in words(), sent in sent()) {
        match RuleSet::parse(&[&line]) {
            Ok(rules) => check(&rules, &rules.judge(&sent))?,
            Err(problem) => {
                prop_assert_eq!(problem.line, 1);
                prop_assert!((1..=line.chars().count() + 1).contains(&problem.column), "{}", problem);
            }
        }
    }

    /// What is seen at a glance is true: of nothing that is negated anything is seen.
    #[test]
    fn a_condition_or_its_opposite_holds(condition in condition(), sent in similar()) {
        let holds = |not: &str| {
            let rule = format!("when {not} {condition} then deny");
            RuleSet::parse(&[rule]).map(|rules| rules.judge(&sent).end.is_some())
        };
        if let (Ok(holds), Ok(not)) = (holds(""), holds("not")) {
            prop_assert_ne!(holds, not);
        }
    }

    #[test]
    fn any_request(lines in prop::collection::vec(rule(), 1..12), sent in sent()) {
        let rules = RuleSet::parse(&lines).unwrap();
        let verdict = rules.judge(&sent);
        check(&rules, &verdict)?;
        prop_assert_eq!(verdict, rules.judge(&sent), "the same request, another verdict");
    }
}
