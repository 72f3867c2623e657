//! What the sidecar answers, as a router has it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

use dynomesh_proto::v1::{self, LeaseKind, Refusal, answer::Result as Reply};

/// The answer to an ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Which ask.
    pub ask: u64,
    /// Milliseconds in the app's queue.
    pub queue_wait_ms: u32,
    /// Requests that wait behind this one.
    pub queue_depth: u32,
    /// Dynos of the app that have a request, with this one.
    pub dynos_in_use: u32,
    /// The app's clients are told of these figures.
    pub queue_headers: bool,
    /// How the request came to it.
    pub kind: LeaseKind,
    /// A dyno, or why not: few are refused, so that does not make all larger.
    pub result: Result<Lease, Box<Refused>>,
}

/// A dyno for one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Which one.
    pub dyno: Arc<Dyno>,
    /// The lease has to outlast a client that leaves.
    pub limited: bool,
    /// Dynos that could have the request instead.
    pub others: u32,
    /// Somebody may be refused as long as it goes on.
    pub counted: bool,
    /// Another dyno was preferred, and is gone or has failed the request.
    pub gone: bool,
}

/// No dyno.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Refusal,
    /// Empty when no app has the name.
    pub app: String,
    /// Seconds after which it may come again; 0: nobody knows.
    pub retry_after_s: u32,
}

/// Who a dyno is.
#[derive(Debug, PartialEq, Eq)]
pub struct Dyno {
    /// Its app.
    pub app: String,
    /// Its name in there.
    pub name: String,
    /// Another one for each start of a process.
    pub instance: Arc<str>,
    /// As it is shown.
    pub address: String,
    /// Where to connect.
    pub target: Option<Target>,
    /// Tells this instance from others in few bytes.
    pub mark: u64,
    /// Likewise, and the same everywhere.
    pub token: u64,
}

/// Where a dyno listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// On TCP.
    Ip(SocketAddr),
    /// On the unix socket with this path.
    Unix(String),
}

impl Answer {
    /// The dyno, if there is one.
    pub fn lease(&self) -> Option<&Lease> {
        self.result.as_ref().ok()
    }

    /// The app that the request was for, as far as it is known.
    pub fn app(&self) -> &str {
        match &self.result {
            Ok(lease) => &lease.dyno.app,
            Err(refused) => &refused.app,
        }
    }
}

/// As many dynos as a session may name at once.
const MOST: usize = 16_384;

/// The dynos that the sidecar has told of on this link, by number.
#[derive(Debug, Default)]
pub(crate) struct Dynos(Vec<Option<Arc<Dyno>>>);

impl Dynos {
    /// The sidecar tells who has a number from now on. One that is beyond all
    /// bounds is nobody's.
    pub(crate) fn meet(&mut self, info: v1::DynoInfo) {
        let at = info.number as usize;
        if at >= MOST {
            return;
        }
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(Arc::new(Dyno::from(info)));
    }

    /// Who has a number.
    pub(crate) fn get(&self, number: u32) -> Option<Arc<Dyno>> {
        self.0.get(number as usize).cloned().flatten()
    }

    /// An answer, with its dyno. A dyno that nobody told of is no answer.
    pub(crate) fn read(&self, answer: v1::Answer) -> Answer {
        let refused = |reason| {
            Err(Box::new(Refused {
                reason,
                app: answer.app.clone(),
                retry_after_s: answer.retry_after_s,
            }))
        };
        let result = match &answer.result {
            Some(Reply::Route(route)) => match self.get(route.dyno) {
                Some(dyno) => Ok(Lease {
                    dyno,
                    limited: route.limited,
                    others: route.others,
                    counted: route.counted,
                    gone: route.gone,
                }),
                _ => refused(Refusal::Unspecified),
            },
            Some(Reply::Refusal(n)) => refused(Refusal::try_from(*n).unwrap_or_default()),
            None => refused(Refusal::Unspecified),
        };
        Answer {
            ask: answer.ask,
            queue_wait_ms: answer.queue_wait_ms,
            queue_depth: answer.queue_depth,
            dynos_in_use: answer.dynos_in_use,
            queue_headers: answer.queue_headers,
            kind: LeaseKind::Asked,
            result,
        }
    }
}

impl From<v1::DynoInfo> for Dyno {
    fn from(info: v1::DynoInfo) -> Self {
        let target = match info.address.strip_prefix("unix:") {
            Some(path) => Some(Target::Unix(path.to_owned())),
            None => info.address.parse().ok().map(Target::Ip),
        };
        Self {
            mark: mark(&info.instance),
            token: info.mark,
            app: info.app,
            name: info.name,
            instance: info.instance.into(),
            address: info.address,
            target,
        }
    }
}

fn mark(instance: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    instance.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: u32, address: &str) -> v1::DynoInfo {
        v1::DynoInfo {
            number,
            app: "shop".into(),
            name: format!("web.{number}"),
            instance: format!("{address}-{number}"),
            address: address.into(),
            mark: 7,
        }
    }

    fn route(dynos: &Dynos, dyno: u32) -> Result<Lease, Box<Refused>> {
        let route = v1::Route {
            dyno,
            ..v1::Route::default()
        };
        let answer = v1::Answer {
            result: Some(Reply::Route(route)),
            ..v1::Answer::default()
        };
        dynos.read(answer).result
    }

    #[test]
    fn a_number_is_who_it_was_last_given_to() {
        let mut dynos = Dynos::default();
        dynos.meet(info(3, "[::1]:80"));
        let first = route(&dynos, 3).expect("it is known").dyno;
        assert_eq!((&*first.app, &*first.name), ("shop", "web.3"));
        assert!(matches!(first.target, Some(Target::Ip(ip)) if ip.port() == 80));
        dynos.meet(info(3, "unix:/run/a"));
        let second = route(&dynos, 3).expect("it is known").dyno;
        assert_eq!(second.target, Some(Target::Unix("/run/a".into())));
        assert_ne!(first.mark, second.mark);
        // Who has the first one still has it.
        assert_eq!(first.address, "[::1]:80");
    }

    #[test]
    fn a_number_that_nobody_has_is_refused() {
        let mut dynos = Dynos::default();
        dynos.meet(info(u32::MAX, "127.0.0.1:80"));
        for number in [0, 7, u32::MAX] {
            let refused = route(&dynos, number).expect_err("it is unknown");
            assert_eq!(refused.reason, Refusal::Unspecified);
        }
    }
}
