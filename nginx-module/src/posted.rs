//! Something to be done at the end of a turn of Nginx's event loop.

use std::mem;

use ngx::{
    ffi::{ngx_event_t, ngx_post_event, ngx_posted_events, ngx_posted_next_events, ngx_queue_t},
    log::ngx_cycle_log,
};

/// An event of nothing but its handler. Posted twice, it is handled once.
pub(crate) struct Posted(*mut ngx_event_t);

impl Posted {
    /// Lives for ever: Nginx links it into lists.
    pub(crate) fn new(handler: unsafe extern "C" fn(*mut ngx_event_t)) -> Self {
        // SAFETY: all zeros is Nginx's own way to make an event.
        let mut event: Box<ngx_event_t> = Box::new(unsafe { mem::zeroed() });
        event.handler = Some(handler);
        Self(Box::into_raw(event))
    }

    /// At the end of this turn.
    pub(crate) fn post(&self) {
        self.post_to(&raw mut ngx_posted_events);
    }

    /// At the end of the next turn, which does not wait for anything to happen.
    pub(crate) fn post_next(&self) {
        self.post_to(&raw mut ngx_posted_next_events);
    }

    fn post_to(&self, list: *mut ngx_queue_t) {
        // SAFETY: the event lives for ever, the list is one of Nginx's, and this
        // is the only thread.
        unsafe {
            (*self.0).log = ngx_cycle_log().as_ptr();
            ngx_post_event(self.0, list);
        }
    }
}
