//! Latency events: how long the longest waits were, second by second, as LATENCY shows them.
//!
//! There are two events, Redis's `command` and `fast-command`. What else Redis has events for is not measured here.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use parking_lot::Mutex;

/// Seconds kept of an event.
const MAX_SAMPLES: usize = 160;
/// Samples side by side in a graph, and its rows.
const COLUMNS: usize = 80;
const ROWS: usize = 4;

/// The longest event of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Seconds since the epoch.
    pub at_s: u64,
    /// Milliseconds it took.
    pub ms: u64,
}

/// What is known of one event.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The last seconds with events, the latest at the end.
    pub samples: VecDeque<Sample>,
    /// Milliseconds of the longest ever.
    pub longest_ms: u64,
}

/// All events.
#[derive(Default)]
pub struct Latency(Mutex<BTreeMap<&'static str, Series>>);

impl Latency {
    /// An event has taken so long.
    pub fn add(&self, event: &'static str, ms: u64, at_s: u64) {
        self.0.lock().entry(event).or_default().add(Sample { at_s, ms });
    }

    /// All events by name.
    pub fn all(&self) -> Vec<(&'static str, Series)> {
        self.0.lock().iter().map(|(event, series)| (*event, series.clone())).collect()
    }

    /// One event.
    pub fn find(&self, event: &[u8]) -> Option<(&'static str, Series)> {
        self.all().into_iter().find(|(name, _)| name.as_bytes() == event)
    }

    /// Forgets an event; whether it was known.
    pub fn forget(&self, event: &[u8]) -> bool {
        let mut events = self.0.lock();
        let before = events.len();
        events.retain(|name, _| name.as_bytes() != event);
        events.len() < before
    }
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.longest_ms = self.longest_ms.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.at_s == sample.at_s => last.ms = last.ms.max(sample.ms),
            _ => {
                if self.samples.len() == MAX_SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
        }
    }

    /// Milliseconds of the shortest and the longest sample.
    fn range(&self) -> (u64, u64) {
        let samples = || self.samples.iter().map(|sample| sample.ms);
        (samples().min().unwrap_or_default(), samples().max().unwrap_or_default())
    }

    /// LATENCY GRAPH: a bar for each sample, with how long ago it was written below.
    pub fn graph(&self, event: &str, now_s: u64) -> String {
        let (low, high) = self.range();
        let longest = self.longest_ms;
        let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {longest} ms)\n");
        text.push_str(&"-".repeat(COLUMNS));
        text.push('\n');
        let samples: Vec<Sample> = self.samples.iter().copied().collect();
        let parts: Vec<String> = samples.chunks(COLUMNS).map(|part| bars(part, low, high, now_s)).collect();
        text.push_str(&parts.join("\n"));
        text
    }

    /// A line of LATENCY DOCTOR.
    pub fn diagnosis(&self, event: &str) -> String {
        let count = self.samples.len().max(1) as u64;
        let average = self.samples.iter().map(|sample| sample.ms).sum::<u64>() / count;
        let deviation = self.samples.iter().map(|sample| sample.ms.abs_diff(average)).sum::<u64>() / count;
        let first = self.samples.front().map_or(0, |sample| sample.at_s);
        let passed = self.samples.back().map_or(0, |sample| sample.at_s) - first;
        let mut text = format!("{event}: {count} latency spikes (average {average}ms, mean deviation {deviation}ms, ");
        // Writing to a string cannot fail.
        let _ = write!(text, "period {:.2} sec). ", passed as f64 / count as f64);
        let _ = write!(text, "Worst all time event {}ms.", self.longest_ms);
        text
    }
}

fn bars(samples: &[Sample], low: u64, high: u64, now_s: u64) -> String {
    /// What the top of a bar looks like, by height.
    const TOPS: &[u8; 3] = b"_o#";
    let steps = TOPS.len() * ROWS;
    let scale = (high - low).max(1) as usize;
    let step = |sample: &Sample| (((sample.ms - low) as usize * steps) / scale).min(steps - 1);
    let mut text = String::new();
    for row in 0..ROWS {
        let below = (ROWS - row - 1) * TOPS.len();
        text.extend(samples.iter().map(|sample| match step(sample).checked_sub(below) {
            None => ' ',
            Some(height) => TOPS.get(height).map_or('|', |top| char::from(*top)),
        }));
        text.push('\n');
    }
    text.push_str(&" ".repeat(samples.len()));
    text.push('\n');
    let labels: Vec<String> = samples.iter().map(|sample| age(now_s.saturating_sub(sample.at_s))).collect();
    for row in 0..labels.iter().map(String::len).max().unwrap_or_default() {
        text.extend(labels.iter().map(|label| label.as_bytes().get(row).map_or(' ', |byte| char::from(*byte))));
        text.push('\n');
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_one_sample_and_old_ones_go() {
        let mut series = Series::default();
        for at_s in 0..200 {
            series.add(Sample { at_s, ms: 5 });
            series.add(Sample { at_s, ms: 7 });
            series.add(Sample { at_s, ms: 6 });
        }
        assert_eq!((series.samples.len(), series.longest_ms), (MAX_SAMPLES, 7));
        assert_eq!(series.samples[0], Sample { at_s: 40, ms: 7 });
    }

    #[test]
    fn a_graph_has_bars_and_ages() {
        let mut series = Series::default();
        for (at_s, ms) in [(10, 1), (20, 13), (90, 7)] {
            series.add(Sample { at_s, ms });
        }
        let graph = series.graph("command", 100);
        let lines: Vec<&str> = graph.lines().skip(2).collect();
        assert!(graph.starts_with("command - high 13 ms, low 1 ms (all time high 13 ms)\n----"), "{graph}");
        assert_eq!(lines, [" # ", " |_", " ||", "_||", "   ", "111", "mm0", "  s"]);
    }
}
