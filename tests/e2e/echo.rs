//! What `/echo`, and every path without a behaviour of its own, answers.

use e2e::client::Response;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Echo {
    pub(crate) app: String,
    pub(crate) dyno: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) length: u64,
    pub(crate) body: String,
}

impl Echo {
    /// The request as the dyno saw it; the answer must be a good one.
    pub(crate) fn of(answer: &Response) -> Self {
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert!(answer.complete, "{answer:?}");
        answer.json()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}
