//! Phases of Nginx's that the module has a part in.

use std::ptr;

use ngx::ffi::{
    ngx_array_push, ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_core_main_conf_t,
    ngx_http_core_module, ngx_http_handler_pt, ngx_http_phases, ngx_http_request_t, ngx_int_t,
};

use crate::conf;

pub(crate) type Handler = unsafe extern "C" fn(*mut ngx_http_request_t) -> ngx_int_t;

/// Has every request looked at in this phase, if there is a mesh upstream. Nginx calls those
/// that are there first last. `None`: no memory.
///
/// # Safety
/// Nginx is at the end of the http block.
pub(crate) unsafe fn add(
    cf: *mut ngx_conf_t,
    phase: ngx_http_phases,
    handler: Handler,
) -> Option<()> {
    // SAFETY: as the caller says: the core's configuration is there, and its phases are arrays.
    unsafe {
        if !conf::of_reading(cf).used.get() {
            return Some(());
        }
        let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let index = (*ptr::addr_of!(ngx_http_core_module)).ctx_index;
        let core = (*(*http).main_conf.add(index)).cast::<ngx_http_core_main_conf_t>();
        let phase = &mut (*core).phases[phase as usize];
        let place = ngx_array_push(&raw mut phase.handlers).cast::<ngx_http_handler_pt>();
        *place.as_mut()? = Some(handler);
        Some(())
    }
}
