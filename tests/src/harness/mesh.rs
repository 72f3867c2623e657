//! A sidecar and an Nginx that belong together.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use dynomesh_proto::v1::{Policy, Settings};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    App, Config, Control, Dyno, Entry, Metrics, Nginx, Outcome, access, ctl, metrics, paths,
    process::Process, wait,
};
use crate::client::{Request, Response};

/// Lines of each log that a failed test prints.
const TAIL: usize = 40;

/// A mesh that runs. When it is dropped, everything of it ends.
#[derive(Debug)]
pub struct Mesh {
    // In this order: Nginx ends before the sidecar, and the directory goes last.
    /// The Nginx of this mesh.
    pub nginx: Nginx,
    meshd: Option<Process>,
    control: Control,
    more: Vec<String>,
    dir: TempDir,
}

/// How a mesh is to be.
#[derive(Debug, Default)]
pub struct Builder {
    config: Config,
    no_sidecar: bool,
    /// More arguments for the sidecar.
    more: Vec<String>,
    /// Files for it: the flag, the name, what is in it.
    files: Vec<(&'static str, &'static str, String)>,
}

impl Builder {
    /// Nginx workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.config.workers = workers;
        self
    }

    /// Nginx with `nginx.conf.example`.
    #[must_use]
    pub fn example(mut self) -> Self {
        self.config.example = true;
        self
    }

    /// Nginx with the module that can be made to panic.
    #[must_use]
    pub fn faulty(mut self) -> Self {
        self.config.faulty = true;
        self
    }

    /// More for the main context. `DIR` stands for the directory of the mesh.
    #[must_use]
    pub fn main(mut self, text: &str) -> Self {
        self.config.main = text.to_owned();
        self
    }

    /// More for `http {}`. `DIR` stands for the directory of the mesh.
    #[must_use]
    pub fn http(mut self, text: &str) -> Self {
        self.config.http = text.to_owned();
        self
    }

    /// More for `server {}`. `PASS` stands for what passes a location's requests
    /// to the mesh.
    #[must_use]
    pub fn server(mut self, text: &str) -> Self {
        self.config.server = text.replace("PASS", super::config::PASS);
        self
    }

    /// More for `location / {}`.
    #[must_use]
    pub fn location(mut self, text: &str) -> Self {
        self.config.location = text.to_owned();
        self
    }

    /// How long requests wait for a sidecar that is away.
    #[must_use]
    pub fn outage_timeout(mut self, time: &str) -> Self {
        self.config.outage_timeout = Some(time.to_owned());
        self
    }

    /// How long a dyno may work on for a client that is gone.
    #[must_use]
    pub fn linger_timeout(mut self, time: &str) -> Self {
        self.config.linger_timeout = Some(time.to_owned());
        self
    }

    /// The sidecar shares the log of a broker.
    #[must_use]
    pub fn broker(mut self, url: &str, prefix: &str) -> Self {
        let more = ["--broker-url", url, "--broker-prefix", prefix];
        self.more.extend(more.map(ToOwned::to_owned));
        self
    }

    /// What the sidecar calls itself.
    #[must_use]
    pub fn node(mut self, name: &str) -> Self {
        self.more.extend(["--node", name].map(ToOwned::to_owned));
        self
    }

    /// The sidecar is told by this flag of a file of this name, with this in it.
    #[must_use]
    pub fn file(mut self, flag: &'static str, name: &'static str, text: String) -> Self {
        self.files.push((flag, name, text));
        self
    }

    /// More arguments for the sidecar.
    #[must_use]
    pub fn sidecar(mut self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        self.more.extend(arguments);
        self
    }

    /// The sidecar shows things over HTTP.
    #[must_use]
    pub fn web(self) -> Self {
        self.sidecar(&["--web", "127.0.0.1:0"])
    }

    /// Nginx starts alone.
    #[must_use]
    pub fn without_sidecar(mut self) -> Self {
        self.no_sidecar = true;
        self
    }

    /// Starts it with the app `shop`, which has one dyno, `web.1`.
    pub async fn with_dyno(self) -> (Mesh, App, Dyno) {
        let mesh = self.start().await;
        let app = mesh.app("shop").await;
        let dyno = app.dyno("web.1").await;
        (mesh, app, dyno)
    }

    /// Starts it with the app `shop`, which has so many dynos, `web.1` and on.
    pub async fn with_dynos(self, count: usize) -> (Mesh, App, Vec<Dyno>) {
        let mesh = self.start().await;
        let app = mesh.app("shop").await;
        let dynos = app.dynos(count).await;
        (mesh, app, dynos)
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(mut self) -> Mesh {
        let mut dir = tempfile::Builder::new()
            .prefix("mesh-")
            .tempdir()
            .expect("a directory can be made");
        dir.disable_cleanup(std::env::var_os("DYNOMESH_KEEP").is_some());
        let path = dir.path();
        for (flag, name, text) in self.files {
            let file = path.join(name);
            fs::write(&file, text).expect("the mesh's directory can be written to");
            self.more
                .extend([flag.to_owned(), file.display().to_string()]);
        }
        let control = Control::new(&path.join("control.sock"));
        let meshd = match self.no_sidecar {
            true => None,
            false => Some(start_meshd(path, &control, &self.more).await),
        };
        let nginx = Nginx::start(path, &path.join("router.sock"), &self.config).await;
        Mesh {
            nginx,
            meshd,
            control,
            more: self.more,
            dir,
        }
    }
}

