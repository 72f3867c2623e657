//! What is said over a link: taken from its line by the connection itself.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use dynomesh_proto::v1::{Introduction, ToOwner};
use futures_core::Stream;
use mesh::ToPeer;

use crate::{
    convert::{introduction_to_owner, word_to_owner},
    driver::Line,
};

/// Ends when the line is broken.
pub(super) struct Outgoing {
    /// What has to follow what was said last.
    more: VecDeque<ToOwner>,
    line: Arc<Line<ToPeer>>,
}

impl Outgoing {
    pub(super) fn new(introduction: Introduction, line: Arc<Line<ToPeer>>) -> Self {
        let more = VecDeque::from([introduction_to_owner(introduction)]);
        Self { more, line }
    }
}

impl Stream for Outgoing {
    type Item = ToOwner;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ToOwner>> {
        let this = self.get_mut();
        if let Some(next) = this.more.pop_front() {
            return Poll::Ready(Some(next));
        }
        let word = this.line.poll_next(cx);
        word.map(|word| word.map(|word| word_to_owner(word, &mut this.more)))
    }
}
