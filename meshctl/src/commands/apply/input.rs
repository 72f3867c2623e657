//! Where the lines come from: a file, which can be read twice, or a pipe.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal as _, Seek as _, SeekFrom, Write as _},
    os::fd::AsFd as _,
    path::Path,
    thread,
};

use tokio::sync::mpsc;

use crate::{
    failure::Failure,
    lines::{Line, Lines},
    output::{count, plain},
};

/// Lines read ahead of the window.
const READ_AHEAD: usize = 64;
/// Wrong lines that are shown; one mistake in a generator makes thousands.
const SHOWN: usize = 20;

/// What `--file` names.
pub(super) struct Input {
    name: String,
    file: File,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let stdin = path.as_os_str() == "-";
        let name = match stdin {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        let file = match stdin {
            // As a file, because it may be one: `meshctl apply < FILE`.
            true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
            false => File::open(path),
        };
        match file {
            Ok(file) => Ok(Self { name, file }),
            Err(error) => Err(unreadable(&name, &error)),
        }
    }

    /// Reads a file to its end and goes back to where it was, so that nothing
    /// is sent when anything is wrong. What is no file can be read only once.
    pub(super) fn validate(&mut self) -> Result<(), Failure> {
        let unreadable = |error| unreadable(&self.name, &error);
        let kind = self.file.metadata().map_err(unreadable)?;
        if kind.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        if !kind.is_file() {
            return self.announce();
        }
        let start = self.file.stream_position().map_err(unreadable)?;
        let wrong = count_wrong(Lines::new(BufReader::new(&self.file))).map_err(unreadable)?;
        self.file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        match wrong {
            0 => Ok(()),
            _ => Err(Failure::Usage(format!(
                "{} in {}; nothing was sent",
                count(wrong, "wrong line"),
                self.name
            ))),
        }
    }

    /// Waiting without a word for someone to type is no fun.
    fn announce(&self) -> Result<(), Failure> {
        if self.file.is_terminal() {
            let _ = writeln!(
                io::stderr(),
                "reading changes from the terminal, one on each line; Ctrl-D ends"
            );
        }
        Ok(())
    }

    /// Reads on a thread of its own. It ends with the process: a read of a
    /// terminal cannot be called off.
    pub(super) fn read(self) -> mpsc::Receiver<io::Result<Line>> {
        let (give, lines) = mpsc::channel(READ_AHEAD);
        thread::spawn(move || {
            for line in Lines::new(BufReader::new(self.file)) {
                let broken = line.is_err();
                if give.blocking_send(line).is_err() || broken {
                    return;
                }
            }
        });
        lines
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot read {name}: {error}; nothing was sent"))
}

/// Shows the first wrong lines, counts all.
fn count_wrong(lines: impl Iterator<Item = io::Result<Line>>) -> io::Result<usize> {
    let mut wrong = 0;
    let mut err = io::stderr().lock();
    for line in lines {
        let Err(bad) = line? else { continue };
        wrong += 1;
        if wrong <= SHOWN {
            let _ = writeln!(err, "{}", plain(&bad.to_string()));
        } else if wrong == SHOWN + 1 {
            let _ = writeln!(err, "…");
        }
    }
    Ok(wrong)
}
