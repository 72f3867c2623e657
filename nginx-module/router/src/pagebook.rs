//! What this router knows of the pages of apps.
//!
//! An app's pages are asked for when one of its requests is refused, and then known
//! until the sidecar says that they may be others. Who is refused first waits for
//! them; nobody waits for a sidecar that is out of reach: the mesh has a page for
//! everything.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use dynomesh_proto::v1::AppPages;

use crate::{code::Code, page::Own};

/// How much is known at once, in bytes. What was learnt first is forgotten first.
const MOST: usize = 16 << 20;
/// What an app without pages counts for.
const SMALL: usize = 256;

/// The pages of one app.
#[derive(Debug, Default)]
pub struct Pages(Vec<Own>);

impl Pages {
    fn read(message: AppPages) -> Self {
        Self(message.pages.into_iter().filter_map(Own::read).collect())
    }

    /// The one for a code, of the kind that the client would rather have.
    pub fn find(&self, code: Code, json: bool) -> Option<&Own> {
        let mut of_kind = self.0.iter().filter(|page| page.json == json);
        let own = of_kind.clone().find(|page| page.code == code.name());
        own.or_else(|| of_kind.find(|page| page.code == "error"))
    }

    fn weight(&self) -> usize {
        let bytes = self.0.iter().map(|page| page.body.len());
        SMALL + bytes.sum::<usize>()
    }
}

/// What is known of an app, and which lesson that was.
#[derive(Debug)]
struct Entry {
    pages: Arc<Pages>,
    lesson: u64,
}

/// See the module's documentation. `W` is the caller's own name for a request.
#[derive(Debug)]
pub struct Pagebook<W> {
    /// The sidecar is there.
    up: bool,
    /// Some app has pages, as far as anybody has said.
    paged: bool,
    known: HashMap<Arc<str>, Entry>,
    /// In which they were learnt; some are not known any more, or learnt anew.
    order: VecDeque<(u64, Arc<str>)>,
    learnt: u64,
    weight: usize,
    waiting: HashMap<Arc<str>, Vec<W>>,
    /// Requests that need not wait any more.
    ready: VecDeque<W>,
}

impl<W> Default for Pagebook<W> {
    fn default() -> Self {
        Self {
            up: false,
            paged: false,
            known: HashMap::new(),
            order: VecDeque::new(),
            learnt: 0,
            weight: 0,
            waiting: HashMap::new(),
            ready: VecDeque::new(),
        }
    }
}

impl<W: Copy + PartialEq> Pagebook<W> {
    /// What is known of an app's pages.
    pub fn look(&self, app: &str) -> Option<Arc<Pages>> {
        self.known.get(app).map(|entry| entry.pages.clone())
    }

    /// Nothing is known of this app's pages, and the sidecar could say.
    pub fn is_worth_asking(&self, app: &str) -> bool {
        self.up && self.paged && !self.known.contains_key(app)
    }

    /// A request waits for the pages of an app: [`Pagebook::poll_ready`] gives it.
    /// Says whether they are to be asked for now.
    pub fn wait(&mut self, app: &Arc<str>, who: W) -> bool {
        let waiting = self.waiting.entry(app.clone()).or_default();
        waiting.push(who);
        waiting.len() == 1
    }

    /// A request does not wait any more.
    pub fn leave(&mut self, who: W) {
        self.ready.retain(|ready| *ready != who);
        self.waiting.retain(|_, waiting| {
            waiting.retain(|waiting| *waiting != who);
            !waiting.is_empty()
        });
    }

    /// The sidecar is there, and says whether some app has pages.
    pub fn welcome(&mut self, paged: bool) {
        self.up = true;
        self.paged = paged;
        self.known.clear();
        self.order.clear();
        self.weight = 0;
    }

    /// The link broke, or could not be made: nobody is waited for.
    pub fn disconnected(&mut self) {
        self.up = false;
        for (_, waiting) in self.waiting.drain() {
            self.ready.extend(waiting);
        }
    }

    /// Some app has pages, or none has.
    pub fn note(&mut self, paged: bool) {
        self.paged = paged;
    }

    /// The pages of these apps are not known any more.
    pub fn forget(&mut self, apps: &[String]) {
        for app in apps {
            if let Some(old) = self.known.remove(&**app) {
                self.weight -= old.pages.weight();
            }
        }
    }

