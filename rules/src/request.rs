//! What a request has to be for rules to look at it.

use std::{borrow::Cow, net::IpAddr};

/// A request, as its client sent it.
pub trait Request {
    /// As it was written.
    fn method(&self) -> &[u8];
    /// Decoded and without `.`, `..` and double slashes, as far as whoever reads
    /// requests does that; what dynos are chosen by elsewhere.
    fn path(&self) -> &[u8];
    /// What follows the `?`, as it was written.
    fn query(&self) -> &[u8];
    /// Whether one of the headers of this name (lower case) has a value like that.
    fn has_header(&self, name: &str, like: &mut dyn FnMut(&[u8]) -> bool) -> bool;
    /// Tells the name of each header, in any case.
    fn header_names(&self, each: &mut dyn FnMut(&[u8]));
    /// Who sent it. `None`: no address, as over a unix socket.
    fn client(&self) -> Option<IpAddr>;
    /// The same for people.
    fn client_text(&self) -> Cow<'_, [u8]>;
    /// `http` or `https`.
    fn scheme(&self) -> &str;
    /// The name that it is for, without a port.
    fn host(&self) -> &[u8];
    /// The app that has this name.
    fn app(&self) -> &str;
    /// What it is called in logs.
    fn id(&self) -> Cow<'_, [u8]>;
    /// A number by chance: another one for each call.
    fn chance(&self) -> u32;
}
