//! `meshctl top` without a terminal.

use std::thread;

use crate::support::{Ran, Sidecar};

fn busy() -> Sidecar {
    let sidecar = Sidecar::start();
    for name in ["blog", "idle", "shop"] {
        sidecar.ok(&format!("app create {name} --dyno unix:/run/{name}"));
    }
    sidecar.mesh.load("blog", "web.1", 1, 10);
    sidecar.mesh.load("shop", "web.1", 2, 100);
    sidecar
}

/// Runs while the shop routes 50 requests more.
fn run_while_routing(sidecar: &Sidecar, line: &str) -> Ran {
    thread::scope(|scope| {
        let run = scope.spawn(|| sidecar.run(line));
        sidecar.mesh.faults.until("the first look", |f| f.looks > 0);
        sidecar.mesh.load("shop", "web.1", 2, 150);
        run.join().expect("a run")
    })
}

#[test]
fn one_table_by_activity() {
    let ran = run_while_routing(&busy(), "top --interval 1s");
    assert_eq!((ran.code, &*ran.err), (0, ""), "{ran:?}");
    assert!(ran.out.starts_with("node-1 up 0s: 3 apps"), "{ran:?}");
    let names: Vec<_> = ran
        .out
        .lines()
        .skip(2)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["NAME", "shop", "blog"]);
    let shop = ran.out.lines().nth(3).unwrap_or_default();
    assert!(shop.ends_with("1/1  ██████████··········"), "{shop:?}");
}

#[test]
fn json_has_the_rates() {
    let ran = run_while_routing(&busy(), "top --once --json --interval 1s");
    let view = ran.json();
    assert_eq!(view["apps"][0]["app"], "shop");
    let rate = view["apps"][0]["routedPerSecond"]
        .as_f64()
        .unwrap_or_default();
    assert!((10.0..=50.0).contains(&rate), "{rate}");
    assert_eq!(view["apps"][1]["routedPerSecond"], 0.0);
    assert_eq!(view["status"]["node"], "node-1");
}
