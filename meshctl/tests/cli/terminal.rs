//! What is different on a terminal: questions, colours, the live view.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus},
    sync::Arc,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::support::{PATIENCE, Sidecar, Watched, meshctl};

/// A command on a terminal of its own.
struct Terminal {
    child: Child,
    keyboard: File,
    /// Kept open, to ask how the command left it.
    line: File,
    screen: Arc<Watched<String>>,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master: OwnedFd = openpt(flags).expect("a terminal");
        grantpt(&master)
            .and_then(|()| unlockpt(&master))
            .expect("its other side");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let name = name.to_str().expect("text");
        let line = File::options()
            .read(true)
            .write(true)
            .open(name)
            .expect("its other side");
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&line, size).expect("a size");
        let end = || line.try_clone().expect("another end");
        command
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = command.spawn().expect("the command");
        let keyboard = File::from(master);
        let screen = Arc::<Watched<String>>::default();
        watch(
            keyboard.try_clone().expect("the screen"),
            Arc::clone(&screen),
        );
        Self {
            child,
            keyboard,
            line,
            screen,
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let what = format!("{text:?} on the screen");
        self.screen.until(&what, |screen| screen.contains(text));
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a key");
    }

    fn end(&mut self) -> ExitStatus {
        let process = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty());
        let process = process.expect("a process");
        let mut ends = [PollFd::new(&process, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).expect("a time");
        let ended = poll(&mut ends, Some(&patience)).expect("a state");
        assert_eq!(ended, 1, "it does not end");
        self.child.wait().expect("the end")
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.line)
            .expect("its modes")
            .local_modes
            .contains(LocalModes::ICANON)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test fails.
        let _ = self.child.kill();
    }
}

fn watch(mut from: File, screen: Arc<Watched<String>>) {
    thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..n]);
            screen.change(|screen| screen.push_str(&text));
        }
    });
}

fn run(sidecar: &Sidecar, line: &str) -> Terminal {
    let mut command = meshctl(&sidecar.socket());
    command.args(line.split(' '));
    Terminal::start(command)
}

const ALTERNATE: &str = "\u{1b}[?1049h";
const NORMAL: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

/// Starts `top`, ends it in some way, and looks at what it leaves behind.
fn top_ends_with(end: impl FnOnce(&mut Terminal)) {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    sidecar.mesh.load("shop", "web.1", 2, 100);
    let mut terminal = run(&sidecar, "top --interval 100ms");
    terminal.shows(ALTERNATE);
    terminal.shows("██████████··········");
    assert!(terminal.is_raw());
    end(&mut terminal);
    assert_eq!(terminal.end().code(), Some(0));
    terminal.shows(NORMAL);
    terminal.shows(CURSOR);
    assert!(!terminal.is_raw());
}

#[test]
fn top_leaves_the_terminal_as_it_was() {
    top_ends_with(|terminal| terminal.press("q"));
    top_ends_with(|terminal| terminal.press("\u{3}"));
    top_ends_with(|terminal| {
        let pid = Pid::from_child(&terminal.child);
        kill_process(pid, Signal::TERM).expect("a signal");
    });
}

#[test]
fn top_outlives_a_sidecar_that_goes_away() {
    let sidecar = Sidecar::start();
    let mut terminal = run(&sidecar, "top --interval 100ms");
    terminal.shows("node-1");
    drop(sidecar);
    terminal.shows("no figures");
    terminal.press("q");
    assert_eq!(terminal.end().code(), Some(0));
    assert!(!terminal.is_raw());
}

#[test]
fn a_deletion_is_asked_about() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    for (answer, code, is_there) in [("\n", 1, true), ("n\n", 1, true), ("y\n", 0, false)] {
        let mut terminal = run(&sidecar, "app delete shop");
        terminal.shows("Delete app shop with 0 domains, 1 dyno");
        terminal.press(answer);
        assert_eq!(terminal.end().code(), Some(code), "{answer:?}");
        assert_eq!(sidecar.mesh.app("shop").is_some(), is_there, "{answer:?}");
    }
}

#[test]
fn colours_are_for_terminals_and_can_be_turned_off() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop --dyno unix:/1");
    let coloured = |no_color: &str| {
        let mut command = meshctl(&sidecar.socket());
        command
            .args(["app", "show", "shop"])
            .env("NO_COLOR", no_color);
        let mut terminal = Terminal::start(command);
        assert_eq!(terminal.end().code(), Some(0));
        terminal.shows("INSTANCE");
        terminal.shows("unix:/1");
        terminal.screen.lock().contains('\u{1b}')
    };
    assert!(coloured(""));
    assert!(!coloured("1"));
}
