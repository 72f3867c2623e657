//! `meshctl completion`

use clap::CommandFactory as _;
use clap_complete::generate;

use crate::{
    args::{Cli, Completion, Shell},
    failure::Failure,
    output::Output,
};

pub(super) fn run(args: &Completion, out: Output) -> Result<(), Failure> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: the generator panics when it cannot write.
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "meshctl", &mut script);
    out.text(&String::from_utf8_lossy(&script))
}
