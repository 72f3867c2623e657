//! Taps: what operators want to see of requests, and what routers tell of them.

use dynomesh_proto::v1::{self, sidecar_message, tap_event};

use super::Malformed;
use crate::driver::{Choice, TapNews, TapOrder};

/// What a sample is a part of.
const WHOLE: u32 = 1_000_000;
/// Bytes of a code.
const MOST_BYTES: usize = 16;

/// Which requests are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct TapFilter(v1::TapFilter);

impl TapFilter {
    /// Of which app.
    pub fn app(&self) -> &str {
        &self.0.app
    }
}

/// A request that was tapped. Only who shows it knows what is in it.
#[derive(Clone, Debug)]
pub struct TappedRequest(v1::TappedRequest);

impl TappedRequest {
    /// Who wants to know.
    pub fn taps(&self) -> &[u64] {
        &self.0.taps
    }

    /// Which ask it was; 0: none.
    pub fn ask(&self) -> u64 {
        self.0.ask
    }

    /// The choice that was made for it.
    pub fn set_choice(&mut self, choice: Choice) {
        let candidates = choice.candidates.into_iter().map(|dyno| v1::Candidate {
            dyno: (*dyno.name).into(),
            load: dyno.load,
            elsewhere: dyno.elsewhere,
            limit: dyno.limit.unwrap_or(0),
        });
        self.0.choice = Some(v1::Choice {
            candidates: candidates.collect(),
            up: choice.up,
            waiting: choice.waiting,
        });
    }
}

/// What an operator wants to see.
///
/// # Errors
/// What is wrong with it.
pub fn tap_filter(request: v1::TapRequest) -> Result<TapFilter, Malformed> {
    let filter = request.filter.unwrap_or_default();
    if filter.app.is_empty() {
        return Err(Malformed::new("filter.app", "names no app"));
    }
    if filter.sample > WHOLE {
        let problem = format!("is more than {WHOLE}, which is all");
        return Err(Malformed::new("filter.sample", problem));
    }
    if !matches!(filter.status, 0..=5 | 100..=599) {
        let problem = "is 100 to 599, or a class, 1 to 5";
        return Err(Malformed::new("filter.status", problem));
    }
    if filter.error.len() > MOST_BYTES {
        return Err(Malformed::new("filter.error", "is no code, as H12"));
    }
    Ok(TapFilter(filter))
}

/// To a router: there is a tap, or none any more.
pub fn tap_order(order: &TapOrder) -> v1::SidecarMessage {
    let tap = v1::Tap {
        tap: order.number,
        over: order.filter.is_none(),
        filter: order.filter.as_ref().map(|filter| filter.0.clone()),
    };
    v1::SidecarMessage {
        kind: Some(sidecar_message::Kind::Tap(tap)),
    }
}

/// What a router tells: requests, and how many it left out.
pub fn tapped(tapped: v1::Tapped) -> (Vec<TappedRequest>, u64) {
    let requests = tapped.requests.into_iter().map(TappedRequest);
    (requests.collect(), tapped.lost)
}

/// To an operator.
pub fn tap_event(news: TapNews) -> v1::TapEvent {
    let kind = match news {
        TapNews::Set(routers) => {
            tap_event::Kind::Routers(u32::try_from(routers).unwrap_or(u32::MAX))
        }
        TapNews::Lost(count) => tap_event::Kind::Lost(count),
        TapNews::Request(request) => {
            let mut request = request.0;
            request.taps = Vec::new();
            tap_event::Kind::Request(request)
        }
    };
    v1::TapEvent { kind: Some(kind) }
}
