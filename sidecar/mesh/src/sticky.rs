//! Requests that would rather have a certain dyno.
//!
//! A preference is no more than that: the dyno is taken if it may have a request at this
//! moment; otherwise the request has any other, or its place in the queue, like all.

use crate::{
    AppKey, ChangeError, DynoKey, DynoState, Mesh,
    queue::Request,
    shard::{hash, mix},
};

/// Longest word of an app on what is sticky, in bytes.
const MAX_STICKY: usize = 128;

/// Which dyno a request would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// The one with this [`mark`].
    Dyno(u64),
    /// The one that every mesh finds for this number among the dynos that are up. When
    /// one comes or goes, only its own share is found elsewhere. (Rendezvous hashing.)
    Hash(u64),
}

/// Tells an instance from others, the same on every host and in every version.
pub fn mark(instance: &str) -> u64 {
    mix(hash(instance)).max(1)
}

/// What an app says from now on. Who wants the mesh's own cookie, and brings a key for the
/// case that there is none, changes nothing where there is one: clients have cookies of it.
pub(crate) fn settled(before: &str, wanted: &str) -> Box<str> {
    match wanted.strip_prefix("cookie?") {
        Some(_) if before.starts_with("cookie#") => before.into(),
        Some(key) => format!("cookie#{key}").into(),
        None => wanted.into(),
    }
}

/// The rest of it is for routers to read. Checks how much it is.
pub(crate) fn check_sticky(sticky: &str) -> Result<(), ChangeError> {
    match sticky.len() <= MAX_STICKY {
        true => Ok(()),
        false => Err(ChangeError::Invalid(format!(
            "sticky has at most {MAX_STICKY} bytes"
        ))),
    }
}

impl Mesh {
    /// The dyno that is preferred, if it is up.
    fn preferred(&self, key: AppKey, prefer: Prefer) -> Option<DynoKey> {
        match prefer {
            Prefer::Dyno(mark) => self.marked(key, mark),
            Prefer::Hash(hash) => self.drawn(key, hash),
        }
    }

    fn marked(&self, key: AppKey, mark: u64) -> Option<DynoKey> {
        let found = *self.marks.get(&mark)?;
        let dyno = &self.dynos[found.0 as usize];
        (dyno.is_of(key) && dyno.state == DynoState::Up).then_some(found)
    }

    /// Takes time by the number of dynos.
    fn drawn(&self, key: AppKey, hash: u64) -> Option<DynoKey> {
        let dynos = self.apps[key.0 as usize].dynos.iter().copied();
        let mark = |key: &DynoKey| self.identities[key.0 as usize].mark;
        dynos
            .filter(|key| self.dynos[key.0 as usize].state == DynoState::Up)
            .max_by_key(|key| (mix(mark(key) ^ mix(hash)), mark(key)))
    }

    /// The same, if it may have a request now that has tried these.
    pub(crate) fn pick_preferred(
        &self,
        key: AppKey,
        prefer: Option<Prefer>,
        tried: &[DynoKey],
    ) -> Option<DynoKey> {
        let dyno = self.preferred(key, prefer?)?;
        let free = self.dynos[dyno.0 as usize].slot.is_some();
        (free && !tried.contains(&dyno)).then_some(dyno)
    }

    /// Whoever asks for this request's preferred dyno the next time asks in vain: it is
    /// gone, or has failed it.
    pub(crate) fn is_preferred_gone(&self, request: &Request, given: DynoKey) -> bool {
        let Some(Prefer::Dyno(mark)) = request.prefer else {
            return false;
        };
        match self.marked(request.app, mark) {
            None => true,
            Some(dyno) if dyno == given => false,
            Some(dyno) => {
                !self.dynos[dyno.0 as usize].is_running()
                    || request.tried.contains(&self.info(dyno).instance)
            }
        }
    }
}

#[cfg(test)]
mod tests;
