//! The answers to one sidecar, which read what it asks.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use dynomesh_proto::v1::{FromOwner, Introduction, ToOwner, from_owner::Kind};
use futures_core::Stream;
use tonic::{Status, Streaming};

use super::register::{Entry, Register};
use crate::{
    convert::{OwnerWords, far_answer},
    driver::Peering,
    grpc::status::malformed,
};

/// Messages handled before others have their turn.
const TURN: u32 = 128;

/// The reply stream of a session.
#[derive(Debug)]
pub struct OwnerStream<P: Peering> {
    introduction: Option<Introduction>,
    incoming: Streaming<ToOwner>,
    words: OwnerWords,
    peering: Arc<P>,
    register: Arc<Register>,
    entry: Entry,
    is_over: bool,
}

impl<P: Peering> OwnerStream<P> {
    pub(super) fn new(
        introduction: Introduction,
        incoming: Streaming<ToOwner>,
        peering: Arc<P>,
        register: Arc<Register>,
        entry: Entry,
    ) -> Self {
        Self {
            introduction: Some(introduction),
            incoming,
            words: OwnerWords::default(),
            peering,
            register,
            entry,
            is_over: false,
        }
    }

    fn hear(&mut self, message: ToOwner) -> Result<(), Status> {
        let word = self.words.add(message).map_err(|error| malformed(&error))?;
        if let Some(word) = word {
            self.peering.asked(self.entry.peer, word);
        }
        Ok(())
    }
}

impl<P: Peering> Stream for OwnerStream<P> {
    type Item = Result<FromOwner, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(introduction) = this.introduction.take() {
            let kind = Some(Kind::Introduction(introduction));
            return Poll::Ready(Some(Ok(FromOwner { kind })));
        }
        for _ in 0..TURN {
            if this.is_over {
                return Poll::Ready(None);
            }
            match this.entry.line.poll_next(cx) {
                Poll::Ready(Some(answer)) => return Poll::Ready(Some(Ok(far_answer(&answer)))),
                Poll::Ready(None) => {
                    this.is_over = true;
                    let why = "come again: this link is not taken from, or there is another one";
                    return Poll::Ready(Some(Err(Status::aborted(why))));
                }
                Poll::Pending => {}
            }
            let heard = match ready!(Pin::new(&mut this.incoming).poll_next(cx)) {
                Some(message) => message.and_then(|message| this.hear(message)),
                None => {
                    this.is_over = true;
                    return Poll::Ready(None);
                }
            };
            if let Err(status) = heard {
                this.is_over = true;
                return Poll::Ready(Some(Err(status)));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<P: Peering> Drop for OwnerStream<P> {
    fn drop(&mut self) {
        self.register.close(&*self.peering, &self.entry);
    }
}
