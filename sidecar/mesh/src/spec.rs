//! What an app is, as it was configured: the part that is kept on disk and
//! shared. How busy it is at the moment is not part of it.

use crate::{Address, Auth, ChangeError, MAX_LOAD, Pages, Rules, Settings};

pub use dynos::DynoSpecs;

mod dynos;

/// Where a dyno is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DynoState {
    /// Booting; requests wait for it.
    Starting,
    /// Gets requests.
    Up,
    /// Finishes what it has.
    Draining,
    /// Stopped on purpose.
    Down,
    /// Died by itself.
    Crashed,
}

impl DynoState {
    /// A process is there, so nobody else can have its address.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Up | Self::Draining)
    }
}

/// One dyno, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynoSpec {
    /// Unique in its app.
    pub name: Box<str>,
    /// Unique for each start of a process.
    pub instance: Box<str>,
    /// Where it listens.
    pub address: Address,
    /// Most requests at once; `None`: the app's default.
    pub limit: Option<u32>,
    /// Where it is in its life.
    pub state: DynoState,
}

/// One app, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppSpec {
    /// Its name.
    pub name: Box<str>,
    /// Number of changes so far.
    pub version: u64,
    /// What the operator set.
    pub settings: Settings,
    /// Requests are refused for now.
    pub maintenance: bool,
    /// It has had a dyno at some time.
    pub released: bool,
    /// Canonical, in the order they were added.
    pub domains: Vec<Box<str>>,
    /// What routers go by, beside that.
    pub rules: Rules,
    /// What routers show those whom it refuses.
    pub pages: Pages,
    /// Who may use it.
    pub auth: Auth,
    /// Which requests prefer which dyno, for routers; empty: none.
    pub sticky: Box<str>,
    /// In the order they were added.
    pub dynos: DynoSpecs,
}

impl AppSpec {
    /// Routers have to ask what it wants done with its requests.
    pub(crate) fn is_ruled(&self) -> bool {
        let silent = self.rules.is_empty() && self.auth.is_empty() && self.sticky.is_empty();
        !silent || !self.settings.handling().is_none()
    }
}

/// Longest name of an app or dyno, and longest instance, in bytes.
const MAX_NAME: usize = 128;

/// Checks an app's name.
///
/// # Errors
/// [`ChangeError::Invalid`] that says what a name looks like.
pub fn check_app_name(name: &str) -> Result<(), ChangeError> {
    let valid = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    named(
        "app name",
        name,
        valid,
        "1 to 128 of a-z, 0-9 and '-', no '-' at either end",
    )
}

impl DynoSpec {
    /// Checks name, instance and limit.
    ///
    /// # Errors
    /// [`ChangeError::Invalid`] that names the field.
    pub fn check(&self) -> Result<(), ChangeError> {
        let wanted = "1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'";
        named("dyno name", &self.name, plain(&self.name), wanted)?;
        named("instance", &self.instance, plain(&self.instance), wanted)?;
        if self.limit.is_some_and(|n| n == 0 || n > MAX_LOAD) {
            return Err(ChangeError::Invalid(format!("limit is 1 to {MAX_LOAD}")));
        }
        Ok(())
    }
}

fn plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_NAME
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn named(what: &str, given: &str, valid: bool, wanted: &str) -> Result<(), ChangeError> {
    if valid {
        return Ok(());
    }
    let given: String = given.chars().take(200).collect();
    Err(ChangeError::Invalid(format!(
        "{what} \"{given}\" is not {wanted}"
    )))
}
