//! Names that requests were for, each kept once.
//!
//! Most requests are for a name that there was one for a moment ago.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use rustc_hash::FxHasher;

use crate::authority::MAX_HOST;

/// Names that are kept. Two that fall on one place take turns there.
const MOST: usize = 256;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Names(Vec<Arc<str>>);

impl Names {
    /// The name that a request is for, in lower case. [`crate::authority`] lets nothing
    /// through that is longer than [`MAX_HOST`] or is not ASCII; that is no name.
    pub fn lower_case(&mut self, host: &[u8]) -> Arc<str> {
        // Nearly always it is written so.
        if let Ok(name) = str::from_utf8(host)
            && let Some(kept) = self.0.get(place_of(name) % MOST)
            && **kept == *name
        {
            return kept.clone();
        }
        let mut room = [0_u8; MAX_HOST];
        let Some(name) = room.get_mut(..host.len()) else {
            return Arc::default();
        };
        name.copy_from_slice(host);
        name.make_ascii_lowercase();
        let name = str::from_utf8(name).unwrap_or_default();
        if self.0.is_empty() {
            self.0.resize_with(MOST, Arc::default);
        }
        let kept = &mut self.0[place_of(name) % MOST];
        if **kept != *name {
            *kept = name.into();
        }
        kept.clone()
    }
}

/// A number for a name, the same each time.
pub(crate) fn place_of(name: &str) -> usize {
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    // The upper bits are the good ones.
    (hasher.finish() >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_in_lower_case_and_kept() {
        let mut names = Names::default();
        let first = names.lower_case(b"Shop.Test");
        assert_eq!(&*first, "shop.test");
        assert!(Arc::ptr_eq(&first, &names.lower_case(b"shop.TEST")));
    }

    #[test]
    fn any_number_of_names_is_told_apart() {
        let mut names = Names::default();
        for _ in 0..2 {
            for number in 0..4 * MOST {
                let name = format!("{number}.test");
                assert_eq!(*names.lower_case(name.as_bytes()), *name);
            }
        }
        assert_eq!(names.0.len(), MOST);
    }

    #[test]
    fn what_can_be_no_name_is_none() {
        let mut names = Names::default();
        assert_eq!(&*names.lower_case(&[b'a'; MAX_HOST + 1]), "");
        assert_eq!(&*names.lower_case(b"\xff.test"), "");
        assert_eq!(names.lower_case(&[b'a'; MAX_HOST]).len(), MAX_HOST);
    }
}
