//! Links between sidecars over real sockets, with certificates on both sides. Of the
//! core there is only a recorder.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use dynomesh_proto::v1::router_client::RouterClient;
use mesh::{AskId, FarAnswer, FarAsk, Held, Limits, Mesh, PeerId, Refusal, ToPeer};
use meshd::{
    driver::{Changes, Clock, Driver, Line, Peer, Peering},
    grpc::{Asking, OwnerService, PeerService, keep_links, serve_peers},
    listen::{self, Pings},
};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig},
};

const LIMIT: Duration = Duration::from_secs(20);

/// What a sidecar sees of its links.
#[derive(Debug, PartialEq)]
enum Seen {
    Up(PeerId),
    Answered(PeerId, AskId),
    Down(PeerId),
    Opened(PeerId),
    Asked(PeerId, ToPeer),
    Closed(PeerId),
}

/// Instead of a core: keeps what comes, and answers every ask.
#[derive(Debug, Default)]
struct Recorder {
    wanted: Mutex<Vec<Peer>>,
    changed: Notify,
    answered: Notify,
    seen: Mutex<Vec<Seen>>,
    lines: Mutex<HashMap<PeerId, Arc<Line<ToPeer>>>>,
    answers: Mutex<HashMap<PeerId, Arc<Line<FarAnswer>>>>,
}

impl Recorder {
    fn note(&self, seen: Seen) {
        self.seen.lock().push(seen);
    }

    fn want(&self, peers: Vec<Peer>) {
        *self.wanted.lock() = peers;
        self.changed.notify_one();
    }

    fn say(&self, to: &str, word: ToPeer) {
        let line = self.lines.lock()[&PeerId::of(to)].clone();
        if let Some(waker) = line.put(word) {
            waker.wake();
        }
    }

