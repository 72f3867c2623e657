//! `nginx.conf.example` as a test can use it: the same text with a test's own
//! paths and ports.

use std::path::Path;

use super::{config, paths};

const EXAMPLE: &str = include_str!("../../../nginx.conf.example");

/// The text of `nginx.conf`, for HTTP/1 on one port and HTTP/2 on another.
pub(super) fn text(dir: &Path, router_socket: &Path, ports: [u16; 2], workers: usize) -> String {
    let [port, http2] = ports;
    let dir_text = dir.display();
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    let changes = [
        (
            "modules/libdynomesh_nginx.so",
            paths::module().display().to_string(),
        ),
        ("user             www-data;", user.to_owned()),
        (
            "worker_processes auto;",
            format!("worker_processes {workers};\ndaemon off;"),
        ),
        ("/run/nginx.pid", format!("{dir_text}/nginx.pid")),
        (
            "/var/log/nginx/error.log notice",
            format!("{dir_text}/error.log info"),
        ),
        (
            "/var/log/nginx/mesh.log mesh buffer=64k flush=1s",
            format!("{dir_text}/mesh.log mesh"),
        ),
        (
            "/run/dynomesh/router.sock",
            router_socket.display().to_string(),
        ),
        (
            "\nhttp {\n",
            format!("\nhttp {{\n{}", config::temp_paths(dir)),
        ),
        (
            "listen 80 default_server reuseport;",
            format!("listen 127.0.0.1:{port} default_server;"),
        ),
        (
            "listen [::]:80 default_server reuseport;",
            format!("listen 127.0.0.1:{http2} http2;"),
        ),
    ];
    changes.iter().fold(EXAMPLE.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "nginx.conf.example has no {old:?}");
        text.replacen(old, new, 1)
    })
}
