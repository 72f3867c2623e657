//! How fast changes are, how long a start takes and how much memory it needs.
//!
//!     cargo build --release -p meshd && cargo run --release -p meshd --example populate -- 50000
mod shared;

use std::time::Instant;

use dynomesh_proto::v1::{
    Change, ListAppsRequest, SetDynoState, control_client::ControlClient, operation::Kind,
};
use futures_util::{StreamExt as _, stream};
use tonic::transport::Channel;

use shared::{Failure, Meshd, change, dyno, new_app};

/// Dynos of each app.
const DYNOS: usize = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let apps: usize = std::env::args().nth(1).map_or(Ok(50_000), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let (meshd, _) = Meshd::start(dir.path()).await?;
    let mut control = meshd.control().await?;

    let created = (0..apps).map(|app| {
        let dynos = (0..DYNOS).map(|n| dyno(format!("web.{n}"), app * DYNOS + n + 1));
        new_app(&format!("app-{app:06}"), dynos.collect())
    });
    apply(
        "create an app with its dynos",
        &mut control,
        created.collect(),
    )
    .await?;
    let changed = (0..apps).map(|app| {
        let state = 2 + (app % 2) as i32;
        let set = SetDynoState {
            dyno: "web.0".into(),
            state,
        };
        change(&format!("app-{app:06}"), vec![Kind::SetDynoState(set)])
    });
    apply("set a dyno's state", &mut control, changed.collect()).await?;
    list(&mut control).await?;
    println!("resident after the changes: {}", meshd.status("VmRSS")?);

    println!("stopped in {:?}", meshd.stop()?);
    let size = std::fs::metadata(dir.path().join("data/mesh.redb"))?.len();
    println!("the file has {} KiB", size >> 10);
    let (meshd, took) = Meshd::start(dir.path()).await?;
    println!(
        "a start takes {took:?}; resident then: {}",
        meshd.status("VmRSS")?
    );
    meshd.kill()?;
    let (meshd, took) = Meshd::start(dir.path()).await?;
    println!(
        "a start after SIGKILL takes {took:?}; resident then: {}",
        meshd.status("VmRSS")?
    );
    list(&mut meshd.control().await?).await?;
    println!("resident after a list: {}", meshd.status("VmRSS")?);
    meshd.stop()?;
    Ok(())
}

async fn apply(
    what: &str,
    control: &mut ControlClient<Channel>,
    changes: Vec<Change>,
) -> Result<(), Failure> {
    let (count, began) = (changes.len(), Instant::now());
    let mut results = control
        .apply_many(stream::iter(changes))
        .await?
        .into_inner();
    while let Some(result) = results.next().await {
        let result = result?;
        if let Some(error) = result.error {
            return Err(format!("{}: {}", result.app, error.message).into());
        }
    }
    let took = began.elapsed();
    println!(
        "{what}: {count} in {took:?}, {:.0}/s",
        count as f64 / took.as_secs_f64()
    );
    Ok(())
}

async fn list(control: &mut ControlClient<Channel>) -> Result<(), Failure> {
    let (began, mut page, mut apps) = (Instant::now(), String::new(), 0);
    loop {
        let request = ListAppsRequest {
            page_size: 1_000,
            page,
            ..ListAppsRequest::default()
        };
        let listed = control.list_apps(request).await?.into_inner();
        apps += listed.apps.len();
        page = listed.next_page;
        if page.is_empty() {
            println!("list of {apps} apps: {:?}", began.elapsed());
            return Ok(());
        }
    }
}
