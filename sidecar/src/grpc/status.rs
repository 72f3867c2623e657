//! Errors as gRPC tells them.

use mesh::ChangeError;
use tonic::{Code, Status};

use crate::{
    convert::Malformed,
    driver::{ApplyError, Closed, OpenError},
};

pub(super) fn open_error(error: OpenError) -> Status {
    let code = match error {
        OpenError::TooMany(_) => Code::ResourceExhausted,
        OpenError::Outdated(..) => Code::FailedPrecondition,
        OpenError::Stopping => Code::Unavailable,
    };
    Status::new(code, error.to_string())
}

pub(super) fn closed(reason: Closed) -> Status {
    let code = match reason {
        Closed::Replaced => Code::Aborted,
        Closed::Stopping => Code::Unavailable,
        Closed::TooSlow => Code::ResourceExhausted,
    };
    Status::new(code, reason.to_string())
}

pub(super) fn malformed(error: &Malformed) -> Status {
    Status::invalid_argument(error.to_string())
}

pub(super) fn apply_error(error: &ApplyError) -> Status {
    let code = match error {
        ApplyError::Refused(ChangeError::Invalid(_)) => Code::InvalidArgument,
        ApplyError::Refused(ChangeError::NotFound(_)) => Code::NotFound,
        ApplyError::Refused(ChangeError::AlreadyExists(_)) => Code::AlreadyExists,
        ApplyError::Refused(ChangeError::Conflict { .. }) => Code::Aborted,
        ApplyError::Refused(ChangeError::Exhausted(_)) | ApplyError::QueueFull => {
            Code::ResourceExhausted
        }
        ApplyError::Disk(_) | ApplyError::Away(_) | ApplyError::InDoubt | ApplyError::Stopping => {
            Code::Unavailable
        }
    };
    Status::new(code, error.to_string())
}

pub(super) fn stopping() -> Status {
    Status::unavailable("meshd is stopping")
}
