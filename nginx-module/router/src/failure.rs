//! What an attempt at a dyno came to.

use dynomesh_proto::v1::Outcome;

use crate::code::Code;

/// What is known of an attempt at the moment that the router lets go of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempt {
    /// The router gave the attempt up as failed (it may try another dyno).
    pub failed: bool,
    /// Bytes of the request were sent, so the connection stood.
    pub request_sent: bool,
    /// All of the request was sent.
    pub request_complete: bool,
    /// The response's header came and was understood.
    pub header_done: bool,
    /// The response's body was being passed on.
    pub body_begun: bool,
    /// The response came to its end.
    pub response_complete: bool,
    /// It was a connection kept from an earlier request.
    pub kept: bool,
    /// Some bytes of a response came.
    pub response_begun: bool,
    /// A time-out ended it.
    pub timed_out: bool,
    /// The dyno closed or reset the connection.
    pub closed: bool,
    /// The client went away.
    pub client_gone: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the sidecar is told.
    pub outcome: Outcome,
    /// What the client is told, if nothing else helps.
    pub code: Option<Code>,
    /// The dyno may still be working on the request.
    pub dyno_busy: bool,
    /// Nothing reached the dyno's application: another dyno may have the
    /// request, whatever its method.
    pub retry_is_safe: bool,
    /// The failure says something about the dyno: this request shall not come
    /// to it again.
    pub blames_dyno: bool,
}

/// Judges an attempt.
pub fn judge(attempt: Attempt) -> Verdict {
    let Attempt {
        failed,
        timed_out,
        client_gone,
        ..
    } = attempt;
    if attempt.response_complete && !failed {
        return Verdict {
            outcome: Outcome::Done,
            code: None,
            dyno_busy: false,
            retry_is_safe: false,
            blames_dyno: false,
        };
    }
    if !attempt.request_sent {
        return unsent(failed, timed_out, client_gone);
    }
    // A kept connection that the dyno had closed says nothing about the dyno.
    let stale = attempt.kept && failed && attempt.closed && !attempt.response_begun;
    let code = match attempt {
        _ if client_gone => Some(Code::H27),
        Attempt {
            header_done: false,
            timed_out: true,
            ..
        } => Some(Code::H12),
        Attempt {
            header_done: false,
            closed: true,
            ..
        } => Some(Code::H13),
        Attempt {
            header_done: false,
            failed: true,
            ..
        } => Some(Code::H17),
        Attempt {
            header_done: true,
            failed: false,
            timed_out: true,
            ..
        } => Some(Code::H15),
        Attempt {
            header_done: true,
            failed: false,
            closed: true,
            ..
        } => Some(Code::H18),
        // Nobody left and nothing broke: it went on in a way that is no HTTP.
        Attempt {
            body_begun: true,
            failed: false,
            ..
        } => Some(Code::H17),
        _ => None,
    };
    Verdict {
        outcome: if stale {
            Outcome::Unused
        } else {
            Outcome::Failed
        },
        code,
        dyno_busy: !attempt.closed && !attempt.response_complete,
        retry_is_safe: false,
        blames_dyno: failed && !stale,
    }
}

/// The connection never stood.
fn unsent(failed: bool, timed_out: bool, client_gone: bool) -> Verdict {
    let (outcome, code) = match (failed, timed_out) {
        (true, true) => (Outcome::ConnectTimeout, Some(Code::H19)),
        (true, false) => (Outcome::Refused, Some(Code::H21)),
        (false, _) => (Outcome::Unused, client_gone.then_some(Code::H27)),
    };
    Verdict {
        outcome,
        code,
        dyno_busy: false,
        retry_is_safe: failed,
        blames_dyno: failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Attempt = Attempt {
        failed: false,
        request_sent: true,
        request_complete: true,
        header_done: false,
        body_begun: false,
        response_complete: false,
        kept: false,
        response_begun: false,
        timed_out: false,
        closed: false,
        client_gone: false,
    };

    #[test]
    fn before_anything_was_sent() {
        let refused = judge(Attempt {
            failed: true,
            ..Attempt::default()
        });
        assert_eq!(
            (refused.outcome, refused.code),
            (Outcome::Refused, Some(Code::H21))
        );
        assert!(refused.retry_is_safe && !refused.dyno_busy);
        let slow = judge(Attempt {
            failed: true,
            timed_out: true,
            ..Attempt::default()
        });
        assert_eq!(
            (slow.outcome, slow.code),
            (Outcome::ConnectTimeout, Some(Code::H19))
        );
        let left = judge(Attempt {
            client_gone: true,
            ..Attempt::default()
        });
        assert_eq!(
            (left.outcome, left.code),
            (Outcome::Unused, Some(Code::H27))
        );
    }

    #[test]
    fn without_a_response() {
        let silent = judge(Attempt {
            failed: true,
            timed_out: true,
            ..SENT
        });
        assert_eq!(silent.code, Some(Code::H12));
        assert!(silent.dyno_busy, "it still works on it");
        let closed = judge(Attempt {
            failed: true,
            closed: true,
            ..SENT
        });
        assert_eq!(closed.code, Some(Code::H13));
        assert!(!closed.dyno_busy && !closed.retry_is_safe);
        let garbage = judge(Attempt {
            failed: true,
            response_begun: true,
            ..SENT
        });
        assert_eq!(garbage.code, Some(Code::H17));
    }

    #[test]
    fn a_stale_connection_blames_nobody() {
        let stale = judge(Attempt {
            failed: true,
            closed: true,
            kept: true,
            ..SENT
        });
        assert_eq!(stale.outcome, Outcome::Unused);
        assert!(!stale.blames_dyno);
    }

    #[test]
    fn in_the_middle_of_a_response() {
        let begun = Attempt {
            header_done: true,
            response_begun: true,
            ..SENT
        };
        assert_eq!(
            judge(Attempt {
                timed_out: true,
                ..begun
            })
            .code,
            Some(Code::H15)
        );
        assert_eq!(
            judge(Attempt {
                closed: true,
                ..begun
            })
            .code,
            Some(Code::H18)
        );
        let left = judge(Attempt {
            client_gone: true,
            ..begun
        });
        assert_eq!(left.code, Some(Code::H27));
        assert!(left.dyno_busy);
        assert_eq!(
            judge(Attempt {
                response_complete: true,
                ..begun
            })
            .code,
            None
        );
        // Nginx wanted no more than the header.
        let enough = judge(begun);
        assert_eq!(enough.code, None);
        assert!(enough.dyno_busy);
        let garbled = judge(Attempt {
            body_begun: true,
            ..begun
        });
        assert_eq!(garbled.code, Some(Code::H17));
    }
}
