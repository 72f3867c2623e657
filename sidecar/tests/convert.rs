//! Messages of any content: never a panic, and what is accepted comes back as
//! it was.

use dynomesh_proto::v1::{
    Auth, Change, CreateApp, DeleteApp, Dyno, LogEntry, Manage, Operation, Page, PutDyno, Rate,
    Rules, SetDynoState, Settings, log_entry, operation::Kind,
};
use mesh::{Limits, Mesh, Time};
use meshd::convert;
use proptest::prelude::*;
use prost::Message as _;

/// Anything, and often something sensible.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9.*-]{0,20}",
        "(127\\.0\\.0\\.1|\\[::1\\]|unix:/[a-z]{0,120}):?[0-9]{0,6}",
        Just("web.1".to_owned()),
        Just("127.0.0.1:5001".to_owned()),
        (0..300_usize).prop_map(|n| "x".repeat(n)),
    ]
}

fn code() -> impl Strategy<Value = i32> {
    prop_oneof![-1..8_i32, any::<i32>()]
}

fn page_code() -> impl Strategy<Value = String> {
    prop_oneof![text(), Just("H80".to_owned()), Just("error".to_owned())]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..10_u32, any::<u32>()]
}

prop_compose! {
    fn some_rate()(requests in number(), per_s in number(), burst in number()) -> Rate {
        Rate { requests, per_s, burst }
    }
}

fn rate() -> impl Strategy<Value = Option<Rate>> {
    proptest::option::of(some_rate())
}

prop_compose! {
    fn settings()(
        (policy, exact) in (code(), code()),
        (dyno_limit, queue_depth, max_requests) in (number(), number(), number()),
        (queue_timeout_ms, boot_timeout_ms) in (number(), number()),
        (wake, queue_headers) in any::<(bool, bool)>(),
        (idle_timeout_ms, scale_wait_ms, tap_rate) in (number(), number(), number()),
        (max_body_bytes, max_time_ms) in (any::<u64>(), number()),
        (max_rate, max_client_rate) in (rate(), rate()),
    ) -> Settings {
        Settings {
            policy, dyno_limit, queue_depth, queue_timeout_ms, boot_timeout_ms, max_requests, wake,
            queue_headers, idle_timeout_ms, scale_wait_ms, exact, tap_rate, max_body_bytes, max_time_ms,
            max_rate, max_client_rate,
        }
    }
}

prop_compose! {
    fn dyno()(
        (name, instance, address) in (text(), text(), text()), limit in number(), state in code(),
    ) -> Dyno {
        Dyno { name, instance, address, limit, state }
    }
}

prop_compose! {
    fn manage()(
        wake in any::<Option<bool>>(),
        numbers in any::<[Option<u8>; 4]>(),
        domains in proptest::collection::vec(text(), 0..3),
        dyno_prefix in text(),
        dynos in proptest::collection::vec(dyno(), 0..3),
    ) -> Manage {
        let [dyno_limit, boot_timeout_ms, idle_timeout_ms, scale_wait_ms] =
            numbers.map(|number| number.map(u32::from));
        Manage {
            wake, dyno_limit, boot_timeout_ms, idle_timeout_ms, scale_wait_ms, domains,
            dyno_prefix, dynos,
        }
    }
}

/// Boxed: the largest of these is too large for the stack of a test, many times over.
fn kind() -> BoxedStrategy<Kind> {
    prop_oneof![
        proptest::option::of(settings())
            .prop_map(|settings| Kind::CreateApp(CreateApp { settings })),
        Just(Kind::DeleteApp(DeleteApp {})),
        settings().prop_map(Kind::PutSettings),
        any::<bool>().prop_map(Kind::SetMaintenance),
        text().prop_map(Kind::AddDomain),
        text().prop_map(Kind::RemoveDomain),
        (proptest::option::of(dyno()), any::<bool>())
            .prop_map(|(dyno, takeover)| Kind::PutDyno(PutDyno { dyno, takeover })),
        text().prop_map(Kind::RemoveDyno),
        (text(), code()).prop_map(|(dyno, state)| Kind::SetDynoState(SetDynoState { dyno, state })),
        manage().prop_map(Kind::Manage),
        proptest::collection::vec(prop_oneof![text(), Just("always deny".to_owned())], 0..3)
            .prop_map(|lines| Kind::PutRules(Rules { lines })),
        prop_oneof![text(), "(cookie|header)(:[A-Za-z-]{0,3})?"].prop_map(Kind::PutSticky),
        (page_code(), text(), text()).prop_map(|(code, content_type, body)| {
            let size = 0;
            Kind::PutPage(Page {
                code,
                content_type,
                body,
                size,
            })
        }),
        proptest::collection::vec(prop_oneof![text(), Just("authorizer a".to_owned())], 0..3)
            .prop_map(|lines| Kind::PutAuth(Auth { lines })),
    ]
    .boxed()
}

