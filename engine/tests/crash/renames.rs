//! A large value that has changed gets another name, and is the same after a start: its file alone does not tell.

use engine::FsyncMode;
use engine::Value;
use engine::disk::sim::Survival;

use crate::bench::bench;

/// Renames such a value, not settled before, and opens what is left.
pub fn changed_large_value() -> Result<(), String> {
    let bench = bench(FsyncMode::Always);
    let (from, to) = (bench.store.key(b"from"), bench.store.key(b"to"));
    let reference = bench.store.write_blob(&[7; 40_000]).map_err(|error| error.to_string())?;
    let mut transaction = bench.store.begin(0, &[from], bench.store.now_ms());
    transaction.set(&from, Value::Blob(vec![7; 40_000].into(), reference), None);
    transaction.commit();
    bench.store.begin(0, &[from], bench.store.now_ms()).append(&from, b"more");
    bench.store.begin(0, &[from, to], bench.store.now_ms()).rename(&from, &to);
    bench.store.close();
    let before = bench.store.digest(None);
    let after = bench.reopened(Survival::Nothing).store.digest(None);
    if before == after { Ok(()) } else { Err("a renamed value is what it was before its last change".to_owned()) }
}

#[test]
fn a_large_value_that_has_changed_keeps_its_change_under_another_name() {
    changed_large_value().unwrap();
}
