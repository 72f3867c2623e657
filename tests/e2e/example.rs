//! `nginx.conf.example`, as it is shipped.

use e2e::{Mesh, harness::run};

use crate::echo::Echo;

#[test]
fn it_serves_what_it_promises() {
    run(async {
        let (mesh, _shop, dyno) = Mesh::builder().example().workers(2).with_dyno().await;

        let answer = mesh
            .request("GET", "shop.test", "/echo/a%2Fb//c?x=%20")
            .header("X-Mesh-App", "forged")
            .send()
            .await;
        let seen = Echo::of(&answer);
        assert_eq!(seen.target, "/echo/a%2Fb//c?x=%20");
        assert_eq!(seen.header("Host"), Some("shop.test"));
        assert_eq!(seen.header("X-Forwarded-Proto"), Some("http"));
        assert_eq!(seen.header("X-Forwarded-For"), Some("127.0.0.1"));
        assert_eq!(seen.header("Via"), Some("1.1 dynomesh"));
        assert!(seen.header("X-Request-Start").is_some());
        assert_eq!(seen.header("X-Mesh-App"), None);
        assert_eq!(seen.header("X-Request-Id"), answer.header("X-Request-Id"));

        let absent = mesh.get("nobody.test", "/").await;
        assert_eq!(absent.status(), 404);
        assert!(absent.header("X-Request-Id").is_some());

        let posted = mesh
            .request("POST", "shop.test", "/echo")
            .body("hello")
            .send()
            .await;
        assert_eq!(Echo::of(&posted).body, "hello");
        assert_eq!(dyno.figures().await.double_bookings, 0);
        mesh.finish().await;
    });
}
