//! Who may use an app, as far as the core has to know: nothing. Lines that are
//! somebody else's to read, as those of rules are, and a mark that tells them from
//! others.

use std::sync::Arc;

use crate::{ChangeError, Mesh, rules::BY_NAME};

/// Most lines of an app.
const MAX_LINES: usize = 256;
/// Most bytes of all of them.
const MAX_BYTES: usize = 65_536;

/// The lines of an app. Copies share them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth(Option<Arc<Lines>>);

#[derive(PartialEq, Eq)]
struct Lines {
    mark: [u8; 32],
    lines: Box<[Box<str>]>,
}

/// Hashes and keys are in them: not for logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({} lines)", self.lines().len())
    }
}

impl Auth {
    /// These lines, and what tells them from others.
    pub fn new(lines: impl IntoIterator<Item = Box<str>>, mark: [u8; 32]) -> Self {
        let lines: Box<[Box<str>]> = lines.into_iter().collect();
        Self((!lines.is_empty()).then(|| Arc::new(Lines { mark, lines })))
    }

    /// All of them.
    pub fn lines(&self) -> &[Box<str>] {
        self.0.as_ref().map_or(&[], |auth| &auth.lines)
    }

    /// What tells them from others, if there are any.
    pub fn mark(&self) -> Option<&[u8; 32]> {
        self.0.as_ref().map(|auth| &auth.mark)
    }

    /// There are none: anybody may.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Checks how much it is.
    ///
    /// # Errors
    /// [`ChangeError::Invalid`] that says how much it may be.
    pub fn check(&self) -> Result<(), ChangeError> {
        let lines = self.lines();
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        match lines.len() <= MAX_LINES && bytes <= MAX_BYTES {
            true => Ok(()),
            false => Err(ChangeError::Invalid(format!(
                "auth has at most {MAX_LINES} lines and {MAX_BYTES} bytes"
            ))),
        }
    }
}

impl Mesh {
    /// Who may use an app. `None`: there is no such app.
    pub fn auth_of(&self, app: &str) -> Option<Auth> {
        let key = self.by_name.get(app)?;
        Some(self.apps[key.0 as usize].auth.clone())
    }
}

/// What an app is asked for when its name is known.
pub(crate) fn by_name(app: &str) -> Box<str> {
    format!("{BY_NAME}{app}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_bound() {
        let auth = |lines: Vec<Box<str>>| Auth::new(lines, [1; 32]);
        assert!(auth(vec!["x".repeat(MAX_BYTES).into()]).check().is_err());
        assert!(auth(vec![Box::default(); MAX_LINES + 1]).check().is_err());
        assert!(auth(vec!["a".into()]).check().is_ok());
        assert!(auth(Vec::new()).is_empty());
        assert_eq!(auth(Vec::new()).mark(), None);
    }
}
