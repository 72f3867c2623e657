//! One request's way to a dyno: what is known of it from the moment that Nginx
//! wants a server for it until the access log.

use std::{ffi::c_void, mem::MaybeUninit, ptr, sync::Arc};

use async_task::Task;
use ngx::ffi::{ngx_http_request_t, ngx_http_upstream_conf_t, ngx_int_t, ngx_pool_cleanup_add};
use router::{
    answer::{Answer, Lease},
    code::{self, Code},
    page::Page,
    rulebook::Ruled,
    session::{Delivery, Request, Ticket},
    sticky::Prefer,
};

use crate::{
    attempt, executor, fault,
    guard::guard_or,
    module, park, refuse, request, tally,
    trace::{self, Trace},
    worker,
};

/// How a request is known to the session: its checkout, which takes itself out
/// of the session before it goes.
pub(crate) type Token = *mut Checkout;

pub(crate) type ProcessHeader = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// Where the request is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Between two attempts, or at its end.
    #[default]
    Idle,
    /// Parked, until the answer to this ask.
    Asking(u64),
    /// There is a lease, Nginx is about to fetch it.
    Routed(Ticket),
    /// With a dyno.
    Leased(Ticket),
}

/// The body of an error, on its way out.
#[derive(Default)]
pub(crate) enum Body {
    /// The response is somebody else's.
    #[default]
    Foreign,
    /// Held back, until it is known.
    Waiting,
    /// Held back, and known.
    Due,
    /// To be sent in place of what comes.
    Ready(Page),
    /// Sent; the rest of what comes is dropped.
    Sent,
}

/// With many connections, a request's response comes when other requests have had all of the
/// processor's caches. So what each needs is three lines of memory, in the order in which it
/// is needed then: the compiler would order it by size.
#[repr(C, align(64))]
pub(crate) struct Checkout {
    pub(crate) request: *mut ngx_http_request_t,
    /// What looks at a response's header after we did.
    pub(crate) process_header: Option<ProcessHeader>,
    pub(crate) stage: Stage,
    /// When it got the lease that it has.
    pub(crate) leased: u64,
    /// Milliseconds with dynos that it had.
    pub(crate) served: u64,
    /// Leases that it had.
    pub(crate) attempts: u32,
    /// What went wrong, unless a later attempt went well.
    pub(crate) code: Option<Code>,
    /// This is why the mesh itself has ended the request, at a dyno or before.
    pub(crate) ended: Option<Code>,
    /// Its request came to an upstream again, and has another one.
    pub(crate) superseded: bool,

    /// The last one.
    pub(crate) answer: Option<Answer>,
    pub(crate) rare: Option<Box<Rare>>,
    /// If the request is in one.
    pub(crate) trace: Option<Box<Trace>>,

    /// Lower case, no port.
    pub(crate) name: Arc<str>,
    pub(crate) arrived: u64,
    /// Milliseconds before it got its lease, without those with other dynos.
    pub(crate) waited: u64,
    /// Of its upstream. Null: it came to none.
    pub(crate) configured: *const ngx_http_upstream_conf_t,
    /// This request's copy of that.
    pub(crate) conf: Option<Box<MaybeUninit<ngx_http_upstream_conf_t>>>,
    /// While it waits.
    pub(crate) parked: Option<Box<park::Parked>>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Checkout>() == 3 * 64);

/// What few requests have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) body: Body,
    pub(crate) tried: Vec<Arc<str>>,
    /// Which dyno it would rather have.
    pub(crate) prefer: Option<Prefer>,
    /// Who serves it, if its responses may say which dyno is its client's own.
    pub(crate) sticky: Option<Arc<Ruled>>,
    /// Which client it is from, where its app wants to know.
    pub(crate) client: u64,
    /// The app whose rules and settings were looked up.
    pub(crate) app_of_rules: Option<Arc<str>>,
    /// Runs from when the first dyno has it, if there is a limit on that.
    pub(crate) clock: Option<Task<()>>,
}

