//! The directives.
//!
//! | directive | where | default |
//! |---|---|---|
//! | `mesh_sidecar unix:PATH` | http | `unix:/run/dynomesh/router.sock` |
//! | `mesh_outage_timeout TIME` | http | 5s |
//! | `mesh_linger_timeout TIME` | http | 5m |
//! | `mesh` | upstream | |

use std::{
    cell::Cell,
    ffi::{CStr, OsStr, c_char, c_void},
    mem,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr,
    time::Duration,
};

use ngx::{
    core::Pool,
    ffi::{
        NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_ERROR, NGX_HTTP_MAIN_CONF, NGX_HTTP_MAIN_CONF_OFFSET,
        NGX_HTTP_UPS_CONF, NGX_LOG_EMERG, ngx_array_create, ngx_array_push, ngx_command_t,
        ngx_conf_t, ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_module, ngx_http_upstream_module,
        ngx_http_upstream_server_t, ngx_http_upstream_srv_conf_t, ngx_int_t, ngx_parse_time,
        ngx_str_t, ngx_uint_t,
    },
    ngx_conf_log_error, ngx_string,
};

use crate::{guard::guard_or, module, peer};

const DEFAULT_SIDECAR: &str = "/run/dynomesh/router.sock";
const DEFAULT_OUTAGE: Duration = Duration::from_secs(5);
const DEFAULT_LINGER: Duration = Duration::from_secs(5 * 60);
/// Longest outage to sit out: a client has long given up by then.
const MAX_OUTAGE: Duration = Duration::from_secs(10 * 60);
/// Longest wait for a dyno whose client has left.
const MAX_LINGER: Duration = Duration::from_secs(24 * 3600);
/// A unix socket's path, without its terminating zero.
const MAX_PATH: usize = 107;

/// What the http block says.
#[derive(Default)]
pub(crate) struct MainConf {
    sidecar: Option<PathBuf>,
    outage: Option<Duration>,
    linger: Option<Duration>,
    /// Some upstream says `mesh`.
    pub(crate) used: Cell<bool>,
}

impl MainConf {
    pub(crate) fn sidecar(&self) -> PathBuf {
        self.sidecar
            .clone()
            .unwrap_or_else(|| DEFAULT_SIDECAR.into())
    }

    pub(crate) fn outage_timeout(&self) -> Duration {
        self.outage.unwrap_or(DEFAULT_OUTAGE)
    }

    pub(crate) fn linger_timeout(&self) -> Duration {
        self.linger.unwrap_or(DEFAULT_LINGER)
    }
}

const HTTP: ngx_uint_t = (NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1) as ngx_uint_t;
const UPSTREAM: ngx_uint_t = (NGX_HTTP_UPS_CONF | NGX_CONF_NOARGS) as ngx_uint_t;

type Setter = unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_command_t, *mut c_void) -> *mut c_char;

const fn directive(name: ngx_str_t, type_: ngx_uint_t, set: Setter) -> ngx_command_t {
    ngx_command_t {
        name,
        type_,
        set: Some(set),
        conf: NGX_HTTP_MAIN_CONF_OFFSET,
        offset: 0,
        post: ptr::null_mut(),
    }
}

static mut COMMANDS: [ngx_command_t; 5] = [
    directive(ngx_string!("mesh_sidecar"), HTTP, set_sidecar),
    directive(ngx_string!("mesh_outage_timeout"), HTTP, set_outage),
    directive(ngx_string!("mesh_linger_timeout"), HTTP, set_linger),
    directive(ngx_string!("mesh"), UPSTREAM, set_mesh),
    ngx_command_t::empty(),
];

pub(crate) const fn commands() -> *mut ngx_command_t {
    (&raw mut COMMANDS).cast()
}

pub(crate) unsafe extern "C" fn create_main(cf: *mut ngx_conf_t) -> *mut c_void {
    guard_or(ptr::null_mut(), || {
        // SAFETY: Nginx passes a configuration with its pool.
        let pool = unsafe { Pool::from_ngx_pool((*cf).pool) };
        pool.allocate(MainConf::default()).cast()
    })
}

/// The http block of a running cycle, if it has one.
pub(crate) unsafe fn of_cycle(cycle: *mut ngx_cycle_t) -> Option<&'static MainConf> {
    // SAFETY: the caller passes a cycle whose configuration is complete; it
    // lives as long as the worker.
    unsafe {
        let http = *(*cycle)
            .conf_ctx
            .add((*ptr::addr_of!(ngx_http_module)).index);
        let http = http.cast::<ngx_http_conf_ctx_t>().as_ref()?;
        (*http.main_conf.add(module::this().ctx_index))
            .cast::<MainConf>()
            .as_ref()
    }
}

