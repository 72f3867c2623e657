//! The module as Nginx sees it: its tables, and what happens when.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_MODULE, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER, ngx_conf_t, ngx_cycle_t,
    ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_process,
};

use crate::{
    bounds, conf, filter,
    guard::{self, guard},
    headers, rules, trace, variables, worker,
};

static HTTP: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(preconfiguration),
    postconfiguration: Some(postconfiguration),
    create_main_conf: Some(conf::create_main),
    init_main_conf: None,
    create_srv_conf: None,
    merge_srv_conf: None,
    create_loc_conf: Some(conf::rules::create_loc),
    merge_loc_conf: Some(conf::rules::merge_loc),
};

ngx::ngx_modules!(ngx_http_dynomesh_module);

/// Known to Nginx by this symbol.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, unreachable_pub, reason = "a symbol for Nginx")]
pub static mut ngx_http_dynomesh_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(HTTP) as _,
    commands: conf::commands(),
    type_: NGX_HTTP_MODULE as _,
    init_process: Some(init_process),
    exit_process: Some(exit_process),
    ..ngx_module_t::default()
};

/// The module's own table.
pub(crate) fn this() -> &'static ngx_module_t {
    // SAFETY: Nginx writes to it (its indexes) only while it reads the
    // configuration, before anything here runs.
    unsafe { &*ptr::addr_of!(ngx_http_dynomesh_module) }
}

unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    guard::report_panics();
    // SAFETY: Nginx passes the configuration that it reads.
    guard(|| unsafe { variables::register(cf) })
}

unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: as above.
    guard(|| unsafe {
        filter::install();
        bounds::install();
        // The first of them is called last.
        for install in [trace::install, rules::install, headers::install] {
            match install(cf) {
                0 => {}
                failed => return failed,
            }
        }
        0
    })
}

unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: a global that Nginx sets before any process starts.
    let process = unsafe { ngx_process };
    if process != NGX_PROCESS_WORKER as usize && process != NGX_PROCESS_SINGLE as usize {
        return 0;
    }
    // SAFETY: Nginx passes the cycle of this process.
    guard(|| unsafe { worker::start(cycle) })
}

unsafe extern "C" fn exit_process(_cycle: *mut ngx_cycle_t) {
    guard(|| {
        worker::stop();
        0
    });
}