impl Checkout {
    /// A new one, which lives as long as the request. `None`: no memory.
    ///
    /// # Safety
    /// `r` is a live request.
    pub(crate) unsafe fn attach(r: *mut ngx_http_request_t, name: Arc<str>) -> Option<Token> {
        // SAFETY: Nginx's pool calls `detach` when the request ends, with the room that
        // is left to it here.
        unsafe {
            if let Some(before) = Self::of(r) {
                before.superseded = true;
            }
            // Not in the request's pool, which would grow by a page for it.
            let cleanup = ngx_pool_cleanup_add((*r).pool, 0).as_mut()?;
            let trace = trace::of(r).map(Box::new);
            let room = worker::get().checkouts.take();
            let checkout = Box::write(
                room,
                Self {
                    request: r,
                    process_header: None,
                    stage: Stage::Idle,
                    leased: 0,
                    served: 0,
                    attempts: 0,
                    code: None,
                    ended: None,
                    superseded: false,
                    answer: None,
                    rare: None,
                    trace,
                    name,
                    arrived: worker::now(),
                    waited: 0,
                    configured: ptr::null(),
                    conf: None,
                    parked: None,
                },
            );
            let checkout = Box::into_raw(checkout);
            cleanup.data = checkout.cast();
            cleanup.handler = Some(detach);
            *(*r).ctx.add(module::this().ctx_index) = checkout.cast();
            Some(checkout)
        }
    }

    /// The request's latest checkout. An internal redirect, or a filter that has another
    /// response sent, forgets a request's contexts; its pool does not.
    ///
    /// # Safety
    /// `r` is a live request; the result is used only while nothing else uses it.
    pub(crate) unsafe fn of<'a>(r: *mut ngx_http_request_t) -> Option<&'a mut Self> {
        // SAFETY: contexts and cleanups with our handler hold checkouts only.
        unsafe {
            let context = (*(*r).ctx.add(module::this().ctx_index)).cast::<Self>();
            if let Some(checkout) = context.as_mut() {
                return Some(checkout);
            }
            let forgotten = (*r).internal() != 0 || (*r).filter_finalize() != 0;
            if !forgotten {
                return None;
            }
            let mut all = request::kept::<Self>(r, detach);
            all.find(|checkout| (**checkout).request == r)?.as_mut()
        }
    }

    /// What few requests have, from here on this one.
    pub(crate) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Whose the body of the response is.
    pub(crate) fn body(&self) -> &Body {
        self.rare.as_ref().map_or(&Body::Foreign, |rare| &rare.body)
    }

    /// Asks for a dyno.
    pub(crate) fn ask(&mut self) {
        if let Some(trace) = &mut self.trace {
            trace.asks();
        }
        let token: Token = self;
        let rare = self.rare.as_deref();
        let request = Request {
            token,
            name: self.name.clone(),
            arrived: self.arrived,
            // Who was with a dyno before is known by that.
            served: self.served.max(u64::from(self.attempts > 0)),
            tried: rare.map_or_else(Vec::new, |rare| rare.tried.clone()),
            prefer: rare.and_then(|rare| rare.prefer),
            client: rare.map_or(0, |rare| rare.client),
        };
        let ask = worker::get().session(|session| session.ask(request, worker::now()));
        self.stage = Stage::Asking(ask);
    }

    /// Takes a lease that is at hand, if this is the request's first. Says whether
    /// there was one. (Nginx makes the upstream ready for another attempt after it has
    /// got its server, and would undo what is done here.)
    pub(crate) fn take(&mut self) -> bool {
        // One that is at hand is seldom the one that is preferred.
        let prefers = |rare: &Rare| rare.prefer.is_some();
        if self.answer.is_some() || self.rare.as_deref().is_some_and(prefers) {
            return false;
        }
        let Some((ticket, answer)) = worker::get().take(&self.name) else {
            return false;
        };
        self.got(ticket);
        self.answer = Some(answer);
        self.code = None;
        // SAFETY: the request is live, and has an upstream when it wants a server.
        unsafe { attempt::watch_header(self, (*self.request).upstream) };
        true
    }

    /// Refuses the request at the end of this turn of the loop, when Nginx is
    /// done with it.
    pub(crate) fn turn_away(&mut self) {
        let token: Token = self;
        let ask = worker::get().session(|session| session.turn_away(token));
        self.stage = Stage::Asking(ask);
        executor::spawn(async { worker::get().turn_away() }).detach();
    }

    /// There is a lease, which Nginx is about to fetch.
    fn got(&mut self, ticket: Ticket) {
        self.stage = Stage::Routed(ticket);
        self.leased = worker::now();
        self.waited = self.leased.saturating_sub(self.arrived + self.served);
        self.attempts += 1;
        if let Some(trace) = &mut self.trace {
            trace.is_led();
        }
    }

