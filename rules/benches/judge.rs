//! What rules cost each request: `cargo bench -p rules`.
#![allow(clippy::unwrap_used)]

use std::{borrow::Cow, hint::black_box, net::IpAddr, time::Instant};

use rules::{Request, RuleSet};

/// As a browser sends it.
const HEADERS: [(&str, &str); 10] = [
    ("host", "shop.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("cookie", "session=0123456789abcdef; theme=dark; canary=off"),
    ("referer", "https://shop.example.com/"),
    ("sec-fetch-mode", "navigate"),
    ("upgrade-insecure-requests", "1"),
    ("connection", "keep-alive"),
];

struct Sent;

impl Request for Sent {
    fn method(&self) -> &[u8] {
        b"GET"
    }
    fn path(&self) -> &[u8] {
        b"/products/42/reviews"
    }
    fn query(&self) -> &[u8] {
        b"page=2&sort=new"
    }
    fn has_header(&self, name: &str, like: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut all = HEADERS.iter();
        all.any(|(key, value)| *key == name && like(value.as_bytes()))
    }
    fn header_names(&self, each: &mut dyn FnMut(&[u8])) {
        HEADERS.iter().for_each(|(key, _)| each(key.as_bytes()));
    }
    fn client(&self) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, 7]))
    }
    fn client_text(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"192.0.2.7")
    }
    fn scheme(&self) -> &str {
        "https"
    }
    fn host(&self) -> &[u8] {
        b"shop.example.com"
    }
    fn app(&self) -> &str {
        "shop"
    }
    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"0123456789abcdef0123456789abcdef")
    }
    fn chance(&self) -> u32 {
        7_777
    }
}

/// Ten, as apps have them.
const TEN: &str = "\
when path ^= /old then redirect 301 /new
when path = /admin and not client 10.0.0.0/8 then deny
when method POST PUT and path ^= /import then deny 405
when header x-beta present then app shop-beta
when cookie canary = on then app shop-canary
when share 5% by cookie session then app shop-next
when query debug = 1 then set request header X-Debug 1
when path ~ ^/api/v[0-9]+/ then set request header X-Api 1
always set request header X-Client $client_addr, remove request header X-Forwarded-Server
always set response header X-Frame-Options DENY, remove response header X-Powered-By";

const ROUNDS: u32 = 1_000_000;

fn main() {
    let lines: Vec<_> = TEN.lines().collect();
    let one = &lines[..1];
    let patterns = ["when path ~ ^/[a-z]+/[0-9]+/history$ then deny"; 10];
    for (name, lines) in [("one", one), ("ten", &lines), ("ten patterns", &patterns)] {
        let start = Instant::now();
        let rules = RuleSet::parse(lines).unwrap();
        let parsed = start.elapsed();
        let start = Instant::now();
        for _ in 0..ROUNDS {
            black_box(rules.judge(black_box(&Sent)));
        }
        let each = start.elapsed() / ROUNDS;
        println!("{name:>12}: {each:>8.0?} for each request, {parsed:.0?} to parse");
    }
}
