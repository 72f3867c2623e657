//! The rules of an app, applied to its requests.
//!
//! Before Nginx looks at who may have access, a request whose location leads to the
//! mesh is held against the rules for its name: they change its headers, end it, or
//! send it to another app, once for each request. What they say of the response is
//! kept until there is one. A name whose rules are not known yet is asked for, and
//! its requests wait like those that `limit_req` delays.
//!
//! Whom no rule has ended has to be somebody who may use the app, if not everybody
//! may: `admission`.

use std::{ptr, sync::Arc};

use ngx::{
    ffi::{
        NGX_DECLINED, NGX_ERROR, NGX_OK, ngx_conf_t, ngx_http_get_variable_index,
        ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, ngx_http_request_t, ngx_int_t,
    },
    ngx_string,
};
use router::{
    code::Code,
    rulebook::{Known, Look, Ruled},
};
use rules::{End, Request as _, Side};

use crate::{
    bounds,
    checkout::Checkout,
    conf, fault,
    guard::guard,
    phase, request,
    worker::{self, Worker},
};

mod admission;
mod edit_in;
mod edit_out;
mod ruling;
mod seen;
mod waiting;

pub(crate) use admission::user;
pub(crate) use edit_in::{add as add_header, strip as strip_header};
pub(crate) use ruling::{Held, Ruling, Token};
pub(crate) use waiting::{expire, go_on, has_ready, hear};

use ruling::Stage;

/// Has every request looked at when its location is known.
pub(crate) unsafe fn install(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: called by Nginx at the end of the http block.
    unsafe {
        if phase::add(cf, ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, hold_against).is_none() {
            return NGX_ERROR as ngx_int_t;
        }
        if !conf::of_reading(cf).used.get() {
            return NGX_OK as ngx_int_t;
        }
        // With an index it is the same each time that it is asked for.
        let mut id = ngx_string!("request_id");
        if ngx_http_get_variable_index(cf, &raw mut id) == NGX_ERROR as ngx_int_t {
            return NGX_ERROR as ngx_int_t;
        }
        NGX_OK as ngx_int_t
    }
}

/// A request against the rules for its name; again when it has waited for them.
unsafe extern "C" fn hold_against(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: Nginx calls it with a live request.
    guard(|| unsafe {
        let worker = worker::get();
        if worker.rulebook.borrow().is_closed() || !conf::rules::lead_to_mesh(r) {
            return NGX_DECLINED as ngx_int_t;
        }
        fault::at("rules");
        look_up(worker, r).unwrap_or(NGX_ERROR as ngx_int_t)
    })
}

/// `None`: no memory.
unsafe fn look_up(worker: &Worker, r: *mut ngx_http_request_t) -> Option<ngx_int_t> {
    const GO_ON: ngx_int_t = NGX_DECLINED as ngx_int_t;
    // SAFETY: see `hold_against`.
    unsafe {
        let mut before = Ruling::of(r);
        let name = match before.as_deref_mut() {
            Some(ruling) => match ruling.stage {
                Stage::Done => return Some(GO_ON),
                Stage::Expired => return refuse(r, ruling.name.clone(), None, Code::H99),
                Stage::Barred(code) => return admission::bar(r, ruling, code),
                Stage::Unknown => return admission::admit(worker, r, ruling),
                Stage::Unruled => ruling.name.clone(),
            },
            None => match request::authority(r) {
                Some(authority) => worker.name(authority.host),
                // The mesh says so when it is asked for a dyno.
                None => return Some(GO_ON),
            },
        };
        let look = worker.rulebook.borrow().look(&name);
        let known = match look {
            Look::Known(Known::None) if before.is_none() => return Some(GO_ON),
            Look::Known(Known::Unreadable) => return refuse(r, name, None, Code::H99),
            Look::Known(known) => Some(known),
            Look::Unknown => None,
        };
        let token = match before {
            Some(ruling) => ptr::from_mut(ruling),
            None => Ruling::attach(r, name.clone())?,
        };
        match known {
            Some(Known::Rules(ruled)) => judge(worker, r, &mut *token, ruled),
            Some(_) => {
                (*token).stage = Stage::Done;
                Some(GO_ON)
            }
            None => waiting::wait(worker, r, token, name),
        }
    }
}

unsafe fn judge(
    worker: &Worker,
    r: *mut ngx_http_request_t,
    ruling: &mut Ruling,
    ruled: Arc<Ruled>,
) -> Option<ngx_int_t> {
    // SAFETY: see `hold_against`.
    unsafe {
        let seen = seen::Seen::new(r, &ruling.name, &ruled.app);
        let verdict = ruled.rules.judge(&seen);
        // Should it come again, it is still not known who it is from.
        ruling.stage = Stage::Unknown;
        ruling.ruled = Some(ruled);
        ruling.line = verdict.line;
        ruling.edits = verdict.edits;
        match verdict.end {
            None | Some(End::App(_)) => {
                if let Some(End::App(app)) = verdict.end {
                    ruling.app = Some(format!("@{app}").into());
                }
                match bounded(r, ruling) {
                    None => admission::admit(worker, r, ruling),
                    ended => ended,
                }
            }
            Some(End::Deny { status }) => Some(status as ngx_int_t),
            Some(End::Redirect { status, to }) => {
                edit_out::locate(r, &to)?;
                Some(status as ngx_int_t)
            }
        }
    }
}