prop_compose! {
    fn change()(
        app in prop_oneof![Just("shop".to_owned()), text()],
        base_version in prop_oneof![Just(0), any::<u64>()],
        kinds in proptest::collection::vec(proptest::option::weighted(0.97, kind()), 0..8),
    ) -> Change {
        let operations = kinds.into_iter().map(|kind| Operation { kind }).collect();
        Change { app, base_version, operations }
    }
}

/// Makes the change if it can be made, and reads back all that is shown of it.
fn make(mesh: &mut Mesh, change: Change) {
    let converted = match convert::change_from_proto(change) {
        Ok(converted) => converted,
        Err(error) => {
            assert!(error.field.starts_with("operations["), "{error}");
            return;
        }
    };
    let shown = convert::change_from_core(&converted);
    assert_eq!(convert::change_from_proto(shown).as_ref(), Ok(&converted));
    let Ok(updates) = mesh.plan(&converted) else {
        return;
    };
    for update in &updates {
        mesh.apply(update, Time::ZERO);
    }
    let view = mesh.app(&converted.app, Time::ZERO);
    if let Some(view) = view {
        let app = convert::app_status(&view).app.expect("app");
        assert_eq!(convert::spec_from_app(app), Ok(view.spec));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_made_or_refused(changes in proptest::collection::vec(change(), 1..6)) {
        let mut mesh = Mesh::new(Limits::default(), 1);
        let create = Operation { kind: Some(Kind::CreateApp(CreateApp::default())) };
        let shop = Change { app: "shop".into(), base_version: 0, operations: vec![create] };
        for change in [shop].into_iter().chain(changes) {
            make(&mut mesh, change);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut mesh = Mesh::new(Limits::default(), 1);
        if let Ok(change) = Change::decode(&*bytes) {
            make(&mut mesh, change);
        }
        if let Ok(app) = dynomesh_proto::v1::App::decode(&*bytes) {
            let _ = convert::spec_from_app(app);
        }
    }

    #[test]
    fn bytes_that_were_a_change_are_read_or_refused(
        change in change(), flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = change.encode_to_vec();
        for (at, with) in flips {
            if let Some(at) = at.checked_rem(bytes.len()) {
                bytes[at] ^= with;
            }
        }
        if let Ok(change) = Change::decode(&*bytes) {
            make(&mut Mesh::new(Limits::default(), 1), change);
        }
    }

    #[test]
    fn every_outcome_means_something(code in any::<i32>()) {
        let _ = convert::outcome(code);
    }
}

/// An entry, whole or damaged.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    let whole = (change(), text(), text()).prop_map(|(change, log_id, change_id)| LogEntry {
        log_id,
        change_id,
        node: "n".into(),
        kind: Some(log_entry::Kind::Change(change)),
    });
    let damaged = (whole, any::<prop::sample::Index>(), any::<u8>());
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        damaged.prop_map(|(entry, at, byte)| {
            let mut bytes = entry.encode_to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_entry(bytes in entry()) {
        if let Ok(said) = convert::said_from_bytes(convert::Form::Protobuf, &bytes) {
            let again = convert::said_to_bytes(&said);
            let again = convert::said_from_bytes(convert::Form::Protobuf, &again);
            prop_assert_eq!(again, Ok(said));
        }
        // No panic.
        let _ = convert::said_from_bytes(convert::Form::Json, &bytes);
        let _ = convert::part_from_bytes(&bytes);
        let _ = convert::table_from_bytes(&bytes);
    }

    #[test]
    fn any_json(text in prop_oneof![
        any::<String>(),
        "\\{\"(change|sync|genesis|logId|nope)\": ?(\\{\"app\":\"a\",\"operations\":\\[.{0,40}\\]\\}|\"[0-9a-f]{32}\"|[0-9]{1,3})\\}",
    ]) {
        let _ = convert::said_from_bytes(convert::Form::Json, text.as_bytes());
    }
}
