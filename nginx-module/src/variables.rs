//! The variables, for the access log and for what is passed on.

use std::ptr;

use ngx::{
    ffi::{
        NGX_ERROR, NGX_HTTP_VAR_NOCACHEABLE, NGX_OK, ngx_conf_t, ngx_http_add_variable,
        ngx_http_request_t, ngx_int_t, ngx_str_t, ngx_uint_t, ngx_variable_value_t,
    },
    ngx_string,
};
use router::{answer::Answer, code::Code};

use crate::{checkout::Checkout, fault, guard::guard, request, rules, worker};

type Value = fn(&Answer) -> String;

/// Name and meaning; `$mesh_error` and `$mesh_host` are below.
const OF_ANSWER: [(ngx_str_t, Value); 6] = [
    (ngx_string!("mesh_app"), |a| a.app().to_owned()),
    (ngx_string!("mesh_dyno"), |a| {
        let dyno = a.lease().map(|lease| lease.dyno.name.clone());
        dyno.unwrap_or_default()
    }),
    (ngx_string!("mesh_lease"), |a| {
        a.lease().map(|_| lease(a.ask)).unwrap_or_default()
    }),
    (ngx_string!("mesh_queue_wait"), |a| {
        a.queue_wait_ms.to_string()
    }),
    (ngx_string!("mesh_queue_depth"), |a| {
        a.queue_depth.to_string()
    }),
    (ngx_string!("mesh_dynos_in_use"), |a| {
        a.dynos_in_use.to_string()
    }),
];

fn lease(ask: u64) -> String {
    worker::get().session(|session| session.lease_name(ask))
}

/// Makes the variables known.
pub(crate) unsafe fn register(cf: *mut ngx_conf_t) -> ngx_int_t {
    let of_answer = OF_ANSWER
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (*name, of_answer as Get, i));
    let others = [
        (ngx_string!("mesh_error"), error as Get, 0),
        (ngx_string!("mesh_host"), host as Get, 0),
        (ngx_string!("mesh_rule"), rule as Get, 0),
        (ngx_string!("mesh_rule_app"), rule_app as Get, 0),
        (ngx_string!("mesh_user"), user as Get, 0),
        (ngx_string!("mesh_trace"), trace as Get, 0),
    ];
    for (mut name, get, data) in of_answer.chain(others) {
        let flags = NGX_HTTP_VAR_NOCACHEABLE as ngx_uint_t;
        // SAFETY: called by Nginx as it begins an http block.
        unsafe {
            let variable = ngx_http_add_variable(cf, &raw mut name, flags);
            if variable.is_null() {
                return NGX_ERROR as ngx_int_t;
            }
            (*variable).get_handler = Some(get);
            (*variable).data = data;
        }
    }
    NGX_OK as ngx_int_t
}

type Get =
    unsafe extern "C" fn(*mut ngx_http_request_t, *mut ngx_variable_value_t, usize) -> ngx_int_t;

unsafe extern "C" fn of_answer(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    index: usize,
) -> ngx_int_t {
    // SAFETY: Nginx passes a live request and a place for the value.
    guard(|| unsafe {
        let answer = Checkout::of(r).and_then(|checkout| checkout.answer.as_ref());
        let text = answer
            .map(OF_ANSWER[index].1)
            .filter(|text| !text.is_empty());
        set(r, value, text.as_deref().map(str::as_bytes))
    })
}

/// The code of what went wrong.
unsafe extern "C" fn error(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        let code = match Checkout::of(r) {
            Some(checkout) => checkout.code,
            None => request::is_hostless(r).then_some(Code::H26),
        };
        set(r, value, code.map(|code| code.name().as_bytes()))
    })
}

/// The Host that the client meant, with its port.
unsafe extern "C" fn host(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        fault::at("variable");
        let whole = request::authority(r).map(|authority| authority.whole);
        // What the client sent is there as long as the request.
        point(&mut *value, whole);
        NGX_OK as ngx_int_t
    })
}

/// The line of the rule that ended it.
unsafe extern "C" fn rule(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        let line = Some(rules::line(r)).filter(|line| *line > 0);
        let line = line.map(|line| line.to_string());
        set(r, value, line.as_deref().map(str::as_bytes))
    })
}

/// The trace that it is in.
unsafe extern "C" fn trace(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        let trace = Checkout::of(r).and_then(|checkout| checkout.trace.as_deref());
        let trace = trace.map(|trace| trace.context.trace_id());
        set(r, value, trace.as_deref().map(str::as_bytes))
    })
}

/// The app that a rule chose.
unsafe extern "C" fn rule_app(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        let app = rules::chosen(r);
        let app = app.as_deref().and_then(|app| app.strip_prefix('@'));
        set(r, value, app.map(str::as_bytes))
    })
}

/// Whose credentials were right.
unsafe extern "C" fn user(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        let user = rules::user(r);
        set(r, value, user.as_deref().map(str::as_bytes))
    })
}

unsafe fn set(
    r: *mut ngx_http_request_t,
    value: *mut ngx_variable_value_t,
    text: Option<&[u8]>,
) -> ngx_int_t {
    // SAFETY: as above; the text is copied to the request's pool.
    unsafe {
        let copy = match text.map(|text| ngx_str_t::from_bytes((*r).pool, text)) {
            Some(None) => return NGX_ERROR as ngx_int_t,
            Some(Some(copy)) => Some(request::bytes(copy)),
            None => None,
        };
        point(&mut *value, copy);
        NGX_OK as ngx_int_t
    }
}

/// The value is a text that lives as long as the request.
fn point(value: &mut ngx_variable_value_t, text: Option<&[u8]>) {
    let Some(text) = text else {
        return value.set_not_found(1);
    };
    value.data = text.as_ptr().cast_mut();
    // The generated setter of the length goes through it bit by bit, which takes longer than
    // to find the text.
    let fields = text.len() as u32 & LENGTH | VALID;
    // SAFETY: it begins with these fields, which are 32 bits together.
    unsafe { ptr::from_mut(value).cast::<u32>().write(fields) };
    debug_assert_eq!((value.len() as usize, value.valid()), (text.len(), 1));
}

/// The bits of the length.
const LENGTH: u32 = (1 << 28) - 1;
/// The one that says that there is a value. The others say that it is none, or is not to
/// be kept or escaped.
const VALID: u32 = 1 << 28;

const _: () = assert!(cfg!(target_endian = "little"), "the fields begin elsewhere");
