//! The mark of an import that has not come to its end, `<dbfilename>.importing`: half a store never passes for a whole one.

use std::io::{self, ErrorKind};

use engine::disk::{self, Disk};

/// What the file says to people.
const TEXT: &[u8] = b"kvd import fills this store and has not come to its end.\n";

fn name_of(store: &str) -> String {
    format!("{store}.importing")
}

/// Whether a store bears the mark.
pub(super) fn is_set(disk: &dyn Disk, store: &str) -> io::Result<bool> {
    let name = name_of(store);
    Ok(disk.list()?.contains(&name))
}

/// Marks a store; durable when this returns.
pub(super) fn set(disk: &dyn Disk, store: &str) -> io::Result<()> {
    disk::replace(disk, &name_of(store), TEXT)
}

/// Takes the mark away, when all that the store holds is durable.
pub(super) fn clear(disk: &dyn Disk, store: &str) -> io::Result<()> {
    match disk.remove(&name_of(store)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        done => done?,
    }
    disk.sync_dir()
}

/// An error for a store that bears the mark, of everybody but an import.
pub fn refuse(disk: &dyn Disk, store: &str) -> Result<(), String> {
    match is_set(disk, store) {
        Ok(false) => Ok(()),
        Ok(true) => Err(format!(
            "the store {store} is an unfinished import ({} is there): run kvd import again without --merge, which begins it anew",
            name_of(store)
        )),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use engine::disk::sim::{SimDisk, Survival};

    use super::*;

    #[test]
    fn the_mark_is_durable_and_so_is_its_end() {
        let disk = SimDisk::new(1);
        set(&disk, "db").unwrap();
        // Set again by an import that begins anew.
        set(&disk, "db").unwrap();
        let disk = disk.power_loss_with(Survival::Nothing);
        assert!(refuse(&disk, "db").unwrap_err().contains("unfinished import"));
        assert_eq!(refuse(&disk, "other"), Ok(()));
        clear(&disk, "db").unwrap();
        clear(&disk, "db").unwrap();
        let disk = disk.power_loss_with(Survival::Nothing);
        assert_eq!(refuse(&disk, "db"), Ok(()));
    }
}
