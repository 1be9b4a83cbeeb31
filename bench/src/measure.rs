//! What is read off the machine: processor time, memory, bytes written, the disk's answer, time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Linux counts processor time for /proc in hundredths of a second, whatever the kernel's own tick.
const TICKS: f64 = 100.0;

/// What processes have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Seconds of processor time, user and system.
    pub(crate) cpu: f64,
    /// Bytes that went towards the disk.
    pub(crate) written: f64,
}

/// What these processes and everything they started have used so far, ended children included.
pub(crate) fn used(roots: &[u32]) -> Result<Used> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        // A process may end while this reads.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let after = stat.rsplit_once(')').context("a stat file has no name")?.1;
        let fields: Vec<f64> =
            after.split_whitespace().skip(1).map_while(|f| f.parse().ok()).collect();
        if fields.len() > 13 {
            // Parent; then user and system time, of itself and of its ended children.
            all.insert(pid, (fields[0] as u32, fields[10] + fields[11] + fields[12] + fields[13]));
        }
    }
    let of_roots = |pid: u32| {
        let mut at = pid;
        loop {
            if roots.contains(&at) {
                return true;
            }
            match all.get(&at) {
                Some((parent, _)) if *parent > 1 => at = *parent,
                _ => return false,
            }
        }
    };
    let mut used = Used::default();
    for (pid, (_, ticks)) in all.iter().filter(|(pid, _)| of_roots(**pid)) {
        used.cpu += ticks / TICKS;
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let written = io.lines().find_map(|l| l.strip_prefix("write_bytes: "));
        used.written += written.and_then(|w| w.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(used)
}

/// Resident memory of one process in MB: now, and the most it ever was.
pub(crate) fn memory(pid: u32) -> Result<(f64, f64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).context("no such line")?;
        Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    };
    Ok((of("VmRSS")?, of("VmHWM")?))
}

/// Median µs of an fdatasync after 4 KB were written at the end of a file.
pub(crate) fn fdatasync(folder: &Path) -> Result<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_micros() as f64);
    }
    Ok(quantile(&mut times, 0.5))
}

/// The file system that a folder lies on, as the kernel names its kind.
pub(crate) fn file_system(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| folder.starts_with(at))
        .max_by_key(|(at, _)| at.len());
    Ok(kind.map_or("unknown", |(_, kind)| kind).to_owned())
}

/// The value below which this share lies; 0 of nothing.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(((values.len() as f64 * share) as usize).min(last)).copied().unwrap_or(0.0)
}

/// ms since 1970.
pub(crate) fn epoch_ms() -> u64 {
    epoch_us() / 1_000
}

/// µs since 1970: the clock that all processes of a machine share.
pub(crate) fn epoch_us() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64
}

#[expect(clippy::disallowed_methods, reason = "a measurement is of real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the driver watches processes, it has no events of theirs"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_and_of_none() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.99), 3.0);
        assert_eq!(quantile(&mut [], 0.5), 0.0);
    }

    #[test]
    fn the_cost_of_this_process_grows_with_its_work() {
        let me = [std::process::id()];
        let before = used(&me).unwrap();
        let begun = now();
        while begun.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        let after = used(&me).unwrap();
        assert!(after.cpu > before.cpu && after.written >= before.written);
        let (idle, peak) = memory(me[0]).unwrap();
        assert!(idle > 0.0 && peak >= idle);
    }
}
