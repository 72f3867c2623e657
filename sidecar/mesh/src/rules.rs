//! What routers shall know of an app beside its dynos: lines that are theirs to
//! read. Here they are a part of the app like any other, and nothing else.
//!
//! A router asks for the lines of a name once and goes by them until it is told that
//! they may be others. That is a recall, like that of leases ahead, so whoever changes
//! them is answered when every router has dropped what it knew, or is gone.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    AppSpec, Auth, ChangeError, Handling, Mesh, Output, SessionKey, Time, Update, auth,
    output::Recall,
};

/// Most lines of an app.
const MAX_LINES: usize = 256;
/// Most bytes of all of them.
const MAX_BYTES: usize = 32_768;

/// How an app that no domain leads to is asked for: no domain begins like that.
pub const BY_NAME: char = '@';

/// The lines of an app. Copies share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Option<Arc<[Box<str>]>>);

impl Rules {
    /// These lines.
    pub fn new(lines: impl IntoIterator<Item = Box<str>>) -> Self {
        let lines: Arc<[Box<str>]> = lines.into_iter().collect();
        Self((!lines.is_empty()).then_some(lines))
    }

    /// All of them.
    pub fn lines(&self) -> &[Box<str>] {
        self.0.as_deref().unwrap_or_default()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Checks how much it is.
    ///
    /// # Errors
    /// [`ChangeError::Invalid`] that says how much it may be.
    pub fn check(&self) -> Result<(), ChangeError> {
        let lines = self.lines();
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        match lines.len() <= MAX_LINES && bytes <= MAX_BYTES {
            true => Ok(()),
            false => Err(ChangeError::Invalid(format!(
                "rules have at most {MAX_LINES} lines and {MAX_BYTES} bytes"
            ))),
        }
    }
}

/// What routers go by for an app's requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Whose.
    pub app: Arc<str>,
    /// What it wants done with them.
    pub rules: Rules,
    /// What its settings say.
    pub handling: Handling,
    /// Who may use it.
    pub auth: Auth,
    /// Which of them prefer which dyno.
    pub sticky: Box<str>,
}

impl Mesh {
    /// Some app has rules, or settings for routers, or not everybody may use it. Otherwise
    /// no router needs to ask.
    pub fn has_rules(&self) -> bool {
        self.ruled > 0
    }

    /// What routers go by for a name.
    pub fn terms_for(&self, name: &str) -> Option<Terms> {
        let key = self.find(name)?;
        let app = &self.apps[key.0 as usize];
        Some(Terms {
            app: app.name.clone(),
            rules: app.rules.clone(),
            handling: app.settings().handling(),
            auth: app.auth.clone(),
            sticky: app.sticky.clone(),
        })
    }

    /// The names of which routers may know what will not be so after this.
    pub(crate) fn names_of_rules(&self, update: &Update) -> Vec<Box<str>> {
        let none = AppSpec::default();
        let after = match update {
            Update::Put(spec) => spec,
            Update::Remove(_) => &none,
        };
        let key = self.by_name.get(update.app());
        let absent = (&none.rules, &none.settings, &none.auth, &none.domains);
        let (rules, settings, auth, domains) = key.map_or(absent, |key| {
            let app = &self.apps[key.0 as usize];
            (&app.rules, app.settings(), &app.auth, &app.domains)
        });
        let sticky = key.map_or(&none.sticky, |key| &self.apps[key.0 as usize].sticky);
        let same = *rules == after.rules
            && settings.handling() == after.settings.handling()
            && *sticky == after.sticky;
        let (before, now): (BTreeSet<_>, BTreeSet<_>) =
            (domains.iter().collect(), after.domains.iter().collect());
        let other_auth = *auth != after.auth;
        let names: Vec<_> = if !same || other_auth {
            before.union(&now).copied().collect()
        } else if self.has_rules() {
            // Somebody else's rules may be for them, then or now.
            before.symmetric_difference(&now).copied().collect()
        } else {
            Vec::new()
        };
        let names = names.into_iter().cloned();
        names
            .chain(other_auth.then(|| auth::by_name(update.app())))
            .collect()
    }

