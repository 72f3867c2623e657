//! No panic crosses into C: it would abort the worker and all its requests.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ngx::ffi::{NGX_ERROR, ngx_int_t};

use crate::log;

/// Runs a callback for Nginx. A panic is logged, and Nginx is told of an error.
pub(crate) fn guard(callback: impl FnOnce() -> ngx_int_t) -> ngx_int_t {
    guard_or(NGX_ERROR as ngx_int_t, callback)
}

/// The same for callbacks with another kind of result.
pub(crate) fn guard_or<T>(otherwise: T, callback: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(callback)) {
        Ok(result) => result,
        Err(panic) => {
            report(&*panic);
            otherwise
        }
    }
}

/// Tells the operator of a panic.
pub(crate) fn report(panic: &(dyn Any + Send)) {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    log::alert(&format!("panic contained, please report it: {text}"));
}
