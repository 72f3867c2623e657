//! A socket in the file system.
//!
//! It is made under another name in the same directory, given its mode and
//! group, and renamed onto its path: nobody ever sees it half made, and one that
//! was left behind is replaced in the same step. One that somebody serves is
//! left alone, and so is everything that is not a socket.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

/// How the socket shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Where.
    pub path: PathBuf,
    /// Who may connect: permission bits.
    pub mode: u32,
    /// Which group it belongs to, by number.
    pub group: Option<u32>,
}

/// A socket that can't be made, and what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ListenError {
    #[error("{0} is in use by another process: stop it, or choose another path")]
    InUse(PathBuf),
    #[error("{0} is not a socket: it was not touched; choose another path")]
    NotASocket(PathBuf),
    #[error("the directory of {0} does not exist: create it, or choose another path")]
    NoDirectory(PathBuf),
    #[error(
        "{path} is too long for a socket ({length} bytes, the most is {LONGEST}): choose a shorter one"
    )]
    TooLong { path: PathBuf, length: usize },
    #[error("cannot make the socket {path}: {error}")]
    Failed { path: PathBuf, error: io::Error },
}

/// `sun_path` of `sockaddr_un`, with its final zero.
const LONGEST: usize = 107;
/// What is appended to the path for the temporary name.
const NEW: &str = ".new";

/// A listening socket; its file is removed at the end if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the socket.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn bind(options: &SocketOptions) -> Result<(UnixListener, Self), ListenError> {
        let path = &options.path;
        let length = path.as_os_str().len() + NEW.len();
        if length > LONGEST {
            let length = path.as_os_str().len();
            return Err(ListenError::TooLong {
                path: path.clone(),
                length,
            });
        }
        let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        if !directory.unwrap_or(Path::new(".")).is_dir() {
            return Err(ListenError::NoDirectory(path.clone()));
        }
        check_free(path)?;
        make(options).map_err(|error| ListenError::Failed {
            path: path.clone(),
            error,
        })
    }
}

fn check_free(path: &Path) -> Result<(), ListenError> {
    let failed = |error| ListenError::Failed {
        path: path.into(),
        error,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.into()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // Gone in between.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn make(options: &SocketOptions) -> io::Result<(UnixListener, SocketFile)> {
    let path = &options.path;
    let mut new = path.clone().into_os_string();
    new.push(NEW);
    let new = PathBuf::from(new);
    // Left by one that was killed in between: nobody can have connected to it.
    if fs::symlink_metadata(&new).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(&new)?;
    }
    let listener = UnixListener::bind(&new)?;
    let made = (|| {
        listener.set_nonblocking(true)?;
        if options.group.is_some() {
            chown(&new, None, options.group)?;
        }
        fs::set_permissions(&new, Permissions::from_mode(options.mode))?;
        let found = fs::symlink_metadata(&new)?;
        fs::rename(&new, path)?;
        Ok(SocketFile {
            path: path.clone(),
            identity: (found.dev(), found.ino()),
        })
    })();
    match made {
        Ok(file) => Ok((listener, file)),
        Err(error) => {
            // The error above says more than one from here would.
            let _ = fs::remove_file(&new);
            Err(error)
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours {
            // Left behind it does no harm: the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
