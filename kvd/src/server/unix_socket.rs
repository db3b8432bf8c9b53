//! The unix socket's file: made for nobody but its owner, replaced when it is stale, removed when it is still ours.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// A socket's file that this process has made. It goes when this is dropped, which is to be before the socket: as long as
/// that is open no other file has the same number.
pub struct SocketFile {
    path: PathBuf,
    /// Device and number of the file.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another file may be there by now.
        let is_ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if is_ours && let Err(error) = remove(&self.path) {
            tracing::warn!(%error, "cannot remove the unix socket {}", self.path.display());
        }
    }
}

/// Listens on a unix socket at `path`, whose file gets the permissions `mode`. A socket left by an earlier process is
/// replaced; one that is listened on, and any other file, is not touched.
pub fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("Could not create unix socket {}: {error}", path.display()))
    };
    make_way(path).map_err(named)?;
    let listener = bind_for_owner(path).map_err(named)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path).map_err(named)? };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(named)?;
    listener.set_nonblocking(true)?;
    Ok((listener, file))
}

/// Listens, and lets nobody else connect before the wider permissions are there.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

/// Removes a socket that nobody listens on.
fn make_way(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path is not a socket"));
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full would have this wait.
    socket.set_nonblocking(true)?;
    let in_use = |why: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, why.to_owned()));
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => in_use("another process listens on it"),
        // Only this says that nobody does.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => in_use(&format!("another process may listen on it: {error}")),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[expect(clippy::disallowed_methods, reason = "a socket is not a file of the store")]
fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_connect_before_the_permissions_are_set() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("socket");
        let _listener = bind_for_owner(&path).expect("nobody is there");
        let mode = std::fs::symlink_metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
