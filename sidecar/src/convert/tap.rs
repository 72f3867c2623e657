//! Taps: what operators want to see of requests, and what routers tell of them.

use dynomesh_proto::{
    is_sampled,
    v1::{self, sidecar_message, tap_event},
};
use prost::Message as _;

use super::{Form, Malformed};
use crate::driver::{Choice, TapNews, TapOrder};

/// What a sample is a part of.
const WHOLE: u32 = 1_000_000;
/// Bytes of a code, of the name of a dyno, and of a path.
const MOST_CODE: usize = 16;
const MOST_NAME: usize = 128;
const MOST_PATH: usize = 200;
/// Requests a second, unless it is said how many, and at most.
const PER_SECOND: u32 = 500;
const MOST_PER_SECOND: u32 = 100_000;
/// Requests in a message, and taps that may be told of.
const MOST_REQUESTS: usize = 64;
const MOST_LOSSES: usize = 128;

/// Which requests are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct TapFilter(v1::TapFilter);

impl TapFilter {
    /// All requests of an app, but no more than so many a second.
    pub fn all_of(app: &str, per_second: u32) -> Self {
        Self(v1::TapFilter {
            app: app.into(),
            per_second,
            ..v1::TapFilter::default()
        })
    }

    /// Of these, only those that were answered with a status of this class.
    pub fn of_class(mut self, class: u32) -> Self {
        self.0.status = class;
        self
    }

    /// Of which app.
    pub fn app(&self) -> &str {
        &self.0.app
    }

    /// This ask of the app may be told of, whatever becomes of it.
    pub fn samples(&self, app: &str, ask: u64) -> bool {
        self.0.app == app && is_sampled(ask, self.0.sample)
    }

    /// At most so many a second.
    pub fn per_second(&self) -> u32 {
        match self.0.per_second {
            0 => PER_SECOND,
            some => some,
        }
    }

    /// All that is wanted, as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
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

    /// Whose it was.
    pub fn app(&self) -> &str {
        &self.0.app
    }

    /// Which ask it was; 0: none.
    pub fn ask(&self) -> u64 {
        self.0.ask
    }

    /// The choice that was made for it.
    pub fn set_choice(&mut self, choice: Choice) {
        let candidates = choice.candidates.into_iter().map(|dyno| v1::Candidate {
            dyno: (*dyno.dyno.name).into(),
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

/// What a router tells.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// Requests.
    pub requests: Vec<TappedRequest>,
    /// Requests that these taps did not get.
    pub losses: Vec<(u64, u64)>,
}

/// What a router tells. Nothing depends on it, so what is too much is left out.
pub fn tapped(tapped: v1::Tapped) -> Tapped {
    let requests = tapped.requests.into_iter().take(MOST_REQUESTS);
    let losses = tapped.losses.into_iter().take(MOST_LOSSES);
    Tapped {
        requests: requests.map(TappedRequest).collect(),
        losses: losses.map(|loss| (loss.tap, loss.requests)).collect(),
    }
}

/// What an operator wants to see.
///
/// # Errors
/// What is wrong with it.
pub fn tap_filter(request: v1::TapRequest) -> Result<TapFilter, Malformed> {
    let filter = request.filter.unwrap_or_default();
    let wrong = |field: &str, problem: String| Err(Malformed::new(field, problem));
    if filter.app.is_empty() {
        return wrong("filter.app", "names no app".into());
    }
    if filter.sample > WHOLE {
        return wrong(
            "filter.sample",
            format!("is more than {WHOLE}, which is all"),
        );
    }
    if !matches!(filter.status, 0..=5 | 100..=599) {
        return wrong("filter.status", "is 100 to 599, or a class, 1 to 5".into());
    }
    if filter.error.len() > MOST_CODE {
        return wrong("filter.error", "is no code, as H12".into());
    }
    if filter.dyno.len() > MOST_NAME {
        return wrong("filter.dyno", "is no name of a dyno, as web.1".into());
    }
    if filter.path.len() > MOST_PATH {
        return wrong("filter.path", format!("has more than {MOST_PATH} bytes"));
    }
    if filter.per_second > MOST_PER_SECOND {
        return wrong(
            "filter.per_second",
            format!("may be at most {MOST_PER_SECOND}"),
        );
    }
    Ok(TapFilter(filter))
}

/// To a router: there is a tap, or none any more.
pub fn tap_order(order: &TapOrder) -> v1::SidecarMessage {
    let tap = v1::Tap {
        tap: order.number,
        over: order.filter.is_none(),
        filter: order.filter.as_ref().map(|filter| filter.0.clone()),
        per_second: order.per_second,
    };
    v1::SidecarMessage {
        kind: Some(sidecar_message::Kind::Tap(tap)),
    }
}

/// To an operator.
pub fn tap_event(news: TapNews) -> v1::TapEvent {
    let kind = match news {
        TapNews::Set(routers) => {
            tap_event::Kind::Routers(u32::try_from(routers).unwrap_or(u32::MAX))
        }
        TapNews::Lost(count) => tap_event::Kind::Lost(count),
        TapNews::Request(request) => {
            let mut request = std::sync::Arc::unwrap_or_clone(request).0;
            request.taps = Vec::new();
            tap_event::Kind::Request(request)
        }
    };
    v1::TapEvent { kind: Some(kind) }
}

/// The same as bytes.
///
/// # Errors
/// It has no JSON.
pub fn tap_event_to_bytes(news: TapNews, form: Form) -> Result<Vec<u8>, serde_json::Error> {
    let event = tap_event(news);
    match form {
        Form::Protobuf => Ok(event.encode_to_vec()),
        Form::Json => serde_json::to_vec(&event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_checked() {
        type Odd = fn(&mut v1::TapFilter);
        let odd: [(&str, Odd); 7] = [
            ("filter.app", |it| it.app.clear()),
            ("filter.sample", |it| it.sample = WHOLE + 1),
            ("filter.status", |it| it.status = 6),
            ("filter.error", |it| it.error = "H".repeat(17)),
            ("filter.dyno", |it| it.dyno = "w".repeat(129)),
            ("filter.path", |it| it.path = "/".repeat(201)),
            ("filter.per_second", |it| it.per_second = 100_001),
        ];
        let request = |change: Odd| {
            let mut filter = v1::TapFilter {
                app: "shop".into(),
                ..v1::TapFilter::default()
            };
            change(&mut filter);
            tap_filter(v1::TapRequest {
                filter: Some(filter),
            })
        };
        for (field, change) in odd {
            let error = request(change).expect_err(field);
            assert_eq!(error.field, field);
        }
        let filter = request(|_| {}).expect("it is good");
        assert_eq!(filter.per_second(), PER_SECOND);
    }
}
