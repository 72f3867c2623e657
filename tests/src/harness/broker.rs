//! A private RabbitMQ: a directory, ports and an epmd of its own.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{process::Process, wait};
use crate::ports;

/// It takes 6 to 11 seconds, on a machine that does nothing else.
const START_WITHIN: Duration = Duration::from_secs(60);
const INSTALLED: &str = "/usr/lib/rabbitmq/lib";
/// Directories of brokers that tests share are called this, and the process.
const SHARED: &str = "mesh-broker-";

/// A broker that runs. When it is dropped, or this process ends, it ends.
#[derive(Debug)]
pub struct Broker {
    // In this order: the broker ends before what it registers with.
    server: Option<Process>,
    /// `None`: it is another node's.
    _epmd: Option<Process>,
    dir: PathBuf,
    /// Where the cookie is by which nodes know each other.
    home: PathBuf,
    /// It goes last; a shared broker's is found by the next run.
    _own: Option<TempDir>,
    port: u16,
    /// The port for TLS, which is open if it has certificates.
    secure_port: u16,
    dist: u16,
    epmd_port: u16,
}

/// A prefix of names that no other test has.
#[must_use]
pub fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Broker {
    /// The one that tests share which do not harm it. Each has a [`prefix`].
    pub async fn shared() -> &'static Self {
        static SHARED_BROKER: OnceCell<Broker> = OnceCell::const_new();
        SHARED_BROKER
            .get_or_init(|| async {
                remove_leftovers();
                let name = format!("{SHARED}{}", std::process::id());
                let dir = std::env::temp_dir().join(name);
                fs::create_dir_all(&dir).expect("a directory can be made");
                Self::start_in(dir, None, "").await
            })
            .await
    }

    /// One for this test alone.
    pub async fn start() -> Self {
        let own = tempfile::Builder::new()
            .prefix("mesh-broker-own-")
            .tempdir();
        let own = own.expect("a directory can be made");
        Self::start_in(own.path().to_owned(), Some(own), "").await
    }

    /// The same, with TLS on a port of its own. `authority`, `chain` and `key`
    /// are in PEM; who comes has to have a certificate of that authority.
    pub async fn start_secure(authority: &str, chain: &str, key: &str) -> Self {
        let own = tempfile::Builder::new()
            .prefix("mesh-broker-own-")
            .tempdir();
        let own = own.expect("a directory can be made");
        let mut more = String::new();
        for (option, name, text) in [
            ("cacertfile", "ca.pem", authority),
            ("certfile", "cert.pem", chain),
            ("keyfile", "key.pem", key),
        ] {
            let path = own.path().join(name);
            fs::write(&path, text).expect("the broker's directory can be written to");
            more += &format!("ssl_options.{option} = {}\n", path.display());
        }
        more += "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n";
        Self::start_in(own.path().to_owned(), Some(own), &more).await
    }

    async fn start_in(dir: PathBuf, own: Option<TempDir>, tls: &str) -> Self {
        let [port, secure_port, dist, epmd_port] = free_ports();
        let mut command = Command::new("/usr/bin/epmd");
        command
            .args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let epmd = Process::start(command, Signal::KILL)
            .expect("epmd can be run: install rabbitmq-server (make deps)");
        let until = format!("epmd listens at {epmd_port}");
        wait::until(&until, async || listens(epmd_port)).await;
        let mut broker = Self {
            server: None,
            _epmd: Some(epmd),
            home: dir.clone(),
            dir,
            _own: own,
            port,
            secure_port,
            dist,
            epmd_port,
        };
        broker.configure(tls);
        broker.start_again().await;
        broker
    }

    /// A node that joins the cluster of this one.
    pub async fn start_beside(&self) -> Self {
        let own = tempfile::Builder::new()
            .prefix("mesh-broker-own-")
            .tempdir();
        let own = own.expect("a directory can be made");
        let [port, secure_port, dist, _] = free_ports();
        let mut broker = Self {
            server: None,
            _epmd: None,
            home: self.home.clone(),
            dir: own.path().to_owned(),
            _own: Some(own),
            port,
            secure_port,
            dist,
            epmd_port: self.epmd_port,
        };
        broker.configure("");
        broker.start_again().await;
        broker.ctl("stop_app").await;
        broker.ctl(&format!("join_cluster {}", self.node())).await;
        broker.ctl("start_app").await;
        broker
    }

    /// What it is called in a cluster.
    #[must_use]
    pub fn node(&self) -> String {
        format!("rmq{}@localhost", self.port)
    }

    /// Where sidecars connect.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its port for TLS.
    #[must_use]
    pub fn secure_port(&self) -> u16 {
        self.secure_port
    }

    /// Starts it with the data that it had.
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "the broker runs");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("stderr"))
            .expect("the broker's directory can be written to");
        let mut command = self.command("rabbitmq-server");
        command
            // So that the process is the broker itself and no shell around it.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let server = Process::start(command, Signal::KILL).expect("rabbitmq-server can be run");
        let server = self.server.insert(server);
        let (port, dir) = (self.port, self.dir.clone());
        wait::within(START_WITHIN, "the broker listens", async || {
            if let Some(status) = server.exited() {
                let words = fs::read_to_string(dir.join("stderr")).unwrap_or_default();
                panic!("the broker ended with {status}: {words}");
            }
            listens(port)
        })
        .await;
    }

    /// Ends it at once, with everything on disk that was made in it: a stream or a
    /// quorum queue that was made or started within the last two seconds is else not
    /// whole afterwards (3.10.8), and "down or inaccessible" until it is deleted.
    pub async fn kill(&mut self) {
        if self.server.is_some() {
            self.ctl("eval mnesia:sync_log(),[dets:sync(T)||T<-dets:all()].")
                .await;
        }
        if let Some(mut server) = self.server.take() {
            server.kill().await;
        }
    }

    /// Sends it a signal: STOP freezes it.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(server) = &mut self.server {
            server.signal(signal);
        }
    }

    /// Runs `rabbitmqctl`.
    pub async fn ctl(&self, arguments: &str) -> Output {
        let mut command = self.command("rabbitmqctl");
        command.args(arguments.split_whitespace());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("running a command does not panic")
            .expect("rabbitmqctl can be run");
        assert!(output.status.success(), "{output:?}");
        output
    }

    fn command(&self, program: &str) -> Command {
        let dir = |name: &str| self.dir.join(name);
        let mut command = Command::new(installed().join("sbin").join(program));
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("HOME", &self.home)
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.dist.to_string())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", dir("mnesia"))
            .env("RABBITMQ_LOG_BASE", dir("log"))
            .env("RABBITMQ_PID_FILE", dir("pid"))
            .env("RABBITMQ_CONFIG_FILE", dir("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", dir("advanced.config"))
            .env("RABBITMQ_CONF_ENV_FILE", dir("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", dir("enabled_plugins"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", dir("config"))
            .env("RABBITMQ_SCHEMA_DIR", dir("schema"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
            );
        command
    }

    fn configure(&self, tls: &str) {
        let secure = match tls {
            "" => String::new(),
            tls => format!(
                "listeners.ssl.default = 127.0.0.1:{}\n{tls}",
                self.secure_port
            ),
        };
        let conf = format!(
            "listeners.tcp.default = 127.0.0.1:{}\n\
             disk_free_limit.absolute = 200MB\n\
             vm_memory_high_watermark.absolute = 1GB\n\
             log.console = false\n{secure}",
            self.port
        );
        let write = |name: &str, text: &str| {
            fs::write(self.dir.join(name), text).expect("the broker's directory can be written to");
        };
        write("rabbitmq.conf", &conf);
        write("enabled_plugins", "[].");
    }
}

/// Where sidecars connect that come over this port.
#[must_use]
pub fn url(port: u16) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_ports() -> [u16; 4] {
    let free = ports::free(4).expect("ports are free");
    [0, 1, 2, 3].map(|at| free[at].port())
}

fn installed() -> PathBuf {
    let found = fs::read_dir(INSTALLED).into_iter().flatten().flatten();
    let found = found.map(|entry| entry.path()).find(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("rabbitmq_server-"))
    });
    found.unwrap_or_else(|| panic!("no RabbitMQ in {INSTALLED}: run `make deps`"))
}

/// What runs left that are over: their brokers ended with them.
fn remove_leftovers() {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(SHARED));
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else {
            continue;
        };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            // Somebody else may be at it, too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