    fn count(&self, what: impl Fn(&Seen) -> bool) -> usize {
        self.seen.lock().iter().filter(|seen| what(seen)).count()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&[Seen]) -> bool) {
        let start = Instant::now();
        while !is_so(&self.seen.lock()) {
            assert!(start.elapsed() < LIMIT, "not so: {what}: {:?}", self.last());
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn last(&self) -> String {
        let seen = self.seen.lock();
        let last = seen.iter().rev().take(5);
        last.map(|seen| format!("{seen:.200?}\n")).collect()
    }
}

impl Peering for Recorder {
    fn wanted(&self) -> Vec<Peer> {
        self.wanted.lock().clone()
    }

    async fn wanted_changed(&self) {
        self.changed.notified().await;
    }

    fn link_up(&self, owner: PeerId, line: &Arc<Line<ToPeer>>) {
        self.lines.lock().insert(owner, line.clone());
        self.note(Seen::Up(owner));
    }

    fn answered(&self, owner: PeerId, answer: FarAnswer) {
        self.note(Seen::Answered(owner, answer.ask));
        self.answered.notify_one();
    }

    fn link_down(&self, owner: PeerId) {
        self.note(Seen::Down(owner));
    }

    fn opened(&self, asking: PeerId, line: &Arc<Line<FarAnswer>>) {
        self.answers.lock().insert(asking, line.clone());
        self.note(Seen::Opened(asking));
    }

    fn asked(&self, asking: PeerId, word: ToPeer) {
        if let ToPeer::Ask(ask) = &word {
            let answer = FarAnswer {
                ask: ask.id,
                wait: Duration::ZERO,
                depth: 0,
                in_use: 0,
                result: Err(Refusal::QueueFull),
            };
            let line = self.answers.lock()[&asking].clone();
            if let Some(waker) = line.put(answer) {
                waker.wake();
            }
        }
        self.note(Seen::Asked(asking, word));
    }

    fn closed(&self, asking: PeerId) {
        self.note(Seen::Closed(asking));
    }
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn issue(&self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity::from_pem(certificate.pem(), key.serialize_pem())
    }

    fn server(&self) -> ServerTlsConfig {
        let own = ServerTlsConfig::new().identity(self.issue());
        own.client_ca_root(Certificate::from_pem(self.0.pem()))
    }

    fn client(&self, trusted: &Self) -> ClientTlsConfig {
        let own = ClientTlsConfig::new().identity(self.issue());
        own.ca_certificate(Certificate::from_pem(trusted.0.pem()))
    }
}

/// A sidecar's transport: it can be asked while this is there.
struct Node {
    name: &'static str,
    recorder: Arc<Recorder>,
    address: SocketAddr,
    owner: OwnerService<Recorder>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Node {
    async fn start(name: &'static str, authority: &Authority) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        Self::start_at(name, authority, address, Arc::default()).await
    }

    async fn start_at(
        name: &'static str,
        authority: &Authority,
        address: SocketAddr,
        recorder: Arc<Recorder>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let limits = Limits::default();
        let changes = Changes::new().0;
        let mesh = Mesh::new(limits.clone(), 1);
        let driver = Driver::new(mesh, limits, Clock::new(), changes);
        let (peers, owner) = (
            PeerService::new(driver),
            OwnerService::new(recorder.clone(), name),
        );
        let pings = Pings {
            every: Duration::from_secs(5),
            within: Duration::from_secs(10),
        };
        let (stop, stopped) = oneshot::channel();
        let (tls, serves) = (authority.server(), owner.clone());
        let serving = tokio::spawn(async move {
            let stopped = async { _ = stopped.await };
            let incoming = listen::tcp(listener);
            let served = serve_peers(peers, serves, incoming, tls, pings, stopped).await;
            served.expect("it serves");
        });
        Self {
            name,
            recorder,
            address,
            owner,
            stop: Some(stop),
            serving,
        }
    }

    fn peer_at(&self, port: u16) -> Peer {
        Peer {
            name: self.name.into(),
            address: format!("localhost:{port}").into(),
        }
    }

    fn peer(&self) -> Peer {
        self.peer_at(self.address.port())
    }

    fn id(&self) -> PeerId {
        PeerId::of(self.name)
    }

    /// As a process does that stops.
    async fn end(&mut self) {
        self.owner.stop();
        drop(self.stop.take());
        let ended = timeout(LIMIT, &mut self.serving).await;
        ended.expect("soon").expect("no panic");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Keeps the links of one that asks; ends when it is dropped.
struct Keeping(JoinHandle<()>);

impl Keeping {
    fn start(name: &str, recorder: &Arc<Recorder>, tls: ClientTlsConfig) -> Self {
        Self(tokio::spawn(keep_links(
            recorder.clone(),
            Asking::new(name, 1, tls),
        )))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn ask(id: u64) -> ToPeer {
    ToPeer::Ask(FarAsk {
        id: AskId(id),
        app: "shop".into(),
        waited: Duration::ZERO,
        served: Duration::ZERO,
        held: false,
        tried: Vec::new(),
        prefer: None,
        client: 0,
    })
}

fn held(count: u64) -> Held {
    let lease = |ask| (AskId(ask), format!("instance-{ask}").into());
    Held {
        epoch: 7,
        whole: true,
        shards: BTreeSet::new(),
        leases: (1..=count).map(lease).collect(),
        others: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_arrives_whole_and_in_order_and_so_do_the_answers() {
    let authority = Authority::new("ours");
    let (a, b) = (
        Node::start("a", &authority).await,
        Node::start("b", &authority).await,
    );
    let both = [(&a, &b), (&b, &a)];
    let _keeping = both.map(|(from, to)| {
        from.recorder.want(vec![to.peer()]);
        Keeping::start(from.name, &from.recorder, authority.client(&authority))
    });
    for (from, to) in both {
        from.recorder
            .until("it is up", |seen| seen.contains(&Seen::Up(to.id())))
            .await;
        from.recorder.say(to.name, ToPeer::Hello(held(20_000)));
        (1..=20_000).for_each(|id| from.recorder.say(to.name, ask(id)));
    }
    for (from, to) in both {
        let last = Seen::Answered(to.id(), AskId(20_000));
        from.recorder
            .until("all is answered", |seen| seen.contains(&last))
            .await;
        let mut answered = from.recorder.seen.lock();
        answered.retain(|seen| matches!(seen, Seen::Answered(..)));
        let in_order = (1..=20_000).map(|id| Seen::Answered(to.id(), AskId(id)));
        assert!(answered.iter().eq(in_order.collect::<Vec<_>>().iter()));
    }
    let hello = Seen::Asked(a.id(), ToPeer::Hello(held(20_000)));
    assert_eq!(
        b.recorder.count(|seen| *seen == hello),
        0,
        "taken out above"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_ask_is_answered_within_a_moment() {
    let authority = Authority::new("ours");
    let owner = Node::start("b", &authority).await;
    let asking = Arc::new(Recorder::default());
    asking.want(vec![owner.peer()]);
    let _keeping = Keeping::start("a", &asking, authority.client(&authority));
    asking.until("it is up", |seen| !seen.is_empty()).await;
    let mut took = Vec::new();
    for id in 1..=2_000 {
        let asked = Instant::now();
        asking.say("b", ask(id));
        let answered = timeout(LIMIT, asking.answered.notified()).await;
        answered.expect("an answer");
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    let (half, most) = (took[1_000], took[1_980]);
    println!("half of the answers within {half:?}, 99 of 100 within {most:?}");
    // Nothing waits for a timer or a delayed acknowledgement, however busy the host is.
    assert!(half < Duration::from_millis(10), "{half:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_breaks_is_said_to_be_down_once_and_comes_again() {
    let authority = Authority::new("ours");
    let asking = Arc::new(Recorder::default());
    let mut owner = Node::start("b", &authority).await;
    asking.want(vec![owner.peer()]);
    let keeping = Keeping::start("a", &asking, authority.client(&authority));
    let id = owner.id();
    for round in 1..=3 {
        let ups = |seen: &[Seen]| seen.iter().filter(|it| **it == Seen::Up(id)).count();
        let downs = |seen: &[Seen]| seen.iter().filter(|it| **it == Seen::Down(id)).count();
        asking.until("it is up", |seen| ups(seen) == round).await;
        asking.say("b", ToPeer::Hello(held(1)));
        let hello = Seen::Asked(PeerId::of("a"), ToPeer::Hello(held(1)));
        let heard = |seen: &[Seen]| seen.iter().filter(|it| **it == hello).count() == round;
        owner.recorder.until("it has heard", heard).await;
        let broken = Instant::now();
        owner.end().await;
        asking
            .until("it is down", |seen| downs(seen) == round)
            .await;
        assert!(
            broken.elapsed() < Duration::from_secs(1),
            "{:?}",
            broken.elapsed()
        );
        let closed = |seen: &[Seen]| {
            let closed = Seen::Closed(PeerId::of("a"));
            seen.iter().filter(|it| **it == closed).count() == round
        };
        owner.recorder.until("it is closed", closed).await;
        let (address, recorder) = (owner.address, owner.recorder.clone());
        owner = Node::start_at("b", &authority, address, recorder).await;
    }
    // Who is not wanted any more is not linked to.
    asking
        .until("it is up", |seen| seen.last() == Some(&Seen::Up(id)))
        .await;
    asking.want(Vec::new());
    asking
        .until("it is down", |seen| seen.last() == Some(&Seen::Down(id)))
        .await;
    drop(keeping);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_moves_is_followed() {
    let authority = Authority::new("ours");
    let (before, after) = (
        Node::start("b", &authority).await,
        Node::start("b", &authority).await,
    );
    let asking = Arc::new(Recorder::default());
    let _keeping = Keeping::start("a", &asking, authority.client(&authority));
    for round in 0..20 {
        let node = if round % 2 == 0 { &before } else { &after };
        asking.want(vec![node.peer()]);
        asking
            .until("it is up", |seen| seen.len() == 2 * round + 1)
            .await;
    }
    let (up, down) = (Seen::Up(before.id()), Seen::Down(before.id()));
    for pair in asking.seen.lock().chunks(2) {
        assert!(pair[0] == up && pair.get(1).is_none_or(|seen| *seen == down));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_is_meant_and_known_is_linked_to() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let owner = Node::start("b", &ours).await;
    let misled = Peer {
        name: "c".into(),
        ..owner.peer()
    };
    let good = ours.client(&ours);
    for (name, peer, tls) in [
        ("a", misled, good.clone()),
        ("b", owner.peer(), good.clone()),
        ("a", owner.peer(), theirs.client(&ours)),
        ("a", owner.peer(), ours.client(&theirs)),
    ] {
        let asking = Arc::new(Recorder::default());
        asking.want(vec![peer]);
        let _keeping = Keeping::start(name, &asking, tls);
        // So long that a good one, which comes last, is up many times over.
        sleep(Duration::from_millis(400)).await;
        assert!(asking.seen.lock().is_empty(), "{:?}", asking.last());
    }
    assert!(owner.recorder.seen.lock().is_empty());
    let asking = Arc::new(Recorder::default());
    asking.want(vec![owner.peer()]);
    let _keeping = Keeping::start("a", &asking, good);
    let up = timeout(
        Duration::from_millis(400),
        asking.until("it is up", |seen| !seen.is_empty()),
    );
    up.await.expect("soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_link_takes_the_place_of_an_earlier_one() {
    let authority = Authority::new("ours");
    let owner = Node::start("b", &authority).await;
    let recorders = [(); 2].map(|()| Arc::new(Recorder::default()));
    let tls = authority.client(&authority);
    let mut keeping = Vec::new();
    for recorder in &recorders {
        recorder.want(vec![owner.peer()]);
        keeping.push(tokio::spawn(keep_links(
            recorder.clone(),
            Asking::new("a", keeping.len() as u64, tls.clone()),
        )));
        recorder.until("it is up", |seen| !seen.is_empty()).await;
    }
    recorders[0]
        .until("the first one is down", |seen| {
            seen.contains(&Seen::Down(owner.id()))
        })
        .await;
    keeping.iter().for_each(JoinHandle::abort);
    let asking = PeerId::of("a");
    owner
        .recorder
        .until("all is over", |seen| {
            seen.last() == Some(&Seen::Closed(asking))
        })
        .await;
    // One at a time, as far as the owner can see.
    for pair in owner.recorder.seen.lock().chunks(2) {
        assert_eq!(pair, [Seen::Opened(asking), Seen::Closed(asking)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_is_silent_is_noticed_within_a_second() {
    let authority = Authority::new("ours");
    let owner = Node::start("b", &authority).await;
    let (wire, is_silent) = silent_wire(owner.address).await;
    let asking = Arc::new(Recorder::default());
    asking.want(vec![owner.peer_at(wire.port())]);
    let _keeping = Keeping::start("a", &asking, authority.client(&authority));
    asking.until("it is up", |seen| !seen.is_empty()).await;
    is_silent.store(true, SeqCst);
    let silent = Instant::now();
    asking
        .until("it is down", |seen| seen.contains(&Seen::Down(owner.id())))
        .await;
    let took = silent.elapsed();
    assert!(took < Duration::from_millis(1_100), "{took:?}");
    is_silent.store(false, SeqCst);
    asking
        .until("it is up again", |seen| {
            seen.last() == Some(&Seen::Up(owner.id()))
        })
        .await;
}

/// A wire on which everything stops, and no end is told, while that is set.
async fn silent_wire(to: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = is_silent.clone();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.expect("it is there");
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::spawn(pass(near_in, far_out, silent.clone()));
            tokio::spawn(pass(far_in, near_out, silent.clone()));
        }
    });
    (address, is_silent)
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    is_silent: Arc<AtomicBool>,
) {
    let mut bytes = vec![0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        while is_silent.load(SeqCst) {
            sleep(Duration::from_millis(5)).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sidecar_can_not_come_as_a_worker() {
    let authority = Authority::new("ours");
    let node = Node::start("b", &authority).await;
    let url = format!("https://localhost:{}", node.address.port());
    let endpoint = Endpoint::from_shared(url).expect("a URL");
    let endpoint = endpoint.tls_config(authority.client(&authority));
    let channel = endpoint.expect("TLS").connect().await.expect("connected");
    let nothing = futures_util::stream::pending();
    let status = RouterClient::new(channel).session(nothing).await;
    assert_eq!(
        status.expect_err("no such service").code(),
        Code::Unimplemented
    );
    assert!(node.recorder.seen.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_takes_nothing_is_given_up() {
    let authority = Authority::new("ours");
    let owner = Node::start("b", &authority).await;
    let (wire, is_silent) = silent_wire(owner.address).await;
    let asking = Arc::new(Recorder::default());
    asking.want(vec![owner.peer_at(wire.port())]);
    let _keeping = Keeping::start("a", &asking, authority.client(&authority));
    asking.until("it is up", |seen| !seen.is_empty()).await;
    is_silent.store(true, SeqCst);
    let line = asking.lines.lock()[&owner.id()].clone();
    let mut said = 0_u64;
    while !line.is_broken() {
        said += 1;
        assert!(said < 4 << 20, "there is no end");
        asking.say("b", ask(said));
    }
    asking
        .until("it is down", |seen| seen.contains(&Seen::Down(owner.id())))
        .await;
}
