//! What rules come to for one request, from when they are looked up to its end.

use std::{ffi::c_void, mem, ptr, sync::Arc};

use dynomesh_proto::v1::Handling;
use ngx::ffi::{ngx_http_request_t, ngx_pool_cleanup_add};
use router::{
    code::Code,
    rulebook::Ruled,
    verdicts::{Key, Outcome},
};
use rules::{Edit, Op, Side};

use crate::{guard::guard_or, request, worker};

/// How a request that waits is known to the rulebook: it leaves that before it goes.
pub(crate) type Token = *mut Ruling;

/// What rules come to for one request.
pub(crate) struct Ruling {
    pub(super) request: *mut ngx_http_request_t,
    /// As in `Checkout`.
    pub(super) name: Arc<str>,
    pub(super) stage: Stage,
    /// What it waits for the rules of.
    pub(super) waits_for: Option<Arc<str>>,
    /// What the rules say, when they were looked at.
    pub(super) ruled: Option<Arc<Ruled>>,
    /// Headers to be changed, by these rules: for the dyno, until it is known whether
    /// there will be one, and in the response.
    pub(super) edits: Vec<Edit>,
    /// Those of the request, and those of the response, were made.
    edited: [bool; 2],
    /// What the sidecar was asked about who it is, and what it said.
    pub(super) asked: Option<Key>,
    pub(super) outcome: Option<Outcome>,
    /// Whose credentials they are.
    pub(super) user: Option<Box<str>>,
    /// As another app is asked for.
    pub(super) app: Option<Arc<str>>,
    /// Of the rule that ended it.
    pub(super) line: u32,
    pub(super) held: Held,
}

/// What an app's settings say of its requests, and how far this one is.
#[derive(Default)]
pub(crate) struct Held {
    /// Whose settings.
    pub(crate) app: Arc<str>,
    pub(crate) handling: Handling,
    /// Bytes of the body that came.
    pub(crate) received: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What the rules are is not known.
    Unruled,
    /// What it may do is, who it is from is not.
    Unknown,
    /// It has waited too long for a link.
    Expired,
    /// It was found out that it may not go on.
    Barred(Code),
    /// It was held against all.
    Done,
}

impl Ruling {
    /// A new one, which lives as long as the request. `None`: no memory.
    ///
    /// # Safety
    /// `r` is a live request.
    pub(super) unsafe fn attach(r: *mut ngx_http_request_t, name: Arc<str>) -> Option<Token> {
        // SAFETY: Nginx's pool calls `detach` when the request ends, with the room that
        // is left to it here.
        unsafe {
            // As a checkout: the pool would grow by a page for it.
            let cleanup = ngx_pool_cleanup_add((*r).pool, 0).as_mut()?;
            let worker = worker::get();
            let ruling = Self {
                request: r,
                name,
                stage: Stage::Unruled,
                waits_for: None,
                ruled: None,
                edits: Vec::new(),
                edited: [false; 2],
                asked: None,
                outcome: None,
                user: None,
                app: None,
                line: 0,
                held: Held::default(),
            };
            let ruling = Box::into_raw(Box::write(worker.ruling_room.take(), ruling));
            cleanup.data = ruling.cast();
            cleanup.handler = Some(detach);
            worker.rulings.set(worker.rulings.get() + 1);
            Some(ruling)
        }
    }

    /// The request's own, or that of its main request.
    ///
    /// # Safety
    /// `r` is a live request; the result is used only while nothing else uses it.
    pub(super) unsafe fn of<'a>(r: *mut ngx_http_request_t) -> Option<&'a mut Self> {
        // Nearly always, with no rules in the mesh.
        if worker::try_get()?.rulings.get() == 0 {
            return None;
        }
        let mut of_main = None;
        // SAFETY: cleanups with our handler hold rulings only.
        unsafe {
            for ruling in request::kept::<Self>(r, detach) {
                if (*ruling).request == r {
                    return ruling.as_mut();
                }
                if (*ruling).request == (*r).main {
                    of_main = ruling.as_mut();
                }
            }
        }
        of_main
    }
}

impl Ruling {
    /// What is to be done to the headers of this side, once.
    pub(super) fn ops(&mut self, side: Side) -> impl Iterator<Item = Op<'_>> {
        let is_done = mem::replace(&mut self.edited[side as usize], true);
        let ruled = self.ruled.as_ref().filter(|_| !is_done);
        let of_side = self.edits.iter().filter(move |edit| edit.side == side);
        of_side.filter_map(move |edit| ruled?.rules.op(edit))
    }
}

unsafe extern "C" fn detach(data: *mut c_void) {
    guard_or((), || {
        // SAFETY: `attach` made it, and the pool calls this once.
        let mut ruling = unsafe { Box::from_raw(data.cast::<Ruling>()) };
        // Nginx's list has this entry until all of them were called, and a checkout that
        // ends after this one looks through it: it shall find nobody here.
        ruling.request = ptr::null_mut();
        let worker = worker::get();
        worker.rulings.set(worker.rulings.get() - 1);
        if let Some(name) = &ruling.waits_for {
            let mut rulebook = worker.rulebook.borrow_mut();
            rulebook.leave(name, data.cast());
        }
        if let Some(key) = ruling.asked {
            worker.verdicts.borrow_mut().leave(key, data.cast());
        }
        worker.ruling_room.give_used(ruling);
    });
}
