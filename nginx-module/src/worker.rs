//! The state of one worker process.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicPtr, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use async_task::Task;
use dynomesh_proto::v1::{Outcome, RouterMessage, SidecarMessage};
use ngx::{
    async_::sleep,
    ffi::{
        ngx_connection_t, ngx_current_msec, ngx_cycle, ngx_cycle_t, ngx_event_actions, ngx_event_t,
        ngx_exiting, ngx_http_upstream_conf_t, ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_pid,
    },
};
use router::{
    answer::Answer,
    code::Code,
    names::Names,
    pagebook::Pagebook,
    rulebook::Rulebook,
    session::{Delivery, Identity, Session, Ticket},
    verdicts::Verdicts,
};

use crate::{
    checkout::{self, Checkout, Token},
    conf, executor, fault,
    guard::guard_or,
    linger, link, log, pages,
    park::Parked,
    posted::Posted,
    rules,
    spare::Spare,
};

/// A worker has one thread that Nginx calls modules on, and no other one looks here: a
/// thread-local variable of a module costs a call each time, and each request asks often.
static WORKER: AtomicPtr<Worker> = AtomicPtr::new(ptr::null_mut());

/// Messages that are sent in any case: those of one request.
const FEW: usize = 2;
/// Messages that are sent in any case: the sidecar shall have something to do.
const MANY: usize = 128;

/// One for each worker process, from its start to its end.
pub(crate) struct Worker {
    /// Never borrowed while Nginx is called: it may come back.
    session: RefCell<Session<Token>>,
    /// Counts links; see `poll_transmit`.
    serial: Cell<u64>,
    /// Of the link's socket.
    fd: Cell<i32>,
    sender: RefCell<Option<Waker>>,
    stopping: Cell<bool>,
    sending: Posted,
    /// `sending` is posted.
    gathering: Cell<bool>,
    /// Messages that there were to send a turn ago.
    gathered: Cell<usize>,
    /// The millisecond in which it was posted. A busy app has always more to say, and
    /// somebody else waits.
    gathering_since: Cell<u64>,
    /// Somebody sees to what is reserved.
    tidying: Cell<bool>,
    /// Somebody tells what became of requests.
    pub(crate) telling_tally: Cell<bool>,
    /// Nginx is in the middle of something, and must not be called.
    flushing: Cell<bool>,
    held_back: RefCell<VecDeque<Delivery<Token>>>,
    link: RefCell<Option<Task<()>>>,
    /// Wakes that task when the link is to be given up.
    link_waker: RefCell<Option<Waker>>,
    /// Whom `checkout::deliver` tells something, as long as it lives.
    pub(crate) telling: Cell<Token>,
    /// How long the rest of a response is waited for.
    pub(crate) linger_timeout: Duration,
    /// What is known of the rules of apps. Never borrowed while Nginx is called.
    pub(crate) rulebook: RefCell<Rulebook<rules::Token>>,
    /// What is known of the pages of apps. Likewise.
    pub(crate) pagebook: RefCell<Pagebook<Token>>,
    /// What is known of credentials. Likewise.
    pub(crate) verdicts: RefCell<Verdicts<rules::Token>>,
    /// Requests that rules were looked up for.
    pub(crate) rulings: Cell<usize>,
    /// Where modules that pass requests on have what a location says.
    pub(crate) passing: Vec<usize>,
    /// Upstreams with `mesh`.
    pub(crate) meshes: &'static [*const ngx_http_upstream_srv_conf_t],
    names: RefCell<Names>,
    pub(crate) checkouts: Spare<Checkout>,
    pub(crate) ruling_room: Spare<rules::Ruling>,
    pub(crate) parked: Spare<Parked>,
    pub(crate) confs: Spare<ngx_http_upstream_conf_t>,
    /// Connections to dynos whose client has left.
    pub(crate) lingering: RefCell<BTreeSet<*mut ngx_connection_t>>,
}

/// The worker of this process.
pub(crate) fn get() -> &'static Worker {
    try_get().expect("requests come after the start of the process")
}

pub(crate) fn try_get() -> Option<&'static Worker> {
    // SAFETY: it is null, or `start` put one there that is never freed; only the thread
    // that Nginx calls modules on comes here.
    unsafe { WORKER.load(Ordering::Relaxed).as_ref() }
}

