//! Socket files.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
};

use dynomesh_proto::v1::owner_client::OwnerClient;
use tonic::Code;

use crate::harness::{Meshd, Options, channel};

#[tokio::test]
async fn sockets_have_their_mode_and_group() {
    let meshd = Meshd::start(&[
        "--router-socket-mode",
        "0606",
        "--control-socket-mode",
        "600",
    ])
    .await;
    let group = fs::metadata(meshd.path("log")).expect("a file").gid();
    for (name, mode) in [("router.sock", 0o606), ("control.sock", 0o600)] {
        let found = fs::metadata(meshd.path(name)).expect("a socket");
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, mode, "{name}");
    }
    drop(meshd);
    let meshd = Meshd::start(&["--router-socket-group", &group.to_string()]).await;
    let found = fs::metadata(meshd.path("router.sock")).expect("a socket");
    assert_eq!(
        (found.gid(), found.permissions().mode() & 0o777),
        (group, 0o660)
    );
    let left: Vec<_> = fs::read_dir(meshd.path(""))
        .expect("a directory")
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|entry| !entry.file_name().to_string_lossy().ends_with(".new")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_live_socket_is_left_alone() {
    for taken in ["router.sock", "control.sock"] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(taken);
        let _owner = UnixListener::bind(&path).expect("bound");
        let before = fs::metadata(&path).expect("a socket").ino();
        let complaint = Options::new(dir.path(), &[]).complaint();
        assert!(
            complaint.contains(taken) && complaint.contains("in use"),
            "{complaint}"
        );
        assert_eq!(fs::metadata(&path).expect("a socket").ino(), before);
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["router.sock", "control.sock", "router.sock.new"] {
        drop(UnixListener::bind(dir.path().join(name)).expect("bound"));
    }
    let options = Options::new(dir.path(), &[]);
    Meshd::start_in(dir, options).await;
}

#[test]
fn what_is_not_a_socket_is_never_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("router.sock");
    fs::write(&path, "precious").expect("written");
    let complaint = Options::new(dir.path(), &[]).complaint();
    assert!(
        complaint.contains("router.sock") && complaint.contains("not a socket"),
        "{complaint}"
    );
    assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = Options::new(dir.path(), &[]);
    options.args[3] = dir.path().join("missing/router.sock").display().to_string();
    let complaint = options.complaint();
    assert!(
        complaint.contains("missing/router.sock") && complaint.contains("create it"),
        "{complaint}"
    );

    options.args[3] = dir.path().join("r".repeat(120)).display().to_string();
    let complaint = options.complaint();
    assert!(complaint.contains("too long"), "{complaint}");
}

#[tokio::test]
async fn no_worker_and_no_operator_comes_as_a_sidecar() {
    let meshd = Meshd::start(&[]).await;
    for socket in ["router.sock", "control.sock"] {
        let (channel, _) = channel(&meshd.path(socket)).await.expect("connected");
        let nothing = tokio_stream::pending();
        let status = OwnerClient::new(channel).session(nothing).await;
        let status = status.expect_err("no such service");
        assert_eq!(status.code(), Code::Unimplemented, "{socket}");
    }
}
