//! The harness's own files (logs, ledgers, figures) and the surgery it does on a server's.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, Result};

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_path_buf();
    move |source| Failure::File { path, source }
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(failed(path))
}

/// Writes a whole file.
#[expect(clippy::disallowed_methods, reason = "figures and surgery, nothing that must survive a crash")]
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(failed(path))
}

/// Reads what [`write_json`] has written.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

/// The same, or nothing yet when there is no such file: figures of earlier runs.
pub fn resume_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    if path.exists() { read_json(path) } else { Ok(T::default()) }
}

/// Writes a value as a person can read it.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let json = serde_json::to_string_pretty(value).map_err(|error| Failure::Usage(error.to_string()))?;
    write(path, format!("{json}\n").as_bytes())
}

/// Creates (empties) a file for a child's output.
#[expect(clippy::disallowed_methods, reason = "a child's output")]
pub fn create(path: &Path) -> Result<std::fs::File> {
    std::fs::File::create(path).map_err(failed(path))
}

/// Makes a directory and its parents.
pub fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(failed(path))
}

/// Copies a directory and all below it, files only.
pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    make_dir(to)?;
    for path in list(from)? {
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy_dir(&path, &to.join(name))?;
        } else if path.is_file() {
            std::fs::copy(&path, to.join(name)).map_err(failed(&path))?;
        }
    }
    Ok(())
}

/// Removes a directory and all below it, if it is there.
pub fn remove_dir(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

/// Puts a copy of `from` at `to` in one step, so that a reader sees an old file or the new one.
#[expect(clippy::disallowed_methods, reason = "a copied program, nothing that must survive a crash")]
pub fn install(from: &Path, to: &Path) -> Result<()> {
    let fresh = to.with_extension(format!("new{}", std::process::id()));
    std::fs::copy(from, &fresh).map_err(failed(&fresh))?;
    std::fs::rename(&fresh, to).map_err(failed(to))
}

/// The directory's entries, sorted by name.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).map_err(failed(dir))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed(dir))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// All files below a directory. Those that vanish meanwhile are left out.
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in list(dir).unwrap_or_default() {
        if path.is_dir() {
            found.extend(below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
