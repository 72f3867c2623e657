//! What can go wrong, as one line for a person and one number for a script.

mod transport;

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use tonic::{Code, Status};

use crate::output::plain;

/// Why the command did not do what it was asked. Each kind has its exit code;
/// `args::EXIT_CODES` is the text about them in `--help`.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The sidecar was reached and said no.
    Refused(Refusal),
    /// Some changes of many were refused; each was reported where it happened.
    Partly(String),
    /// The command line or the input is wrong, and nothing was sent.
    Usage(String),
    /// What was asked about, or waited for, is not so (yet).
    NotReady(String),
    /// No answer from the sidecar.
    Unreachable(String),
    /// This side failed: a file, a terminal.
    Local(String),
    /// Standard output does not take what is written to it.
    Output(io::Error),
}

/// A gRPC status that the sidecar sent, and what to do about it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// The failure that a call ended with: the sidecar's own answer, or the lack of one.
    pub(crate) fn from_status(status: &Status) -> Self {
        // A status with a source was made on this side, of a broken connection.
        if let Some(cause) = std::error::Error::source(status) {
            let why = transport::root(cause);
            return Self::Unreachable(format!(
                "the connection to the sidecar broke ({why}); try again"
            ));
        }
        match status.code() {
            Code::Unavailable => Self::Unreachable(format!(
                "the sidecar cannot do this now: {}",
                status.message()
            )),
            Code::DeadlineExceeded | Code::Cancelled => Self::Unreachable(format!(
                "the sidecar does not answer ({}); try again",
                status.message()
            )),
            code => Self::Refused(Refusal {
                code,
                message: status.message().to_owned(),
                hint: general_hint(code).map(str::to_owned),
            }),
        }
    }

    /// The same failure, saying what to do when it is a refusal with this code.
    pub(crate) fn hint(mut self, when: Code, hint: impl Into<String>) -> Self {
        if let Self::Refused(refusal) = &mut self
            && refusal.code == when
        {
            refusal.hint = Some(hint.into());
        }
        self
    }

    /// The code that the sidecar refused with, if it was one.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // Whoever reads has read enough (`meshctl app list | head`): that is no error.
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        // There is nobody left to tell when standard error fails as well.
        let _ = writeln!(io::stderr(), "meshctl: {}", plain(&self.to_string()));
        ExitCode::from(self.exit_code())
    }

    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Partly(_) | Self::Local(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::NotReady(_) => 3,
            Self::Unreachable(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Partly(text)
            | Self::Usage(text)
            | Self::NotReady(text)
            | Self::Unreachable(text)
            | Self::Local(text) => f.write_str(text),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", refused(self.code, &self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    /// Every other io is given its own words where it happens.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A refusal in words: the kind of it, and what the sidecar says.
pub(crate) fn refused(code: Code, message: &str) -> String {
    let kind = match code {
        Code::NotFound => "not found",
        Code::AlreadyExists => "already exists",
        Code::InvalidArgument => "not valid",
        Code::Aborted => "changed by someone else meanwhile",
        Code::ResourceExhausted => "a limit is reached",
        Code::PermissionDenied | Code::Unauthenticated => "not allowed",
        Code::Unimplemented => "unknown to this sidecar",
        _ => "refused",
    };
    if message.is_empty() {
        format!("{kind} ({code:?})")
    } else {
        format!("{kind}: {message}")
    }
}

/// What to do when the command knows nothing better.
fn general_hint(code: Code) -> Option<&'static str> {
    match code {
        Code::NotFound => Some("`meshctl app list` shows what there is"),
        Code::Aborted => Some("look at it again and repeat the command"),
        Code::ResourceExhausted => Some(
            "`meshctl status` shows how much there is; the limits are in the sidecar's configuration",
        ),
        Code::PermissionDenied | Code::Unauthenticated => {
            Some("the sidecar must know the certificate given by --cert")
        }
        Code::Unimplemented => Some("`meshctl status` shows the sidecar's version"),
        _ => None,
    }
}

pub(crate) use transport::{root as root_cause, unreachable_socket};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_exit_code() {
        let refused = Failure::from_status(&Status::not_found("app shop"));
        assert_eq!(refused.exit_code(), 1);
        assert_eq!(
            Failure::from_status(&Status::unavailable("x")).exit_code(),
            4
        );
        assert_eq!(Failure::Usage(String::new()).exit_code(), 2);
        assert_eq!(Failure::NotReady(String::new()).exit_code(), 3);
    }

    #[test]
    fn a_refusal_says_what_and_what_to_do() {
        let failure = Failure::from_status(&Status::not_found("app shop"));
        assert_eq!(
            failure.to_string(),
            "not found: app shop; `meshctl app list` shows what there is"
        );
    }

    #[test]
    fn a_hint_is_for_its_code_only() {
        let taken = || Failure::from_status(&Status::already_exists("10.0.0.1:80"));
        let hinted = taken().hint(Code::AlreadyExists, "say --takeover");
        assert_eq!(
            hinted.to_string(),
            "already exists: 10.0.0.1:80; say --takeover"
        );
        let other = taken().hint(Code::NotFound, "say --takeover");
        assert_eq!(other.to_string(), "already exists: 10.0.0.1:80");
    }

    #[test]
    fn only_a_closed_pipe_is_silent() {
        assert!(Failure::Output(io::ErrorKind::BrokenPipe.into()).is_closed_pipe());
        assert!(!Failure::Output(io::ErrorKind::StorageFull.into()).is_closed_pipe());
    }
}
