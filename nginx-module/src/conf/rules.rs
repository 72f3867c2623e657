//! `mesh_rules`, and which locations lead to the mesh.

use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_void},
    ptr,
};

use ngx::{
    core::Pool,
    ffi::{
        ngx_conf_t, ngx_cycle_t, ngx_flag_t, ngx_http_request_t, ngx_http_upstream_conf_t,
        ngx_module_t,
    },
};

use crate::{guard::guard_or, module, worker};

/// Modules that pass requests on. What each has for a location begins with that of
/// its upstream.
const PASSING: [&str; 6] = ["proxy", "grpc", "fastcgi", "uwsgi", "scgi", "memcached"];

/// Nobody said anything.
const UNSET: ngx_flag_t = -1;

/// What a location says.
#[repr(C)]
pub(crate) struct LocConf {
    /// As Nginx sets a flag.
    pub(super) rules: ngx_flag_t,
    /// Whether it leads to the mesh, when that was looked for.
    leads: Cell<Option<bool>>,
    /// How requests of the mesh have the configuration of its upstream: see `peer::conf`.
    pub(crate) shared: Cell<Option<Shared>>,
}

/// What is configured, and the copy.
pub(crate) type Shared = (*mut ngx_http_upstream_conf_t, *mut ngx_http_upstream_conf_t);

pub(crate) unsafe extern "C" fn create_loc(cf: *mut ngx_conf_t) -> *mut c_void {
    guard_or(ptr::null_mut(), || {
        // SAFETY: Nginx passes a configuration with its pool.
        let pool = unsafe { Pool::from_ngx_pool((*cf).pool) };
        let conf = LocConf {
            rules: UNSET,
            leads: Cell::new(None),
            shared: Cell::new(None),
        };
        pool.allocate(conf).cast()
    })
}

pub(crate) unsafe extern "C" fn merge_loc(
    _: *mut ngx_conf_t,
    outer: *mut c_void,
    inner: *mut c_void,
) -> *mut c_char {
    // SAFETY: Nginx passes what `create_loc` made.
    unsafe {
        let inner = &mut *inner.cast::<LocConf>();
        if inner.rules == UNSET {
            inner.rules = (*outer.cast::<LocConf>()).rules;
        }
    }
    ptr::null_mut()
}

/// What the location of this request says.
///
/// # Safety
/// `r` is a live request whose location is known.
pub(crate) unsafe fn of<'a>(r: *mut ngx_http_request_t) -> &'a LocConf {
    // SAFETY: as the caller says, and every location has one.
    unsafe { &*(*(*r).loc_conf.add(module::this().ctx_index)).cast::<LocConf>() }
}

/// The location of this request is none for rules, by its configuration.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn are_off(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: as the caller says.
    unsafe { of(r) }.rules == 0
}

/// The location of this request passes it to an upstream with `mesh`, or says
/// `mesh_rules on`.
///
/// # Safety
/// `r` is a live request whose location is known.
pub(crate) unsafe fn lead_to_mesh(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        match of(r).rules {
            UNSET => pass_to_mesh(r),
            rules => rules != 0,
        }
    }
}

/// The location of this request passes it to an upstream with `mesh`, or says
/// `mesh_rules on`, whether rules are for it or not.
///
/// # Safety
/// As [`lead_to_mesh`].
pub(crate) unsafe fn pass_to_mesh(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: as the caller says; confs of modules that pass requests on begin with
    // their upstream's.
    unsafe {
        let conf = of(r);
        if conf.rules == 1 {
            return true;
        }
        if let Some(leads) = conf.leads.get() {
            return leads;
        }
        let worker = worker::get();
        let leads = |index: &usize| {
            let conf = (*(*r).loc_conf.add(*index)).cast::<ngx_http_upstream_conf_t>();
            conf.as_ref()
                .is_some_and(|conf| worker.meshes.contains(&conf.upstream.cast_const()))
        };
        let leads = worker.passing.iter().any(leads);
        conf.leads.set(Some(leads));
        leads
    }
}

/// Where such modules have what they know of a location.
///
/// # Safety
/// The cycle is the one of this process.
pub(crate) unsafe fn passing(cycle: *mut ngx_cycle_t) -> Vec<usize> {
    let mut found = Vec::new();
    // SAFETY: the list of modules is ended by null, and they live for ever.
    unsafe {
        let mut next = (*cycle).modules;
        while let Some(module) = next.as_ref().and_then(|module| module.as_ref()) {
            if passes(module) {
                found.push(module.ctx_index);
            }
            next = next.add(1);
        }
    }
    found
}

fn passes(module: &ngx_module_t) -> bool {
    if module.name.is_null() {
        return false;
    }
    // SAFETY: Nginx names its modules.
    let name = unsafe { CStr::from_ptr(module.name) }.to_bytes();
    let name = name
        .strip_prefix(b"ngx_http_")
        .and_then(|name| name.strip_suffix(b"_module"));
    name.is_some_and(|name| PASSING.iter().any(|passing| passing.as_bytes() == name))
}
