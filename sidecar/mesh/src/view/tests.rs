//! Pages of apps.
#![allow(clippy::unwrap_used)]

use crate::{DynoState, Settings, testing::Lab};

/// The names on each page.
fn pages(lab: &Lab, prefix: &str, steps: usize, per_page: usize, busy: bool) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), None::<Box<str>>);
    loop {
        let mut page = Vec::new();
        after = lab
            .mesh
            .scan(prefix, after.as_deref(), steps, busy, lab.now, |view| {
                page.push(view.spec.name.to_string());
                page.len() < per_page
            });
        pages.push(page);
        if after.is_none() {
            return pages;
        }
    }
}

#[test]
fn no_app_is_skipped_or_shown_twice() {
    let mut lab = Lab::new(Settings::default(), &["web.1"]);
    for name in ["ab", "aa", "b", "ba", "bb", "bc", "c"] {
        lab.create(name, Settings::default(), &[]);
    }
    let all = ["a", "aa", "ab", "b", "ba", "bb", "bc", "c"];
    let with_b = ["b", "ba", "bb", "bc"];
    for steps in 0..10 {
        for per_page in 1..10 {
            assert_eq!(pages(&lab, "", steps, per_page, false).concat(), all);
            assert_eq!(pages(&lab, "b", steps, per_page, false).concat(), with_b);
            assert!(
                pages(&lab, "bd", steps, per_page, false)
                    .concat()
                    .is_empty()
            );
            assert!(pages(&lab, "", steps, per_page, true).concat().is_empty());
        }
    }
    assert_eq!(pages(&lab, "", 99, 3, false).len(), 3);
    lab.ask();
    assert_eq!(pages(&lab, "", 3, 9, true).concat(), ["a"]);
    assert_eq!(pages(&lab, "", 3, 9, true).len(), 3);
    // A page of somewhere else begins with the prefix.
    let mut names = Vec::new();
    lab.mesh.scan("b", Some("aa"), 9, false, lab.now, |view| {
        names.push(view.spec.name);
        true
    });
    assert_eq!(names, with_b.map(Box::from));
}

#[test]
fn figures_are_of_each_app_once() {
    let mut lab = Lab::new(Settings::default(), &["web.1", "web.2"]);
    for name in ["b", "c", "d"] {
        lab.create(name, Settings::default(), &[]);
    }
    lab.change("a", vec![crate::testing::set("web.2", DynoState::Draining)])
        .unwrap();
    lab.ask();
    for steps in 1..6 {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            after = lab.mesh.survey(after.as_deref(), steps, lab.now, |app| {
                all.push(app);
                true
            });
            if after.is_none() {
                break;
            }
        }
        let names: Vec<_> = all.iter().map(|app| &*app.name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let (first, second) = (&all[0], &all[1]);
        assert_eq!((first.in_flight, second.in_flight), (1, 0));
        assert_eq!((first.dynos.up, first.dynos.draining), (1, 1));
        assert_eq!((first.dynos.sum(), second.dynos.sum()), (2, 0));
        assert_eq!((first.capacity, second.capacity), (Some(1), Some(0)));
    }
}
