//! Entries there and back, and what is none.

use proptest::prelude::*;

use super::*;

fn node_of(name: &str) -> Node {
    Node {
        name: name.into(),
        life: u64::MAX,
    }
}

fn tick(count: usize, name: &str, address: &str) -> Kind {
    let member = Listed {
        node: node_of(name),
        address: address.into(),
        wrote: 7,
        again: true,
    };
    Kind::Tick {
        number: 3,
        member: true,
        listing: Some(Listing {
            read: 9,
            epoch: 8,
            origin: 6,
            members: vec![member; count],
            gone: vec![(name.into(), 5); count],
        }),
    }
}

fn gone(count: usize, name: &str) -> Kind {
    Kind::Tick {
        number: 3,
        member: true,
        listing: Some(Listing {
            read: 9,
            epoch: 8,
            origin: 6,
            members: Vec::new(),
            gone: vec![(name.into(), 5); count],
        }),
    }
}

fn join(address: &str, known: &[String]) -> Kind {
    Kind::Join {
        address: address.into(),
        known: Known {
            origin: 5,
            names: known.iter().map(|name| name.as_str().into()).collect(),
        },
    }
}

/// So many of this length.
fn names(count: usize, length: usize) -> Vec<String> {
    (0..count).map(|at| format!("{at:0length$}")).collect()
}

fn there_and_back(kind: Kind) -> Result<(), Malformed> {
    let entry = Entry {
        from: node_of("a"),
        kind,
    };
    let bytes = members_entry_to_bytes(&entry);
    assert_eq!(members_entry_from_bytes(&bytes)?, entry);
    Ok(())
}

#[test]
fn every_kind_comes_back_as_it_was() {
    let longest = ("n".repeat(MAX_NAME), "h".repeat(MAX_ADDRESS));
    for kind in [
        join(&longest.1, &[]),
        join("h", &names(MAX_KNOWN, MAX_NAME)),
        Kind::Tick {
            number: 0,
            member: false,
            listing: None,
        },
        tick(0, "", ""),
        tick(MAX_MEMBERS, &longest.0, &longest.1),
        Kind::Suspect {
            whom: node_of("b"),
            after: 1,
        },
        Kind::Found { after: 2 },
        Kind::Yield { epoch: 3 },
        Kind::Leave { clear: None },
        Kind::Leave { clear: Some(0) },
    ] {
        there_and_back(kind).expect("an entry");
    }
}

#[test]
fn what_is_over_a_limit_names_its_field() {
    let suspect = |name: &str| Kind::Suspect {
        whom: node_of(name),
        after: 1,
    };
    for (kind, field) in [
        (tick(MAX_MEMBERS + 1, "n", "h"), "list.members"),
        (tick(1, "", "h"), "list.members.node.name"),
        (gone(MAX_MEMBERS + 1, "n"), "list.gone"),
        (gone(1, ""), "list.gone.name"),
        (tick(1, "n", ""), "list.members.address"),
        (suspect(&"n".repeat(MAX_NAME + 1)), "suspect.whom.name"),
        (join("", &[]), "join.address"),
        (join(&"h".repeat(MAX_ADDRESS + 1), &[]), "join.address"),
        (join("h", &names(MAX_KNOWN + 1, 3)), "join.known"),
        (join("h", &names(1, MAX_NAME + 1)), "join.known"),
    ] {
        let error = there_and_back(kind).expect_err("over a limit");
        assert_eq!(error.field, field);
    }
    let nobody = v1::MembersEntry {
        from: None,
        kind: Some(members_entry::Kind::Leave(v1::MemberLeave::default())),
    };
    let nothing = v1::MembersEntry {
        from: Some(node_to_proto(&node_of("a"))),
        kind: None,
    };
    for (entry, field) in [(nobody, "from"), (nothing, "entry")] {
        let error = members_entry_from_bytes(&entry.encode_to_vec()).expect_err("no entry");
        assert_eq!(error.field, field);
    }
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_an_entry_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(entry) = members_entry_from_bytes(&bytes) {
            let again = members_entry_from_bytes(&members_entry_to_bytes(&entry));
            prop_assert_eq!(again, Ok(entry));
        }
    }

    #[test]
    fn an_entry_with_broken_bytes_is_an_entry_or_refused(
        at in 0..200_usize, byte in any::<u8>(), cut in 0..200_usize,
    ) {
        let entry = Entry { from: node_of("a"), kind: tick(3, "b", "h:1") };
        let mut bytes = members_entry_to_bytes(&entry);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut);
        let _ = members_entry_from_bytes(&bytes);
    }
}
