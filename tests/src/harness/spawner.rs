//! Starts child processes that do not outlive this one, however it ends.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command},
    sync::{OnceLock, mpsc},
    thread,
};

use rustix::process::{Signal, set_parent_process_death_signal};

type Reply = mpsc::Sender<io::Result<Child>>;
type Order = (Command, Signal, Reply);

/// Starts a process in a group of its own, which gets `farewell` when this
/// process dies.
pub(super) fn spawn(command: Command, farewell: Signal) -> io::Result<Child> {
    let (reply, answer) = mpsc::channel();
    orders()
        .send((command, farewell, reply))
        .map_err(io::Error::other)?;
    answer.recv().map_err(io::Error::other)?
}

/// Linux sends that signal when the *thread* that started the child ends, and
/// the threads of a runtime come and go. So one thread, which never ends, does it.
fn orders() -> &'static mpsc::Sender<Order> {
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (command, farewell, reply) in orders {
                // The other side waits for it; if it does not, the child dies here.
                let _ = reply.send(start(command, farewell));
            }
        });
        sender
    })
}

fn start(mut command: Command, farewell: Signal) -> io::Result<Child> {
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes one system call, and
    // neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || Ok(set_parent_process_death_signal(Some(farewell))?));
    }
    command.spawn()
}
