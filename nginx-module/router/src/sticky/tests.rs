use super::*;

/// The key of the app in these tests.
const OWN: &str = "cookie#0123456789abcdef";

fn prefer(sticky: &str, headers: &[(&'static str, &'static str)]) -> Option<Prefer> {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Sticky::read(sticky)?.prefer(headers)
}

fn set_cookie(sticky: &str, mark: u64, https: bool) -> String {
    let sticky = Sticky::read(sticky).expect("it is sticky");
    sticky.set_cookie(mark, https).expect("a cookie")
}

#[test]
fn a_cookie_comes_back() {
    let set = set_cookie(OWN, 0xab, true);
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax; Secure");
    // Those that clients have go on to be read.
    assert_eq!(pair, "mesh_dyno=8667bb2013c44ba9");
    assert!(!set_cookie(OWN, 0xab, false).contains("Secure"));
    let dyno = Some(Prefer::Dyno(0xab));
    let own = |value: String| {
        let headers: [(&[u8], &[u8]); 2] = [(b"Accept", b"x"), (b"Cookie", value.as_bytes())];
        Sticky::read(OWN)?.prefer(headers)
    };
    assert_eq!(own(pair.into()), dyno);
    assert_eq!(own(format!("a=b; {pair};c=d")), dyno);
    let value = pair.strip_prefix("mesh_dyno=").expect("a value");
    for other in [
        String::new(),
        "mesh_dyno".into(),
        "mesh_dyno=".into(),
        "mesh_dyno=ab".into(),
        "mesh_dyno=00000000000000ag".into(),
        "mesh_dyno=+0000000000000ab".into(),
        format!("not_mesh_dyno={value}"),
        format!("mesh_dyno_too={value}"),
    ] {
        assert_eq!(own(other.clone()), None, "{other}");
    }
    assert_eq!(prefer(OWN, &[("mesh_dyno", "0123456789abcdef")]), None);
    for sticky in ["cookie:user", "header:x-user"] {
        let sticky = Sticky::read(sticky).expect("it is sticky");
        assert_eq!(sticky.set_cookie(0xab, true), None);
    }
}

#[test]
fn what_is_sealed_is_opened_with_its_key_alone() {
    for mark in [1, 0xab, 1 << 63, u64::MAX, 0xadca_3a25_fc33_84f6] {
        for key in [0, 1, u64::MAX] {
            assert_eq!(unseal(seal(mark, key), key), mark);
            assert_ne!(seal(mark, key), mark);
            assert_ne!(unseal(seal(mark, key), key ^ 1), mark);
        }
    }
}

#[test]
fn equal_values_are_equal_everywhere() {
    let ann = prefer("cookie:user", &[("cookie", "x=1; user=ann")]);
    assert_eq!(ann, prefer("header:X-User", &[("x-user", "ann")]));
    assert_eq!(ann, Some(Prefer::Hash(0xe6f7_9d19_051f_fcb8)));
    assert_ne!(ann, prefer("header:X-User", &[("x-user", "bob")]));
    assert_eq!(prefer("header:X-User", &[("x-user", "")]), None);
    assert_eq!(
        prefer("cookie:user", &[("cookie", "user=; user2=ann")]),
        None
    );
    for nothing in ["", "cookies", "query:a", "cookie#x"] {
        assert_eq!(Sticky::read(nothing), None);
    }
}
