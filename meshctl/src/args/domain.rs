//! `meshctl domain …`

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Domain {
    /// Let an app answer to more names
    #[command(after_help = "\
Examples:
  meshctl domain add shop shop.example.com www.shop.example.com
  meshctl domain add shop '*.shop.example.com'

All of them are added or, when one is refused, none is.")]
    Add(Domains),
    /// Take names away from an app
    #[command(after_help = "\
Examples:
  meshctl domain remove shop www.shop.example.com

All of them are removed or, when one is refused, none is.")]
    Remove(Domains),
}

#[derive(Args, Debug)]
pub(crate) struct Domains {
    /// The app
    pub(crate) app: String,

    /// www.example.com, or *.example.com for the names below it
    #[arg(required = true, value_name = "DOMAIN")]
    pub(crate) domains: Vec<String>,
}