/// Starts the link, if the configuration has a mesh upstream.
pub(crate) unsafe fn start(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: the caller passes the cycle of this process.
    let Some(conf) = (unsafe { conf::of_cycle(cycle) }) else {
        return 0;
    };
    if !conf.used.get() {
        return 0;
    }
    let identity = Identity {
        node: conf::hostname(),
        worker: rand::random::<u64>().max(1),
        // SAFETY: a plain global.
        pid: unsafe { ngx_pid } as u32,
    };
    let worker: &'static Worker = Box::leak(Box::new(Worker {
        session: RefCell::new(Session::new(identity, conf.outage_timeout(), now())),
        serial: Cell::new(0),
        fd: Cell::new(-1),
        sender: RefCell::new(None),
        stopping: Cell::new(false),
        sending: Posted::new(send_posted),
        gathering: Cell::new(false),
        gathered: Cell::new(0),
        gathering_since: Cell::new(0),
        tidying: Cell::new(false),
        telling_tally: Cell::new(false),
        flushing: Cell::new(false),
        held_back: RefCell::default(),
        link: RefCell::new(None),
        link_waker: RefCell::new(None),
        telling: Cell::new(ptr::null_mut()),
        linger_timeout: conf.linger_timeout(),
        rulebook: RefCell::new(Rulebook::new(conf.outage_timeout(), now())),
        pagebook: RefCell::default(),
        verdicts: RefCell::new(Verdicts::new(conf.outage_timeout(), rand::random(), now())),
        rulings: Cell::new(0),
        // SAFETY: as above.
        passing: unsafe { conf::rules::passing(cycle) },
        meshes: &conf.meshes,
        names: RefCell::default(),
        checkouts: Spare::new(),
        ruling_room: Spare::new(),
        parked: Spare::new(),
        confs: Spare::new(),
        lingering: RefCell::new(BTreeSet::new()),
    }));
    WORKER.store(ptr::from_ref(worker).cast_mut(), Ordering::Relaxed);
    *worker.link.borrow_mut() = Some(executor::spawn(link::run(conf.sidecar())));
    // Nginx looks at posted events after it has waited for others; there may be
    // none for long.
    executor::run();
    0
}

/// Sends what is left to say, ends the session and closes every connection.
pub(crate) fn stop() {
    let Some(worker) = try_get() else { return };
    worker.stopping.set(true);
    linger::close_all(worker);
    worker.session_only(|session| session.tell_tally(true));
    worker.wake_sender();
    executor::run();
    let fd = worker.fd.get();
    if fd >= 0 && link::wait_writable(fd, Duration::from_millis(200)).is_err() {
        log::notice("the last messages to the sidecar may be lost");
    }
    executor::run();
    wait_until_told(worker);
    // Dropping a task only schedules its end.
    drop(worker.link.borrow_mut().take());
    executor::run();
}

/// A sidecar that sees a link go does not look at what came over it last. So a worker
/// that ends by itself, with no request left, waits until it says that it has it.
fn wait_until_told(worker: &Worker) {
    let until = Instant::now() + LAST_WORDS;
    // SAFETY: plain globals; the loop does not turn any more, so this takes its turns.
    unsafe {
        let Some(process) = ngx_event_actions
            .process_events
            .filter(|_| ngx_exiting != 0)
        else {
            return;
        };
        while worker.session_only(|session| session.is_telling()) && Instant::now() < until {
            process(ngx_cycle, 10, 0);
            executor::run();
        }
    }
}

/// How long a worker waits for that.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Milliseconds on Nginx's clock.
pub(crate) fn now() -> u64 {
    // SAFETY: a plain global, written by this thread.
    unsafe { ngx_current_msec as u64 }
}

/// The same clock, read now: Nginx reads it once a turn.
fn fresh_now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes the time there, and nothing else.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    let millis = time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000;
    match read {
        // Another clock than Nginx's, if it were built for one.
        0 if millis >= now() && millis < now() + FAR => millis,
        _ => now(),
    }
}

/// Milliseconds.
const FAR: u64 = 3_600_000;

