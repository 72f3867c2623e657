//! Words and answers there and back, and what is none.

use mesh::{Prefer, Refusal};

use super::*;

fn messages(word: ToPeer) -> Vec<v1::ToOwner> {
    let mut more = VecDeque::new();
    let first = word_to_owner(word, &mut more);
    std::iter::once(first).chain(more).collect()
}

fn there_and_back(word: &ToPeer) -> usize {
    let messages = messages(word.clone());
    let (count, mut words) = (messages.len(), OwnerWords::default());
    let mut said = messages
        .into_iter()
        .map(|it| words.add(it).expect("a word"));
    assert!(said.by_ref().take(count - 1).all(|it| it.is_none()));
    assert_eq!(said.next(), Some(Some(word.clone())));
    count
}

fn held(count: u64) -> Held {
    let lease = |ask| (AskId(ask), format!("instance-{ask}").into());
    Held {
        epoch: 7,
        whole: true,
        shards: BTreeSet::new(),
        leases: (1..=count).map(lease).collect(),
        others: Vec::new(),
    }
}

fn of_shards(count: u64) -> Held {
    Held {
        whole: false,
        shards: Shard::all().filter(|it| it.index() % 3 == 0).collect(),
        ..held(count)
    }
}

fn ask() -> FarAsk {
    FarAsk {
        id: AskId(3),
        app: "shop".into(),
        waited: Duration::from_micros(1_234_567),
        served: Duration::from_micros(1),
        held: true,
        tried: vec!["a".into(), "b".into()],
        prefer: Some(Prefer::Dyno(u64::MAX)),
        client: 7,
    }
}

#[test]
fn every_word_comes_back_as_it_was() {
    for word in [
        ToPeer::Hello(held(0)),
        ToPeer::Report(held(2)),
        ToPeer::Vouch(PeerId(u64::MAX), of_shards(1)),
        ToPeer::Ask(ask()),
        ToPeer::Cancel(AskId(u64::MAX)),
        ToPeer::Checkin(AskId(1), Outcome::Done),
        ToPeer::Checkin(AskId(1), Outcome::Refused),
        ToPeer::Checkin(AskId(1), Outcome::ConnectTimeout),
        ToPeer::Checkin(AskId(1), Outcome::Failed),
        ToPeer::Checkin(AskId(1), Outcome::Unused),
    ] {
        assert_eq!(there_and_back(&word), 1);
    }
    let most = LEASES as u64;
    let with_others = |count, others| Held {
        others: held(others).leases,
        ..of_shards(count)
    };
    for (count, others, pieces) in [(0, 1, 1), (most, 1, 2), (1, most, 2), (most, most, 2)] {
        let word = ToPeer::Hello(with_others(count, others));
        assert_eq!(there_and_back(&word), pieces);
    }
    for (count, pieces) in [(most, 1), (most + 1, 2), (most * 3, 3)] {
        assert_eq!(there_and_back(&ToPeer::Hello(held(count))), pieces);
        assert_eq!(
            there_and_back(&ToPeer::Vouch(PeerId(9), held(count))),
            pieces
        );
    }
}

#[test]
fn every_answer_comes_back_as_it_was() {
    let dyno = Arc::new(DynoInfo {
        app: "shop".into(),
        name: "web.1".into(),
        instance: "i".into(),
        address: "127.0.0.1:5001".parse().expect("an address"),
    });
    let route = Route {
        dyno,
        limited: true,
        others: 7,
        counted: true,
        gone: true,
        again: Duration::ZERO,
        edition: None,
    };
    let refusals = [
        Refusal::UnknownName,
        Refusal::Maintenance,
        Refusal::QueueFull,
        Refusal::QueueTimeout,
        Refusal::TooManyRequests,
        Refusal::RateLimited(9),
        Refusal::NoDynos,
        Refusal::NeverReleased,
        Refusal::Crashed,
        Refusal::BootTimeout,
        Refusal::Quarantined,
        Refusal::NoOtherDyno,
        Refusal::Overloaded,
    ];
    let results = refusals.into_iter().map(Err).chain([Ok(route)]);
    for result in results {
        let answer = FarAnswer {
            ask: AskId(4),
            wait: Duration::from_micros(1_500),
            depth: 5,
            in_use: 6,
            result,
        };
        let Some(from_owner::Kind::Answer(message)) = far_answer(&answer).kind else {
            panic!("no answer");
        };
        assert_eq!(far_answer_from_proto(message), Ok(answer));
    }
}

#[test]
fn what_is_no_word_names_its_field() {
    let refused = |messages: Vec<v1::ToOwner>| {
        let mut words = OwnerWords::default();
        let mut said = messages.into_iter().map(|it| words.add(it));
        said.find_map(Result::err).map(|error| error.field)
    };
    let with = |change: fn(&mut FarAsk)| {
        let mut ask = ask();
        change(&mut ask);
        messages(ToPeer::Ask(ask))
    };
    let mut broken = messages(ToPeer::Hello(held(LEASES as u64 * 2)));
    broken[1] = messages(ToPeer::Cancel(AskId(1))).remove(0);
    let mut strange = messages(ToPeer::Report(held(0)));
    if let Some(Kind::Report(held)) = &mut strange[0].kind {
        held.shards.push(256);
    }
    let mut mixed = messages(ToPeer::Hello(held(LEASES as u64 * 2)));
    let other = Held {
        epoch: 8,
        ..held(1)
    };
    mixed[1] = messages(ToPeer::Hello(other)).remove(0);
    let introduction = introduction_to_owner(v1::Introduction::default());
    for (messages, field) in [
        (vec![v1::ToOwner::default()], "message"),
        (vec![introduction], "introduction"),
        (strange, "held.shards"),
        (with(|ask| ask.id = AskId(0)), "ask.ask"),
        (with(|ask| ask.app = "".into()), "ask.app"),
        (with(|ask| ask.app = "a".repeat(257).into()), "ask.app"),
        (with(|ask| ask.tried = vec!["".into()]), "ask.tried"),
        (
            with(|ask| ask.tried = vec!["a".into(); MAX_TRIED + 1]),
            "ask.tried",
        ),
        (messages(ToPeer::Cancel(AskId(0))), "cancel.ask"),
        (
            messages(ToPeer::Hello(held(MAX_LEASES as u64 + 1))),
            "held.leases",
        ),
        (broken, "message"),
        (mixed, "held.epoch"),
    ] {
        assert_eq!(refused(messages).as_deref(), Some(field));
    }
}

#[test]
fn what_is_no_answer_names_its_field() {
    let dyno = v1::DynoInfo {
        app: "a".into(),
        name: "web.1".into(),
        instance: "i".into(),
        address: "nowhere".into(),
        ..Default::default()
    };
    let route = |dyno| {
        let route = v1::FarRoute {
            dyno,
            ..Default::default()
        };
        Some(Reply::Route(route))
    };
    for (result, field) in [
        (None, "answer.result"),
        (route(None), "answer.route.dyno"),
        (route(Some(dyno)), "answer.route.dyno.address"),
        (Some(Reply::Refusal(1)), "answer.ask"),
    ] {
        let answer = v1::FarAnswer {
            result,
            ..Default::default()
        };
        let error = far_answer_from_proto(answer).expect_err("no answer");
        assert_eq!(error.field, field);
    }
}
