//! Panics on purpose, in place of `fault.rs`.
//!
//! Whoever runs Nginx says `env DYNOMESH_FAULT=FILE;`, and writes the name of a
//! place into that file. The next time that the module comes by, it removes the
//! file and panics: once.

use std::{env, fs, path::PathBuf, sync::OnceLock};

/// The module comes by a place that has this name.
#[track_caller]
pub(crate) fn at(place: &str) {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| env::var_os("DYNOMESH_FAULT").map(PathBuf::from));
    let Some(file) = file else { return };
    let chosen = fs::read_to_string(file).is_ok_and(|chosen| chosen == place);
    if chosen && fs::remove_file(file).is_ok() {
        panic!("on purpose: {place}");
    }
}
