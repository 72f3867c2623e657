//! Which apps have figures of their own: those with the most requests of late.
//!
//! Figures never go back: an app that gets a seat begins at zero there, and what it had
//! stays with the others. One that loses its seat loses its figures, and goes on with
//! the others.

use std::time::Duration;

use mesh::Time;
use rustc_hash::FxHashMap;

use super::{Counted, Whose};

/// How long requests are counted before seats are given anew.
const ROUND: Duration = Duration::from_secs(60);
/// So many times the requests of who has a seat are needed to take it.
const MARGIN: u64 = 2;

/// See the module's documentation.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    seats: FxHashMap<Box<str>, Seat>,
    others: Counted,
    nobody: Counted,
    /// Who has no seat, and how many requests it had in this round; as many as there
    /// are seats.
    standing: FxHashMap<Box<str>, u64>,
    round_ends: Time,
}

#[derive(Debug, Default)]
struct Seat {
    counted: Counted,
    /// Requests in this round.
    of_late: u64,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            seats: FxHashMap::default(),
            others: Counted::default(),
            nobody: Counted::default(),
            standing: FxHashMap::default(),
            round_ends: Time::ZERO,
        }
    }

    pub(super) fn take(&mut self, rows: Vec<(Whose, Counted)>, now: Time) {
        for (whose, counted) in rows {
            match whose {
                Whose::App(app) => self.count(app, counted),
                Whose::Others => self.others.add(counted),
                Whose::Nobody => self.nobody.add(counted),
            }
        }
        if now >= self.round_ends {
            self.seat();
            self.round_ends = now + ROUND;
        }
    }

    fn count(&mut self, app: Box<str>, counted: Counted) {
        let requests = counted.requests();
        if self.has_seat(&app) {
            if let Some(seat) = self.seats.get_mut(&app) {
                seat.of_late += requests;
                seat.counted.add(counted);
            }
            return;
        }
        self.others.add(counted);
        if self.standing.len() < self.most || self.standing.contains_key(&app) {
            *self.standing.entry(app).or_default() += requests;
        }
    }

    /// Whether an app has figures of its own. It gets them if a seat is free.
    pub fn has_seat(&mut self, app: &str) -> bool {
        if self.seats.contains_key(app) {
            return true;
        }
        let free = self.seats.len() < self.most;
        if free {
            self.seats.insert(app.into(), Seat::default());
        }
        free
    }

    /// A round is over: who stood and had far more requests than somebody who sat
    /// takes the seat.
    fn seat(&mut self) {
        let mut standing: Vec<_> = self.standing.drain().collect();
        standing.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut seated: Vec<_> = self
            .seats
            .iter_mut()
            .map(|(app, seat)| (std::mem::take(&mut seat.of_late), app.clone()))
            .collect();
        seated.sort_unstable();
        for ((app, wanted), (had, loser)) in standing.into_iter().zip(seated) {
            if wanted <= had.saturating_mul(MARGIN) {
                break;
            }
            self.seats.remove(&loser);
            self.seats.insert(app, Seat::default());
        }
    }

    /// Only these apps are there.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.seats.retain(|app, _| is_there(app));
    }

    /// The apps that have figures of their own, by name, and what became of their
    /// requests.
    pub fn apps(&self) -> Vec<(&str, &Counted)> {
        let seats = self.seats.iter();
        let mut all: Vec<_> = seats.map(|(app, seat)| (&**app, &seat.counted)).collect();
        all.sort_unstable_by_key(|(app, _)| *app);
        all
    }

    /// What became of the requests of all others.
    pub fn others(&self) -> &Counted {
        &self.others
    }

    /// What became of requests of no app.
    pub fn nobody(&self) -> &Counted {
        &self.nobody
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Answers, *};

    fn row(app: &str, requests: u64) -> (Whose, Counted) {
        let answers = Answers {
            status: 200,
            error: "".into(),
            requests,
        };
        let counted = Counted {
            answers: vec![answers],
            ..Counted::default()
        };
        (Whose::App(app.into()), counted)
    }

    fn shown(seats: &Seats) -> Vec<(String, u64)> {
        let apps = seats.apps().into_iter();
        let apps = apps.map(|(app, counted)| (app.to_owned(), counted.requests()));
        apps.chain([("others".into(), seats.others().requests())])
            .collect()
    }

    fn are(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        let pair = |(app, requests): &(&str, u64)| ((*app).to_owned(), *requests);
        expected.iter().map(pair).collect()
    }

    #[test]
    fn who_has_far_more_requests_takes_a_seat() {
        let mut seats = Seats::new(2);
        let start = Time::ZERO;
        seats.take(vec![row("a", 1), row("b", 10), row("c", 100)], start);
        // The first round is over at once, and nobody sat before.
        assert_eq!(shown(&seats), are(&[("b", 10), ("c", 0), ("others", 100)]));
        seats.take(vec![row("c", 5), row("a", 9), row("b", 9)], start);
        assert_eq!(shown(&seats), are(&[("b", 19), ("c", 5), ("others", 109)]));
        // Not far more.
        seats.take(vec![row("a", 1)], start + ROUND);
        assert_eq!(shown(&seats), are(&[("b", 19), ("c", 5), ("others", 110)]));
        seats.take(
            vec![row("a", 3), row("b", 1), row("c", 9)],
            start + ROUND * 2,
        );
        assert_eq!(shown(&seats), are(&[("a", 0), ("c", 14), ("others", 113)]));
    }

    #[test]
    fn a_seat_is_free_when_its_app_is_gone() {
        let mut seats = Seats::new(1);
        seats.take(vec![row("a", 5), row("b", 1)], Time::ZERO);
        seats.retain(|app| app != "a");
        assert!(seats.has_seat("b") && !seats.has_seat("c"));
        assert_eq!(shown(&seats), are(&[("b", 0), ("others", 1)]));
        let mut none = Seats::new(0);
        none.take(vec![row("a", 5)], Time::ZERO);
        assert_eq!(shown(&none), are(&[("others", 5)]));
    }
}
