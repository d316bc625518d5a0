//! What the kernel knows of a process.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Length of the ticks in which `/proc` counts processor time: 100 a second on every Linux that we know.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of all threads so far, those that have ended included.
///
/// # Errors
/// When the process has ended.
pub fn cpu(id: u32) -> anyhow::Result<Duration> {
    let stat = read(id, "stat")?;
    // The second field is the program's name in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')').context("/proc/<pid>/stat has a name")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<u32> { Ok(fields.next().context("/proc/<pid>/stat has times")?.parse()?) };
    Ok(TICK * (ticks()? + ticks()?))
}

/// Memory in use, in bytes.
///
/// # Errors
/// When the process has ended.
pub fn memory(id: u32) -> anyhow::Result<u64> {
    Ok(status(&read(id, "status")?, "VmRSS")? * 1024)
}

/// The most memory that was ever in use, in bytes.
///
/// # Errors
/// When the process has ended.
pub fn memory_peak(id: u32) -> anyhow::Result<u64> {
    Ok(status(&read(id, "status")?, "VmHWM")? * 1024)
}

/// How often any of its present threads has given up its core or was put off it.
///
/// # Errors
/// When the process has ended.
pub fn switches(id: u32) -> anyhow::Result<u64> {
    let mut switches = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread may end meanwhile.
        let Ok(said) = fs::read_to_string(thread?.path().join("status")) else {
            continue;
        };
        switches += status(&said, "voluntary_ctxt_switches")? + status(&said, "nonvoluntary_ctxt_switches")?;
    }
    Ok(switches)
}

fn read(id: u32, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{id}/{file}")).with_context(|| format!("process {id} has ended"))
}

fn status(said: &str, name: &str) -> anyhow::Result<u64> {
    let mut lines = said.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines
        .find(|(key, _)| *key == name)
        .with_context(|| format!("/proc/<pid>/status has no {name}"))?;
    Ok(value.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}

/// The machine in one line.
pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    // All of them, not only those that this process may use.
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory = fs::read_to_string("/proc/meminfo").ok();
    let memory = memory
        .and_then(|said| status(&said, "MemTotal").ok())
        .unwrap_or_default()
        >> 20;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} × {model}, {memory} GiB, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process_everything_is_known() {
        let id = std::process::id();
        assert!(memory(id).unwrap() > 1 << 20 && memory_peak(id).unwrap() > 1 << 20);
        assert!(switches(id).unwrap() > 0);
        let before = cpu(id).unwrap();
        let mut spun = 0_u64;
        while cpu(id).unwrap() < before + 3 * TICK {
            spun = std::hint::black_box(spun + 1);
        }
        assert!(machine().contains("Linux"), "{}", machine());
    }

    #[test]
    fn a_process_that_has_ended_is_told() {
        assert!(cpu(u32::MAX).unwrap_err().to_string().contains("has ended"));
    }
}