/// The request goes on within what the app's settings say, or does not.
unsafe fn bounded(r: *mut ngx_http_request_t, ruling: &mut Ruling) -> Option<ngx_int_t> {
    let ruled = ruling.ruled.as_ref()?;
    ruling.held = Held {
        app: ruled.app.clone(),
        handling: ruled.handling,
        received: 0,
    };
    // SAFETY: see `hold_against`. A subrequest has no body of its own.
    match unsafe { r == (*r).main } {
        // SAFETY: as above.
        true => unsafe { bounds::check(r, &ruling.held) },
        false => None,
    }
}

/// What an app's settings say of a request.
///
/// # Safety
/// `r` is a live request; the result is used only while nothing else uses it.
pub(crate) unsafe fn held<'a>(r: *mut ngx_http_request_t) -> Option<&'a mut Held> {
    // SAFETY: as the caller says.
    unsafe { Ruling::of(r) }.map(|ruling| &mut ruling.held)
}

/// What is known of a request when it wants a dyno.
pub(crate) struct Found<'a> {
    /// The name that rules were looked up for, or the app that they chose, as it is asked
    /// for.
    pub(crate) name: &'a Arc<str>,
    /// Of the app that has the name.
    pub(crate) ruled: Option<&'a Arc<Ruled>>,
    /// That one serves the request: its rules have chosen no other.
    pub(crate) is_own: bool,
}

/// Looks it up, if rules were.
///
/// # Safety
/// As [`held`].
pub(crate) unsafe fn found<'a>(r: *mut ngx_http_request_t) -> Option<Found<'a>> {
    // SAFETY: as the caller says.
    let ruling = unsafe { Ruling::of(r) }?;
    Some(Found {
        name: ruling.app.as_ref().unwrap_or(&ruling.name),
        ruled: ruling.ruled.as_ref(),
        is_own: ruling.app.is_none(),
    })
}

/// Headers for the dyno.
unsafe fn edit(r: *mut ngx_http_request_t, ruling: &mut Ruling) -> Option<()> {
    // A subrequest shares its headers with its main request.
    // SAFETY: see `hold_against`.
    unsafe {
        let mut ops = ruling.ops(Side::Request);
        match r == (*r).main {
            true => ops.try_for_each(|op| edit_in::apply(r, op)),
            false => Some(()),
        }
    }
}

/// It does not go on. The header filter says why.
unsafe fn refuse(
    r: *mut ngx_http_request_t,
    name: Arc<str>,
    app: Option<Arc<str>>,
    code: Code,
) -> Option<ngx_int_t> {
    // SAFETY: see `hold_against`.
    unsafe {
        let checkout = Checkout::attach(r, name)?;
        (*checkout).rare().app_of_rules = app;
        (*checkout).code = Some(code);
        Some(code.status() as ngx_int_t)
    }
}

/// The app that rules chose, as it is asked for.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn chosen(r: *mut ngx_http_request_t) -> Option<Arc<str>> {
    // SAFETY: as the caller says.
    unsafe { Ruling::of(r) }.and_then(|ruling| ruling.app.clone())
}

/// What a request is called, if rules were looked up for it: they may call others so.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn request_id(r: *mut ngx_http_request_t) -> Option<Box<[u8]>> {
    // SAFETY: as the caller says.
    unsafe {
        let ruling = Ruling::of(r)?;
        Some(seen::Seen::new(r, &ruling.name, "").id().into())
    }
}

/// The line of the rule that ended it; 0: none did.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn line(r: *mut ngx_http_request_t) -> u32 {
    // SAFETY: as the caller says.
    unsafe { Ruling::of(r) }.map_or(0, |ruling| ruling.line)
}

/// The request came to the mesh by a way that nobody saw before, and there may be
/// rules for it.
///
/// # Safety
/// `r` is a live request with an upstream.
pub(crate) unsafe fn is_overlooked(r: *mut ngx_http_request_t, name: &str) -> bool {
    let look = || worker::get().rulebook.borrow().look(name);
    // SAFETY: as the caller says.
    let seen = unsafe { conf::rules::lead_to_mesh(r) || conf::rules::are_off(r) };
    !seen && !matches!(look(), Look::Known(Known::None))
}

/// Changes the headers of a response. `None`: no memory.
///
/// # Safety
/// `r` is a live request whose header was not sent.
pub(crate) unsafe fn dress(r: *mut ngx_http_request_t) -> Option<()> {
    // SAFETY: as the caller says.
    unsafe {
        if r != (*r).main {
            return Some(());
        }
        let ops = Ruling::of(r).map(|ruling| ruling.ops(Side::Response));
        let mut ops = ops.into_iter().flatten();
        ops.try_for_each(|op| edit_out::apply(r, op))
    }
}
