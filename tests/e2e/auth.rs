//! Who may use an app.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2e::{Mesh, client::Response};

mod authorizer;
mod basic;
mod browser;
mod clients;
mod keys;
mod live;
mod places;
mod tokens;

/// Of "secret": by argon2, and by bcrypt, at little cost.
const ARGON: &str = "$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$OHc9SRN0/XEiuUUihEOCXBYjZ7cbpwHqG3uM3/Rhr/w";
const BCRYPT: &str = "$2b$04$zfWSRFB9AYeTB0qC9VCFH.jYKS.Yx4AtRUtfRLvanISsoUfwHMtU6";

/// Clients that say who they are: each is limited for itself.
const CLIENTS: &str = "set_real_ip_from 127.0.0.1; real_ip_header X-Client;";

/// A line for a user whose password is "secret".
pub(crate) fn user(name: &str) -> String {
    format!("user {name} {BCRYPT}")
}

/// What a client sends that knows this.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The answer to a GET with these credentials.
async fn get(mesh: &Mesh, host: &str, target: &str, credential: &str) -> Response {
    let request = mesh.request("GET", host, target);
    request.header("Authorization", credential).send().await
}

/// The status, and why.
fn why(answer: &Response) -> (u16, Option<&str>) {
    (answer.status(), answer.header("x-mesh-error"))
}

/// Runs curl against a mesh. Returns what it wrote.
async fn curl(mesh: &Mesh, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30"]);
    command
        .args(arguments)
        .arg(format!("http://{}/echo", mesh.nginx.address));
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    let ran = ran.unwrap().expect("curl can be run");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}
