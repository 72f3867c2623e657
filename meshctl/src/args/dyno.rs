//! `meshctl dyno …`

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::{DynoState, FirstState, limit, some_time};

#[derive(Debug, Subcommand)]
pub(crate) enum Dyno {
    /// Add a backend process to an app, or replace one
    Add(Add),
    /// Remove a dyno at once; `drain` lets it finish first
    Remove(Remove),
    /// Say where a dyno is in its life
    State(State),
    /// Change a dyno's limit; it goes on meanwhile
    Set(SetDyno),
    /// Give a dyno no more requests; it finishes those it has
    Drain(Drain),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl dyno add shop 127.0.0.1:5002
  meshctl dyno add shop '[::1]:5002' --limit 4
  meshctl dyno add shop unix:/run/shop.sock --name worker.1 --state starting
  meshctl dyno add shop 127.0.0.1:5002 --takeover

Without --name it becomes the first of web.1, web.2, … that is free. With the
name of a dyno that is there, it replaces that one.")]
pub(crate) struct Add {
    /// The app
    pub(crate) app: String,

    /// 127.0.0.1:5001, [::1]:5001 or unix:/run/app.sock
    pub(crate) address: String,

    /// Its name within the app
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Names this start of the process; made up when not given
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) instance: String,

    /// Most requests at once; 0 or none: the app's default
    #[arg(long, value_name = "N", default_value = "0", value_parser = limit)]
    pub(crate) limit: u32,

    /// Whether it takes requests already
    #[arg(long, value_enum, default_value = "up")]
    pub(crate) state: FirstState,

    /// Whoever has this address is gone: that dyno is removed
    #[arg(long)]
    pub(crate) takeover: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl dyno remove shop web.2
  meshctl dyno drain shop web.2 --wait && meshctl dyno remove shop web.2")]
pub(crate) struct Remove {
    /// The app
    pub(crate) app: String,
    /// The dyno, e.g. web.1
    pub(crate) name: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl dyno state shop web.2 up
  meshctl dyno state shop web.2 crashed")]
pub(crate) struct State {
    /// The app
    pub(crate) app: String,
    /// The dyno, e.g. web.1
    pub(crate) name: String,
    /// Its state from now on
    #[arg(value_enum)]
    pub(crate) state: DynoState,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl dyno set shop web.2 --limit 5
  meshctl dyno set shop web.2 --limit none    (back to the app's default)

Everything else of it stays: its process, its address, its state, its requests.")]
pub(crate) struct SetDyno {
    /// The app
    pub(crate) app: String,
    /// The dyno, e.g. web.1
    pub(crate) name: String,
    /// Most requests at once; 0 or none: the app's default
    #[arg(long, value_name = "N", value_parser = limit)]
    pub(crate) limit: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  meshctl dyno drain shop web.2
  meshctl dyno drain shop web.2 --wait
  meshctl dyno drain shop web.2 --wait=30s    (exit code 3 when that is too short)")]
pub(crate) struct Drain {
    /// The app
    pub(crate) app: String,
    /// The dyno, e.g. web.1
    pub(crate) name: String,
    /// Wait until it has finished its last request, at most this long if given
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        value_parser = some_time
    )]
    pub(crate) wait: Option<Option<Duration>>,
}
