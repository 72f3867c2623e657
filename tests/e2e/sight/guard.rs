//! Who may look.

use std::fs;

use e2e::{Mesh, client::Request, harness::run};

#[test]
fn only_who_comes_to_this_host_without_a_token() {
    run(async {
        let mesh = Mesh::builder().web().start().await;
        let asks = |host: &str| Request::new(mesh.web(), "GET", host, "/metrics");
        assert_eq!(asks("localhost").send().await.status(), 200);
        let answer = asks("metrics.example.com").send().await;
        assert_eq!(answer.status(), 403, "{answer:?}");
        assert!(answer.text().contains("web-token-file"), "{answer:?}");
        assert_eq!(mesh.look("/nothing").await.status(), 404);
        mesh.finish().await;
    });
}

#[test]
fn only_who_has_the_token() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, "a-token-of-some-length\n").unwrap();
        let file = file.display().to_string();
        let mesh = Mesh::builder()
            .sidecar(&["--web", "0.0.0.0:0", "--web-token-file", &file])
            .start()
            .await;
        let mut address = mesh.web();
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        let ask = || Request::new(address, "GET", "metrics.example.com", "/metrics");
        let answer = ask().send().await;
        assert_eq!(answer.status(), 401, "{answer:?}");
        assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
        for (value, status) in [
            ("Bearer a-token-of-some-lengt", 401),
            ("Bearer a-token-of-some-length", 200),
            ("Basic OmEtdG9rZW4tb2Ytc29tZS1sZW5ndGg=", 200),
        ] {
            let answer = ask().header("Authorization", value).send().await;
            assert_eq!(answer.status(), status, "{value}");
        }
        mesh.finish().await;
    });
}
