//! A real browser without a window: Chromium, told what to do over its protocol for
//! tools.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::{process::Process, wait};

/// It takes a second or two, on a machine that does nothing else.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A browser with one page. When it is dropped it ends.
#[derive(Debug)]
pub struct Browser {
    _process: Process,
    wire: WebSocketStream<TcpStream>,
    /// What the page is called, once there is one.
    page: String,
    last: u64,
    /// What the page complained about.
    complaints: Vec<String>,
    /// What somebody types who is asked for a password.
    typed: Option<(String, String)>,
}

impl Browser {
    /// Starts it. What it keeps is in this directory.
    pub async fn start(dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("a directory can be made");
        let mut command = Command::new(program());
        command
            .args([
                "--headless",
                "--disable-gpu",
                "--no-first-run",
                "--hide-scrollbars",
            ])
            // The test may be root's, which the sandbox does not want.
            .args([
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-breakpad",
            ])
            .args(["--no-proxy-server", "--disable-background-networking"])
            .args([
                "--remote-debugging-address=127.0.0.1",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", dir.display()))
            .env("HOME", dir)
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(command, Signal::KILL).expect("chromium can be run");
        let file = dir.join("DevToolsActivePort");
        let place = wait::some(START_WITHIN, "chromium can be told things", async || {
            let text = fs::read_to_string(&file).ok()?;
            let (port, path) = text.split_once('\n')?;
            Some((port.parse().ok()?, path.trim().to_owned()))
        });
        let (port, path): (u16, String) = place.await;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let socket = TcpStream::connect(address).await.expect("it listens");
        let (wire, _) = client_async(format!("ws://{address}{path}"), socket)
            .await
            .expect("it speaks its protocol");
        let mut browser = Self {
            _process: process,
            wire,
            page: String::new(),
            last: 0,
            complaints: Vec::new(),
            typed: None,
        };
        browser.open().await;
        browser
    }

    async fn open(&mut self) {
        let made = self
            .tell("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let target = json!({ "targetId": made["targetId"], "flatten": true });
        let page = self.tell("Target.attachToTarget", target).await;
        self.page = page["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.tell(domain, json!({})).await;
        }
    }

    /// Shows a page of this size.
    pub async fn show(&mut self, url: &str, (width, height): (u32, u32), dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await;
        self.tell("Page.navigate", json!({ "url": url })).await;
    }

    /// What an expression comes to there.
    pub async fn value(&mut self, expression: &str) -> Value {
        let what = json!({ "expression": expression, "returnByValue": true, "userGesture": true, "awaitPromise": true });
        let mut answer = self.tell("Runtime.evaluate", what).await;
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].take()
    }

    /// Waits until it is true there.
    pub async fn until(&mut self, expression: &str) {
        let end = tokio::time::Instant::now() + wait::LIMIT;
        // What is not there yet is no error.
        let expression =
            format!("(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()");
        while self.value(&expression).await != true {
            if tokio::time::Instant::now() > end {
                let page = self.value("document.body.innerText").await;
                panic!(
                    "never so: {expression}; {:?}; the page: {page}",
                    self.complaints
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Somebody is there when it asks for a password: types these, or gives up.
    pub async fn sits(&mut self, typed: Option<(&str, &str)>) {
        self.typed = typed.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let what = json!({ "handleAuthRequests": true });
        self.tell("Fetch.enable", what).await;
    }

    /// Nothing waits for somebody who sits there.
    async fn attend(&mut self, event: &Value) {
        let request = &event["params"]["requestId"];
        let (method, params) = match event["method"].as_str() {
            Some("Fetch.requestPaused") => {
                ("Fetch.continueRequest", json!({ "requestId": request }))
            }
            Some("Fetch.authRequired") => {
                // Typed once: who is asked again gives up.
                let response = match self.typed.take() {
                    Some((user, password)) => json!({
                        "response": "ProvideCredentials", "username": user, "password": password,
                    }),
                    None => json!({ "response": "CancelAuth" }),
                };
                let params = json!({ "requestId": request, "authChallengeResponse": response });
                ("Fetch.continueWithAuth", params)
            }
            _ => return,
        };
        self.send(method, params).await;
    }

    /// What it looks like, as a PNG.
    pub async fn picture(&mut self, file: &Path) {
        let picture = self
            .tell("Page.captureScreenshot", json!({ "format": "png" }))
            .await;
        let data = picture["data"].as_str().expect("a picture");
        fs::write(file, BASE64_STANDARD.decode(data).expect("base64")).expect("it can be written");
    }

    /// Errors of its scripts, and what its policy has forbidden, since the start.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Returns the number that the answer will have.
    async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.page.is_empty() {
            message["sessionId"] = self.page.as_str().into();
        }
        let message = Message::text(message.to_string());
        self.wire.send(message).await.expect("the browser is there");
        id
    }

    async fn tell(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        loop {
            let next = tokio::time::timeout(wait::LIMIT, self.wire.next()).await;
            let next = next.unwrap_or_else(|_| panic!("chromium does not answer to {method}"));
            let next = next.expect("the browser is there").expect("it goes on");
            let Message::Text(text) = next else { continue };
            let mut answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.note(&answer);
            self.attend(&answer).await;
        }
    }

    fn note(&mut self, event: &Value) {
        let is_bad = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        if is_bad {
            self.complaints.push(event["params"].to_string());
        }
    }
}

fn program() -> PathBuf {
    let path = std::env::var_os("DYNOMESH_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let path = PathBuf::from(path);
    assert!(
        path.exists(),
        "there is no {}: install the package chromium (make test-deps), or set DYNOMESH_CHROMIUM",
        path.display()
    );
    path
}