    /// Has every router forget what it knows of these names.
    pub(crate) fn recall_rules(&mut self, app: &str, names: Vec<Box<str>>, now: Time) {
        if names.is_empty() {
            return;
        }
        let here = self.sessions.iter();
        let here = here.filter(|(_, session)| session.lost_until.is_none());
        let mut here: Vec<SessionKey> = here.map(|(key, _)| key).collect();
        if here.is_empty() {
            return;
        }
        here.sort_unstable();
        let recall = self.begin_recall(here.clone(), [app.into()].into(), names.clone(), now);
        let names: Arc<[Box<str>]> = names.into();
        for session in here {
            self.outputs.push_back(Output::Recall(Recall {
                session,
                recall,
                apps: Arc::default(),
                names: names.clone(),
                ruled: self.has_rules(),
                pages: false,
                paged: self.has_pages(),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Limits, Operation, RecallId, WorkerId};

    fn change(mesh: &mut Mesh, app: &str, operations: Vec<Operation>) -> Vec<RecallId> {
        let change = Change {
            app: app.into(),
            base_version: None,
            operations,
        };
        let updates = mesh.plan(&change).expect("a plan");
        let recalls = updates.iter().flat_map(|u| mesh.apply(u, Time::ZERO));
        let recalls = recalls.collect();
        mesh.check_invariants().expect("all is well");
        recalls
    }

    fn create(domain: &str) -> Vec<Operation> {
        vec![
            Operation::CreateApp(Default::default()),
            Operation::AddDomain(domain.into()),
        ]
    }

    fn put(line: &str) -> Vec<Operation> {
        let lines = (!line.is_empty()).then(|| line.into());
        vec![Operation::PutRules(Rules::new(lines))]
    }

    /// The names that each session is told to forget, and whether there are rules.
    fn told(mesh: &mut Mesh) -> Vec<(Vec<Box<str>>, bool)> {
        let outputs = std::iter::from_fn(|| mesh.poll_output());
        outputs
            .filter_map(|output| match output {
                Output::Recall(recall) => Some((recall.names.to_vec(), recall.ruled)),
                _ => None,
            })
            .collect()
    }

    fn names(names: &[&str], ruled: bool) -> (Vec<Box<str>>, bool) {
        (names.iter().map(|name| (*name).into()).collect(), ruled)
    }

    #[test]
    fn routers_are_told_what_may_be_different() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        let session = mesh.hello(WorkerId(1), [], Time::ZERO).expect("a session");
        assert!(change(&mut mesh, "shop", create("shop.example")).is_empty());
        assert!(!mesh.has_rules());
        let recalls = change(&mut mesh, "shop", put("a"));
        assert_eq!(told(&mut mesh), [names(&["shop.example"], true)]);
        assert!(mesh.is_recalling(recalls[0]));
        mesh.recalled(session, recalls[0]);
        assert!(!mesh.is_recalling(recalls[0]));
        let terms = mesh.terms_for("shop.example").expect("an app");
        assert_eq!(
            (&*terms.app, terms.rules.lines()),
            ("shop", &["a".into()][..])
        );
        assert!(terms.auth.is_empty());
        // Nothing about rules or names.
        assert!(change(&mut mesh, "shop", vec![Operation::SetMaintenance(true)]).is_empty());
        // A name that may have been under another app's wildcard.
        change(&mut mesh, "blog", create("x.shop.example"));
        assert_eq!(told(&mut mesh), [names(&["x.shop.example"], true)]);
        change(&mut mesh, "shop", put("b"));
        assert_eq!(told(&mut mesh), [names(&["shop.example"], true)]);
        change(&mut mesh, "shop", put(""));
        assert_eq!(told(&mut mesh), [names(&["shop.example"], false)]);
        change(&mut mesh, "shop", put("a"));
        told(&mut mesh);
        change(&mut mesh, "shop", vec![Operation::DeleteApp]);
        assert_eq!(told(&mut mesh), [names(&["shop.example"], false)]);
    }

    #[test]
    fn settings_for_routers_count_as_rules() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        mesh.hello(WorkerId(1), [], Time::ZERO).expect("a session");
        change(&mut mesh, "shop", create("shop.example"));
        let settings = |max_body, wake| {
            vec![Operation::PutSettings(crate::Settings {
                max_body,
                wake,
                ..Default::default()
            })]
        };
        change(&mut mesh, "shop", settings(Some(9), false));
        assert_eq!(told(&mut mesh), [names(&["shop.example"], true)]);
        let terms = mesh.terms_for("shop.example").expect("an app");
        let (rules, handling) = (terms.rules, terms.handling);
        assert_eq!((rules.is_empty(), handling.max_body), (true, Some(9)));
        // Nothing for routers.
        change(&mut mesh, "shop", settings(Some(9), true));
        assert!(told(&mut mesh).is_empty());
        change(&mut mesh, "shop", put("a"));
        told(&mut mesh);
        change(&mut mesh, "shop", settings(None, true));
        assert_eq!(told(&mut mesh), [names(&["shop.example"], true)]);
        change(&mut mesh, "shop", put(""));
        assert_eq!(told(&mut mesh), [names(&["shop.example"], false)]);
        change(&mut mesh, "shop", settings(Some(9), true));
        told(&mut mesh);
        change(&mut mesh, "shop", vec![Operation::DeleteApp]);
        assert_eq!(told(&mut mesh), [names(&["shop.example"], false)]);
    }

    #[test]
    fn who_may_use_an_app_is_asked_by_its_name_too() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        mesh.hello(WorkerId(1), [], Time::ZERO).expect("a session");
        change(&mut mesh, "shop", create("shop.example"));
        let auth = Auth::new(["basic".into()], [1; 32]);
        let put = |auth: &Auth| vec![Operation::PutAuth(auth.clone())];
        change(&mut mesh, "shop", put(&auth));
        let all = ["shop.example", "@shop"];
        assert_eq!(told(&mut mesh), [names(&all, true)]);
        let known = |mesh: &Mesh, name| mesh.terms_for(name).expect("an app").auth;
        assert_eq!(known(&mesh, "shop.example"), auth);
        assert_eq!(known(&mesh, "@shop"), auth);
        assert_eq!(mesh.auth_of("shop"), Some(auth.clone()));
        change(&mut mesh, "shop", put(&auth));
        assert!(told(&mut mesh).is_empty(), "it is the same");
        change(&mut mesh, "shop", put(&Auth::default()));
        assert_eq!(told(&mut mesh), [names(&all, false)]);
        change(&mut mesh, "shop", put(&auth));
        told(&mut mesh);
        change(&mut mesh, "shop", vec![Operation::DeleteApp]);
        assert_eq!(told(&mut mesh), [names(&all, false)]);
    }

    #[test]
    fn there_is_a_bound() {
        let long: Box<str> = "x".repeat(MAX_BYTES).into();
        assert!(Rules::new([long]).check().is_err());
        let many = vec![Box::<str>::default(); MAX_LINES + 1];
        assert!(Rules::new(many).check().is_err());
        assert!(Rules::new(["a".into()]).check().is_ok());
    }

    #[test]
    fn an_app_is_found_by_its_name() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        change(&mut mesh, "shop", create("shop.example"));
        assert_eq!(mesh.find("@shop"), mesh.find("shop.example"));
        assert!(mesh.find("@shop").is_some());
        assert_eq!(mesh.find("shop"), None);
        assert_eq!(mesh.find("@"), None);
    }
}
