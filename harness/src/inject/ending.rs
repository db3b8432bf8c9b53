//! How a server may go on, and end, after a system call has failed.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::fault::{Effect, Fault};
use super::trace::Call;
use crate::process::Mode;
use crate::rules::{Rule, Violation};

/// What is known of a life with a fault in it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When it answered.
    pub mode: Mode,
    /// What was done to it.
    pub fault: Fault,
    /// What it asked the kernel for.
    pub calls: Vec<Call>,
    /// How it ended; nothing when it had to be killed.
    pub status: Option<ExitStatus>,
    /// It had answered clients before it ended.
    pub served: bool,
    /// It ended before it was asked to.
    pub ended_early: bool,
    /// So many calls had begun when it was asked to end.
    pub calls_before_end: usize,
    /// The error that it gave to a write behind the fault; where that passes, some seconds behind.
    pub refusal: Option<String>,
    /// The last lines it wrote.
    pub output: String,
}

/// Which of the promises are broken. Those about data are the ledger's.
pub fn judge(facts: &Facts) -> Vec<Violation> {
    let broken = [unclean_end(facts), hangs(facts), hidden_failure(facts), goes_on(facts), not_well_again(facts)];
    let retried = retried_sync(&facts.calls).map(|call| {
        let detail = format!("{} of {} was tried again after it had failed", call.name, call.file);
        Violation::new(Rule::SyncedOnce, call.file.clone(), detail)
    });
    broken.into_iter().flatten().map(|detail| Violation::new(Rule::Serves, "server", detail)).chain(retried).collect()
}

/// An end that is neither an exit nor what we did ourselves.
fn unclean_end(facts: &Facts) -> Option<String> {
    let Facts { status, output, .. } = facts;
    let killed_by_us = facts.fault.effect == Effect::Kill && status.is_some_and(|status| status.signal() == Some(9));
    let exited = status.is_some_and(|status| status.code().is_some_and(|code| code <= 1));
    let panicked = output.contains("panicked at");
    (panicked || !(exited || killed_by_us)).then(|| format!("ended with {status:?}: {output}"))
}

/// A start that comes to nothing, neither to service nor to an end.
fn hangs(facts: &Facts) -> Option<String> {
    (!facts.served && !facts.ended_early).then(|| format!("neither serves nor ends: {}", facts.output))
}

/// A segment of the log could not be written or synced, and the server ends as if everything were durable.
fn hidden_failure(facts: &Facts) -> Option<String> {
    let failed = facts.calls.iter().find(|call| fails_log(call, facts.fault))?;
    let all_is_well = facts.status.is_some_and(|status| status.success());
    all_is_well.then(|| format!("{} of {} failed, and the exit status is 0", failed.name, failed.file))
}

/// The same while it serves: it has to refuse writes from then on, and in `always` to end by itself.
fn goes_on(facts: &Facts) -> Option<String> {
    let in_time = &facts.calls[..facts.calls_before_end.min(facts.calls.len())];
    let failed = in_time.iter().find(|call| fails_log(call, facts.fault))?;
    let how = match facts.mode {
        _ if facts.ended_early => return None,
        Mode::Always => "goes on",
        _ if facts.refusal.is_some() => return None,
        _ => "takes writes",
    };
    Some(format!("{} of {} failed, and the server {how}", failed.name, failed.file))
}

/// A disk that was full for one call, or a descriptor that was missing, is no reason to refuse writes seconds later, or to end.
fn not_well_again(facts: &Facts) -> Option<String> {
    if !facts.fault.passes() || !facts.served {
        return None;
    }
    let told = facts.refusal.as_ref().map(|text| format!("writes are still refused: {text}"));
    told.or_else(|| facts.ended_early.then(|| format!("ended with {:?}: {}", facts.status, facts.output)))
}

/// Whether the log has failed for good with this call.
pub fn fails_log(call: &Call, fault: Fault) -> bool {
    let is_of_log = call.file.ends_with(".log") && (call.name == "fdatasync" || call.name.starts_with("pwrite"));
    call.is_injected && is_of_log && fault.effect == Effect::Error("EIO")
}

/// A sync of an open file of which one has failed before. The kernel tells an error once to each open file: who has opened it
/// anew, to make it longer, was not told and does not believe what was written before.
fn retried_sync(calls: &[Call]) -> Option<&Call> {
    calls.iter().enumerate().filter(|(_, call)| call.is_sync() && call.is_injected).find_map(|(index, failed)| {
        let later = calls[index + 1..].iter().filter(|call| call.begin_us >= failed.end_us && call.file == failed.file);
        // A file that was made anew may be synced, and has perhaps the same descriptor.
        let mut same = later.take_while(|call| !(call.creates || call.name.starts_with("unlink")));
        // A directory is synced whenever a name in it has changed; it is the bytes of files that are lost.
        same.find(|call| call.is_sync() && call.descriptor == failed.descriptor && failed.name == "fdatasync")
    })
}

