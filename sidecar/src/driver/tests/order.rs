//! In which order a session is answered.

use mesh::Outcome;

use super::*;

/// Whoever caused an answer: what the core said first is told first.
#[tokio::test]
async fn answers_come_in_the_order_of_the_queue() {
    let rig = Rig::new();
    let settings = Settings {
        policy: Policy::IdleOnly,
        ..Settings::default()
    };
    let mut operations = vec![
        Operation::CreateApp(settings),
        Operation::AddDomain("a.test".into()),
    ];
    operations.extend([put("web.1", 1, false), put("web.2", 2, false)]);
    rig.change("a", operations).await.expect("made");
    let mut one = Session::open(&rig.driver, hello(1)).expect("open");
    let mut other = Session::open(&rig.driver, hello(2)).expect("open");
    for session in [&mut one, &mut other] {
        ask(session, 1, "a.test");
        assert_eq!(poll(session).expect("a dyno").ask, AskId(1));
    }
    for number in 2..=4 {
        ask(&mut one, number, "a.test");
    }
    // The first who waits is served by what another session says, the next ones by this one.
    other.checkin(AskId(1), Outcome::Done, 0);
    one.checkin(AskId(1), Outcome::Done, 0);
    one.checkin(AskId(2), Outcome::Done, 0);
    for number in 2..=4 {
        assert_eq!(poll(&mut one).map(|answer| answer.ask), Some(AskId(number)));
    }
    assert!(poll(&mut one).is_none());
}
