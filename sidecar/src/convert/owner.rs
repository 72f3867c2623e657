//! What sidecars ask the owners of shards, and are answered.

use std::{
    collections::{BTreeSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use dynomesh_proto::v1::{self, far_answer::Result as Reply, from_owner, to_owner::Kind};
use mesh::{AskId, DynoInfo, FarAnswer, FarAsk, Held, Outcome, PeerId, Route, Shard, ToPeer};

use super::{
    Malformed,
    answer::{outcome, prefer, prefer_from_core, refusal, refusal_from_proto, retry_after},
};

/// Leases in one message: it stays far below what a message may have.
const LEASES: usize = 8_192;
/// Most leases that are held of one owner, as the core takes them.
const MAX_LEASES: usize = 1_000_000;
/// Longest name, in bytes, as in the rest of the mesh.
const MAX_NAME: usize = 256;
/// Most instances that one request has tried: those of an app.
const MAX_TRIED: usize = 10_000;

/// What is said to an owner, as a message. What does not fit into it follows in `more`.
pub fn word_to_owner(word: ToPeer, more: &mut VecDeque<v1::ToOwner>) -> v1::ToOwner {
    match word {
        ToPeer::Ask(ask) => message(Kind::Ask(ask_to_proto(ask))),
        ToPeer::Cancel(ask) => message(Kind::Cancel(v1::Cancel { ask: ask.0 })),
        ToPeer::Checkin(ask, outcome) => message(Kind::Checkin(v1::Checkin {
            ask: ask.0,
            outcome: outcome_to_proto(outcome).into(),
            before: 0,
            next: 0,
        })),
        ToPeer::Hello(held) => in_pieces(held, more, Kind::Hello),
        ToPeer::Report(held) => in_pieces(held, more, Kind::Report),
        ToPeer::Vouch(of, held) => in_pieces(held, more, |held| {
            let (of, held) = (of.0, Some(held));
            Kind::Vouch(v1::Vouch { of, held })
        }),
    }
}

/// Who speaks, as the first message to an owner.
pub fn introduction_to_owner(introduction: v1::Introduction) -> v1::ToOwner {
    message(Kind::Introduction(introduction))
}

fn message(kind: Kind) -> v1::ToOwner {
    v1::ToOwner { kind: Some(kind) }
}

fn in_pieces(
    held: Held,
    more: &mut VecDeque<v1::ToOwner>,
    form: impl Fn(v1::HeldThere) -> Kind,
) -> v1::ToOwner {
    let (epoch, whole) = (held.epoch, held.whole);
    let shards = held.shards.into_iter();
    let mut shards: Vec<_> = shards.map(|shard| shard.index() as u32).collect();
    let mut leases = held.leases.into_iter().peekable();
    let mut others = held.others.into_iter().peekable();
    let mut next = || {
        let some = take(&mut leases, LEASES);
        let more_others = take(&mut others, LEASES - some.len());
        let more = leases.peek().is_some() || others.peek().is_some();
        let held = v1::HeldThere {
            epoch,
            leases: some,
            more,
            whole,
            others: more_others,
            shards: mem::take(&mut shards),
        };
        (message(form(held)), more)
    };
    let (first, mut goes_on) = next();
    while goes_on {
        let (piece, more_follows) = next();
        more.push_back(piece);
        goes_on = more_follows;
    }
    first
}

fn take(leases: &mut impl Iterator<Item = (AskId, Box<str>)>, most: usize) -> Vec<v1::Held> {
    let some = leases.take(most).map(|(ask, instance)| v1::Held {
        ask: ask.0,
        instance: instance.into(),
    });
    some.collect()
}

fn ask_to_proto(ask: FarAsk) -> v1::FarAsk {
    let (prefer_dyno, prefer_hash) = prefer_from_core(ask.prefer);
    v1::FarAsk {
        prefer_dyno,
        prefer_hash,
        client: ask.client,
        ask: ask.id.0,
        app: (*ask.app).into(),
        waited_us: micros(ask.waited),
        served_us: micros(ask.served),
        held: ask.held,
        tried: ask.tried.into_iter().map(Into::into).collect(),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn outcome_to_proto(outcome: Outcome) -> v1::Outcome {
    match outcome {
        Outcome::Done => v1::Outcome::Done,
        Outcome::Refused => v1::Outcome::Refused,
        Outcome::ConnectTimeout => v1::Outcome::ConnectTimeout,
        Outcome::Failed => v1::Outcome::Failed,
        Outcome::Unused => v1::Outcome::Unused,
    }
}

/// What one sidecar says to this one as an owner, made whole again.
#[derive(Debug, Default)]
pub struct OwnerWords {
    /// The leases so far of a word of which more follows.
    held: Option<Held>,
}

impl OwnerWords {
    /// The next message. What is said with it, if it is the last one of a word.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, message: v1::ToOwner) -> Result<Option<ToPeer>, Malformed> {
        let kind = message.kind;
        let kind = kind.ok_or_else(|| Malformed::new("message", "is of no kind known here"))?;
        let is_held = matches!(kind, Kind::Hello(_) | Kind::Report(_) | Kind::Vouch(_));
        if self.held.is_some() && !is_held {
            return Err(Malformed::new("message", "what is held is not all there"));
        }
        let whole = |held: Option<Held>, form: fn(Held) -> ToPeer| held.map(form);
        Ok(match kind {
            Kind::Introduction(_) => {
                return Err(Malformed::new("introduction", "is only the first message"));
            }
            Kind::Ask(ask) => Some(ToPeer::Ask(ask_from_proto(ask)?)),
            Kind::Cancel(cancel) => Some(ToPeer::Cancel(ask_id("cancel.ask", cancel.ask)?)),
            Kind::Checkin(checkin) => {
                let ask = ask_id("checkin.ask", checkin.ask)?;
                Some(ToPeer::Checkin(ask, outcome(checkin.outcome)))
            }
            Kind::Hello(held) => whole(self.held(held)?, ToPeer::Hello),
            Kind::Report(held) => whole(self.held(held)?, ToPeer::Report),
            Kind::Vouch(vouch) => {
                let held = vouch.held;
                let held = held.ok_or_else(|| Malformed::new("vouch.held", "is missing"))?;
                let held = self.held(held)?;
                held.map(|held| ToPeer::Vouch(PeerId(vouch.of), held))
            }
        })
    }

    fn held(&mut self, piece: v1::HeldThere) -> Result<Option<Held>, Malformed> {
        let mut held = self.held.take().unwrap_or(Held {
            epoch: piece.epoch,
            whole: piece.whole,
            shards: BTreeSet::new(),
            leases: Vec::new(),
            others: Vec::new(),
        });
        if (held.epoch, held.whole) != (piece.epoch, piece.whole) {
            return Err(Malformed::new(
                "held.epoch",
                "differs from the piece before",
            ));
        }
        for number in piece.shards {
            let number = u8::try_from(number);
            let number = number.map_err(|_| Malformed::new("held.shards", "is no shard"))?;
            held.shards.insert(Shard::numbered(number));
        }
        add(&mut held.leases, piece.leases)?;
        add(&mut held.others, piece.others)?;
        if held.leases.len() + held.others.len() > MAX_LEASES {
            let problem = format!("more than {MAX_LEASES}");
            return Err(Malformed::new("held.leases", problem));
        }
        match piece.more {
            true => {
                self.held = Some(held);
                Ok(None)
            }
            false => Ok(Some(held)),
        }
    }
}

fn add(to: &mut Vec<(AskId, Box<str>)>, leases: Vec<v1::Held>) -> Result<(), Malformed> {
    for lease in leases {
        let ask = ask_id("held.leases.ask", lease.ask)?;
        let instance = text("held.leases.instance", lease.instance)?;
        to.push((ask, instance.into()));
    }
    Ok(())
}

fn ask_from_proto(ask: v1::FarAsk) -> Result<FarAsk, Malformed> {
    if ask.tried.len() > MAX_TRIED {
        return Err(Malformed::new(
            "ask.tried",
            format!("more than {MAX_TRIED}"),
        ));
    }
    let tried = ask.tried.into_iter();
    let tried = tried.map(|it| text("ask.tried", it).map(Into::into));
    Ok(FarAsk {
        id: ask_id("ask.ask", ask.ask)?,
        app: text("ask.app", ask.app)?.into(),
        waited: Duration::from_micros(ask.waited_us),
        served: Duration::from_micros(ask.served_us),
        held: ask.held,
        tried: tried.collect::<Result<_, _>>()?,
        prefer: prefer(ask.prefer_dyno, ask.prefer_hash),
        client: ask.client,
    })
}

fn ask_id(field: &str, ask: u64) -> Result<AskId, Malformed> {
    match ask {
        0 => Err(Malformed::new(field, "is 0")),
        ask => Ok(AskId(ask)),
    }
}

fn text(field: &str, text: String) -> Result<String, Malformed> {
    match (1..=MAX_NAME).contains(&text.len()) {
        true => Ok(text),
        false => Err(Malformed::new(field, format!("has 1 to {MAX_NAME} bytes"))),
    }
}

/// An owner's answer, as a message.
pub fn far_answer(answer: &FarAnswer) -> v1::FromOwner {
    let result = match &answer.result {
        Ok(route) => Reply::Route(v1::FarRoute {
            dyno: Some(v1::DynoInfo {
                number: 0,
                app: (*route.dyno.app).into(),
                name: (*route.dyno.name).into(),
                instance: (*route.dyno.instance).into(),
                address: route.dyno.address.to_string(),
                mark: 0,
            }),
            limited: route.limited,
            others: route.others,
            counted: route.counted,
            gone: route.gone,
        }),
        Err(reason) => Reply::Refusal(refusal(*reason).into()),
    };
    let answer = v1::FarAnswer {
        ask: answer.ask.0,
        queue_wait_us: micros(answer.wait),
        queue_depth: answer.depth,
        dynos_in_use: answer.in_use,
        retry_after_s: answer.result.as_ref().err().map_or(0, retry_after),
        result: Some(result),
    };
    v1::FromOwner {
        kind: Some(from_owner::Kind::Answer(answer)),
    }
}

/// The same the other way.
///
/// # Errors
/// What is wrong with it.
pub fn far_answer_from_proto(answer: v1::FarAnswer) -> Result<FarAnswer, Malformed> {
    let result = match answer.result {
        Some(Reply::Route(route)) => Ok(route_from_proto(route)?),
        Some(Reply::Refusal(reason)) => Err(refusal_from_proto(reason, answer.retry_after_s)),
        None => return Err(Malformed::new("answer.result", "is missing")),
    };
    Ok(FarAnswer {
        ask: ask_id("answer.ask", answer.ask)?,
        wait: Duration::from_micros(answer.queue_wait_us),
        depth: answer.queue_depth,
        in_use: answer.dynos_in_use,
        result,
    })
}

fn route_from_proto(route: v1::FarRoute) -> Result<Route, Malformed> {
    let dyno = route.dyno;
    let dyno = dyno.ok_or_else(|| Malformed::new("answer.route.dyno", "is missing"))?;
    let address = dyno.address.parse();
    let address = address.map_err(|bad: mesh::BadAddress| {
        Malformed::new("answer.route.dyno.address", bad.to_string())
    })?;
    Ok(Route {
        dyno: Arc::new(DynoInfo {
            app: text("answer.route.dyno.app", dyno.app)?.into(),
            name: text("answer.route.dyno.name", dyno.name)?.into(),
            instance: text("answer.route.dyno.instance", dyno.instance)?.into(),
            address,
        }),
        limited: route.limited,
        others: route.others,
        counted: route.counted,
        gone: route.gone,
        again: Duration::ZERO,
        edition: None,
    })
}

#[cfg(test)]
mod tests;
