//! Who is heard, and when something is said again.

use super::*;

fn matter() -> Matter {
    Matter {
        app: "shop".into(),
        instance: "".into(),
    }
}

#[test]
fn of_those_who_need_at_once_the_first_counts() {
    let mut log = Consensus::default();
    assert!(log.need("shop", 1, 5, 7));
    assert!(!log.need("shop", 1, 6, 8), "it did not know of the first");
    assert!(log.need("other", 1, 6, 9));
    assert!(log.is_open("shop"));
    log.has_dyno("shop");
    assert!(!log.is_open("shop"));
    assert!(!log.need("shop", 1, 6, 12), "it is of the episode before");
    assert!(log.need("shop", 1, 12, 13));
}

#[test]
fn a_need_that_came_to_nothing_is_said_again() {
    let mut log = Consensus::default();
    let start = Instant::now();
    assert!(log.claims("shop", start));
    assert!(!log.claims("shop", start), "it is under way");
    assert!(log.claims("shop", start + AGAIN), "it was lost");
    log.need("shop", 1, 0, 1);
    let counted = Instant::now();
    assert!(!log.claims("shop", counted));
    assert!(log.claims("shop", counted + 2 * AGAIN));
    log.has_dyno("shop");
    assert!(log.claims("shop", counted), "the next episode");
}

#[test]
fn what_is_over_everywhere_is_settled_by_who_asked() {
    let mut log = Consensus::default();
    let start = Instant::now();
    log.over(matter(), start);
    assert_eq!(log.questions_due(start), [matter()]);
    assert_eq!(log.questions_due(start), []);
    assert!(log.ask(&matter(), 3, 5, true));
    assert!(!log.ask(&matter(), 4, 6, false), "another one asked first");
    assert_eq!(log.settled_by_now(start), [], "others have time to say no");
    let late = Instant::now() + OBJECT_WITHIN;
    assert_eq!(log.settled_by_now(late), [matter()]);
    assert_eq!(log.settled_by_now(late), []);
    assert!(log.settle(&matter(), 5));
    assert!(!log.settle(&matter(), 5), "once");
    assert_eq!(log.questions_due(late + ASK_AGAIN), []);
}

#[test]
fn who_says_no_is_heard() {
    let mut log = Consensus::default();
    let start = Instant::now();
    log.over(matter(), start);
    log.questions_due(start);
    log.ask(&matter(), 3, 5, true);
    log.object(&matter());
    let late = Instant::now() + OBJECT_WITHIN;
    assert_eq!(log.settled_by_now(late), []);
    assert!(!log.settle(&matter(), 5));
    assert_eq!(log.questions_due(start + ASK_AGAIN), [matter()]);
    log.not_over(&matter());
    assert_eq!(log.questions_due(start + 2 * ASK_AGAIN), []);
}