#[cfg(test)]
mod tests {
    use super::super::fault::Since;
    use super::*;

    fn call(name: &str, file: &str, at: u64, injected: bool) -> Call {
        Call {
            thread: 1,
            name: name.to_owned(),
            file: file.to_owned(),
            descriptor: Some(3),
            creates: false,
            range: None,
            begin_us: at,
            end_us: at + 1,
            result: Some(if injected { -1 } else { 0 }),
            is_injected: injected,
        }
    }

    fn facts(mode: Mode, error: &'static str, calls: Vec<Call>, code: i32) -> Facts {
        let fault = Fault { calls: "fdatasync", effect: Effect::Error(error), since: Since::Start };
        let (status, calls_before_end) = (Some(ExitStatus::from_raw(code << 8)), calls.len());
        let output = String::new();
        let (served, ended_early, refusal) = (true, false, (error == "EIO").then(|| "MISCONF".to_owned()));
        Facts { mode, fault, calls, status, served, ended_early, calls_before_end, refusal, output }
    }

    #[test]
    fn a_sync_that_is_tried_again_is_told() {
        let failed = call("fdatasync", "a.log", 10, true);
        let again = vec![failed.clone(), call("fdatasync", "b.log", 11, false), call("fdatasync", "a.log", 12, false)];
        let broken = judge(&facts(Mode::EverySec, "EIO", again.clone(), 1));
        assert!(broken.len() == 1 && broken[0].rule == Rule::SyncedOnce, "{broken:?}");
        let made_anew = vec![failed.clone(), call("unlink", "a.log", 11, false), again[2].clone()];
        assert_eq!(judge(&facts(Mode::EverySec, "EIO", made_anew, 1)), []);
        let by_another = vec![failed.clone(), Call { descriptor: Some(4), ..again[2].clone() }];
        assert_eq!(judge(&facts(Mode::EverySec, "EIO", by_another, 1)), []);
        let begun_before = vec![Call { end_us: 20, ..failed }, again[2].clone()];
        assert_eq!(judge(&facts(Mode::EverySec, "EIO", begun_before, 1)), []);
    }

    #[test]
    fn a_failed_log_is_told_by_the_exit_status() {
        let failed = vec![call("pwrite64", "a.log", 10, true)];
        assert_eq!(judge(&facts(Mode::EverySec, "EIO", failed.clone(), 1)), []);
        assert_eq!(judge(&facts(Mode::EverySec, "EIO", failed.clone(), 0)).len(), 1);
        // From then on it takes no writes; in `always` it does not wait to be asked to end.
        assert_eq!(judge(&Facts { refusal: None, ..facts(Mode::No, "EIO", failed.clone(), 1) }).len(), 1);
        assert_eq!(judge(&facts(Mode::Always, "EIO", failed.clone(), 1)).len(), 1);
        let ended = Facts { ended_early: true, ..facts(Mode::Always, "EIO", failed.clone(), 1) };
        assert_eq!(judge(&ended), []);
        let while_stopping = Facts { calls_before_end: 0, ..facts(Mode::Always, "EIO", failed, 1) };
        assert_eq!(judge(&while_stopping), []);
    }

    #[test]
    fn what_passes_is_no_reason_to_refuse_or_to_end() {
        assert_eq!(judge(&facts(Mode::No, "ENOSPC", vec![], 0)), []);
        let refuses = Facts { refusal: Some("MISCONF".to_owned()), ..facts(Mode::No, "ENOSPC", vec![], 0) };
        assert_eq!(judge(&refuses).len(), 1);
        let ends = Facts { ended_early: true, ..facts(Mode::No, "EMFILE", vec![], 1) };
        assert_eq!(judge(&ends).len(), 1);
        assert_eq!(judge(&Facts { served: false, ..ends.clone() }), []);
        assert_eq!(judge(&Facts { served: false, ended_early: false, ..ends }).len(), 1);
    }

    #[test]
    fn an_end_by_a_panic_or_a_signal_is_told() {
        assert_eq!(judge(&facts(Mode::No, "EIO", vec![], 101)).len(), 1);
        assert_eq!(judge(&Facts { status: None, ..facts(Mode::No, "EIO", vec![], 0) }).len(), 1);
        let output = "thread 'flusher' panicked at src/x.rs".to_owned();
        assert_eq!(judge(&Facts { output, ..facts(Mode::No, "EIO", vec![], 0) }).len(), 1);
        assert_eq!(
            judge(&Facts { status: Some(ExitStatus::from_raw(9)), ..facts(Mode::No, "EIO", vec![], 0) }).len(),
            1
        );
    }
}
