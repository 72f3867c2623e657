//! The error and offline signifiers: Heroku's published codes, so that whoever
//! knows those knows these.

use dynomesh_proto::v1::{AuthVerdict, Refusal};

/// Why a request was not served as its app would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "see `title`")]
pub enum Code {
    /// No app has this domain. What is not Heroku's has no number.
    NoApp,
    /// By the app's own limit.
    TooLarge,
    /// By the app's own rate.
    RateLimited,
    AuthMissing,
    AuthWrong,
    AuthDenied,
    AuthLimited,
    AuthBusy,
    AuthAway,
    H10,
    H11,
    H12,
    H13,
    H14,
    H15,
    H17,
    H18,
    H19,
    H20,
    H21,
    H22,
    H26,
    H27,
    H34,
    H80,
    H81,
    H99,
}

impl Code {
    /// As in the header `X-Mesh-Error` and the access log. What has no number is
    /// called by its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoApp => "no-app",
            Self::TooLarge => "too-large",
            Self::RateLimited => "rate-limited",
            Self::AuthMissing => "auth-missing",
            Self::AuthWrong => "auth-wrong",
            Self::AuthDenied => "auth-denied",
            Self::AuthLimited => "auth-limited",
            Self::AuthBusy => "auth-busy",
            Self::AuthAway => "auth-away",
            Self::H10 => "H10",
            Self::H11 => "H11",
            Self::H12 => "H12",
            Self::H13 => "H13",
            Self::H14 => "H14",
            Self::H15 => "H15",
            Self::H17 => "H17",
            Self::H18 => "H18",
            Self::H19 => "H19",
            Self::H20 => "H20",
            Self::H21 => "H21",
            Self::H22 => "H22",
            Self::H26 => "H26",
            Self::H27 => "H27",
            Self::H34 => "H34",
            Self::H80 => "H80",
            Self::H81 => "H81",
            Self::H99 => "H99",
        }
    }

    /// HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::NoApp => 404,
            Self::TooLarge => 413,
            Self::AuthMissing | Self::AuthWrong => 401,
            Self::AuthDenied => 403,
            Self::AuthLimited | Self::RateLimited => 429,
            Self::H26 => 400,
            Self::H27 => 499,
            _ => 503,
        }
    }

    /// Somebody tried to serve the request and could not: an old response, if
    /// there is one, is better than none.
    pub const fn is_failure(self) -> bool {
        let other = matches!(
            self,
            Self::NoApp
                | Self::TooLarge
                | Self::RateLimited
                | Self::H22
                | Self::H26
                | Self::H27
                | Self::H80
                | Self::H81
        );
        !other && !self.is_of_auth()
    }

    /// Who may use the app is not everybody, and it is not known that this one is.
    pub const fn is_of_auth(self) -> bool {
        matches!(
            self,
            Self::AuthMissing
                | Self::AuthWrong
                | Self::AuthDenied
                | Self::AuthLimited
                | Self::AuthBusy
                | Self::AuthAway
        )
    }

    /// What the client is told.
    pub const fn title(self) -> &'static str {
        match self {
            Self::NoApp => "There is no app at this address",
            Self::TooLarge => "The request is too large for the app",
            Self::RateLimited => "Too many requests come for the app; wait a moment",
            Self::AuthMissing => "The app wants to know who you are",
            Self::AuthWrong => "The app does not know you by this password, token or key",
            Self::AuthDenied => "The app does not let you do this",
            Self::AuthLimited => "Too many passwords, tokens or keys were wrong; wait a moment",
            Self::AuthBusy => "Too many passwords are being looked at; try again",
            Self::AuthAway => "Whoever says who may use the app can't be reached",
            Self::H10 => "The app has crashed",
            Self::H11 => "The app is overloaded: too many requests are waiting",
            Self::H12 => "The app gave no response in time",
            Self::H13 => "The app closed the connection without a response",
            Self::H14 => "The app is not running",
            Self::H15 => "The app's response came to a halt",
            Self::H17 => "The app's response was not understood",
            Self::H18 => "The app broke off its response",
            Self::H19 => "The app could not be connected to in time",
            Self::H20 => "The app did not start in time",
            Self::H21 => "The app refused the connection",
            Self::H22 => "The app has too many requests",
            Self::H26 => "The request is malformed: it has no usable Host",
            Self::H27 => "The client went away",
            Self::H34 => "The app can't be reached at the moment",
            Self::H80 => "The app is in maintenance",
            Self::H81 => "The app has not been released yet",
            Self::H99 => "The platform has a problem; it is not the app's fault",
        }
    }
}

/// What it means for HTTP that credentials did not pass.
pub fn of_verdict(verdict: AuthVerdict) -> Code {
    match verdict {
        AuthVerdict::Wrong => Code::AuthWrong,
        AuthVerdict::Denied => Code::AuthDenied,
        AuthVerdict::Limited => Code::AuthLimited,
        AuthVerdict::Busy => Code::AuthBusy,
        AuthVerdict::Away | AuthVerdict::Pass | AuthVerdict::Unspecified => Code::AuthAway,
    }
}

/// What a refusal by the sidecar means for HTTP. `before` is what happened to
/// the request at the dynos that it tried.
pub fn of_refusal(refusal: Refusal, before: Option<Code>) -> Code {
    match refusal {
        Refusal::UnknownName => Code::NoApp,
        Refusal::Maintenance => Code::H80,
        // Too deep a backlog, whether it is counted or felt.
        Refusal::QueueFull | Refusal::QueueTimeout => Code::H11,
        Refusal::TooManyRequests => Code::H22,
        Refusal::RateLimited => Code::RateLimited,
        Refusal::NoDynos => Code::H14,
        Refusal::NeverReleased => Code::H81,
        Refusal::Crashed => Code::H10,
        Refusal::BootTimeout => Code::H20,
        Refusal::Quarantined => Code::H34,
        Refusal::NoOtherDyno => before.unwrap_or(Code::H34),
        Refusal::NoOwner | Refusal::Overloaded | Refusal::Unspecified => Code::H99,
    }
}
