//! The configuration that Nginx gets.

use std::{fmt::Write as _, path::Path};

use super::{access, example, paths};

/// What a test may choose.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker processes.
    pub workers: usize,
    /// The module is the one that can be made to panic.
    pub faulty: bool,
    /// `nginx.conf.example` instead of all that follows.
    pub example: bool,
    /// More for the main context.
    pub main: String,
    /// More for `http {}`.
    pub http: String,
    /// More for `server {}`, e.g. further locations.
    pub server: String,
    /// More for `location / {}`.
    pub location: String,
    /// `mesh_outage_timeout`, unless the default.
    pub outage_timeout: Option<String>,
    /// `mesh_linger_timeout`, unless the default.
    pub linger_timeout: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            faulty: false,
            example: false,
            main: String::new(),
            http: String::new(),
            server: String::new(),
            location: String::new(),
            outage_timeout: None,
            linger_timeout: None,
        }
    }
}

/// What a location needs that passes requests to the mesh.
pub(super) const PASS: &str = "proxy_pass http://dynos;
            proxy_http_version 1.1;
            proxy_set_header Host $mesh_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $dyno_connection;";

/// What every configuration here begins with, in the main context.
pub(super) fn preamble(dir: &Path, module: &Path) -> String {
    // Root's Nginx gives its workers to another user, who could neither enter the
    // mesh's directory nor reach the sidecar.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;\n",
        false => "",
    };
    format!(
        "load_module {module};\n{user}daemon off;\npid {dir}/nginx.pid;\n\
         error_log {dir}/error.log info;\nworker_rlimit_nofile 16384;\n\
         events {{ worker_connections 4096; }}\n",
        module = module.display(),
        dir = dir.display(),
    )
}

/// What `http {}` begins with: everything that Nginx writes is in `dir`.
pub(super) fn http_preamble(dir: &Path) -> String {
    let temp = temp_paths(dir);
    format!(
        "{temp}    log_format mesh {};\n    access_log {}/access.log mesh;\n",
        access::FORMAT,
        dir.display()
    )
}

/// Where bodies go that do not fit into memory.
pub(super) fn temp_paths(dir: &Path) -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .fold(String::new(), |mut text, kind| {
            let _ = writeln!(text, "    {kind}_temp_path {}/temp-{kind};", dir.display());
            text
        })
}

impl Config {
    /// The text of `nginx.conf`, for HTTP/1 on one port and HTTP/2 on another.
    pub(super) fn text(&self, dir: &Path, router_socket: &Path, ports: [u16; 2]) -> String {
        if self.example {
            return example::text(dir, router_socket, ports, self.workers);
        }
        let [port, http2] = ports;
        let module = match self.faulty {
            true => paths::faulty_module(),
            false => paths::module(),
        };
        let mut options = String::new();
        for (name, value) in [
            ("mesh_outage_timeout", &self.outage_timeout),
            ("mesh_linger_timeout", &self.linger_timeout),
        ] {
            if let Some(value) = value {
                let _ = writeln!(options, "    {name} {value};");
            }
        }
        format!(
            "{preamble}
worker_processes {workers};
{main}
http {{
{http_preamble}
    client_max_body_size 0;
    # Far fewer connections than this would be kept by default.
    keepalive_requests 1000000;
    map $http_upgrade $dyno_connection {{ default upgrade; '' ''; }}

    mesh_sidecar unix:{socket};
{options}
    upstream dynos {{ mesh; keepalive 64; }}
    {http}

    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{http2} http2;
        {server}
        location / {{
            {PASS}
            {location}
        }}
    }}
}}
",
            preamble = preamble(dir, &module),
            http_preamble = http_preamble(dir),
            workers = self.workers,
            socket = router_socket.display(),
            main = self.main.replace("DIR", &dir.display().to_string()),
            http = self.http.replace("DIR", &dir.display().to_string()),
            server = self.server,
            location = self.location,
        )
    }
}
