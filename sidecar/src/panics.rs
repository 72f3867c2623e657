//! Panics: logged, and contained where they happen.
//!
//! One in the core leaves a state that can't be trusted, and so does one in the
//! writer, whose memory and disk may then differ. The process ends with a code
//! of its own and is started again by its service manager: the disk copy and
//! the workers' hellos restore everything. A panic elsewhere ends only the task
//! it is in, as tokio does by itself.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    process,
};

/// Exit code after a panic in the core (`EX_SOFTWARE` of sysexits.h).
pub const CORE_PANICKED: i32 = 70;
/// Exit code after a panic in the writer.
pub const WRITER_PANICKED: i32 = 71;

thread_local! {
    /// Whoever runs this reports a panic in words of its own.
    static REPORTED: Cell<bool> = const { Cell::new(false) };
}

/// Every panic goes to the log, with its backtrace.
pub fn log() {
    panic::set_hook(Box::new(|info| {
        if REPORTED.get() {
            return;
        }
        let backtrace = Backtrace::force_capture();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(thread, "panic: {info}\n{backtrace}");
    }));
}

/// Runs a part of the core.
pub(crate) fn in_core<R>(part: impl FnOnce() -> R) -> R {
    or_exit(
        CORE_PANICKED,
        "the core panicked; its state can't be trusted",
        part,
    )
}

/// Runs the writer.
pub(crate) fn in_writer<R>(part: impl FnOnce() -> R) -> R {
    or_exit(
        WRITER_PANICKED,
        "the writer panicked; memory and disk may differ",
        part,
    )
}

fn or_exit<R>(code: i32, what: &str, part: impl FnOnce() -> R) -> R {
    let before = REPORTED.replace(false);
    // What the part worked on is never looked at again after a panic.
    match panic::catch_unwind(AssertUnwindSafe(part)) {
        Ok(result) => {
            REPORTED.set(before);
            result
        }
        Err(_) => {
            tracing::error!("{what}; exiting with code {code} to be started again");
            process::exit(code)
        }
    }
}

/// Runs something that panics on bad data, although it should not.
///
/// # Errors
/// What it panicked with.
pub(crate) fn as_error<R>(part: impl FnOnce() -> R) -> Result<R, String> {
    let before = REPORTED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(part));
    REPORTED.set(before);
    result.map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").into()
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use super::*;

    /// Says to a test that it is the child of itself.
    const CHILD: &str = "MESHD_TEST_PANICS";

    #[test]
    fn a_panic_in_the_core_or_the_writer_ends_the_process_with_its_code() {
        match env::var(CHILD).as_deref() {
            Ok("core") => in_core(|| panic!("on purpose")),
            Ok("writer") => in_writer(|| panic!("on purpose")),
            _ => {}
        }
        for (part, code) in [("core", CORE_PANICKED), ("writer", WRITER_PANICKED)] {
            let mut child = Command::new(env::current_exe().expect("this test"));
            child.args([
                "--exact",
                "panics::tests::a_panic_in_the_core_or_the_writer_ends_the_process_with_its_code",
            ]);
            let output = child.env(CHILD, part).output().expect("it runs");
            assert_eq!(output.status.code(), Some(code), "{output:?}");
        }
    }

    #[test]
    fn a_panic_can_be_an_error() {
        assert_eq!(as_error(|| 1), Ok(1));
        let (one, none) = (1, Vec::<u8>::new());
        assert_eq!(
            as_error(|| panic!("with {one}")),
            Err::<(), _>("with 1".into())
        );
        assert!(as_error(|| none[one]).is_err());
    }
}
