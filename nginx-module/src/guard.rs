//! No panic crosses into C: it would abort the worker and all its requests.

use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};

use ngx::ffi::{NGX_ERROR, ngx_int_t};

use crate::log;

/// Runs a callback for Nginx. After a panic, Nginx is told of an error.
pub(crate) fn guard(callback: impl FnOnce() -> ngx_int_t) -> ngx_int_t {
    guard_or(NGX_ERROR as ngx_int_t, callback)
}

/// The same for callbacks with another kind of result.
pub(crate) fn guard_or<T>(otherwise: T, callback: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(callback)).unwrap_or(otherwise)
}

/// Has every panic reported in one line of Nginx's log. It is done where the panic
/// is: of one that can't be contained, that line is all there will be.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let place = place.as_deref().unwrap_or("an unknown place");
    let text = panic.payload_as_str().unwrap_or("no message");
    let text = text.replace('\n', " ");
    log::alert(&format!("panic at {place}, please report it: {text}"));
}
