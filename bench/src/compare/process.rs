//! What a process and its children have used, from /proc.
//!
//! Invariant: a child that has ended counts through its parent, which has waited for it. Limit: Linux; elsewhere the
//! figures are missing, not wrong.

use std::collections::HashMap;

/// Ticks a second of `/proc/<pid>/stat`: the same on every Linux that this could run on.
const TICKS: f64 = 100.0;

/// Processor seconds of a process and all below it, with those that have ended.
pub(crate) fn cpu_seconds(root: u32) -> Option<f64> {
    let all = snapshot()?;
    let ticks: u64 = family(&all, root).iter().filter_map(|pid| all.get(pid)).map(|p| p.ticks).sum();
    #[allow(clippy::cast_precision_loss)]
    Some(ticks as f64 / TICKS)
}

/// Resident megabytes of a process and all below it.
pub(crate) fn resident_mb(root: u32) -> Option<f64> {
    let all = snapshot()?;
    let kilobytes: f64 = family(&all, root)
        .iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())
        .filter_map(|status| vm_rss(&status))
        .sum();
    Some(kilobytes / 1024.0)
}

fn vm_rss(status: &str) -> Option<f64> {
    status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?.trim().trim_end_matches(" kB").parse().ok()
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// User and system time, its own and that of its children which it has waited for.
    ticks: u64,
}

fn snapshot() -> Option<HashMap<u32, Process>> {
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        all.extend(parse(&stat).map(|process| (pid, process)));
    }
    Some(all)
}

/// `pid (name) state ppid ... utime stime cutime cstime ...`; the name may hold spaces and brackets.
fn parse(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|f| f.parse::<u64>().unwrap_or(0)).sum();
    Some(Process { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn family(all: &HashMap<u32, Process>, root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        family.extend(all.iter().filter(|(_, p)| p.parent == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4 5 6 7 8 10 20 30 40 20 0 1 0 99 1 2";
        assert_eq!(parse(stat), Some(Process { parent: 3, ticks: 100 }));
        assert_eq!(vm_rss("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2048.0));
    }

    #[test]
    fn a_family_is_a_process_and_all_below_it() {
        let process = |parent| Process { parent, ticks: 1 };
        let all = HashMap::from([(1, process(0)), (2, process(1)), (3, process(2)), (9, process(0))]);
        let mut below = family(&all, 1);
        below.sort_unstable();
        assert_eq!(below, [1, 2, 3]);
    }
}
