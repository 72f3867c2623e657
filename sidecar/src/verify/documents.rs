//! Documents that were read, each by its app.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use auth::Mark;
use credentials::Document;

/// Apps whose document is kept; the one that was read first goes first.
const MOST: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Documents {
    known: HashMap<Arc<str>, (Mark, Arc<Document>)>,
    order: VecDeque<Arc<str>>,
}

impl Documents {
    pub(super) fn get(&self, app: &str, mark: &Mark) -> Option<Arc<Document>> {
        let (known, document) = self.known.get(app)?;
        (known == mark).then(|| document.clone())
    }

    /// Keeps what was read.
    pub(super) fn put(&mut self, app: &Arc<str>, mark: &Mark, document: Arc<Document>) {
        let entry = (*mark, document);
        if self.known.insert(app.clone(), entry).is_none() {
            self.order.push_back(app.clone());
        }
        if self.order.len() > MOST
            && let Some(first) = self.order.pop_front()
        {
            self.known.remove(&first);
        }
    }
}
