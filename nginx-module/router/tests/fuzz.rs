//! Whatever comes from a client or a dyno, parsers neither panic nor accept
//! what they must not.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use router::{
    authority,
    ending::{Ending, Next},
    page,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes_as_host(line in any::<Vec<u8>>(), host in any::<Option<Vec<u8>>>()) {
        if let Some(found) = authority::of_request(&line, host.as_deref()) {
            prop_assert!(found.whole.starts_with(found.host));
            prop_assert!(!found.host.is_empty());
            prop_assert!(found.host.iter().all(u8::is_ascii_graphic));
        }
    }

    #[test]
    fn nearly_right_hosts(
        target in "(/|\\*|http://|HTTPS?://|x)[a-z0-9.:/?#@\\[\\]-]{0,20}",
        host in "[a-zA-Z0-9.:\\[\\]@/ _-]{0,20}",
    ) {
        let line = format!("GET {target} HTTP/1.1");
        if let Some(found) = authority::of_request(line.as_bytes(), Some(host.as_bytes())) {
            let text = std::str::from_utf8(found.host).unwrap();
            prop_assert!(!text.contains(['/', '@', ' ', '?', '#']), "{text}");
            let rest = &found.whole[found.host.len()..];
            prop_assert!(rest.is_empty() || rest[0] == b':' && rest[1..].iter().all(u8::is_ascii_digit));
        }
    }

    #[test]
    fn any_bytes_as_response(parts in prop::collection::vec(any::<Vec<u8>>(), 0..20), head in any::<bool>()) {
        let mut ending = Ending::of_header(b"", head);
        ending.begin();
        for part in &parts {
            if ending.feed(part) == Next::Finished {
                break;
            }
        }
    }

    /// However a response is cut into pieces, its end is found with its last byte.
    #[test]
    fn the_end_is_found_whatever_the_pieces(
        body in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(1_usize..40, 1..100),
        chunked in any::<bool>(),
        continued in any::<bool>(),
    ) {
        let mut whole = Vec::new();
        if continued {
            whole.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if chunked {
            whole.extend_from_slice(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(7) {
                whole.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                whole.extend_from_slice(chunk);
                whole.extend_from_slice(b"\r\n");
            }
            whole.extend_from_slice(b"0\r\n\r\n");
        } else {
            let header = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            whole.extend_from_slice(header.as_bytes());
            whole.extend_from_slice(&body);
        }
        let mut ending = Ending::of_header(b"", false);
        let mut next = ending.begin();
        let mut rest = &whole[..];
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            next = ending.feed(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
            prop_assert_ne!(next, Next::Finished);
        }
        prop_assert_eq!(next, Next::Finished);
    }

    /// From wherever in a chunked body one begins to read, its end is noticed.
    #[test]
    fn the_end_is_noticed_from_the_middle(
        body in prop::collection::vec(any::<u8>(), 1..200),
        from in any::<prop::sample::Index>(),
        trailer in "([A-Za-z-]{1,9}: [a-z0-9]{0,9}\r\n){0,3}",
    ) {
        let mut whole = format!("{:x}\r\n", body.len()).into_bytes();
        whole.extend_from_slice(&body);
        whole.extend_from_slice(b"\r\n0;last\r\n");
        whole.extend_from_slice(trailer.as_bytes());
        whole.extend_from_slice(b"\r\n");
        // The size of the last chunk has to be among what is read.
        let most = body.len();
        let mut ending = Ending::of_chunked();
        prop_assert_eq!(ending.begin(), Next::Read);
        prop_assert_eq!(ending.feed(&whole[from.index(most)..]), Next::ShutDown);
    }

    #[test]
    fn any_accept(accept in any::<Vec<u8>>()) {
        page::wants_json(&accept);
    }
}
