//! Changes here are changes there.

use dynomesh_proto::v1::{LogState, operation::Kind};
use e2e::{
    Mesh,
    harness::{Broker, Sidecar, broker, run_within, wait},
};
use std::time::Duration;
use tonic::Code;

use super::{change, create, sidecars};

const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn a_change_on_one_is_in_effect_on_all() {
    run_within(LIMIT, async {
        let (all, ..) = sidecars::<3>().await;
        assert_eq!(create(&all[0], "shop").await, 1);
        // Whoever asked has it already; the others have it soon.
        assert!(all[0].control().try_app("shop").await.is_ok());
        all[1].until_version("shop", 1).await;
        all[1]
            .control()
            .add_dyno("shop", "web.1", "127.0.0.1:5001")
            .await;
        all[2].until_version("shop", 2).await;
        let dyno = all[2].control().app("shop").await.app.unwrap().dynos[0].clone();
        // It was given the same instance everywhere.
        for sidecar in &all {
            sidecar.until_version("shop", 2).await;
            let app = sidecar.control().app("shop").await.app.unwrap();
            assert_eq!(app.dynos, std::slice::from_ref(&dyno));
            assert_eq!(dyno.instance.len(), 32);
        }
        // Putting it again is the same process.
        all[0]
            .control()
            .add_dyno("shop", "web.1", "127.0.0.1:5001")
            .await;
        all[2].until_version("shop", 3).await;
        let again = all[2].control().app("shop").await.app.unwrap().dynos[0].clone();
        assert_eq!(again, dyno);
        all[0].until_same(&all[1]).await;
        all[0].until_same(&all[2]).await;
        for mut sidecar in all {
            sidecar.stop().await;
        }
    });
}

#[test]
fn a_refusal_is_everybodys() {
    run_within(LIMIT, async {
        let (all, ..) = sidecars::<2>().await;
        create(&all[0], "shop").await;
        all[1].until_version("shop", 1).await;
        let refused = |kinds: Vec<Kind>, at: usize| {
            let control = all[at].control();
            async move { control.try_apply("shop", kinds).await.unwrap_err() }
        };
        let error = refused(vec![Kind::RemoveDyno("web.1".into())], 1).await;
        assert_eq!(error.code(), Code::NotFound, "{error}");
        let error = refused(vec![Kind::AddDomain("shop.test".into())], 0).await;
        assert_eq!(error.code(), Code::AlreadyExists, "{error}");
        let stale = change("shop", 7, [Kind::SetMaintenance(true)]);
        let error = all[1].control().apply_change(stale).await.unwrap_err();
        assert_eq!(error.code(), Code::Aborted, "{error}");
        assert!(error.message().contains("version 1"), "{error}");
        for sidecar in &all {
            wait::until("the refusals are counted", async || {
                sidecar.log_status().await.refused == 3
            })
            .await;
            assert_eq!(sidecar.log_status().await.applied, 1);
        }
    });
}

#[test]
fn of_two_at_once_one_is_first_everywhere() {
    run_within(LIMIT, async {
        let (all, ..) = sidecars::<2>().await;
        create(&all[0], "shop").await;
        all[1].until_version("shop", 1).await;
        let mut version = 1;
        for round in 0..20 {
            let on = change("shop", version, [Kind::SetMaintenance(true)]);
            let off = change("shop", version, [Kind::SetMaintenance(false)]);
            let (a, b) = tokio::join!(
                all[0].control().apply_change(on),
                all[1].control().apply_change(off)
            );
            let won = match (&a, &b) {
                (Ok(made), Err(error)) | (Err(error), Ok(made)) => {
                    assert_eq!(error.code(), Code::Aborted, "{error}");
                    *made
                }
                both => panic!("round {round}: {both:?}"),
            };
            version += 1;
            assert_eq!(won, version);
            for sidecar in &all {
                sidecar.until_version("shop", version).await;
                let app = sidecar.control().app("shop").await.app.unwrap();
                assert_eq!(app.maintenance, a.is_ok());
            }
        }
        all[0].until_same(&all[1]).await;
    });
}

#[test]
fn a_restarted_sidecar_goes_on_where_it_was() {
    run_within(LIMIT, async {
        let (mut all, ..) = sidecars::<2>().await;
        create(&all[0], "first").await;
        all[1].until_version("first", 1).await;
        // Its own answer comes when everything before it is on its disk.
        create(&all[1], "own").await;
        all[1].kill().await;
        create(&all[0], "second").await;
        all[1].start_again().await;
        all[1].until_in_sync().await;
        all[1].until_version("second", 1).await;
        // It did not go through everything again.
        assert_eq!(all[1].log_status().await.applied, 1);
        all[0].until_same(&all[1]).await;
    });
}

#[test]
fn a_new_sidecar_gets_everything() {
    run_within(LIMIT, async {
        let (all, broker, prefix) = sidecars::<1>().await;
        for number in 0..50 {
            create(&all[0], &format!("app-{number}")).await;
        }
        all[0].control().set_maintenance("app-7").await;
        let late = Sidecar::start(&broker.url(), &prefix, "late").await;
        assert_eq!(late.status().await.apps, 50);
        assert_eq!(late.table().await, all[0].table().await);
        assert!(late.status().await.ready);
    });
}

#[test]
fn a_request_finds_a_dyno_that_another_host_was_told_of() {
    run_within(LIMIT, async {
        let broker = Broker::shared().await;
        let prefix = broker::prefix();
        let url = broker.url();
        let mesh = Mesh::builder().broker(&url, &prefix).start().await;
        let other = Sidecar::start(&url, &prefix, "other").await;
        let app = mesh.app("shop").await;
        other.until_version("shop", 1).await;
        let dyno = app.program("web.1").start().await;
        other
            .control()
            .add_dyno("shop", "web.1", &dyno.address)
            .await;
        mesh.control()
            .until_app("shop", "has a dyno", |status| status.dynos.len() == 1)
            .await;
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        assert_eq!(other.log_status().await.state(), LogState::InSync);
        mesh.finish().await;
    });
}

#[test]
fn a_dyno_that_is_put_back_has_its_requests() {
    run_within(LIMIT, async {
        let broker = Broker::shared().await;
        let prefix = broker::prefix();
        let url = broker.url();
        let mesh = Mesh::builder().broker(&url, &prefix).start().await;
        let other = Sidecar::start(&url, &prefix, "other").await;
        let app = mesh.app("shop").await;
        let dyno = app.dyno("web.1").await;
        let before = app.status().await.app.unwrap().dynos;
        let slow = mesh.request("GET", &app.host(), "/sleep/1000");
        let mut slow = slow.start().await.unwrap();
        app.until_load(1, 0).await;
        app.remove("web.1").await;
        app.register("web.1", &dyno.address).await;
        assert_eq!(app.status().await.app.unwrap().dynos, before);
        other.until_version("shop", 4).await;
        assert_eq!(other.control().app("shop").await.app.unwrap().dynos, before);
        // The next request waits for the one that it still has.
        assert_eq!(mesh.get(&app.host(), "/").await.status(), 200);
        assert_eq!(slow.response().await.unwrap().status(), 200);
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}
