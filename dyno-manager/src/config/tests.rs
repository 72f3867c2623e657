//! What is accepted, and that every error names its key.
#![allow(clippy::unwrap_used)]

use super::*;

fn shop(lines: &str) -> anyhow::Result<Vec<AppConfig>> {
    apps(&format!("[apps.shop]\n{lines}"))
}

fn apps(text: &str) -> anyhow::Result<Vec<AppConfig>> {
    parse(text).map(|config| config.apps)
}

fn broker(lines: &str) -> anyhow::Result<Option<Broker>> {
    parse(lines).map(|config| config.broker)
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
    let found = apps(&with("10.0.0.7")).unwrap();
    assert_eq!(found[0].address.to_string(), "10.0.0.7");
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
    assert!(!apps(&text).unwrap().is_empty());
}

#[test]
fn a_broker_is_named_as_for_meshd() {
    assert_eq!(broker("").unwrap(), None);
    let found = broker("broker-url = 'amqp://me:s%40@rabbit/v%2f'\nbroker-queue = 'east'");
    let found = found.unwrap().unwrap();
    assert_eq!((&*found.host, found.port), ("rabbit", 5672));
    assert_eq!((&*found.user, found.password.expose()), ("me", "s@"));
    assert_eq!((&*found.vhost, &*found.prefix), ("v/", "mesh"));
    assert_eq!(
        (&*found.queue, found.tls.as_ref()),
        ("mesh.manager.east", None)
    );
    assert!(!format!("{found:?}").contains("s@"), "{found:?}");
}

#[test]
fn what_is_wrong_with_a_broker_is_said_without_its_password() {
    let url = "broker-url = 'amqp://me:s3cret@rabbit'";
    let with = |line: &str| format!("{url}\n{line}");
    for (lines, key) in [
        (
            "broker-url = 'http://me:s3cret@rabbit'".to_owned(),
            "broker-url",
        ),
        ("broker-url = 'amqp://me:s3cret@'".to_owned(), "broker-url"),
        (
            "broker-url = 'amqp://me:s3cret%x@rabbit'".to_owned(),
            "broker-url",
        ),
        (
            "broker-url = 'amqp://me:s3cret@rabbit/?heartbeat=1'".to_owned(),
            "broker-url",
        ),
        (
            "broker-password-file = '/x'".to_owned(),
            "without broker-url",
        ),
        ("broker-queue = 'x'".to_owned(), "without broker-url"),
        (with("broker-password-file = '/x'"), "broker-password-file"),
        (with("broker-prefix = 'a b'"), "broker-prefix"),
        (with("broker-queue = ''"), "broker-queue"),
        (with("broker-heartbeat-s = 0"), "broker-heartbeat-s"),
        (with("broker-tls-ca = '/nowhere/at/all'"), "broker-tls-ca"),
        ("[apps.Shop]\ncommand = ['web']".to_owned(), "apps.Shop"),
    ] {
        let error = format!("{:#}", parse(&lines).unwrap_err());
        assert!(error.contains(key), "{lines}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
