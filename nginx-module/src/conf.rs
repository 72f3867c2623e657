//! The directives.
//!
//! | directive | where | default |
//! |---|---|---|
//! | `mesh_sidecar unix:PATH` | http | `unix:/run/dynomesh/router.sock` |
//! | `mesh_outage_timeout TIME` | http | 5s |
//! | `mesh_linger_timeout TIME` | http | 5m |
//! | `mesh` | upstream | |
//! | `mesh_rules on` or `off` | http, server, location | where requests are passed to the mesh |

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
        NGX_CONF_FLAG, NGX_CONF_NOARGS, NGX_CONF_TAKE1, NGX_ERROR, NGX_HTTP_LOC_CONF,
        NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_MAIN_CONF, NGX_HTTP_MAIN_CONF_OFFSET, NGX_HTTP_SRV_CONF,
        NGX_HTTP_UPS_CONF, NGX_LOG_EMERG, ngx_command_t, ngx_conf_set_flag_slot, ngx_conf_t,
        ngx_cycle_t, ngx_http_conf_ctx_t, ngx_http_module, ngx_http_upstream_srv_conf_t, ngx_int_t,
        ngx_parse_time, ngx_str_t, ngx_uint_t,
    },
    ngx_conf_log_error, ngx_string,
};

use crate::{guard::guard_or, module};

pub(crate) mod rules;
mod upstream;

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
    /// Those that do. What Nginx calls for them may be another module's, such as
    /// `keepalive`'s, so that does not tell.
    pub(crate) meshes: Vec<*const ngx_http_upstream_srv_conf_t>,
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
const ANYWHERE: ngx_uint_t =
    (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG) as ngx_uint_t;
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

const fn time(name: ngx_str_t, time: &'static Time) -> ngx_command_t {
    ngx_command_t {
        post: (&raw const *time).cast_mut().cast(),
        ..directive(name, HTTP, set_time)
    }
}

static mut COMMANDS: [ngx_command_t; 6] = [
    directive(ngx_string!("mesh_sidecar"), HTTP, set_sidecar),
    time(ngx_string!("mesh_outage_timeout"), &OUTAGE),
    time(ngx_string!("mesh_linger_timeout"), &LINGER),
    directive(ngx_string!("mesh"), UPSTREAM, upstream::set_mesh),
    ngx_command_t {
        conf: NGX_HTTP_LOC_CONF_OFFSET,
        offset: mem::offset_of!(rules::LocConf, rules),
        ..directive(ngx_string!("mesh_rules"), ANYWHERE, ngx_conf_set_flag_slot)
    },
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

/// A directive that says how long something takes.
struct Time {
    /// The longest that it may be.
    max: Duration,
    place: fn(&mut MainConf) -> &mut Option<Duration>,
}

static OUTAGE: Time = Time {
    max: MAX_OUTAGE,
    place: |conf| &mut conf.outage,
};
static LINGER: Time = Time {
    max: MAX_LINGER,
    place: |conf| &mut conf.linger,
};

unsafe extern "C" fn set_time(
    cf: *mut ngx_conf_t,
    command: *mut ngx_command_t,
    conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: called by Nginx, with a directive that has its `Time`.
    unsafe {
        let time = &*(*command).post.cast::<Time>();
        set(cf, conf, |conf, words| {
            once((time.place)(conf), parse_time(&words[1], time.max)?)
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
