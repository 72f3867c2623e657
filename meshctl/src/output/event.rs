//! Events, one line each.

use dynomesh_proto::v1::{Event, event::Kind};

use super::{count, longest, operation::change_words, plain};

/// What happened and to which app, without the time.
pub(crate) fn event_line(event: &Event) -> String {
    let line = match &event.kind {
        Some(Kind::Changed(change)) => format!("{}: {}", change.app, change_words(change)),
        Some(Kind::NeedDyno(need)) => {
            let waiting = count(need.waiting as usize, "request");
            format!("{}: needs a dyno, {waiting} waiting", need.app)
        }
        Some(Kind::Drained(dyno)) => {
            format!(
                "{}: dyno {} drained ({})",
                dyno.app, dyno.dyno, dyno.instance
            )
        }
        Some(Kind::Quarantined(dyno)) => format!(
            "{}: dyno {} in quarantine for {} ({})",
            dyno.app,
            dyno.dyno,
            longest(dyno.for_ms),
            dyno.instance
        ),
        Some(Kind::Idle(idle)) => format!("{}: is idle", idle.app),
        Some(Kind::Scale(hint)) => format!(
            "{}: wants {}, has {}; {} in flight, {} waiting, the first for {}",
            hint.app,
            count(hint.wanted as usize, "dyno"),
            hint.dynos,
            hint.in_flight,
            hint.waiting,
            longest(hint.oldest_wait_ms)
        ),
        Some(Kind::Missed(n)) => format!("missed {n} events: this watcher was too slow"),
        None => "an event that this meshctl does not know".to_owned(),
    };
    plain(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::{Drained, Idle, NeedDyno, Quarantined, Scale};

    use super::*;

    fn line(kind: Kind) -> String {
        event_line(&Event { kind: Some(kind) })
    }

    #[test]
    fn each_event_is_a_line() {
        let drained = Drained {
            app: "shop".into(),
            dyno: "web.1".into(),
            instance: "i7".into(),
        };
        assert_eq!(
            line(Kind::Drained(drained)),
            "shop: dyno web.1 drained (i7)"
        );
        let need = NeedDyno {
            app: "shop".into(),
            waiting: 1,
        };
        assert_eq!(
            line(Kind::NeedDyno(need)),
            "shop: needs a dyno, 1 request waiting"
        );
        let bad = Quarantined {
            app: "shop".into(),
            dyno: "web.1".into(),
            instance: "i7".into(),
            for_ms: 5_000,
        };
        assert_eq!(
            line(Kind::Quarantined(bad)),
            "shop: dyno web.1 in quarantine for 5.0s (i7)"
        );
        let idle = Idle { app: "shop".into() };
        assert_eq!(line(Kind::Idle(idle)), "shop: is idle");
        let hint = Scale {
            app: "shop".into(),
            waiting: 9,
            oldest_wait_ms: 1_500,
            in_flight: 1,
            dynos: 1,
            wanted: 3,
        };
        assert_eq!(
            line(Kind::Scale(hint)),
            "shop: wants 3 dynos, has 1; 1 in flight, 9 waiting, the first for 1.5s"
        );
        assert!(line(Kind::Missed(3)).starts_with("missed 3 events"));
        assert!(event_line(&Event { kind: None }).contains("does not know"));
    }
}