impl Mesh {
    /// To be configured and started.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts one as it comes.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// As [`Builder::with_dyno`], as it comes.
    pub async fn with_dyno() -> (Self, App, Dyno) {
        Self::builder().with_dyno().await
    }

    /// As [`Builder::with_dynos`], as it comes.
    pub async fn with_dynos(count: usize) -> (Self, App, Vec<Dyno>) {
        Self::builder().with_dynos(count).await
    }

    /// Where all of its files are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its control socket.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.dir().join("control.sock")
    }

    /// Its control client.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Makes an app that answers to `NAME.test`, one request per dyno at a time.
    pub async fn app(&self, name: &str) -> App {
        let settings = Settings {
            policy: Policy::IdleOnly.into(),
            ..Settings::default()
        };
        self.app_with(name, settings).await
    }

    /// Makes an app with these settings that answers to `NAME.test`.
    pub async fn app_with(&self, name: &str, settings: Settings) -> App {
        App::create(&self.control, name, settings).await
    }

    /// A request to this mesh.
    #[must_use]
    pub fn request(&self, method: &str, host: &str, target: &str) -> Request {
        Request::new(self.nginx.address, method, host, target)
    }

    /// The answer to a GET.
    pub async fn get(&self, host: &str, target: &str) -> Response {
        self.request("GET", host, target).send().await
    }

    /// Runs `meshctl` with these arguments, separated by spaces.
    pub async fn ctl(&self, arguments: &str) -> Outcome {
        let (socket, arguments) = (self.control_socket(), arguments.to_owned());
        tokio::task::spawn_blocking(move || ctl::run(&socket, &arguments))
            .await
            .expect("running a command does not panic")
    }

    /// What the access log says about the request of this id.
    pub async fn logged(&self, id: &str) -> Entry {
        access::entry(&self.dir().join("access.log"), id).await
    }

    /// The whole access log so far.
    #[must_use]
    pub fn access_log(&self) -> Vec<Entry> {
        access::entries(&self.dir().join("access.log"))
    }

    /// Nginx's error log so far.
    #[must_use]
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.dir().join("error.log")).unwrap_or_default()
    }

    /// Where the sidecar shows things over HTTP.
    #[must_use]
    pub fn web(&self) -> SocketAddr {
        metrics::address(&self.dir().join("meshd.log")).expect("it was told to")
    }

    /// What it shows there.
    pub async fn look(&self, target: &str) -> Response {
        metrics::look(self.web(), target).await
    }

    /// What is to be seen of it at this moment.
    pub async fn metrics(&self) -> Metrics {
        Metrics::get(self.web()).await
    }

    /// Waits until it is so.
    pub async fn until_metrics(&self, what: &str, check: impl FnMut(&Metrics) -> bool) -> Metrics {
        metrics::until(what, self.web(), check).await
    }

    /// Waits until every worker has a session with the sidecar.
    pub async fn until_sessions(&self, count: u32) {
        wait::until(&format!("{count} sessions"), async || {
            self.control.status().await.sessions == count
        })
        .await;
    }

    fn meshd(&mut self) -> &mut Process {
        self.meshd.as_mut().expect("the sidecar was started")
    }

    /// Ends the sidecar at once.
    pub async fn kill_meshd(&mut self) {
        self.meshd().kill().await;
        self.meshd = None;
    }

    /// Ends the sidecar at once, and starts it again.
    pub async fn crash_meshd(&mut self) {
        self.kill_meshd().await;
        self.start_meshd().await;
    }

    /// Lets the sidecar end by itself.
    pub async fn stop_meshd(&mut self) {
        self.meshd().signal(Signal::TERM);
        let status = self.meshd().wait().await;
        assert!(status.success(), "meshd ended with {status}");
        self.meshd = None;
    }

    /// Starts the sidecar (again), with the data that it had.
    pub async fn start_meshd(&mut self) {
        assert!(self.meshd.is_none(), "the sidecar runs");
        self.meshd = Some(start_meshd(self.dir.path(), &self.control, &self.more).await);
    }

    /// Ends Nginx and its workers at once, and starts it again.
    pub async fn crash_nginx(&mut self) {
        self.nginx.crash(self.dir.path()).await;
    }

    /// Sends the sidecar a signal.
    pub fn signal_meshd(&mut self, signal: Signal) {
        self.meshd().signal(signal);
    }

    /// The end of a good test: no request is left, both programs end when asked,
    /// and Nginx has nothing alarming in its log.
    pub async fn finish(self) {
        self.finish_with_alerts(&[]).await;
    }

    /// The same for a test that provokes alerts: those with one of these words.
    pub async fn finish_with_alerts(mut self, expected: &[&str]) {
        if self.meshd.is_some() {
            self.control.until_idle().await;
        }
        self.nginx.quit().await;
        if self.meshd.is_some() {
            self.stop_meshd().await;
        }
        let log = self.error_log();
        let alarming: Vec<&str> = log
            .lines()
            .filter(|line| {
                ["[alert]", "[emerg]", "panicked"]
                    .iter()
                    .any(|word| line.contains(word))
            })
            .filter(|line| !expected.iter().any(|word| line.contains(word)))
            .collect();
        assert!(alarming.is_empty(), "in Nginx's error log: {alarming:#?}");
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["nginx.stderr", "error.log", "meshd.log", "access.log"] {
                print_tail(&self.dir().join(name));
            }
        }
    }
}

async fn start_meshd(dir: &Path, control: &Control, more: &[String]) -> Process {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("meshd.log"))
        .expect("the mesh's directory can be written to");
    let mut command = Command::new(paths::meshd());
    command
        // Whatever the system's own is told.
        .args(["--config", "/dev/null"])
        .arg("--data-dir")
        .arg(dir.join("data"))
        .arg("--router-socket")
        .arg(dir.join("router.sock"))
        .arg("--control-socket")
        .arg(dir.join("control.sock"))
        .args(more)
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log);
    if !more.iter().any(|argument| argument == "--log-level") {
        command.args(["--log-level", "info"]);
    }
    let mut process = Process::start(command, Signal::KILL).expect("meshd can be run");
    wait::until("the sidecar is ready", async || {
        if let Some(status) = process.exited() {
            print_tail(&dir.join("meshd.log"));
            panic!("meshd ended with {status}");
        }
        control.try_status().await.is_ok_and(|status| status.ready)
    })
    .await;
    process
}

pub(super) fn print_tail(path: &Path) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL)..];
    if !tail.is_empty() {
        eprintln!("--- {}\n{}", path.display(), tail.join("\n"));
    }
}