    /// The lease that the last answer gave.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.answer.as_ref().and_then(Answer::lease)
    }

    /// Seconds after which a request that came too soon may come again.
    pub(crate) fn retry_after(&self) -> u32 {
        let result = self.answer.as_ref().map(|answer| &answer.result);
        result.map_or(1, |result| match result {
            Err(refused) => refused.retry_after_s.max(1),
            Ok(_) => 1,
        })
    }

    /// The last lease has ended with a failure.
    pub(crate) fn failed(&mut self) {
        self.served += worker::now().saturating_sub(self.leased);
        if let Some(trace) = &mut self.trace {
            trace.is_freed();
        }
    }

    /// This request shall not come to the last answer's dyno again.
    pub(crate) fn shun(&mut self) {
        if let Some(instance) = self.lease().map(|lease| lease.dyno.instance.clone()) {
            self.rare().tried.push(instance);
        }
    }

    /// The app that the request is for, as far as it is known.
    pub(crate) fn app(&self) -> &str {
        let of_rules = || self.rare.as_ref()?.app_of_rules.as_deref();
        let answer = self.answer.as_ref().map(Answer::app);
        answer.or_else(of_rules).unwrap_or_default()
    }

    /// Gives back whatever it has, when it was not used.
    pub(crate) fn give_up(&mut self) {
        match std::mem::take(&mut self.stage) {
            Stage::Idle => {}
            Stage::Asking(ask) => worker::get().cancel(ask),
            Stage::Routed(ticket) | Stage::Leased(ticket) => worker::get().decline(ticket),
        }
    }
}

unsafe extern "C" fn detach(data: *mut c_void) {
    guard_or((), || {
        // SAFETY: `attach` made it, and the pool calls this once.
        let mut checkout = unsafe { Box::from_raw(data.cast::<Checkout>()) };
        // First whatever has pointers to it: the rest may panic.
        if let Some(parked) = &mut checkout.parked {
            parked.disarm();
        }
        worker::get().forget(data.cast());
        if matches!(checkout.body(), Body::Waiting) {
            worker::get().pagebook.borrow_mut().leave(data.cast());
        }
        // Nginx frees every peer that it got; this is for what should not be.
        checkout.give_up();
        // SAFETY: Nginx frees a request's memory, with the request in it, after this.
        unsafe { tally::count(&checkout) };
        if let Some(conf) = checkout.conf.take() {
            worker::get().confs.give(conf);
        }
        worker::get().checkouts.give_used(checkout);
    });
}

/// A request is told something. Nginx may end the request in here. A panic is
/// this request's, not the link's.
pub(crate) fn deliver(delivery: Delivery<Token>) {
    let (Delivery::Expired(token) | Delivery::Answer(token, ..)) = delivery;
    worker::get().telling.set(token);
    let told = guard_or(false, || {
        fault::at("deliver");
        match delivery {
            Delivery::Expired(token) => refuse(token, Code::H99),
            // SAFETY: a checkout leaves the session before it goes.
            Delivery::Answer(token, answer, ticket) => unsafe {
                deliver_answer(token, answer, ticket);
            },
        }
        true
    });
    // If it is still there, nobody else would ever tell it anything.
    let alive = !worker::get().telling.replace(ptr::null_mut()).is_null();
    if !told && alive {
        // SAFETY: it forgets itself before it goes.
        guard_or((), || unsafe { refuse::abandon(token) });
    }
}

/// A parked request gets no dyno, and the sidecar has no part in it.
pub(crate) fn refuse(token: Token, code: Code) {
    // SAFETY: a checkout leaves the session before it goes.
    unsafe {
        (*token).stage = Stage::Idle;
        refuse::refuse(token, code);
    }
}

unsafe fn deliver_answer(token: Token, answer: Answer, ticket: Option<Ticket>) {
    // SAFETY: see `deliver`.
    let checkout = unsafe { &mut *token };
    let refusal = answer.result.as_ref().err().map(|r| r.reason);
    checkout.answer = Some(answer);
    match ticket {
        Some(ticket) => {
            checkout.got(ticket);
            // SAFETY: it is parked: it asked.
            unsafe { park::resume(token) };
        }
        None => {
            let refusal = refusal.unwrap_or_default();
            refuse(token, code::of_refusal(refusal, checkout.code));
        }
    }
}