/// The http block that is being read.
pub(crate) unsafe fn of_reading(cf: *mut ngx_conf_t) -> &'static MainConf {
    // SAFETY: the caller is called by Nginx inside an http block; `create_main`
    // was called before.
    unsafe {
        let http = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        &*(*(*http).main_conf.add(module::this().ctx_index)).cast::<MainConf>()
    }
}

pub(crate) fn hostname() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the length leaves room for a zero.
    unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    CStr::from_bytes_until_nul(&name).map_or_else(|_| String::new(), |n| n.to_string_lossy().into())
}

/// Runs a setter: `Err` is logged as `"directive" text`.
unsafe fn set(
    cf: *mut ngx_conf_t,
    conf: *mut c_void,
    setter: impl FnOnce(&mut MainConf, &[ngx_str_t]) -> Result<(), String>,
) -> *mut c_char {
    let failed = usize::MAX as *mut c_char;
    guard_or(failed, || {
        // SAFETY: Nginx passes the directive's words and the block's `MainConf`.
        let (conf, words) = unsafe { (&mut *conf.cast::<MainConf>(), (*(*cf).args).as_slice()) };
        match setter(conf, words) {
            Ok(()) => ptr::null_mut(),
            Err(text) => {
                let name = words[0].to_string();
                ngx_conf_log_error!(NGX_LOG_EMERG, cf, "\"{name}\" directive {text}");
                failed
            }
        }
    })
}

unsafe extern "C" fn set_sidecar(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: called by Nginx.
    unsafe {
        set(cf, conf, |conf, words| {
            let path = parse_sidecar(words[1].as_bytes())?;
            once(&mut conf.sidecar, path)
        })
    }
}

fn parse_sidecar(text: &[u8]) -> Result<PathBuf, String> {
    let wrong = || {
        let text = String::from_utf8_lossy(text);
        format!("invalid value \"{text}\", expected unix:/absolute/path of the router socket")
    };
    let path = text.strip_prefix(b"unix:").ok_or_else(wrong)?;
    if path.first() != Some(&b'/') {
        return Err(wrong());
    }
    if path.len() > MAX_PATH {
        return Err(format!(
            "value is too long: a socket's path has at most {MAX_PATH} bytes"
        ));
    }
    Ok(OsStr::from_bytes(path).into())
}

unsafe extern "C" fn set_outage(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: called by Nginx.
    unsafe {
        set(cf, conf, |conf, words| {
            let time = parse_time(&words[1], MAX_OUTAGE)?;
            once(&mut conf.outage, time)
        })
    }
}

unsafe extern "C" fn set_linger(
    cf: *mut ngx_conf_t,
    _: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: called by Nginx.
    unsafe {
        set(cf, conf, |conf, words| {
            let time = parse_time(&words[1], MAX_LINGER)?;
            once(&mut conf.linger, time)
        })
    }
}

/// A time as Nginx writes them, in milliseconds without a unit.
fn parse_time(word: &ngx_str_t, max: Duration) -> Result<Duration, String> {
    let mut word = *word;
    // SAFETY: only reads the word.
    let millis = unsafe { ngx_parse_time(&raw mut word, 0) };
    if millis == NGX_ERROR as ngx_int_t {
        return Err(format!(
            "invalid value \"{word}\", expected a time like 500ms, 5s or 1m"
        ));
    }
    let time = Duration::from_millis(millis as u64);
    if time > max {
        return Err(format!(
            "value \"{word}\" is too long, at most {}s",
            max.as_secs()
        ));
    }
    Ok(time)
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err("is duplicate".into()),
    }
}

unsafe extern "C" fn set_mesh(
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
        if (*(*upstream).servers).nelts > 1 {
            let name = (*upstream).host;
            ngx_conf_log_error!(
                NGX_LOG_EMERG,
                cf,
                "upstream \"{name}\" says \"mesh\" and so takes no \"server\": dynos are added with meshctl"
            );
            return NGX_ERROR as ngx_int_t;
        }
        if !(*upstream).shm_zone.is_null() {
            let name = (*upstream).host;
            ngx_conf_log_error!(
                NGX_LOG_EMERG,
                cf,
                "upstream \"{name}\" says \"mesh\" and so takes no \"zone\": its dynos are known to the sidecar, for all workers"
            );
            return NGX_ERROR as ngx_int_t;
        }
        (*upstream).peer.init = Some(peer::init);
    }
    0
}