    /// These are the pages of an app.
    pub fn learn(&mut self, message: AppPages) {
        let app: Arc<str> = message.app.as_str().into();
        let pages = Arc::new(Pages::read(message));
        self.weight += pages.weight();
        self.learnt += 1;
        let lesson = self.learnt;
        if let Some(old) = self.known.insert(app.clone(), Entry { pages, lesson }) {
            self.weight -= old.pages.weight();
        }
        self.order.push_back((lesson, app.clone()));
        self.shrink();
        self.ready
            .extend(self.waiting.remove(&app).unwrap_or_default());
    }

    /// Forgets until it is not too much.
    fn shrink(&mut self) {
        while self.weight > MOST || self.order.len() > MOST / SMALL {
            let Some((lesson, app)) = self.order.pop_front() else {
                return;
            };
            if let Some(entry) = self.known.get(&app).filter(|entry| entry.lesson == lesson) {
                self.weight -= entry.pages.weight();
                self.known.remove(&app);
            }
        }
    }

    /// The next request that need not wait any more.
    pub fn poll_ready(&mut self) -> Option<W> {
        self.ready.pop_front()
    }

    /// There are such requests.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::Page;

    use super::*;

    fn page(code: &str, kind: &str, body: &str) -> Page {
        Page {
            code: code.into(),
            content_type: kind.into(),
            body: body.into(),
            size: 0,
        }
    }

    fn pages(app: &str, pages: Vec<Page>) -> AppPages {
        AppPages {
            app: app.into(),
            pages,
        }
    }

    fn body(book: &Pagebook<u32>, app: &str, code: Code, json: bool) -> Option<String> {
        let pages = book.look(app)?;
        let page = pages.find(code, json)?;
        Some(page.body.clone())
    }

    #[test]
    fn the_page_of_the_code_or_any() {
        let mut book = Pagebook::<u32>::default();
        book.welcome(true);
        let html = [
            page("H80", "text/html", "a"),
            page("error", "text/html", "b"),
        ];
        let json = [page("H80", "application/json", "c")];
        let unknown = [page("H80", "image/png", "d")];
        let all = [html.as_slice(), &json, &unknown].concat();
        book.learn(pages("shop", all));
        let body = |code, json| body(&book, "shop", code, json);
        assert_eq!(body(Code::H80, false).as_deref(), Some("a"));
        assert_eq!(body(Code::H14, false).as_deref(), Some("b"));
        assert_eq!(body(Code::H80, true).as_deref(), Some("c"));
        assert_eq!(body(Code::H14, true), None);
    }

    #[test]
    fn the_first_one_asks_and_all_go_on() {
        let mut book = Pagebook::default();
        let shop: Arc<str> = "shop".into();
        assert!(!book.is_worth_asking("shop"), "nobody is there");
        book.welcome(false);
        assert!(!book.is_worth_asking("shop"), "no app has pages");
        book.note(true);
        assert!(book.is_worth_asking("shop"));
        assert!(book.wait(&shop, 1));
        assert!(!book.wait(&shop, 2));
        assert!(!book.wait(&shop, 3));
        book.leave(2);
        book.learn(pages("shop", vec![]));
        assert!(!book.is_worth_asking("shop"), "it has none");
        let ready: Vec<u32> = std::iter::from_fn(|| book.poll_ready()).collect();
        assert_eq!(ready, [1, 3]);
        book.forget(&["shop".into()]);
        assert!(book.is_worth_asking("shop"));
        assert!(book.wait(&shop, 4));
        book.disconnected();
        assert_eq!(book.poll_ready(), Some(4));
        assert!(!book.is_worth_asking("shop"));
    }

    #[test]
    fn there_is_a_bound() {
        let mut book = Pagebook::<u32>::default();
        book.welcome(true);
        let large = "x".repeat(1 << 20);
        for round in 0..3 {
            for n in 0..20 {
                let page = page("error", "text/html", &large);
                book.learn(pages(&format!("{round}-{n}"), vec![page]));
            }
        }
        assert!(
            book.weight <= MOST && book.known.len() < 17,
            "{}",
            book.weight
        );
        for n in 0..2 * MOST / SMALL {
            book.learn(pages(&n.to_string(), vec![]));
        }
        assert!(book.weight <= MOST && book.order.len() <= MOST / SMALL);
        assert_eq!(
            book.weight,
            book.known.values().map(|e| e.pages.weight()).sum()
        );
    }
}
