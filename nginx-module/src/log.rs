//! Lines in Nginx's error log that belong to no request.

use ngx::{
    ffi::{NGX_LOG_ALERT, NGX_LOG_ERR, NGX_LOG_NOTICE},
    log::ngx_cycle_log,
    ngx_log_error,
};

/// Something that must not happen.
pub(crate) fn alert(text: &str) {
    ngx_log_error!(NGX_LOG_ALERT, ngx_cycle_log().as_ptr(), "mesh: {text}");
}

/// Something that an operator has to look at.
pub(crate) fn error(text: &str) {
    ngx_log_error!(NGX_LOG_ERR, ngx_cycle_log().as_ptr(), "mesh: {text}");
}

/// Something worth knowing.
pub(crate) fn notice(text: &str) {
    ngx_log_error!(NGX_LOG_NOTICE, ngx_cycle_log().as_ptr(), "mesh: {text}");
}
