//! What the tests measure with must be right itself. No mesh here.

use std::time::Duration;

use e2e::{
    client::Request,
    harness::{Program, run},
    load::{self, Options},
};

fn get(dyno: &e2e::Dyno, target: &str) -> Request {
    Request::new(dyno.address.parse().unwrap(), "GET", "direct", target)
}

#[test]
fn a_dyno_counts_double_bookings() {
    run(async {
        let dyno = Program::new("a", "web.1").start().await;
        let mut first = get(&dyno, "/hold").id("first").start().await.unwrap();
        dyno.until_now(1).await;
        let mut second = get(&dyno, "/hold").id("second").start().await.unwrap();
        dyno.until_now(2).await;
        dyno.release().await;
        assert_eq!(first.response().await.unwrap().status(), 200);
        assert_eq!(second.response().await.unwrap().status(), 200);

        let figures = dyno.figures().await;
        assert_eq!((figures.now, figures.max, figures.total), (0, 2, 2));
        assert_eq!(figures.double_bookings, 1);
        let seen: Vec<&str> = figures.seen.iter().map(|seen| &*seen.id).collect();
        assert_eq!(seen, ["first", "second"]);
        assert!(figures.seen[0].at < figures.seen[1].at);

        dyno.reset().await;
        assert_eq!(dyno.figures().await, Default::default());
    });
}

#[test]
fn one_request_after_the_other_is_no_double_booking() {
    run(async {
        let dyno = Program::new("a", "web.1").start().await;
        let report = load::run(Options {
            requests: Some(2_000),
            targets: ["/", "/body/1", "/chunked/9/2/0", "/status/200", "/echo"]
                .map(str::to_owned)
                .to_vec(),
            ..Options::new(dyno.address.parse().unwrap(), "direct")
        })
        .await;
        assert_eq!(
            (report.requests, report.failures()),
            (2_000, 0),
            "{report:?}"
        );
        let figures = dyno.figures().await;
        assert_eq!((figures.max, figures.double_bookings), (1, 0));
        assert_eq!(figures.total, 2_000);
    });
}

#[test]
fn a_dyno_works_on_when_the_client_is_gone() {
    run(async {
        let dyno = Program::new("a", "web.1").start().await;
        let conn = get(&dyno, "/hold").start().await.unwrap();
        dyno.until_now(1).await;
        conn.abort();
        // Another exchange with the dyno: by then it could have noticed.
        assert_eq!(get(&dyno, "/sleep/50").send().await.status(), 200);
        assert_eq!(dyno.figures().await.now, 1);
        dyno.release().await;
        dyno.until_now(0).await;
    });
}

#[test]
fn a_broken_answer_is_seen_as_such() {
    run(async {
        let dyno = Program::new("a", "web.1").start().await;
        for target in [
            "/close-after-header",
            "/close-mid-body",
            "/close-mid-chunked",
        ] {
            let answer = get(&dyno, target).send().await;
            assert_eq!(answer.status(), 200, "{target}");
            assert!(!answer.complete, "{target}");
        }
        for target in ["/close", "/reset", "/bad-header"] {
            assert!(get(&dyno, target).try_send().await.is_err(), "{target}");
        }
        assert_eq!(dyno.figures().await.now, 0);
    });
}

#[test]
fn a_load_counts_what_it_did() {
    run(async {
        let dyno = Program::new("a", "web.1").start().await;
        let options = Options {
            connections: 8,
            requests: Some(1_000),
            targets: vec!["/".to_owned(), "/status/503".to_owned()],
            ..Options::new(dyno.address.parse().unwrap(), "direct")
        };
        let report = load::run(options.clone()).await;
        assert_eq!(report.requests, 1_000);
        assert_eq!(report.statuses[&200] + report.statuses[&503], 1_000);
        assert_eq!(report.failures(), report.statuses[&503]);

        let report = load::run(Options {
            connections: 1,
            requests: Some(10),
            targets: vec!["/sleep/30".to_owned()],
            ..options.clone()
        })
        .await;
        assert!(
            report.p50 >= 30_000 && report.max >= report.p50,
            "{report:?}"
        );

        let report = load::run(Options {
            abort_within: Some(Duration::from_millis(2)),
            targets: vec!["/sleep/500".to_owned()],
            ..options
        })
        .await;
        assert_eq!((report.aborted, report.requests), (1_000, 0), "{report:?}");
    });
}