/// How long what nobody waits for may take.
const TIDY: Duration = Duration::from_millis(2);

/// Sees to what is reserved, and sends what nobody waits for, while there is any.
async fn tidy() {
    let worker = get();
    loop {
        sleep(TIDY).await;
        let more = worker.session(|session| session.tidy(now()));
        worker.wake_sender();
        if !more {
            return worker.tidying.set(false);
        }
    }
}

unsafe extern "C" fn send_posted(_: *mut ngx_event_t) {
    guard_or((), || get().send_or_wait());
}

impl Worker {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Something for the session to do. What it wants to say is sent together with
    /// what else there is, see `send_or_wait`.
    pub(crate) fn session<R>(&self, act: impl FnOnce(&mut Session<Token>) -> R) -> R {
        let result = act(&mut self.session.borrow_mut());
        if self.session.borrow().is_stuck()
            && let Some(link) = self.link_waker.borrow_mut().take()
        {
            link.wake();
        }
        if self.session.borrow().is_pressing() {
            if !self.gathering.replace(true) {
                self.gathered.set(FEW);
                self.gathering_since.set(now());
                self.sending.post();
            }
        } else {
            self.keep_tidy();
        }
        result
    }

    /// The same for what gives the session nothing to say, or is seen to be said.
    pub(crate) fn session_only<R>(&self, act: impl FnOnce(&mut Session<Token>) -> R) -> R {
        act(&mut self.session.borrow_mut())
    }

    /// Somebody sees to what nothing else is the occasion for.
    fn keep_tidy(&self) {
        if !self.tidying.get() && self.session.borrow().has_to_tidy() {
            self.tidying.set(true);
            executor::spawn(tidy()).detach();
        }
    }

    /// The end of a turn of the loop that had something to say. It is said now,
    /// unless there is so much that the next turn will have more: each time that
    /// the sidecar is woken costs as much as many messages. That turn does not
    /// wait for anything, so nothing is delayed but by work.
    fn send_or_wait(&self) {
        // A dyno waits for these.
        self.deliver_held_back();
        let messages = self.session.borrow().to_transmit();
        let late = now() > self.gathering_since.get();
        if messages > self.gathered.get() && messages < MANY && !late {
            self.gathered.set(messages);
            return self.sending.post_next();
        }
        self.gathering.set(false);
        self.wake_sender();
        executor::run();
        // What came while there was something to say may have to be given back.
        self.keep_tidy();
    }

