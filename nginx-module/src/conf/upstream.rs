//! `mesh`, in an upstream block.

use std::{
    ffi::{c_char, c_void},
    mem, ptr,
};

use ngx::{
    ffi::{
        NGX_ERROR, NGX_LOG_EMERG, NGX_OK, ngx_array_create, ngx_array_push, ngx_command_t,
        ngx_conf_t, ngx_http_conf_ctx_t, ngx_http_upstream_module, ngx_http_upstream_server_t,
        ngx_http_upstream_srv_conf_t, ngx_int_t,
    },
    ngx_conf_log_error,
};

use super::set;
use crate::peer;

/// The block has no servers: each request is told one by the sidecar.
pub(super) unsafe extern "C" fn set_mesh(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: called by Nginx inside an upstream block.
    unsafe {
        set(cf, conf, |conf, _| {
            let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
            let index = (*ptr::addr_of!(ngx_http_upstream_module)).ctx_index;
            let upstream = (*(*http).srv_conf.add(index)).cast::<ngx_http_upstream_srv_conf_t>();
            conf.used.set(true);
            conf.meshes.push(upstream);
            prepare_upstream(cf, &mut *upstream)
        })
    }
}

unsafe fn prepare_upstream(
    cf: *mut ngx_conf_t,
    upstream: &mut ngx_http_upstream_srv_conf_t,
) -> Result<(), String> {
    if let Some(init) = upstream.peer.init_upstream {
        return Err(if ptr::fn_addr_eq(init, init_upstream as InitUpstream) {
            "is duplicate".into()
        } else {
            "must come before \"keepalive\", and there can be no other balancing method".into()
        });
    }
    upstream.peer.init_upstream = Some(init_upstream);
    // Nginx refuses an upstream block without servers.
    let size = mem::size_of::<ngx_http_upstream_server_t>();
    // SAFETY: Nginx's pool and arrays; the new element is zeroed as Nginx does.
    unsafe {
        if upstream.servers.is_null() {
            upstream.servers = ngx_array_create((*cf).pool, 1, size);
        }
        let server = match upstream.servers.is_null() {
            true => ptr::null_mut(),
            false => ngx_array_push(upstream.servers),
        };
        if server.is_null() {
            return Err("failed: no memory".into());
        }
        ptr::write_bytes(server.cast::<u8>(), 0, size);
    }
    Ok(())
}

type InitUpstream =
    unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_http_upstream_srv_conf_t) -> ngx_int_t;

unsafe extern "C" fn init_upstream(
    cf: *mut ngx_conf_t,
    upstream: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    // SAFETY: called by Nginx when it has read everything.
    unsafe {
        let too_much = if (*(*upstream).servers).nelts > 1 {
            "\"server\": dynos are added with meshctl"
        } else if !(*upstream).shm_zone.is_null() {
            "\"zone\": its dynos are known to the sidecar, for all workers"
        } else {
            (*upstream).peer.init = Some(peer::init);
            return NGX_OK as ngx_int_t;
        };
        let name = (*upstream).host;
        ngx_conf_log_error!(
            NGX_LOG_EMERG,
            cf,
            "upstream \"{name}\" says \"mesh\" and so takes no {too_much}"
        );
        NGX_ERROR as ngx_int_t
    }
}
