//! The real `meshd`, from outside: its sockets, its disk, its exit codes.
mod harness;

mod auth;
mod config;
mod control;
mod control_errors;
mod crash;
mod hostile;
mod listing;
mod recovery;
mod reserve;
mod rules;
mod session;
mod session_end;
mod session_faults;
mod sockets;
mod stop;
mod store;
mod tally;
mod tls;
mod watch;
mod watchdog;