    /// Nginx is in the middle of something, and must not be called.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing.get()
    }

    /// Sends now what there is to send. Answers that come with it wait for the end
    /// of the turn: Nginx is in the middle of something else.
    pub(crate) fn flush(&self) {
        if self.flushing.replace(true) {
            return;
        }
        self.wake_sender();
        executor::run();
        self.flushing.set(false);
        let left = !self.held_back.borrow().is_empty()
            || rules::has_ready(self)
            || self.pagebook.borrow().has_ready();
        if left || self.session.borrow().turns_away() {
            let catch_up = async {
                get().deliver_held_back();
                get().turn_away();
                get().go_on();
            };
            executor::spawn(catch_up).detach();
        }
    }

    /// Tells requests what came while something was flushed.
    fn deliver_held_back(&self) {
        while !self.flushing.get()
            && let Some(delivery) = { self.held_back.borrow_mut().pop_front() }
        {
            checkout::deliver(delivery);
        }
    }

    /// A lease for a request that has this name, if one is at hand. A worker that
    /// stood still does not know it by Nginx's clock before the next turn.
    pub(crate) fn take(&self, name: &Arc<str>) -> Option<(Ticket, Answer)> {
        self.session(|session| session.take(name, fresh_now()))
    }

    /// A lease ends. Who gets it at once goes on at the end of the turn: Nginx is in the
    /// middle of something else. Says whether somebody does.
    pub(crate) fn checkin(&self, ticket: Ticket, outcome: Outcome) -> bool {
        let delivery = self.session(|session| {
            // A worker that stood still does not know it by Nginx's clock.
            let now = match session.has_next() {
                true => fresh_now(),
                false => now(),
            };
            session.checkin(ticket, outcome, now)
        });
        let Some(delivery) = delivery else {
            return false;
        };
        self.held_back.borrow_mut().push_back(delivery);
        executor::spawn(async { get().deliver_held_back() }).detach();
        true
    }

    /// A request wants to hear no more of this ask.
    pub(crate) fn cancel(&self, ask: u64) {
        self.held_back.borrow_mut().retain(
            |delivery| !matches!(delivery, Delivery::Answer(_, answer, _) if answer.ask == ask),
        );
        self.session(|session| session.cancel(ask));
    }

    /// A request does not want its lease.
    pub(crate) fn decline(&self, ticket: Ticket) {
        self.session(|session| session.decline(ticket));
    }

    /// The name that a request is for.
    pub(crate) fn name(&self, host: &[u8]) -> Arc<str> {
        self.names.borrow_mut().lower_case(host)
    }

    /// A request is gone.
    pub(crate) fn forget(&self, token: Token) {
        if self.telling.get() == token {
            self.telling.set(ptr::null_mut());
        }
    }

    fn wake_sender(&self) {
        if let Some(waker) = self.sender.borrow_mut().take() {
            waker.wake();
        }
    }

    /// A new link: gives its serial number.
    pub(crate) fn connected(&self, fd: i32) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.fd.set(fd);
        self.session.borrow_mut().connected(now());
        self.serial.get()
    }

    pub(crate) fn disconnected(&self) {
        self.serial.set(self.serial.get() + 1);
        self.fd.set(-1);
        self.session.borrow_mut().disconnected(now());
        self.rulebook.borrow_mut().disconnected(now());
        self.pagebook.borrow_mut().disconnected();
        self.verdicts.borrow_mut().disconnected(now());
    }

    pub(crate) fn poll_transmit(
        &self,
        serial: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<RouterMessage>> {
        fault::at("transmit");
        let mut session = self.session.borrow_mut();
        if serial != self.serial.get() {
            return Poll::Ready(None);
        }
        match session.poll_transmit() {
            Some(message) => Poll::Ready(Some(message)),
            None if self.stopping.get() => Poll::Ready(None),
            None => {
                *self.sender.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether so much waits to be sent that the link has to be given up.
    pub(crate) fn poll_stuck(&self, cx: &Context<'_>) -> Poll<()> {
        if self.session.borrow().is_stuck() {
            return Poll::Ready(());
        }
        let mut known = self.link_waker.borrow_mut();
        if !known.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
            *known = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn receive(&self, message: SidecarMessage) {
        rules::hear(self, &message);
        pages::hear(self, &message);
        let delivery = self.session(|session| session.receive(message, now()));
        let waits = self.flushing.get() || !self.held_back.borrow().is_empty();
        match delivery {
            None => {}
            // Nobody overtakes those that were held back.
            Some(delivery) if waits => {
                self.held_back.borrow_mut().push_back(delivery);
                self.deliver_held_back();
            }
            Some(delivery) => checkout::deliver(delivery),
        }
        self.go_on();
    }

    /// Lets requests go on that have waited for rules, and responses for pages.
    fn go_on(&self) {
        if !self.flushing.get() && rules::has_ready(self) {
            rules::go_on(self);
        }
        if !self.flushing.get() && self.pagebook.borrow().has_ready() {
            pages::go_on(self);
        }
    }

    /// Refuses requests that need no sidecar for that.
    pub(crate) fn turn_away(&self) {
        while !self.flushing.get() {
            let token = self.session.borrow_mut().poll_turned_away();
            match token {
                Some(token) => {
                    // SAFETY: a checkout leaves the session before it goes.
                    let code = unsafe { (*token).code };
                    checkout::refuse(token, code.unwrap_or(Code::H26));
                }
                None => return,
            }
        }
    }

    /// Answers requests that have waited too long for a link.
    pub(crate) fn expire(&self) {
        if !self.flushing.get() {
            rules::expire(self);
            pages::go_on(self);
        }
        while !self.flushing.get() {
            let delivery = self.session.borrow_mut().poll_expired(now());
            match delivery {
                Some(delivery) => checkout::deliver(delivery),
                None => return,
            }
        }
    }
}
