//! The unix socket's file: whose it is, who may open it, and what the server does with what lies there before it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::files;

const LOOKS: usize = 2000;
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A server that listens on a unix socket only.
struct UnixServer {
    child: Child,
    path: PathBuf,
}

fn command(path: &Path, folder: &TempDir, arguments: &[&str]) -> Command {
    // Each in a directory of its own: two servers could not use one.
    let store = tempfile::tempdir_in(folder.path()).expect("there is room").keep();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvd"));
    command.args(["--port", "0", "--unixsocket"]).arg(path).arg("--dir").arg(store).args(arguments);
    command
}

impl UnixServer {
    fn start(path: &Path, folder: &TempDir, arguments: &[&str]) -> UnixServer {
        let mut command = command(path, folder, arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program is built");
        let server = UnixServer { child, path: path.to_owned() };
        for _ in 0..LOOKS {
            if server.ask("PING").is_some_and(|reply| reply == "+PONG\r\n") {
                return server;
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        panic!("kvd does not answer at {}", path.display());
    }

    /// The reply to a request whose reply is short; nothing when nobody is there.
    fn ask(&self, request: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.path).ok()?;
        stream.write_all(format!("{request}\r\n").as_bytes()).ok()?;
        let mut reply = vec![0; 512];
        let read = stream.read(&mut reply).ok()?;
        Some(String::from_utf8_lossy(&reply[..read]).into_owned())
    }

    /// Ends it and waits until it has ended.
    fn end(mut self) {
        // There may be another file at the path: a signal always arrives.
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is ours");
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server says that does not start.
fn refusal(path: &Path, folder: &TempDir) -> String {
    let output = command(path, folder, &[]).output().expect("the program is built");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room")
}

#[test]
fn the_socket_has_the_permissions_of_the_setting_and_goes_at_the_end() {
    let folder = folder();
    let path = folder.path().join("socket");
    for (arguments, expected) in
        [(&[][..], 0o700), (&["--unixsocketperm", "0"], 0o700), (&["--unixsocketperm", "0766"], 0o766)]
    {
        let server = UnixServer::start(&path, &folder, arguments);
        let found = fs::symlink_metadata(&path).expect("it is there");
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, expected);
        server.end();
        assert!(!path.exists());
    }
}

#[test]
fn what_is_no_socket_is_not_touched() {
    let folder = folder();
    let file = folder.path().join("file");
    files::put(&file, "mine");
    let (directory, link, dangling) =
        (folder.path().join("directory"), folder.path().join("link"), folder.path().join("dangling"));
    fs::create_dir(&directory).expect("there is room");
    symlink(&file, &link).expect("there is room");
    symlink("nowhere", &dangling).expect("there is room");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("nobody is there");
    let link_to_socket = folder.path().join("link-to-socket");
    symlink(&socket, &link_to_socket).expect("there is room");
    for path in [&file, &directory, &link, &dangling, &link_to_socket] {
        let before = fs::symlink_metadata(path).expect("it is there").file_type();
        let said = refusal(path, &folder);
        let expected = format!("kvd: Could not create unix socket {}: the path is not a socket", path.display());
        assert!(said.contains(&expected), "{said}");
        assert_eq!(fs::symlink_metadata(path).expect("it is there").file_type(), before);
    }
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn the_socket_of_a_server_that_runs_is_not_taken() {
    let folder = folder();
    let path = folder.path().join("socket");
    let first = UnixServer::start(&path, &folder, &[]);
    let said = refusal(&path, &folder);
    assert!(said.contains("another process listens on it"), "{said}");
    assert_eq!(first.ask("PING").as_deref(), Some("+PONG\r\n"));
    first.end();
    assert!(!path.exists());
}

#[test]
fn a_socket_whose_queue_is_full_is_not_taken() {
    let folder = folder();
    let path = folder.path().join("socket");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("there is one");
    listener.bind(&socket2::SockAddr::unix(&path).expect("it is short")).expect("nobody is there");
    listener.listen(0).expect("it is bound");
    let waiting = UnixStream::connect(&path).expect("one may wait");
    let said = refusal(&path, &folder);
    assert!(said.contains("another process may listen on it"), "{said}");
    assert!(path.exists());
    drop(waiting);
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = folder();
    let path = folder.path().join("socket");
    drop(UnixServer::start(&path, &folder, &[]));
    assert!(path.exists(), "who is killed leaves it");
    assert!(UnixStream::connect(&path).is_err());
    UnixServer::start(&path, &folder, &[]).end();
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_another_s_by_now_stays() {
    let folder = folder();
    let path = folder.path().join("socket");
    let server = UnixServer::start(&path, &folder, &[]);
    files::remove(&path);
    files::put(&path, "mine");
    server.end();
    assert_eq!(fs::read(&path).expect("it is there"), b"mine");
    files::remove(&path);
    let server = UnixServer::start(&path, &folder, &[]);
    files::remove(&path);
    let other = UnixListener::bind(&path).expect("there is room");
    server.end();
    assert!(UnixStream::connect(&path).is_ok());
    drop(other);
}

#[test]
fn a_start_that_fails_leaves_no_socket() {
    let folder = folder();
    let path = folder.path().join("socket");
    let store = folder.path().join("file");
    files::put(&store, "no directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvd"));
    let output = command.args(["--port", "0", "--unixsocket"]).arg(&path).arg("--dir").arg(&store).output();
    assert!(!output.expect("the program is built").status.success());
    assert!(!path.exists());
}
