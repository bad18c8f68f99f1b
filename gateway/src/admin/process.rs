//! What the kernel says about this process.

use std::fs;

/// Numbers from `/proc`, in base units. `None` where the kernel does not say.
#[derive(Clone, Debug, Default)]
pub struct ProcessReport {
    /// User and system time since the start, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Resident memory in bytes.
    pub resident_bytes: Option<f64>,
    /// Address space in bytes.
    pub virtual_bytes: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<f64>,
    /// The limit on file descriptors; `None` also if there is none.
    pub max_fds: Option<f64>,
    /// Unix time of the start, in seconds.
    pub start_time: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
}

impl ProcessReport {
    /// Reads the numbers as they are now.
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let seconds = |field| Some(stat_field(&stat, field)? / ticks_per_second);
        Self {
            cpu_seconds: seconds(14).zip(seconds(15)).map(|(user, system)| user + system),
            resident_bytes: stat_field(&stat, 24).map(|pages| pages * rustix::param::page_size() as f64),
            virtual_bytes: stat_field(&stat, 23),
            open_fds: open_fds().map(|count| count as f64),
            max_fds: rustix::process::getrlimit(rustix::process::Resource::Nofile)
                .current
                .map(|max| max as f64),
            start_time: boot_time().zip(seconds(22)).map(|(boot, after)| boot + after),
            threads: stat_field(&stat, 20),
        }
    }
}

/// A field of `/proc/self/stat`, counted from 1 as in proc(5).
fn stat_field(stat: &str, field: usize) -> Option<f64> {
    // The second field is the name in parentheses, and may have anything in it.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

/// Since Linux 6.2 the size of the directory is the count; counting entries takes long with many connections.
fn open_fds() -> Option<u64> {
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // The directory being read is open as well, for as long as it is read.
        0 => Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

/// Unix time at which the machine was started, in seconds.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_everything_about_us() {
        let report = ProcessReport::read();
        assert!(report.cpu_seconds.is_some());
        assert!(report.resident_bytes.unwrap() > 100_000.0);
        assert!(report.virtual_bytes >= report.resident_bytes);
        assert!(report.open_fds.unwrap() >= 3.0);
        assert!(report.start_time.unwrap() > 1e9);
        assert!(report.threads.unwrap() >= 1.0);
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "12 (a) b) S 1 12 12 0 -1 0 0 0 0 0 7 8 0 0 20 0 3 0 999 4096 2";
        assert_eq!(stat_field(stat, 14), Some(7.0));
        assert_eq!(stat_field(stat, 20), Some(3.0));
        assert_eq!(stat_field(stat, 24), Some(2.0));
        assert_eq!(stat_field(stat, 60), None);
    }
}
