//! Where the programs under test are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Stock Nginx: `DYNOMESH_NGINX`, else `/usr/sbin/nginx`.
#[must_use]
pub fn nginx() -> PathBuf {
    let path = env::var_os("DYNOMESH_NGINX").unwrap_or_else(|| "/usr/sbin/nginx".into());
    there(
        path.into(),
        "install the package nginx, or set DYNOMESH_NGINX",
    )
}

/// The Nginx module: `DYNOMESH_MODULE`, else where `make module` puts it.
#[must_use]
pub fn module() -> PathBuf {
    let path = env::var_os("DYNOMESH_MODULE")
        .map_or_else(|| target().join("dist/libdynomesh_nginx.so"), PathBuf::from);
    there(path, "run `make module`, or set DYNOMESH_MODULE")
}

/// The module that can be made to panic: `DYNOMESH_FAULTY_MODULE`, else where
/// `make faulty` puts it.
#[must_use]
pub fn faulty_module() -> PathBuf {
    let path = env::var_os("DYNOMESH_FAULTY_MODULE").map_or_else(
        || target().join("module/release/examples/libfaulty.so"),
        PathBuf::from,
    );
    there(path, "run `make faulty`, or set DYNOMESH_FAULTY_MODULE")
}

/// The sidecar.
#[must_use]
pub fn meshd() -> PathBuf {
    product("meshd")
}

/// The command line.
#[must_use]
pub fn meshctl() -> PathBuf {
    product("meshctl")
}

/// The reference dyno manager.
#[must_use]
pub fn dyno_manager() -> PathBuf {
    product("dyno-manager")
}

/// A program of this package, which Cargo builds beside the tests.
#[must_use]
pub fn own(name: &str) -> PathBuf {
    let here = env::current_exe().expect("a running program has a path");
    // A test lies in `deps` below the programs, a program beside them.
    let path = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| here.with_file_name(name));
    there(path, "run `cargo build -p e2e`")
}

/// `DYNOMESH_BIN`, else where `make build` puts it.
fn product(name: &str) -> PathBuf {
    let dir = env::var_os("DYNOMESH_BIN").map_or_else(|| target().join("dist"), PathBuf::from);
    there(dir.join(name), "run `make build`, or set DYNOMESH_BIN")
}

fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is a directory of the workspace");
    workspace.join("target")
}

fn there(path: PathBuf, remedy: &str) -> PathBuf {
    assert!(path.exists(), "no {}: {remedy}", path.display());
    path
}
