//! A request that names no app in a way that can be understood.

use e2e::{
    Mesh,
    client::{Conn, Response},
    harness::run,
};

async fn send(mesh: &Mesh, request: &str) -> Response {
    let mut conn = Conn::open(mesh.nginx.address).await.unwrap();
    conn.send(request).await.unwrap();
    conn.response().await.unwrap()
}

#[test]
fn a_malformed_host_is_refused() {
    run(async {
        let (mesh, _shop, dyno) = Mesh::with_dyno().await;
        for hosts in [
            "Host: shop.test:notaport\r\n",
            "Host: shop.test:80junk\r\n",
            "Host: shop.test:80:80\r\n",
            "Host: \r\n",
            "Host: shop..test\r\n",
            "Host: shop.test/x\r\n",
            "Host: shop.test\r\nHost: shop.test\r\n",
            "Host: shop.test\r\nHost: blog.test\r\n",
            "",
        ] {
            let request = format!("GET / HTTP/1.1\r\n{hosts}\r\n");
            let answer = send(&mesh, &request).await;
            assert_eq!(answer.status(), 400, "{hosts:?}: {answer:?}");
            // Nginx refuses some of these itself, and has no such header.
            let code = answer.header("x-mesh-error").unwrap_or("H26");
            assert_eq!(code, "H26", "{hosts:?}");
        }
        assert_eq!(dyno.figures().await.total, 0);
        mesh.finish().await;
    });
}

#[test]
fn a_port_that_is_none_is_refused_by_the_module() {
    run(async {
        let (mesh, _shop, _dyno) = Mesh::with_dyno().await;
        let answer = mesh
            .request("GET", "shop.test:notaport", "/")
            .id("junk")
            .send()
            .await;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.header("x-mesh-error"), Some("H26"));
        let entry = mesh.logged("junk").await;
        assert_eq!((&*entry.status, &*entry.error), ("400", "H26"));
        mesh.finish().await;
    });
}

#[test]
fn an_old_client_without_a_host_is_refused() {
    run(async {
        let (mesh, _shop, _dyno) = Mesh::with_dyno().await;
        let answer = send(&mesh, "GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.header("x-mesh-error"), Some("H26"));
        // With one it is as good as any other.
        let answer = send(&mesh, "GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n").await;
        assert_eq!(answer.status(), 200);
        mesh.finish().await;
    });
}
