//! Configurations. The two of Nginx in front differ in nothing but the mesh.

use std::{fmt::Display, net::SocketAddr, path::Path};

use crate::harness::paths;

/// Idle connections to dynos that are kept: more than a load ever has.
const KEPT: usize = 512;

/// Nginx in front of the dynos.
#[derive(Debug, Clone, Copy)]
pub(super) enum Front<'a> {
    /// As anybody has it: these servers, and no module loaded.
    Plain(&'a [SocketAddr]),
    /// With the mesh; the sidecar's socket.
    Mesh(&'a Path),
}

impl Front<'_> {
    /// The text of its `nginx.conf`. `log`: what is logged of each request.
    pub(super) fn text(self, dir: &Path, listen: SocketAddr, log: Option<&str>) -> String {
        let (module, http, servers, host) = match self {
            Self::Plain(servers) => {
                let lines = lines(servers, |server| format!("server {server};"));
                (String::new(), String::new(), lines, "$http_host")
            }
            Self::Mesh(socket) => (
                format!("load_module {};\n", paths::module().display()),
                format!("mesh_sidecar unix:{};", socket.display()),
                "mesh;".to_owned(),
                "$mesh_host",
            ),
        };
        let access = match log {
            Some(format) => format!(
                "log_format bench '{format}'; access_log {}/access.log bench;",
                dir.display()
            ),
            None => "access_log off;".to_owned(),
        };
        format!(
            "{module}{preamble}
http {{
    {temp}
    {access}
    {http}
    keepalive_requests 1000000000;
    upstream dynos {{
        {servers}
        keepalive {KEPT};
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://dynos;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host {host};
        }}
    }}
}}
",
            preamble = preamble(),
            temp = temp(dir),
        )
    }
}

/// Nginx as dynos: one answer, from memory, on each of these addresses.
pub(super) fn backend(dir: &Path, listen: &[SocketAddr]) -> String {
    format!(
        "{preamble}
http {{
    {temp}
    access_log off;
    keepalive_requests 1000000000;
    server {{
        {listen}
        location / {{ return 200 'hello\\n'; }}
    }}
}}
",
        preamble = preamble(),
        temp = temp(dir),
        listen = lines(listen, |address| format!("listen {address} backlog=4096;")),
    )
}

/// HAProxy in front of the dynos. `limit`: requests at once for each of them.
pub(super) fn haproxy<A: Display>(listen: SocketAddr, dynos: &[A], limit: Option<u32>) -> String {
    let limit = limit.map_or_else(String::new, |limit| format!("maxconn {limit}"));
    let servers: String = dynos
        .iter()
        .enumerate()
        .map(|(at, dyno)| format!("    server dyno{at} {dyno} {limit}\n"))
        .collect();
    // Requests are numbered as they come, for the dynos to see the order.
    format!(
        "global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
    unique-id-format %rt
    unique-id-header X-Seq
frontend front
    bind {listen} backlog 4096
    default_backend dynos
backend dynos
    balance leastconn
    http-reuse always
{servers}"
    )
}

/// The main context and `events {}`.
fn preamble() -> String {
    // Root's Nginx gives its worker to another user, who could not enter the
    // directory of this run.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;\n",
        false => "",
    };
    format!(
        "{user}daemon off;\npid nginx.pid;\nworker_processes 1;\n\
         worker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; }}"
    )
}

/// Everything that Nginx writes is in `dir`.
fn temp(dir: &Path) -> String {
    lines(
        &["client_body", "proxy", "fastcgi", "uwsgi", "scgi"],
        |kind| format!("{kind}_temp_path {}/temp-{kind};", dir.display()),
    )
}

fn lines<T>(items: &[T], line: impl Fn(&T) -> String) -> String {
    let lines: Vec<String> = items.iter().map(line).collect();
    lines.join("\n        ")
}
