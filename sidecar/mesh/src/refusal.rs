//! Why a request gets no dyno.

/// A refusal with its reason. What a client is told is up to the router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No app has this name.
    UnknownName,
    /// The app is in maintenance.
    Maintenance,
    /// The app's queue is at its limit.
    QueueFull,
    /// Waited the longest allowed time for a busy dyno.
    QueueTimeout,
    /// The app's limit on requests is reached.
    TooManyRequests,
    /// It comes too soon after others, of all clients or of its own; in so many seconds
    /// it may come.
    RateLimited(u32),
    /// No dyno, and a request may not start one.
    NoDynos,
    /// The app has never had a dyno.
    NeverReleased,
    /// The app's dynos crashed.
    Crashed,
    /// No dyno came up in time.
    BootTimeout,
    /// Every dyno that is up is in quarantine.
    Quarantined,
    /// Every dyno left was tried by this request already.
    NoOtherDyno,
    /// The sidecar that has the app's queue is out of reach.
    NoOwner,
    /// The mesh itself is at a limit.
    Overloaded,
}
