//! Pages of apps.

use dynomesh_proto::v1::{ListAppsRequest, control_client::ControlClient};
use tonic::{Code, transport::Channel};

use crate::harness::{Meshd, Worker, app, change, dyno, put};

/// All pages, as names.
async fn pages(control: &mut ControlClient<Channel>, request: ListAppsRequest) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut page = String::new();
    loop {
        let request = ListAppsRequest {
            page,
            ..request.clone()
        };
        let listed = control
            .list_apps(request)
            .await
            .expect("listed")
            .into_inner();
        pages.push(
            listed
                .apps
                .into_iter()
                .map(|status| status.app.expect("app").name)
                .collect(),
        );
        page = listed.next_page;
        if page.is_empty() {
            return pages;
        }
    }
}

#[tokio::test]
async fn apps_come_by_name_in_pages() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    assert_eq!(
        pages(control, ListAppsRequest::default()).await,
        [Vec::<String>::new()]
    );
    let changes: Vec<_> = (0..700).map(|n| app(&format!("app-{n:03}"), &[])).collect();
    let mut results = control
        .apply_many(tokio_stream::iter(changes))
        .await
        .expect("ok")
        .into_inner();
    while results.message().await.expect("goes on").is_some() {}

    let all = pages(
        control,
        ListAppsRequest {
            page_size: 1_000,
            ..Default::default()
        },
    )
    .await;
    assert_eq!(all.len(), 1);
    let wanted: Vec<_> = (0..700).map(|n| format!("app-{n:03}")).collect();
    assert_eq!(all[0], wanted);
    let usual = pages(control, ListAppsRequest::default()).await;
    assert_eq!(usual.iter().map(Vec::len).collect::<Vec<_>>(), [100; 7]);
    assert_eq!(usual.concat(), wanted);
    let odd = pages(
        control,
        ListAppsRequest {
            page_size: 33,
            ..Default::default()
        },
    )
    .await;
    assert_eq!(odd.concat(), wanted);

    let prefix = ListAppsRequest {
        prefix: "app-12".into(),
        page_size: 4,
        ..Default::default()
    };
    let some = pages(control, prefix).await;
    assert_eq!(some.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    assert_eq!(some.concat(), wanted[120..130]);

    let busy = ListAppsRequest {
        busy_only: true,
        ..Default::default()
    };
    assert!(pages(control, busy.clone()).await.concat().is_empty());
    control
        .apply(change("app-650", [put(dyno("web.1", 5001))]))
        .await
        .expect("applied");
    let mut worker = Worker::hello(&meshd.path("router.sock"), 1).await;
    assert!(worker.route(1, "app-650.test").await.is_ok());
    assert_eq!(pages(control, busy).await.concat(), ["app-650"]);

    let long = ListAppsRequest {
        page_size: 1_001,
        ..Default::default()
    };
    let refused = control.list_apps(long).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("page_size"), "{refused}");
}

#[tokio::test]
async fn a_page_of_large_apps_stays_small() {
    let meshd = Meshd::start(&[]).await;
    let control = &mut meshd.control().await;
    for app_number in 0..4_u8 {
        control
            .apply(app(&format!("app-{app_number}"), &[]))
            .await
            .expect("applied");
        let dynos = (0..5_000_u16).map(|n| {
            let mut dyno = dyno(&format!("{}.{n}", "w".repeat(100)), 1);
            dyno.instance = format!("{app_number}.{n}");
            dyno.address = format!("10.{app_number}.{}.{}:80", n / 256, n % 256);
            put(dyno)
        });
        for some in dynos.collect::<Vec<_>>().chunks(1_000) {
            let some = change(&format!("app-{app_number}"), some.to_vec());
            control.apply(some).await.expect("applied");
        }
    }
    let found = pages(control, ListAppsRequest::default()).await;
    assert!(found.len() > 1, "{found:?}");
    assert_eq!(found.concat(), ["app-0", "app-1", "app-2", "app-3"]);
}
