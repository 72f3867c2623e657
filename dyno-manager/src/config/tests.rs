//! What is accepted, and that every error names its key.
#![allow(clippy::unwrap_used)]

use super::*;

fn shop(lines: &str) -> anyhow::Result<Vec<AppConfig>> {
    parse(&format!("[apps.shop]\n{lines}"))
}

#[test]
fn a_command_is_enough() {
    let apps = shop("command = ['web', '$PORT']").unwrap();
    let app = &apps[0];
    assert_eq!(
        (app.name.as_str(), app.min, app.max, app.limit),
        ("shop", 0, 1, 1)
    );
    assert_eq!(app.idle_timeout, Some(Duration::from_secs(1_800)));
    assert_eq!(app.scale_wait, Some(Duration::from_secs(1)));
    assert_eq!(app.boot_timeout, Duration::from_secs(60));
    assert!(app.address.is_loopback());
}

#[test]
fn routers_of_other_hosts_need_an_address() {
    let with = |address: &str| format!("address = '{address}'\n[apps.shop]\ncommand = ['web']");
    let apps = parse(&with("10.0.0.7")).unwrap();
    assert_eq!(apps[0].address.to_string(), "10.0.0.7");
    for wrong in ["0.0.0.0", "::", "here"] {
        let error = parse(&with(wrong)).unwrap_err();
        assert!(format!("{error:#}").contains("address"), "{error:#}");
    }
}

#[test]
fn never_is_a_time_for_what_need_not_happen() {
    let apps = shop("command = ['web']\nidle_timeout = 'never'\nscale_wait = 'never'").unwrap();
    assert_eq!((apps[0].idle_timeout, apps[0].scale_wait), (None, None));
}

#[test]
fn errors_name_the_key() {
    let with = |line: &str| format!("command = ['web']\n{line}");
    for (lines, key) in [
        ("command = []".to_owned(), "apps.shop.command"),
        ("min = 1".to_owned(), "command"),
        (with("max = 0"), "apps.shop.max"),
        (with("max = 'x'"), "max"),
        (with("min = 2"), "apps.shop.min"),
        (with("limit = 0"), "apps.shop.limit"),
        (with("idle_timeout = '1ms'"), "apps.shop.idle_timeout"),
        (with("idle_timeout = 'soon'"), "idle_timeout"),
        (with("scale_wait = '2h'"), "apps.shop.scale_wait"),
        (with("boot_timeout = 'never'"), "apps.shop.boot_timeout"),
        (with("stop_timeout = '0s'"), "apps.shop.stop_timeout"),
        (with("drain_timeout = '9h'"), "apps.shop.drain_timeout"),
        (with("health = 'up'"), "apps.shop.health"),
        (with("dir = '/nowhere/at/all'"), "apps.shop.dir"),
        (with("colour = 'red'"), "colour"),
    ] {
        let error = format!("{:#}", shop(&lines).unwrap_err());
        assert!(error.contains(key), "{lines}: {error}");
    }
}

#[test]
fn the_sample_file_is_right() {
    let text = include_str!("../../../packaging/dynos.toml");
    // Its directories are those of somebody else's host.
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("dir ="))
        .fold(String::new(), |text, line| text + line + "\n");
    assert!(!parse(&text).unwrap().is_empty());
}
