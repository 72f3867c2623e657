//! What sidecars tell each other of requests: it is in the log, and changes no
//! table.

use mesh::{DynoInfo, ScaleHint};

/// An entry of this kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How far along the log its node was.
    pub seen: u64,
    /// What it says.
    pub word: Word,
}

/// What can be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// Requests wait for an app that has no dyno.
    Need {
        /// The app.
        app: Box<str>,
        /// Requests waiting at that node.
        waiting: u32,
    },
    /// More dynos are wanted.
    More(ScaleHint),
    /// It is over at that node. Is it everywhere?
    Quiet(Matter),
    /// No.
    Busy(Matter),
    /// Nobody said no to the [`Word::Quiet`] at `seen`.
    Settled(Matter),
}

/// What nobody may need any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Matter {
    /// An app ...
    pub app: Box<str>,
    /// ... or, if not empty, the process of a dyno that drains.
    pub instance: Box<str>,
}

impl Matter {
    /// An app.
    pub(in crate::driver) fn app(app: &str) -> Self {
        Self {
            app: app.into(),
            instance: "".into(),
        }
    }

    /// The process of a dyno.
    pub(in crate::driver) fn dyno(dyno: &DynoInfo) -> Self {
        Self {
            app: (*dyno.app).into(),
            instance: dyno.instance.clone(),
        }
    }
}
