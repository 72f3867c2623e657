//! Documents that routers show in an app's name when a request gets no dyno. Here
//! they are a part of the app like any other, and nothing reads them.
//!
//! A router asks for those of an app when it needs one, and goes by what it was told
//! until a recall says that it may be different, as for [rules](crate::Rules).

use std::sync::Arc;

use crate::{ChangeError, Mesh, Output, SessionKey, Time, Update, output::Recall};

/// Most pages of an app.
const MAX_PAGES: usize = 16;
/// Most bytes of one.
const MAX_BYTES: usize = 65_536;
/// Most bytes of all pages of an app.
const MAX_TOGETHER: usize = 131_072;

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// When it is to be shown.
    pub code: Box<str>,
    /// What kind of document it is.
    pub content_type: Box<str>,
    /// What is shown.
    pub body: Arc<str>,
}

/// The pages of an app. Copies share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages(Option<Arc<[Page]>>);

impl Pages {
    /// These.
    pub fn new(pages: impl IntoIterator<Item = Page>) -> Self {
        let pages: Arc<[Page]> = pages.into_iter().collect();
        Self((!pages.is_empty()).then_some(pages))
    }

    /// All of them.
    pub fn all(&self) -> &[Page] {
        self.0.as_deref().unwrap_or_default()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// With this one in its place, or without it if it is empty.
    ///
    /// # Errors
    /// [`ChangeError`] that says how much there may be, or that there is no such page.
    pub fn with(&self, page: &Page) -> Result<Self, ChangeError> {
        let place = |other: &Page| (other.code.clone(), other.content_type.clone());
        let mut pages = self.all().to_vec();
        let at = pages.binary_search_by_key(&place(page), place);
        match (at, page.body.is_empty()) {
            (Ok(at), true) => _ = pages.remove(at),
            (Ok(at), false) => pages[at] = page.clone(),
            (Err(at), false) => pages.insert(at, page.clone()),
            (Err(_), true) => {
                return Err(ChangeError::NotFound(format!(
                    "the app has no page for {} of type {}",
                    page.code, page.content_type
                )));
            }
        }
        let bytes: usize = pages.iter().map(|page| page.body.len()).sum();
        match page.body.len() <= MAX_BYTES && pages.len() <= MAX_PAGES && bytes <= MAX_TOGETHER {
            true => Ok(Self::new(pages)),
            false => Err(ChangeError::Exhausted(format!(
                "an app has at most {MAX_PAGES} pages, of {MAX_BYTES} bytes each and {MAX_TOGETHER} together"
            ))),
        }
    }
}

impl Mesh {
    /// Some app has pages. If none has, no router needs to ask.
    pub fn has_pages(&self) -> bool {
        self.paged > 0
    }

    /// The pages of an app.
    pub fn pages_of(&self, app: &str) -> Pages {
        let key = self.by_name.get(app);
        key.map_or_else(Pages::default, |key| {
            self.apps[key.0 as usize].pages.clone()
        })
    }

    /// What routers may know of this app's pages will not be so after this.
    pub(crate) fn changes_pages(&self, update: &Update) -> bool {
        let key = self.by_name.get(update.app());
        let before = key.map(|key| &self.apps[key.0 as usize].pages);
        let none = Pages::default();
        let after = match update {
            Update::Put(spec) => &spec.pages,
            Update::Remove(_) => &none,
        };
        before.unwrap_or(&none) != after
    }

    /// Has every router forget the pages of an app.
    pub(crate) fn recall_pages(&mut self, app: &str, now: Time) {
        let here = self.sessions.iter();
        let here = here.filter(|(_, session)| session.lost_until.is_none());
        let mut here: Vec<SessionKey> = here.map(|(key, _)| key).collect();
        if here.is_empty() {
            return;
        }
        here.sort_unstable();
        let apps: Arc<[Arc<str>]> = [app.into()].into();
        let recall = self.begin_recall(here.clone(), apps.clone(), Vec::new(), now);
        for session in here {
            self.outputs.push_back(Output::Recall(Recall {
                session,
                recall,
                apps: apps.clone(),
                names: Arc::default(),
                ruled: self.has_rules(),
                pages: true,
                paged: self.has_pages(),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Limits, Operation, WorkerId};

    fn page(code: &str, body: &str) -> Page {
        Page {
            code: code.into(),
            content_type: "text/html".into(),
            body: body.into(),
        }
    }

    #[test]
    fn one_of_a_kind_and_not_too_many() {
        let first = Pages::default().with(&page("error", "a")).expect("a page");
        let both = first.with(&page("H80", "b")).expect("a page");
        let codes: Vec<_> = both.all().iter().map(|page| &*page.code).collect();
        assert_eq!(codes, ["H80", "error"]);
        let other = both.with(&page("H80", "c")).expect("a page");
        assert_eq!(&*other.all()[0].body, "c");
        assert_eq!(other.with(&page("H80", "")), Ok(first));
        let none = other.with(&page("H10", "")).expect_err("it has none");
        assert!(matches!(none, ChangeError::NotFound(_)));
        let large = "x".repeat(MAX_BYTES);
        assert!(other.with(&page("H10", &(large.clone() + "x"))).is_err());
        let one = other.with(&page("H10", &large)).expect("it fits");
        assert!(one.with(&page("H11", &large)).is_err());
        let many = (0..MAX_PAGES).try_fold(Pages::default(), |pages, n| {
            pages.with(&page(&format!("H{n}"), "x"))
        });
        let many = many.expect("they fit");
        assert!(many.with(&page("error", "x")).is_err());
        assert!(many.with(&page("H1", "other")).is_ok());
    }

    #[test]
    fn routers_are_told_what_may_be_different() {
        let mut mesh = Mesh::new(Limits::default(), 1);
        let session = mesh.hello(WorkerId(1), [], Time::ZERO).expect("a session");
        let change = |mesh: &mut Mesh, operations| {
            let change = Change {
                app: "shop".into(),
                base_version: None,
                operations,
            };
            let updates = mesh.plan(&change).expect("a plan");
            let recalls = updates.iter().flat_map(|u| mesh.apply(u, Time::ZERO));
            let recalls: Vec<_> = recalls.collect();
            mesh.check_invariants().expect("all is well");
            recalls
        };
        let told = |mesh: &mut Mesh| {
            std::iter::from_fn(|| mesh.poll_output())
                .filter_map(|output| match output {
                    Output::Recall(recall) => Some((recall.pages, recall.paged)),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        change(&mut mesh, vec![Operation::CreateApp(Default::default())]);
        assert_eq!(told(&mut mesh), []);
        let put = |body| vec![Operation::PutPage(page("H80", body))];
        let recalls = change(&mut mesh, put("a"));
        assert_eq!(told(&mut mesh), [(true, true)]);
        assert!(mesh.is_recalling(recalls[0]));
        mesh.recalled(session, recalls[0]);
        assert!(!mesh.is_recalling(recalls[0]));
        assert_eq!(&*mesh.pages_of("shop").all()[0].body, "a");
        change(&mut mesh, vec![Operation::SetMaintenance(true)]);
        assert_eq!(told(&mut mesh), []);
        change(&mut mesh, put(""));
        assert_eq!(told(&mut mesh), [(true, false)]);
        change(&mut mesh, put("b"));
        told(&mut mesh);
        change(&mut mesh, vec![Operation::DeleteApp]);
        assert_eq!(told(&mut mesh), [(true, false)]);
        assert!(mesh.pages_of("shop").is_empty());
    }
}
